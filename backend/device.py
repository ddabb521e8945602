"""Which device really computes: found by running a kernel, never by asking a list.

Networks run on ONNX Runtime. `guided` has no network; where torch is installed and computes on a
GPU, it predicts its tiles there.

ONNX Runtime lists CUDA wherever its GPU build is installed, and falls back to the CPU
without a word. So a small network (`y = x @ x`) is run and compared with NumPy's answer,
and the session is asked which provider took it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import time
from dataclasses import dataclass
from typing import Any

from ..models import PROVIDERS  # which also keeps ONNX Runtime from reporting, which is imported below
from .errors import TerramendError


@dataclass(frozen=True)
class Probe:
    """One device: whether it computes, how long the kernel took, or why it does not."""

    device: str
    computes: bool
    milliseconds: float | None
    why: str


@functools.cache
def probe(device: str) -> Probe:
    """Run the kernel on `cpu` or `cuda`; never raises."""
    try:
        return _probe(device)
    except Exception as error:  # whatever a broken driver or package throws is the finding
        return Probe(device, False, None, _first_line(error))


def check(asked: str) -> None:
    """Whether `auto`, `cpu` or `cuda` may be asked for: only `auto` falls back.

    Raises:
        TerramendError: `environment.device` where nothing computes there.
    """
    if asked == "auto":
        return
    found = probe(asked)
    if not found.computes and not (asked == "cuda" and torch_probe().computes):
        raise TerramendError("environment.device", device=asked, why=found.why)


@functools.cache
def torch_probe() -> Probe:
    """Run a kernel on CUDA by torch, which some methods without a network can use; never raises.

    A torch that cannot is not imported: that takes seconds.
    """
    name = "cuda, by torch"
    if importlib.util.find_spec("torch") is None:
        return Probe(name, False, None, "torch is not installed")
    try:
        if (version := importlib.metadata.version("torch")).endswith("+cpu"):
            return Probe(name, False, None, f"torch {version} is built without")
        from ..models.guided.torch_planes import kernel_time

        return Probe(name, True, round(kernel_time("cuda") * 1000, 3), "")
    except Exception as error:  # whatever a broken driver or package throws is the finding
        return Probe(name, False, None, _first_line(error))


def on_torch(asked: str) -> str | None:
    """The torch device for a method that can use one: `cuda` where it computes and is not declined.

    Raises:
        TerramendError: `environment.device` where `cuda` was asked for and does not compute.
    """
    if asked == "cpu":
        return None
    found = torch_probe()
    if asked == "cuda" and not found.computes:
        raise TerramendError("environment.device", device=asked, why=found.why)
    return "cuda" if found.computes else None


def for_networks(asked: str, by_torch: bool) -> str:
    """Where a method's networks compute: on CUDA where that computes and is not declined.

    Raises:
        TerramendError: `environment.device` where `cuda` was asked for and does not compute.
    """
    if by_torch:
        return on_torch(asked) or "cpu"
    if asked == "cpu":
        return asked
    found = probe("cuda")
    if asked == "cuda" and not found.computes:
        raise TerramendError("environment.device", device=asked, why=found.why)
    return "cuda" if found.computes else "cpu"


def where(model: Any) -> tuple[str, str | None]:
    """The device that a method computes on, and the provider of ONNX Runtime where it has networks there."""
    provider = getattr(model, "provider", None)
    if provider is None:
        return getattr(model, "device", "cpu"), None
    return next(name for name, known in PROVIDERS.items() if known == provider), provider


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def line() -> str:
    """One line about the device that `auto` takes, for people."""
    if probe("cuda").computes:
        return "CUDA computes (ONNX Runtime)"
    if probe("cpu").computes:
        return f"CPU, {cores()} cores (no CUDA: {probe('cuda').why})"
    return f"Networks cannot run here: {probe('cpu').why}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _probe(device: str) -> Probe:
    import numpy as np
    import onnxruntime

    from ..models.onnx import options_of

    provider = PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        return Probe(device, False, None, f"ONNX Runtime {onnxruntime.__version__} is built without")
    if device == "cuda":
        onnxruntime.preload_dlls()  # CUDA as the wheels of the managed environment bring it
    options = options_of(device)
    options.log_severity_level = 4  # a missing CUDA library is our finding, not a log line
    session = onnxruntime.InferenceSession(kernel(), options, providers=[provider])
    if provider not in session.get_providers():
        return Probe(device, False, None, f"ONNX Runtime took {session.get_providers()[0]} instead")
    x = np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32)
    session.run(None, {"x": x})  # the first run pays for start-up
    started = time.perf_counter()
    (y,) = session.run(None, {"x": x})
    elapsed = (time.perf_counter() - started) * 1000
    if not np.allclose(y, x @ x, atol=0.1):  # TF32 of newer cards is this coarse
        return Probe(device, False, None, "the kernel's result is wrong")
    return Probe(device, True, round(elapsed, 3), "")


SIZE = 64


def kernel() -> bytes:
    """The network `y = x @ x`, x of shape (64, 64), as ONNX (a protobuf message).

    Written field by field after onnx.proto, so that no tool and no binary is needed.
    """
    shape = _message(1, _varint(1, SIZE)) * 2  # TensorShapeProto.dim.dim_value

    def value(name: bytes) -> bytes:  # ValueInfoProto: name, type.tensor_type(float, shape)
        tensor = _varint(1, 1) + _message(2, shape)
        return _message(1, name) + _message(2, _message(1, tensor))

    node = _message(1, b"x") * 2 + _message(2, b"y") + _message(4, b"MatMul")
    graph = _message(1, node) + _message(2, b"probe") + _message(11, value(b"x")) + _message(12, value(b"y"))
    opset = _message(1, b"") + _varint(2, 13)
    return _varint(1, 7) + _message(7, graph) + _message(8, opset)


def _varint(field: int, number: int) -> bytes:
    """A small field number with an integer below 128."""
    return bytes([field << 3, number])


def _message(field: int, payload: bytes) -> bytes:
    """A small field number with bytes, their length as base-128 varint."""
    length, size = bytearray(), len(payload)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes([field << 3 | 2]) + bytes(length) + payload
