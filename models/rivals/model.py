"""A trained cloud removal network as a reconstructor: one pass of ONNX, thin cloud mode only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from ..bands import by_number, matching
from ..base import Floats, Prediction, Source, Tile, sources
from ..diffusion.scaling import reflected, shown
from ..onnx import provider, session
from ..weights import PACKAGED, configuration, fingerprint

NETWORK = "remover.onnx"
MULTIPLE = 16
"""What heights and widths that a network sees divide by."""


@dataclass(frozen=True)
class Remover:
    """A network and the centres of the bands that it reads, in nanometres."""

    network: onnxruntime.InferenceSession
    wavelengths: tuple[float, ...]
    weights_sha256: str | None = None

    @property
    def provider(self) -> str:
        """What its network runs on."""
        return provider(self.network)

    def order(self, mode: str, count: int) -> tuple[float, ...]:
        """See `base.Ordered`."""
        return by_number(self.wavelengths, count)

    def prepare(self, overview: Tile) -> None:
        """Nothing is learned of the scene."""

    def predict(self, tile: Tile, state: None) -> Prediction:
        """Clear the bands that the network knows; others stay unfilled (NaN)."""
        bands = matching(tile, self.wavelengths)
        mean = np.full(tile.image.shape, np.nan, np.float32)
        if bands is not None:
            image = tile.image[bands]
            seen = np.isfinite(image).all(0)
            made = reflected(self.clear(shown(np.where(seen, image, 0).astype(np.float32))))
            mean[bands] = np.where(seen, made, np.nan)
        return altered(tile, mean, np.full_like(mean, np.nan))

    def clear(self, image: Floats) -> Floats:
        """(B, H, W) in -1..1 to the same shape."""
        height, width = image.shape[1:]
        pad = ((0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE))
        given = np.pad(image, pad, mode="edge")[None]
        out: Floats = self.network.run(None, {"image": given})[0][0, :, :height, :width]
        return out


def create(quality: str, seed: int, weights: str = str(PACKAGED / "msda-cr"), device: str = "cpu") -> Remover:
    """The network of a run's folder (`remover.onnx`, `config.json`); default: the one that comes along.

    Raises:
        ValueError: no such folder.
    """
    folder = Path(weights)
    config = configuration(folder, NETWORK)
    bands = tuple(map(float, config["data"]["wavelengths"]))
    return Remover(session(folder / NETWORK, device), bands, fingerprint(folder, NETWORK))


def altered(tile: Tile, mean: Floats, std: Floats) -> Prediction:
    """A prediction whose filled pixels are changed observations."""
    source = sources(tile.gaps, mean, Source.ALTERED)
    return Prediction(mean, std, source, np.full(source.shape, -1, np.int16))
