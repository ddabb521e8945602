"""ONNX sessions as Terramend wants them: one thread each, the device that was asked for, no spinning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from . import PROVIDERS

OPTIONS = {"cuda": {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}}
"""By itself CUDA's provider times its ways to convolve and takes the fastest, so no two runs need be alike,
and rounds to TF32."""


_ERRORS = (
    states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf, states.NoModel,
    states.NoSuchFile, states.NotImplemented, states.RuntimeException, ValueError,
)  # fmt: skip
"""What ONNX Runtime raises of a network or of its inputs."""


class NetworkError(Exception):
    """A network could not compute what it was given; `backend.failure` knows this by name."""


class Session(onnxruntime.InferenceSession):
    """A network that is open; its faults name its file."""

    def __init__(self, path: Path, *arguments: Any) -> None:
        self._name = path.name
        super().__init__(str(path), *arguments, enable_fallback=False)

    def run(self, names: Any, inputs: Mapping[str, Any], options: Any = None) -> Any:
        """As ONNX Runtime's.

        Raises:
            NetworkError: the network takes other inputs than these, or its computation failed.
        """
        try:
            return super().run(names, inputs, options)
        except _ERRORS as error:
            raise NetworkError(f"{self._name}: {' '.join(str(error).split())}") from error


def options_of(device: str) -> onnxruntime.SessionOptions:
    """How networks run on a device: by one thread, without spinning, with the same bytes again."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.use_deterministic_compute = device != "cpu"
    return options


def session(path: Path, device: str = "cpu") -> Session:
    """Open a network. Tiles run side by side, so a session uses one thread: bytes do not depend on jobs.

    Raises:
        ValueError: an unknown device, or a file that is no network that ONNX Runtime can read.
        RuntimeError: the device does not take the network (ONNX Runtime would fall back silently).
    """
    if device not in PROVIDERS:
        raise ValueError(f"device is {' or '.join(PROVIDERS)}, not {device}")
    try:
        made = Session(path, options_of(device), [(PROVIDERS[device], OPTIONS.get(device, {}))])
    except _ERRORS as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{path} is no network that ONNX Runtime can open: {why}") from error
    if made.get_providers()[0] != PROVIDERS[device]:
        raise RuntimeError(f"ONNX Runtime does not run {path.name} on {device}")
    return made


def provider(network: onnxruntime.InferenceSession) -> str:
    """What a network really runs on."""
    return str(network.get_providers()[0])
