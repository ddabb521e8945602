"""Align-CR and its rivals as reconstructors: a fill, and what a network makes of it.

Two uses, told apart by the tile. *Fill*: gaps are unknown; the network corrects a start (what `guided`
says, or a harmonic surface, as it learned). The scene itself says by how much: part of the valid pixels is
hidden, shaped like the gaps, and the share of the correction that fits them best is taken, band by
band; where radar does not explain the scene it is 0. *Clear*: clouded values are there; the whole
image is changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .. import registry
from ..base import Findings, Flags, Floats, Prediction, Reconstructor, Source, Tile, findings
from ..blocks import Cut, blocks
from ..classical.common import finish, observed, spread
from ..holdout import ErrorTable, error_table, pseudo_gap
from ..onnx import provider, session
from ..ridge import ridge_weights
from ..weights import PACKAGED, configuration, fingerprint
from .inputs import SLOTS, by_slot, calmed, slots, stack

NETWORK = "network.onnx"
BLOCK, MARGIN = 192, 32
"""Pixels: side of the blocks that the network runs on, and what it sees around."""
LEAST = 200
"""Hidden pixels without which the network's correction is not tried, and taken whole."""


@dataclass(frozen=True)
class State:
    """What `prepare` found out about a scene to be filled; None where the image is to be cleared.

    Attributes:
        prior: what the start's method keeps. share: (B,) of the correction that is used.
        transfer: (B, 6) what a band without a slot takes of the corrections of those with one.
        errors: met where valid pixels were hidden.
    """

    prior: Any
    share: NDArray[np.float32]
    transfer: NDArray[np.float32]
    errors: ErrorTable

    @property
    def findings(self) -> Findings:
        """Those of the prior."""
        return findings(self.prior)


@dataclass(frozen=True)
class Radar:
    """A network that sees radar.

    Attributes:
        bands, more, sar: planes that it takes of each kind: bands by slot, the gap's mark, radar.
        multiple: what heights and widths that it sees divide by.
        prior: the method whose fill it starts from. weights_sha256: of the network's file.
        despeckle: whether radar is smoothed before.
    """

    network: onnxruntime.InferenceSession
    prior: Reconstructor
    weights_sha256: str
    bands: int = 6
    more: int = 1
    sar: int = 3
    multiple: int = 32
    despeckle: bool = False

    @property
    def provider(self) -> str:
        """What its network runs on."""
        return provider(self.network)

    def order(self, mode: str, count: int) -> tuple[float, ...]:
        """See `base.Ordered`."""
        return SLOTS[: min(count, self.bands)] if count <= len(SLOTS) else ()

    def prepare(self, overview: Tile) -> State | None:
        """Fill the overview, and try the correction where valid pixels are hidden."""
        if overview.clouded:
            return None
        overview = self._calmed(overview)
        bands, transfer = len(overview.image), _transfer(overview, self._slots(overview))
        hidden = pseudo_gap(np.asarray(overview.valid.all(0)), np.asarray(overview.gaps.any(0)))
        share = np.ones(bands, np.float32)
        if hidden is None:
            hidden = np.zeros(overview.gaps.shape[1:], bool)
        trial = replace(overview.hiding(hidden), detail=())
        error = np.zeros_like(overview.image)
        if hidden.any():
            first = _pasted(trial, self.prior.predict(trial, self.prior.prepare(trial)))
            more = self._correction(trial, first, transfer)
            if hidden.sum() >= LEAST:
                share = _best_share(more[:, hidden], (overview.image - first)[:, hidden])
            error = first + share[:, None, None] * more - overview.image
        table = error_table(error, hidden, np.asarray(trial.gaps.any(0)), spread(overview), overview.step)
        return State(self.prior.prepare(overview), share, transfer, table)

    def predict(self, tile: Tile, state: State | None) -> Prediction:
        """Fill or clear; what neither radar nor surroundings tell stays NaN."""
        tile = self._calmed(tile)
        if state is None:
            return self._clear(tile)
        known = self.prior.predict(tile, state.prior)
        first = _pasted(tile, known)
        more = state.share[:, None, None] * self._correction(tile, first, state.transfer)
        made = finish(tile, first + more, state.errors.std(tile.gaps, tile.step), Source.SURROUNDINGS)
        source = np.where(made.source == Source.SURROUNDINGS, known.source, made.source)
        source[(source == Source.SURROUNDINGS) & _seen(tile) & bool(state.share.any())] = Source.GUIDE
        mean = np.maximum(made.mean, np.minimum(first, 0))  # the correction alone is kept from going below 0
        return replace(made, mean=mean, source=source, reference=known.reference)

    def _clear(self, tile: Tile) -> Prediction:
        found = self._slots(tile)
        mean = np.full(tile.image.shape, np.nan, np.float32)
        given = by_slot(tile.image, found)
        open_gap = np.zeros(tile.image.shape[1:], bool)
        seen = np.isfinite(tile.image).any(0)
        for outer, inner, inside in blocks(np.asarray(tile.gaps.any(0) & seen), BLOCK, MARGIN):
            said = self._run(given[(..., *outer)], open_gap[outer], _cut(tile.sar, outer))
            for slot, band in enumerate(found):
                if band is not None:
                    mean[band][inner] = np.maximum(said[slot][inside], 0)
        mean = np.where(np.isfinite(tile.image), mean, np.float32(np.nan))
        return finish(tile, mean, np.full_like(mean, np.nan), Source.ALTERED)

    def _correction(self, tile: Tile, first: Floats, transfer: NDArray[np.float32]) -> Floats:
        """(B, H, W): what the network adds to `first` in the gaps, 0 elsewhere."""
        found = self._slots(tile)
        out = np.zeros_like(first)
        given, gap = by_slot(first, found), np.asarray(tile.gaps.any(0))
        if not any(band is not None for band in found):
            return out
        for outer, inner, inside in blocks(gap, BLOCK, MARGIN):
            said = self._run(given[(..., *outer)], gap[outer], _cut(tile.sar, outer))
            more = said[(..., *inside)] - np.clip(np.nan_to_num(given[(..., *inner)]), 0, 1)
            more = np.where(gap[inner] & np.isfinite(given[(..., *inner)]), more, 0)
            out[(..., *inner)] = np.einsum("bs,shw->bhw", transfer, more)
        return out

    def _calmed(self, tile: Tile) -> Tile:
        if not self.despeckle or tile.sar is None:
            return tile
        detail = tuple(self._calmed(window) for window in tile.detail)
        return replace(tile, sar=calmed(tile.sar), detail=detail)

    def _slots(self, tile: Tile) -> list[int | None]:
        """The tile's band of each slot that the network knows."""
        found = slots(tile.wavelengths, len(tile.image))
        return [band if slot < self.bands else None for slot, band in enumerate(found)]

    def _run(self, image: Floats, gap: Flags, sar: Floats | None) -> Floats:
        """(6, H, W) of one block of any size."""
        height, width = gap.shape
        planes, first = stack(image, gap, sar), len(SLOTS)
        taken = [planes[: self.bands], planes[first : first + self.more], planes[first + 1 :][: self.sar]]
        pad = ((0, 0), (0, -height % self.multiple), (0, -width % self.multiple))
        given = np.pad(np.concatenate(taken), pad, mode="edge")[None]
        out = planes[:first].copy()
        out[: self.bands] = self.network.run(None, {"image": given})[0][0, :, :height, :width]
        return out


