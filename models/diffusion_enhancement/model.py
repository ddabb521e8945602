"""Diffusion Enhancement as a reconstructor: ONNX networks, the numpy sampler, any reference.

Two uses, fixed by how the networks were trained. *Clear*: the whole clouded image is the
condition, and a cloud removal network (or any reconstructor) is the reference. *Fill*: band
by band, the condition is the image with the reference's prediction pasted into the gap, and
known pixels stay what they are at every step. Several samples give mean and deviation. To the
samples' variance comes in *fill* the reference's own, by the square of its last weight W, as eq. 13
has it; in *clear*, where references know none, W (1 - W) times the square of what the two branches
are apart: the variance of the mixture that W describes. It is no calibrated error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..bands import by_number, matching
from ..base import Findings, Flags, Floats, Prediction, Reconstructor, SamplerStep, Source, Tile, findings
from ..diffusion import sampler, scaling, schedules
from ..diffusion.noise import noise
from ..onnx import provider
from ..rivals.model import altered
from .fusion import LIMIT, FusionStep, enhance

MARGIN = 32
"""Pixels around a gap that the networks see."""


@dataclass(frozen=True)
class Networks:
    """The two networks and what they were trained for.

    Attributes:
        use: `clear` or `fill`. wavelengths: of the bands in `clear`, nanometres.
        clip: bound of x0. mask: whether the condition ends with a gap mask.
        predicts: `epsilon`, `x0` or `v`. multiple: what heights and widths that they see divide by.
        weights_sha256: of both files.
    """

    predictor: onnxruntime.InferenceSession
    allocator: onnxruntime.InferenceSession
    schedule: schedules.Schedule
    use: str
    wavelengths: tuple[float, ...]
    clip: float
    mask: bool
    predicts: str
    multiple: int
    weights_sha256: str

    def run(
        self, condition: Floats, reference: Floats, start: Floats, steps: int, limit: float
    ) -> Iterator[FusionStep]:
        """The steps from `start` (N, B, H, W); condition and reference are (B [+ 1], H, W)."""
        height, width = start.shape[-2:]
        pad = ((0, 0), (0, -height % self.multiple), (0, -width % self.multiple))
        condition, reference = (np.pad(image, pad, mode="edge") for image in (condition, reference))
        start = np.pad(start, ((0, 0), *pad), mode="wrap")
        given = np.broadcast_to(condition, (len(start), *condition.shape)).copy()
        beside = np.broadcast_to(reference, (len(start), *reference.shape)).copy()

        def inputs(x: Floats, t: int) -> dict[str, Any]:
            return {"sample": x, "t": np.full(len(x), t, np.float32), "condition": given}

        def predict(x: Floats, t: int) -> Floats:
            out: Floats = self.predictor.run(None, inputs(x, t))[0]
            return out

        def weigh(x: Floats, t: int) -> Floats:
            out: Floats = self.allocator.run(None, {**inputs(x, t), "reference": beside})[0]
            return out

        known = condition[len(reference) :] < 0.5 if self.mask else None
        for step in enhance(
            self.schedule,
            predict,
            weigh,
            reference,
            start,
            sampler.spaced(self.schedule.steps, steps),
            limit=limit,
            clip=self.clip,
            known=known,
            predicts=self.predicts,
        ):
            parts = (step.weight, step.diffused, step.clean, step.sample)
            yield FusionStep(step.t, *(part[..., :height, :width] for part in parts))


@dataclass(frozen=True)
class State:
    """What the reference keeps of the scene, and each band's mean and spread."""

    reference: Any
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    @property
    def findings(self) -> Findings:
        """Those of the reference."""
        return findings(self.reference)


