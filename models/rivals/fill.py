"""A rival of AlignDiff as a reconstructor: the same window, hint, prior and sampler, another network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from ..aligndiff.model import AlignDiff, assemble
from ..base import Floats
from ..diffusion import schedules
from ..onnx import provider, session
from ..weights import configuration, fingerprint

NETWORK = "filler.onnx"


@dataclass(frozen=True)
class Pixels:
    """A network that works on pixels; see `aligndiff.sampling.Networks`, of which it is one.

    Attributes:
        diffusion: whether it sees a noised image; else it says the image at once.
    """

    network: onnxruntime.InferenceSession
    bands: int
    multiple: int
    schedule: schedules.Schedule
    predicts: str
    diffusion: bool
    factor: int = 1
    weights_sha256: str | None = None

    @property
    def provider(self) -> str:
        """What its network runs on."""
        return provider(self.network)

    def encode(self, image: Floats) -> Floats:
        """Pixels are their own latents."""
        return image

    def decode(self, latents: Floats) -> Floats:
        """Pixels are their own latents."""
        return latents

    def context(self, text: str, place: Floats) -> Floats:
        """These networks read no prompt."""
        return np.zeros((1, 1, 1), np.float32)

    def denoise(self, x: Floats, t: int, context: Floats, hint: Floats, prior: Floats) -> Floats:
        """What the network says at time t."""
        given = {"hint": hint}
        if self.diffusion:
            times = np.full(len(x), t, np.float32)
            given = {"x": x, "t": times, "hint": np.repeat(hint, len(x), 0)}
        out: Floats = self.network.run(None, given)[0]
        return np.broadcast_to(out, x.shape).astype(np.float32)


def load(folder: Path, device: str = "cpu") -> tuple[Pixels, tuple[float, ...]]:
    """The network of a run's folder, and the nanometres of the bands that it fills together.

    Raises:
        ValueError: no such folder.
    """
    config = configuration(folder, NETWORK)
    part, facts = config["noise"], config["facts"]
    made = Pixels(
        session(folder / NETWORK, device),
        config["network"]["bands"],
        facts["multiple"],
        schedules.make(part["schedule"], part["steps"]),
        part["predicts"],
        facts["diffusion"],
        weights_sha256=fingerprint(folder, NETWORK),
    )
    return made, tuple(map(float, config["data"]["wavelengths"]))


def create(
    quality: str,
    seed: int,
    weights: str,
    prior: str = "harmonic",
    samples: str = "",
    steps: str = "",
    device: str = "cpu",
) -> AlignDiff:
    """The reconstructor of a run's folder. Networks that say the image at once have one step and sample.

    Raises:
        ValueError: no such folder, an unknown prior, or a number that is none.
    """
    networks, wavelengths = load(Path(weights), device)
    if not networks.diffusion:
        samples, steps = samples or "1", steps or "1"
    return assemble(networks, wavelengths, quality, seed, prior, samples, steps, "", "", "0")
