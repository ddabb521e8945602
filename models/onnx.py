"""ONNX sessions as Terramend wants them: one thread each, the device that was asked for, no spinning."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
OPTIONS = {"cuda": {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}}
"""By itself CUDA's provider times its ways to convolve and takes the fastest, so no two runs need be alike,
and rounds to TF32."""


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
    options.use_deterministic_compute = device != "cpu"
    made = onnxruntime.InferenceSession(str(path), options, [(PROVIDERS[device], OPTIONS.get(device, {}))])
    if made.get_providers()[0] != PROVIDERS[device]:
        raise RuntimeError(f"ONNX Runtime does not run {path.name} on {device}")
    return made


def provider(network: onnxruntime.InferenceSession) -> str:
    """What a network really runs on."""
    return str(network.get_providers()[0])