@dataclass(frozen=True)
class Enhancer:
    """Diffusion Enhancement over a reference.

    Attributes:
        steps: of the sampler. limit: share that the reference always keeps. samples: drawn.
        tell: called as sampling goes on, for views.
    """

    networks: Networks
    reference: Reconstructor
    steps: int = 10
    limit: float = LIMIT
    samples: int = 4
    seed: int = 0
    tell: Callable[[SamplerStep], None] | None = None

    @property
    def weights_sha256(self) -> str:
        """Of the networks' files."""
        return self.networks.weights_sha256

    @property
    def provider(self) -> str:
        """What its network runs on."""
        return provider(self.networks.predictor)

    @property
    def modes(self) -> tuple[str, ...]:
        """What its networks learned."""
        return (self.networks.use,)

    def observed(self, tell: Callable[[SamplerStep], None]) -> Enhancer:
        """The same, telling of the first sample at every step."""
        return replace(self, tell=tell)

    def order(self, mode: str, count: int) -> tuple[float, ...]:
        """See `base.Ordered`."""
        return by_number(self.networks.wavelengths, count)

    def prepare(self, overview: Tile) -> State:
        """The reference's state and the bands' statistics."""
        return State(self.reference.prepare(overview), *scaling.moments(overview))

    def predict(self, tile: Tile, state: State) -> Prediction:
        """Fill or clear, as the networks learned; where the reference is silent nothing is invented."""
        known = self.reference.predict(tile, state.reference)
        return self._clear(tile, known) if self.networks.use == "clear" else self._fill(tile, known, state)

    def _clear(self, tile: Tile, reference: Prediction) -> Prediction:
        mean, std = (np.full(tile.image.shape, np.nan, np.float32) for _ in range(2))
        bands = matching(tile, self.networks.wavelengths)
        if bands is None:
            return altered(tile, mean, std)
        seen = (np.isfinite(tile.image[bands]) & np.isfinite(reference.mean[bands])).all(0)
        given, guess = (
            np.where(seen, scaling.shown(np.nan_to_num(image[bands])), 0).astype(np.float32)
            for image in (tile.image, reference.mean)
        )
        last = self._sampled(tile, given, guess, (0, 0), -1)
        middle, spread = _moments(scaling.reflected(last.sample))
        apart = scaling.reflected(last.diffused) - scaling.reflected(guess)
        between = (last.weight * (1 - last.weight) * apart**2).mean(0)
        moments = middle, np.sqrt(np.nan_to_num(spread) ** 2 + between)
        mean[bands], std[bands] = (np.where(seen, part, np.nan) for part in moments)
        return altered(tile, mean, std)

    def _fill(self, tile: Tile, reference: Prediction, state: State) -> Prediction:
        mean, std = (np.full(tile.image.shape, np.nan, np.float32) for _ in range(2))
        source = reference.source.copy()
        for band in range(len(mean)):
            gap = tile.gaps[band] & np.isfinite(reference.mean[band])
            if not gap.any():
                continue
            cut = _around(gap)
            middle, spread = state.mean[band : band + 1], state.spread[band : band + 1]
            pasted = np.where(gap, reference.mean[band], tile.image[band])[cut]
            scaled = scaling.standardised(pasted[None], middle, spread)
            scaled = np.clip(np.nan_to_num(scaled), -self.networks.clip, self.networks.clip)
            beyond = pasted - scaling.restored(scaled, middle, spread)[0]  # outside the networks' range
            given = np.concatenate([scaled, gap[cut][None]]).astype(np.float32)
            corner = (cut[0].start, cut[1].start)
            last = self._sampled(tile, given, scaled.astype(np.float32), corner, band)
            moments = _moments(scaling.restored(last.sample, middle, spread))
            share = last.weight.mean((0, 1))
            own = np.nan_to_num(reference.std[band][cut]) * share
            where = gap[cut]
            mean[band][cut][where] = (moments[0][0] + beyond)[where]
            std[band][cut][where] = np.hypot(moments[1][0], own)[where]
            source[cut][where & (share < 0.5)] = Source.GENERATED
        return Prediction(mean, std, source, reference.reference)

    def _sampled(
        self, tile: Tile, condition: Floats, reference: Floats, corner: tuple[int, int], band: int
    ) -> FusionStep:
        """The last step, (samples, B, H, W) in network units; noise belongs to the scene's pixels."""
        row, column = (first + more for first, more in zip(tile.corner, corner, strict=True))
        size = (len(reference), row, column, *reference.shape[1:])
        start = np.stack([noise(self.seed, draw, *size) for draw in range(self.samples)])
        run = self.networks.run(condition, reference, start, self.steps, self.limit)
        for number, step in enumerate(run):
            if self.tell is not None:
                image = (step.clean[0] / self.networks.clip + 1) / 2
                self.tell(SamplerStep(band, number, row, column, step.weight[0].mean(0), image))
        return step


def _moments(samples: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation over samples; NaN deviation of a single one."""
    if len(samples) == 1:
        return samples[0], np.full_like(samples[0], np.nan)
    return samples.mean(0), samples.std(0, ddof=1)


def _around(gap: Flags) -> tuple[slice, slice]:
    """The box that holds the gap, with a margin."""
    rows, columns = (np.flatnonzero(gap.any(axis)) for axis in (1, 0))
    sides = zip((rows, columns), gap.shape, strict=True)
    first, second = (slice(max(int(at[0]) - MARGIN, 0), min(int(at[-1]) + 1 + MARGIN, n)) for at, n in sides)
    return first, second