def _seen(tile: Tile) -> Flags:
    """(H, W) where radar was observed."""
    if tile.sar is None:
        return np.zeros(tile.gaps.shape[1:], bool)
    return np.asarray(np.isfinite(tile.sar).any(0))


def _pasted(tile: Tile, fill: Prediction) -> Floats:
    """(B, H, W): the image with a fill in its gaps."""
    return np.asarray(np.where(tile.gaps, fill.mean, observed(tile)), np.float32)


def _cut(sar: Floats | None, where: Cut) -> Floats | None:
    return None if sar is None else sar[(..., *where)]


def _transfer(overview: Tile, found: list[int | None]) -> NDArray[np.float32]:
    """(B, 6): 1 for the slot of a band; a band without one by ridge regression on those with one."""
    out = np.zeros((len(overview.image), len(found)), np.float32)
    taken = {band: slot for slot, band in enumerate(found) if band is not None}
    for band, slot in taken.items():
        out[band, slot] = 1
    common = overview.valid.all(0)
    if not taken or common.sum() < 50:
        return out
    bands = list(taken)
    known = overview.image[bands][:, common].astype(np.float64)
    known -= known.mean(1, keepdims=True)
    gram = known @ known.T
    penalty = 1e-3 * np.trace(gram) / len(gram) + 1e-12
    for band in range(len(overview.image)):
        if band not in taken:
            values = overview.image[band][common].astype(np.float64)
            weights = ridge_weights(gram, known @ (values - values.mean()), penalty)
            out[band, [taken[b] for b in bands]] = weights
    return out


def _best_share(more: Floats, missing: Floats) -> NDArray[np.float32]:
    """(B,) share from 0 to 1 of the corrections (B, N) that comes nearest to what was missing."""
    known = np.isfinite(missing)
    a, b = np.where(known, more, 0).astype(np.float64), np.where(known, missing, 0).astype(np.float64)
    power = (a * a).sum(1)
    best = (a * b).sum(1) / np.where(power > 0, power, np.inf)
    return np.clip(best, 0, 1).astype(np.float32)


def create(
    quality: str,
    seed: int,
    weights: str = str(PACKAGED / "align-cr"),
    prior: str = "guided",
    despeckle: str = "no",
    upsampling: str = "bilinear",
    device: str = "cpu",
) -> Radar:
    """The network of a run's folder (`network.onnx`, `config.json`); default: the one that comes along.

    Args:
        prior: the method whose fill is corrected, `guided` or `harmonic`.
        despeckle: `yes` smooths radar first. upsampling: `bilinear` or `nearest`: how radar is brought onto
            the image's grid, which the reader of the scene does.

    Raises:
        ValueError: no such folder, or a word that an option does not know.
    """
    row = registry.find(prior)
    if row is None or prior not in ("harmonic", "guided"):
        raise ValueError(f"the prior is harmonic or guided, not {prior}")
    if despeckle not in ("yes", "no"):
        raise ValueError(f"despeckle is yes or no, not {despeckle}")
    if upsampling not in ("bilinear", "nearest"):
        raise ValueError(f"upsampling is bilinear or nearest, not {upsampling}")
    folder = Path(weights)
    part = configuration(folder, NETWORK)["network"]
    sar = part.get("sar", 0 if part["kind"] == "mcgan" else 2)
    more = part["inputs"] - part["outputs"] - sar
    made, start = session(folder / NETWORK, device), row.create(quality, seed)
    sha = fingerprint(folder, NETWORK)
    return Radar(made, start, sha, part["outputs"], more, sar, part["multiple"], despeckle == "yes")
