"""`guided`: the default reconstructor. Reads other dates, terrain and radar; else space alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..base import Findings, Prediction, Reconstructor, Source, Tile
from ..classical.common import Base, observed
from . import across, amounts, regression, small
from .dates import bands, coregister, fringe, outliers, timeline
from .dates.select import LIMIT
from .half import halved
from .state import State, learn
from .ways import ask_guide, fill, from_space
from .weighing import weigh

_DEFAULT = regression.Settings()


@dataclass(frozen=True)
class Guided:
    """Masked, local, multi-reference ridge regression with a correction from the gap's rim.

    Attributes:
        torch_device: where tiles are predicted from references; None: by NumPy and OpenCV. What is
            learnt of the scene is the same anywhere.
    """

    settings: regression.Settings = _DEFAULT
    torch_device: str | None = None

    @property
    def device(self) -> str:
        """What computes, for the record."""
        return self.torch_device or "cpu"

    @property
    def context(self) -> int:
        """Pixels around a tile's core that must be seen: the rim, and the windows that are solved there."""
        return 64 if self.settings.local else 32

    def on(self, torch_device: str | None) -> Guided:
        """The same, predicting from references on a torch device (None: without torch)."""
        return replace(self, torch_device=torch_device)

    def prepare(self, overview: Tile) -> State:
        """Move and choose references, learn coefficients, and try all on hidden pixels of the scene."""
        tiny = small.learn(overview)
        overview = small.scaled(overview, tiny)
        scale = amounts.learn(overview)
        overview = amounts.scaled(overview, scale)
        seen_bands = bands.seen(overview)
        overview = bands.shown(overview, seen_bands)
        edge = fringe.learn(overview)
        overview = fringe.hidden(overview, edge)
        offsets = coregister.offsets(overview)
        overview = coregister.moved(overview, offsets)
        seen = outliers.learn(overview) if self.settings.outliers else None
        overview = outliers.cleared(overview, seen)
        state, alone = self._learnt(overview), timeline.learn(overview, seen_bands)
        told = tuple((group, self._learnt(across.seen(overview, group))) for group in across.learn(overview))
        found = Findings(
            offsets=offsets,
            haze=edge.cloud if edge else 0,
            shadow=edge.shadow if edge else 0,
            cast=edge is not None and edge.cast,
            line=float(alone.weight.max()) if alone else 0.0,
            logarithms=scale is not None,
        )
        return replace(
            state,
            small=tiny,
            amounts=scale,
            bands=seen_bands,
            findings=found,
            fringe=edge,
            outliers=seen,
            timeline=alone,
            told=told,
        )

    def _learnt(self, overview: Tile) -> State:
        """What is known of a scene whose references lie where they should, and show the ground."""
        settings = self.settings
        if overview.step == 1 and max(overview.image.shape[1:]) > settings.halved_above:
            overview = halved(overview)
        state = weigh(overview, learn(overview, settings), settings)
        known = state.regression
        if known is None or state.weights.references < 1:
            filled, _ = from_space(overview, state, observed(overview), ask_guide(overview, state, settings))
        elif regression.leaves_some(overview, known):
            filled = fill(overview, state, settings).image
        else:
            return state
        there = np.isfinite(filled)
        filled[~there & there.any(axis=(1, 2), keepdims=True)] = 0  # outside; an unseen band stays unknown
        return replace(state, base=Base(filled, overview.step))

    def predict(self, tile: Tile, state: State) -> Prediction:
        """Fill the tile's gaps."""
        tile = amounts.scaled(small.scaled(tile, state.small), state.amounts)
        tile = bands.shown(tile, state.bands)
        gaps, gap = tile.gaps, np.any(tile.gaps, axis=0)
        tile = fringe.hidden(tile, state.fringe)
        tile = coregister.moved(tile, state.findings.offsets)
        tile = outliers.cleared(tile, state.outliers)
        made = fill(tile, state, self.settings, self.torch_device)
        made.image[~gaps] = np.nan
        made.std[~np.isfinite(made.image)] = np.nan
        made.source[~gap] = Source.VALID
        made.source[gap & ~np.isfinite(made.image).any(0)] = Source.UNFILLED
        made.main[made.source != Source.REFERENCE] = -1
        said = Prediction(made.image, made.std, made.source, made.main)
        return small.told(amounts.told(said, state.amounts), state.small)


def of_quality(quality: str = "default") -> Guided:
    """What a quality is without anything learnt on other scenes."""
    if quality == "fast":
        return Guided(
            regression.Settings(
                dates=LIMIT,
                components=16,
                fine=3,
                local=0,
                random_features=0,
                ferns=0,
                cycles=0,
                halved_above=512,
                outliers=False,
            )
        )
    if quality == "best":
        return Guided(regression.Settings(random_features=768, ferns=400))
    return Guided()


def create(quality: str = "default", seed: int = 0, mend: str = "") -> Reconstructor:
    """Registry entry of `guided`; `mend`: folder of a trained correction of `best`.

    Raises:
        ValueError: another quality, or the folder is none of a trained and tested correction.
    """
    made = of_quality(quality)
    if not mend:
        return made
    if quality != "best":
        raise ValueError("mend corrects the quality best only")
    from ..mend.model import over  # ONNX Runtime is wanted here only

    return over(made, Path(mend))
