"""`ddpm` as a reconstructor: it fills red, green and blue with land that it invents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from ..bands import by_number, matching
from ..base import Floats, Prediction, Source, Tile, sources
from ..diffusion import sampler, schedules
from ..diffusion.noise import noise
from ..diffusion.scaling import reflected, shown
from ..onnx import provider, session
from ..values import whole
from ..weights import PACKAGED, configuration, fingerprint
from .inpaint import inpaint

NETWORK = "ddpm.onnx"
RGB = (665.0, 560.0, 490.0)
"""Nanometres of the bands that the model draws."""
TOP = 0.5
"""Reflectance that is white (DN/5000)."""
STEPS = {"fast": 20, "default": 50, "best": 250}
SAMPLES = {"fast": 2, "default": 2, "best": 4}


@dataclass(frozen=True)
class Prior:
    """An unconditional network.

    Attributes:
        predicts: `epsilon`, `x0` or `v`. multiple: what heights and widths divide by.
        weights_sha256: of its file.
    """

    network: onnxruntime.InferenceSession
    schedule: schedules.Schedule
    predicts: str
    multiple: int
    weights_sha256: str

    def denoise(self, x: Floats, t: int) -> Floats:
        """(N, 3, H, W) in -1..1, sizes multiples of `multiple`, to what the network predicts."""
        times = np.full(len(x), t, np.float32)
        out: Floats = self.network.run(None, {"sample": x, "t": times})[0]
        return out

    def draw(self, count: int, size: int, steps: int, seed: int) -> Floats:
        """(count, 3, size, size) images in -1..1 by DDIM; `size` is a multiple of `multiple`."""
        return ddim(self.schedule, self.denoise, self.predicts, count, size, steps, seed)


def ddim(
    schedule: schedules.Schedule,
    denoise: sampler.Denoiser,
    predicts: str,
    count: int,
    size: int,
    steps: int,
    seed: int,
) -> Floats:
    """(count, 3, size, size) images in -1..1 by DDIM; `denoise`: x_t and t to what the network `predicts`."""
    start = np.stack([noise(seed, index, 3, 0, 0, size, size) for index in range(count)])
    run = sampler.run(
        schedule,
        denoise,
        start,
        sampler.spaced(schedule.steps, steps),
        lambda _: np.zeros_like(start),
        parameterisation=predicts,
        clip=1.0,
    )
    *_, last = run
    return last.sample


@dataclass(frozen=True)
class Inpainter:
    """The prior, and how a gap is filled with it.

    Attributes:
        steps: of the sampler. again: how often each is taken. samples: drawn.
    """

    prior: Prior
    steps: int = 50
    again: int = 5
    samples: int = 2
    seed: int = 0

    @property
    def weights_sha256(self) -> str:
        """Of the prior's file."""
        return self.prior.weights_sha256

    @property
    def provider(self) -> str:
        """What its network runs on."""
        return provider(self.prior.network)

    @property
    def wavelengths(self) -> tuple[float, ...]:
        """Nanometres of the bands that it draws together."""
        return RGB

    def order(self, mode: str, count: int) -> tuple[float, ...]:
        """See `base.Ordered`."""
        return by_number(self.wavelengths, count)

    def prepare(self, overview: Tile) -> None:
        """Nothing is learned of the scene."""

    def predict(self, tile: Tile, state: None) -> Prediction:
        """Fill red, green and blue where any of the three has a gap; other bands stay unfilled."""
        mean, std = (np.full(tile.image.shape, np.nan, np.float32) for _ in range(2))
        bands = matching(tile, self.wavelengths)
        if bands is not None and tile.gaps[bands].any():
            image = tile.image[bands]
            known = np.asarray(tile.valid[bands].all(0))
            samples = reflected(self._filled(tile, shown(np.nan_to_num(image), TOP), known), TOP)
            several = self.samples > 1
            spread = samples.std(0, ddof=1) if several else np.full_like(image, np.nan)
            for place, band in enumerate(bands):
                wanted = tile.gaps[band]
                mean[band][wanted] = samples.mean(0)[place][wanted]
                std[band][wanted] = spread[place][wanted]
        source = sources(tile.gaps, mean, Source.GENERATED)
        return Prediction(mean, std, source, np.full(source.shape, -1, np.int16))

    def _filled(self, tile: Tile, image: Floats, known: np.ndarray) -> Floats:
        """(samples, 3, H, W) in -1..1."""
        height, width = image.shape[1:]
        pad = ((0, -height % self.prior.multiple), (0, -width % self.prior.multiple))
        image, known = np.pad(image, ((0, 0), *pad)), np.pad(known, pad)
        at = tile.corner

        def drawn(index: int) -> Floats:
            fields = [
                noise(self.seed, index * self.samples + draw, 3, *at, *image.shape[1:])
                for draw in range(self.samples)
            ]
            return np.stack(fields)

        *_, (_, sample) = inpaint(
            self.prior.schedule,
            self.prior.denoise,
            np.broadcast_to(image, (self.samples, *image.shape)),
            known,
            sampler.spaced(self.prior.schedule.steps, self.steps),
            drawn,
            again=self.again,
            parameterisation=self.prior.predicts,
        )
        return sample[..., :height, :width]


def load(folder: Path, device: str = "cpu") -> Prior:
    """The network of a run's folder (`ddpm.onnx`, `config.json`).

    Raises:
        ValueError: no such folder.
    """
    config = configuration(folder, NETWORK)
    part, net = config["diffusion"], config["network"]
    schedule = schedules.make(part["noise"], part["steps"], zero_snr=part["zero_snr"])
    multiple = net.get("unshuffle", 1) * 2 ** (len(net["multipliers"]) - 1)
    network, sha = session(folder / NETWORK, device), fingerprint(folder, NETWORK)
    return Prior(network, schedule, part["predicts"], multiple, sha)


def create(
    quality: str,
    seed: int,
    weights: str = str(PACKAGED / "ddpm"),
    steps: str = "",
    again: str = "5",
    samples: str = "",
    device: str = "cpu",
) -> Inpainter:
    """The reconstructor of a folder of weights; steps and samples default by quality.

    Raises:
        ValueError: a number that is none or out of range, or no such folder.
    """
    prior = load(Path(weights), device)
    return Inpainter(
        prior,
        whole("steps", steps or str(STEPS[quality]), prior.schedule.steps),
        whole("again", again),
        whole("samples", samples or str(SAMPLES[quality])),
        seed,
    )
