"""AlignDiff as a reconstructor: a prior's fill, drawn again by diffusion under terrain and prompt.

Bands go one by one (the paper's way: every band is a grey picture), or together where the networks were
trained so. All bands see the same noise. Several samples give mean and deviation; to their variance
comes the prior's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .. import registry
from ..bands import by_number, matching
from ..base import Findings, Flags, Floats, Prediction, Reconstructor, Source, Tile, findings, sources
from ..classical.membrane import cascade
from ..diffusion import schedules
from ..diffusion.noise import noise
from ..diffusion.scaling import moments, restored, standardised
from ..guided.dates import coregister
from ..onnx import provider, session
from ..values import share, whole
from ..weights import PACKAGED, configuration, fingerprint
from . import tokens
from .hint import CLIP, Last, hint, last_clear
from .prompt import check, numbers, prompts
from .sampling import PRESETS, Networks, Preset, generate

SAMPLES = {"fast": 1, "default": 2, "best": 4}
FILES = ("encoder.onnx", "decoder.onnx", "context.onnx", "step.onnx")
MARGIN = 48
"""Pixels around a gap that the networks see."""
PRIORS = ("harmonic", "guided")


@dataclass(frozen=True)
class Graphs:
    """The networks as ONNX graphs; see `sampling.Networks`."""

    encoder: onnxruntime.InferenceSession
    decoder: onnxruntime.InferenceSession
    reader: onnxruntime.InferenceSession
    step: onnxruntime.InferenceSession
    vocabulary: tokens.Vocabulary
    bands: int
    factor: int
    multiple: int
    schedule: schedules.Schedule
    predicts: str
    weights_sha256: str | None = None

    @property
    def provider(self) -> str:
        """What its network runs on."""
        return provider(self.step)

    def encode(self, image: Floats) -> Floats:
        """See `sampling.Networks`."""
        out: Floats = self.encoder.run(None, {"image": image})[0]
        return out

    def decode(self, latents: Floats) -> Floats:
        """See `sampling.Networks`."""
        out: Floats = self.decoder.run(None, {"latents": latents})[0]
        return out

    def context(self, text: str, place: Floats) -> Floats:
        """See `sampling.Networks`."""
        given = {"ids": self.vocabulary.encode(text)[None], "numbers": place[None]}
        out: Floats = self.reader.run(None, given)[0]
        return out

    def denoise(self, x: Floats, t: int, context: Floats, hint: Floats, prior: Floats) -> Floats:
        """See `sampling.Networks`."""
        given: dict[str, Any] = {"sample": x, "t": np.full(len(x), t, np.float32)}
        for name, value in (("context", context), ("hint", hint), ("prior", prior)):
            given[name] = np.ascontiguousarray(np.broadcast_to(value, (len(x), *value.shape[1:])))
        wanted = {node.name for node in self.step.get_inputs()}
        out: Floats = self.step.run(None, {k: v for k, v in given.items() if k in wanted})[0]
        return out


@dataclass(frozen=True)
class State:
    """What the prior keeps of the scene, and each band's mean and spread."""

    prior: Any
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    @property
    def findings(self) -> Findings:
        """Those of the prior."""
        return findings(self.prior)


