"""ONNX sessions as Terramend wants them: one thread each, the device that was asked for, no spinning."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def session(path: Path, device: str = "cpu") -> onnxruntime.InferenceSession:
    """Open a network. Tiles run side by side, so a session uses one thread: bytes do not depend on jobs.

    Raises:
        ValueError: an unknown device.
        RuntimeError: the device does not take the network (ONNX Runtime would fall back silently).
    """
    if device not in PROVIDERS:
        raise ValueError(f"device is {' or '.join(PROVIDERS)}, not {device}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    made = onnxruntime.InferenceSession(str(path), options, providers=[PROVIDERS[device]])
    if made.get_providers()[0] != PROVIDERS[device]:
        raise RuntimeError(f"ONNX Runtime does not run {path.name} on {device}")
    return made
