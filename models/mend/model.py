"""`mend` as a reconstructor: `guided`, then a small network corrects it and says how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..base import Findings, Floats, Movable, Prediction, Reconstructor, Tile, findings
from ..blocks import blocks
from ..holdout import distance_to_valid
from ..onnx import session
from ..weights import configuration, fingerprint
from . import trust
from .inputs import Frame, frame, stack

BLOCK, MARGIN, MULTIPLE = 256, 32, 16
"""Pixels: side of the blocks that the network runs on, what it sees around, what sizes divide by."""
NETWORK, CONFIG = "mend.onnx", "config.json"


@dataclass(frozen=True)
class State:
    """What `prepare` of the prior and of the correction keep."""

    prior: Any
    frame: Frame

    @property
    def findings(self) -> Findings:
        """Those of the prior."""
        return findings(self.prior)


@dataclass(frozen=True)
class Mend:
    """A prior reconstructor, the network that corrects it, and how far that is followed.

    Attributes:
        weights_sha256: of the network's file, hex.
    """

    prior: Reconstructor
    network: onnxruntime.InferenceSession
    trust: trust.Trust
    weights_sha256: str

    @property
    def device(self) -> str:
        """What the prior computes on, for the record; the network stays on the CPU."""
        return getattr(self.prior, "device", "cpu")

    def on(self, torch_device: str | None) -> Mend:
        """The same over a prior that predicts on a torch device."""
        prior = self.prior.on(torch_device) if isinstance(self.prior, Movable) else self.prior
        return replace(self, prior=prior)

    def prepare(self, overview: Tile) -> State:
        """The prior's state, and global statistics for the network's inputs."""
        return State(self.prior.prepare(overview), frame(overview))

    def predict(self, tile: Tile, state: State) -> Prediction:
        """Correct the prior where it filled; where it could not, nothing is invented."""
        prior = self.prior.predict(tile, state.prior)
        case = state.frame.case
        if self.trust.silent(case):
            return prior
        shift, log_factor, spread = self.said(tile, prior, state.frame)
        weight = trust.hats(distance_to_valid(np.asarray(~tile.valid.all(0))))
        mean, std = prior.mean.copy(), prior.std.copy()
        where = np.isfinite(shift) & np.isfinite(mean)
        share = np.tensordot(np.array(self.trust.mean.get(case, (0,) * len(weight)), np.float32), weight, 1)
        low, high = state.frame.low[:, None, None], state.frame.high[:, None, None]
        moved = np.clip(mean + share * spread * shift, np.minimum(low, mean), np.maximum(high, mean))
        np.copyto(mean, moved, where=where)
        if case in self.trust.std:
            factor = np.tensordot(np.array(self.trust.std[case], np.float32), weight, 1)
            np.copyto(std, spread * np.exp(0.5 * log_factor) * factor, where=where)
        return Prediction(mean, std, prior.source, prior.reference)

    def said(self, tile: Tile, prior: Prediction, known: Frame) -> tuple[Floats, Floats, Floats]:
        """The network's words on every gap that the prior filled, NaN elsewhere.

        Returns:
            Shift in the prior's standard deviations, log of the variance's factor, and that
            deviation in reflectance, (B, H, W) each.
        """
        base, others, spread = stack(tile, prior, known)
        shift, log_factor = np.full((2, *spread.shape), np.nan, np.float32)
        for band in range(len(spread)):
            gap = tile.gaps[band] & np.isfinite(prior.mean[band])
            for outer, inner, inside in blocks(gap, BLOCK, MARGIN, tight=True):
                said = self._run(base[band][(slice(None), *outer)], others[band][(..., *outer)])
                where = gap[inner]
                shift[band][inner][where] = said[0][inside][where]
                log_factor[band][inner][where] = said[1][inside][where]
        return shift, np.clip(log_factor, -5, 6), spread

    def _run(self, base: Floats, others: Floats) -> Floats:
        """(2, H, W) shift and log variance factor of one block; beyond the tile nothing is known."""
        height, width = base.shape[1:]
        pad = ((0, -height % MULTIPLE), (0, -width % MULTIPLE))
        inputs = {
            "base": np.pad(base, ((0, 0), *pad))[None],
            "references": np.pad(others, ((0, 0), (0, 0), *pad))[None],
        }
        return np.asarray(self.network.run(None, inputs)[0][0, :, :height, :width], np.float32)


def over(prior: Reconstructor, folder: Path) -> Mend:
    """The correction of `prior` by the network of a run's folder.

    Raises:
        ValueError: the folder is no finished run, or `terramend experiment mend` has not tested it.
    """
    tables = trust.read(configuration(folder, NETWORK))
    return Mend(prior, session(folder / NETWORK), tables, fingerprint(folder, NETWORK))