@dataclass(frozen=True)
class AlignDiff:
    """Networks, a prior and how to sample.

    Attributes:
        wavelengths: nanometres of the bands that are drawn together; empty: one by one.
        samples: drawn; one has no deviation of its own. template, place: see `prompt.prompts`.
        guidance: see `sampling.generate`.
    """

    networks: Networks
    prior: Reconstructor
    preset: Preset
    wavelengths: tuple[float, ...] = ()
    samples: int = 1
    seed: int = 0
    template: str = ""
    place: str = ""
    guidance: float = 0.0

    @property
    def weights_sha256(self) -> str | None:
        """Of the networks' files, where they are files."""
        return self.networks.weights_sha256

    @property
    def device(self) -> str:
        """Where networks in torch compute."""
        return str(getattr(self.networks, "device", "cpu"))

    @property
    def provider(self) -> str | None:
        """What networks in ONNX Runtime run on."""
        return getattr(self.networks, "provider", None)

    def order(self, mode: str, count: int) -> tuple[float, ...]:
        """See `base.Ordered`."""
        return by_number(self.wavelengths, count)

    def prepare(self, overview: Tile) -> State:
        """The prior's state and the bands' statistics."""
        return State(self.prior.prepare(overview), *moments(overview))

    def predict(self, tile: Tile, state: State) -> Prediction:
        """Fill the gaps that the prior could fill; nothing is drawn without surroundings."""
        before = self.prior.predict(tile, state.prior)
        mean, std = (np.full(tile.image.shape, np.nan, np.float32) for _ in range(2))
        texts = prompts(tile, self.template, self.place)
        tile = coregister.moved(tile, state.findings.offsets)  # the prior moved its own
        for bands in self._groups(tile):
            wanted = tile.gaps[bands] & np.isfinite(before.mean[bands])
            if wanted.any():
                self._fill(tile, state, before, bands, tokens.joint([texts[b] for b in bands]), mean, std)
        return Prediction(mean, std, sources(tile.gaps, mean, Source.GENERATED), before.reference)

    def _groups(self, tile: Tile) -> list[list[int]]:
        """Bands that are drawn together."""
        if self.networks.bands == 1:
            return [[band] for band in range(len(tile.image))]
        found = matching(tile, self.wavelengths)
        return [] if found is None else [found]

    def _fill(
        self,
        tile: Tile,
        state: State,
        before: Prediction,
        bands: list[int],
        text: str,
        mean: Floats,
        std: Floats,
    ) -> None:
        """Draw some bands and write them into `mean` and `std`."""
        middle, spread = state.mean[bands], state.spread[bands]
        seen = np.where(tile.valid[bands], tile.image[bands], np.float32(np.nan))
        pasted = np.where(tile.valid[bands], tile.image[bands], before.mean[bands])
        scaled = np.clip(standardised(pasted, middle, spread), -CLIP, CLIP)
        beyond = pasted - restored(scaled, middle, spread)  # what lies outside the networks' range
        last = last_clear(tile.references, bands, seen, middle, spread) if tile.references else None
        hidden = np.asarray(~tile.valid[bands].all(0))
        spans = [_span(hidden, axis, tile, self.networks.multiple) for axis in (0, 1)]
        sides = list(zip(spans, hidden.shape, strict=True))
        rows, columns = (np.clip(np.arange(*span), 0, n - 1) for span, n in sides)
        at = (rows[:, None], columns[None])
        image = np.stack([_whole(plane) for plane in scaled[(slice(None), *at)]])
        terrain = None if tile.terrain is None else tile.terrain[(slice(None), *at)]
        if last is not None:
            last = Last(last.image[(slice(None), *at)], last.days[at], last.index[at])
        given = hint(image, hidden[at], image, terrain, last)
        factor = self.networks.factor
        channels, height, width = self.networks.encode(image[None]).shape[1:]
        corner = [
            (scene // tile.step + first) // factor
            for scene, (first, _) in zip((tile.row, tile.column), spans, strict=True)
        ]

        def drawn(index: int) -> Floats:
            draws = range(index * self.samples, (index + 1) * self.samples)
            return np.stack(
                [noise(self.seed, draw, channels, corner[0], corner[1], height, width) for draw in draws]
            )

        context = self.networks.context(text, numbers(tile.about))
        made = generate(self.networks, image, hidden[at], given, context, drawn, self.preset, self.guidance)
        place = tuple(slice(max(a, 0), min(b, n)) for (a, b), n in sides)
        inner = tuple(slice(p.start - a, p.stop - a) for p, (a, _) in zip(place, spans, strict=True))
        images = restored(made, middle, spread)[..., inner[0], inner[1]]
        several = self.samples > 1
        for k, band in enumerate(bands):
            where = (tile.gaps[band] & np.isfinite(before.mean[band]))[place]
            own = images[:, k].std(0, ddof=1) if several else np.zeros_like(images[0, k])
            mean[band][place][where] = (images[:, k].mean(0) + beyond[k][place])[where]
            std[band][place][where] = np.hypot(own, np.nan_to_num(before.std[band][place]))[where]


def _span(hidden: Flags, axis: int, tile: Tile, multiple: int) -> tuple[int, int]:
    """First and last + 1 line that hold what is hidden, with a margin; a multiple of lines.

    It begins at a multiple in the *scene*, so that latents of overlapping tiles coincide, and may begin
    before the tile or end behind it.
    """
    at, length = (tile.row, tile.column)[axis], hidden.shape[axis]
    lines = np.flatnonzero(hidden.any(1 - axis))
    first, last = max(int(lines[0]) - MARGIN, 0), min(int(lines[-1]) + 1 + MARGIN, length)
    first -= (first + at // tile.step) % multiple
    return first, last + -(last - first) % multiple


def _whole(plane: Floats) -> Floats:
    """A plane without NaN: what neither image nor prior knows is smooth, or the band's mean."""
    return np.nan_to_num(cascade(plane)) if np.isnan(plane).any() else plane


def load(folder: Path, device: str = "cpu") -> tuple[Graphs, tuple[float, ...]]:
    """The networks of a trained run's folder, and the nanometres of the bands they draw together.

    Raises:
        ValueError: no such folder.
    """
    config = configuration(folder, *FILES)
    parts, part = config["parts"], config["noise"]
    encoder, decoder, reader, step = (session(folder / name, device) for name in FILES)
    graphs = Graphs(
        encoder,
        decoder,
        reader,
        step,
        tokens.load(folder, config["vocabulary"]["length"]),
        parts["bands"],
        parts["factor"],
        parts["multiple"],
        schedules.make(part["schedule"], part["steps"]),
        part["predicts"],
        fingerprint(folder, *FILES),
    )
    return graphs, tuple(map(float, config["data"]["wavelengths"]))


def assemble(
    networks: Networks,
    wavelengths: tuple[float, ...],
    quality: str,
    seed: int,
    prior: str,
    samples: str,
    steps: str,
    prompt: str,
    region: str,
    guidance: str,
) -> AlignDiff:
    """The reconstructor of networks and settings as `create` takes them.

    Raises:
        ValueError: an unknown prior, a prompt that is no template, or a number that is none.
    """
    row = registry.find(prior) if prior in PRIORS else None
    if row is None:
        raise ValueError(f"prior is one of {', '.join(PRIORS)}, not {prior}")
    if prompt:
        check(prompt)
    preset = PRESETS[quality]
    preset = replace(preset, steps=whole("steps", steps or str(preset.steps), networks.schedule.steps))
    count, strength = whole("samples", samples or str(SAMPLES[quality])), share("guidance", guidance)
    return AlignDiff(
        networks, row.create(quality, seed), preset, wavelengths, count, seed, prompt, region, strength
    )


def create(
    quality: str,
    seed: int,
    weights: str = str(PACKAGED / "aligndiff"),
    prior: str = "guided",
    samples: str = "",
    steps: str = "",
    prompt: str = "",
    region: str = "",
    guidance: str = "0",
    device: str = "cpu",
) -> AlignDiff:
    """The reconstructor of a folder of weights; samples and steps default by quality.

    Raises:
        ValueError: as `assemble`.
    """
    networks, wavelengths = load(Path(weights), device)
    return assemble(networks, wavelengths, quality, seed, prior, samples, steps, prompt, region, guidance)
