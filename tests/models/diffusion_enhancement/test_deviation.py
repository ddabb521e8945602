"""What DE makes of its last step: mean and deviation against their formulas."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from terramend.models.base import Prediction, Source, Tile, sources
from terramend.models.diffusion.scaling import reflected, shown
from terramend.models.diffusion_enhancement.fusion import FusionStep
from terramend.models.diffusion_enhancement.model import Enhancer

SAID = np.array([-0.2, 0.1, 0.4], np.float32)
"""Of the three samples, in network units."""
WEIGHT, DIFFUSED = 0.4, 0.3


@dataclass(frozen=True)
class Networks:
    """Stand in for trained ones: every sample ends at a value of its own, W is the same everywhere."""

    use: str
    wavelengths: tuple[float, ...] = (665.0, 560.0, 490.0)
    clip: float = 3.0

    def run(self, condition, reference, start, steps, limit):
        flat = np.ones(start.shape, np.float32)
        yield FusionStep(1, WEIGHT * flat, DIFFUSED * flat, flat, SAID[:, None, None, None] * flat)


@dataclass(frozen=True)
class Reference:
    """Says the same everywhere."""

    mean: float
    std: float

    def prepare(self, overview):
        return None

    def predict(self, tile, state):
        mean, std = (np.full(tile.image.shape, v, np.float32) for v in (self.mean, self.std))
        source = sources(tile.gaps, mean, Source.REFERENCE)
        return Prediction(mean, std, source, np.full(source.shape, -1, np.int16))


def test_of_a_gap_the_references_deviation_counts_by_its_weight() -> None:
    image = np.random.default_rng(0).uniform(0.1, 0.3, (1, 20, 24)).astype(np.float32)
    gap = np.zeros(image.shape, bool)
    gap[:, 5:9, 6:12] = True
    tile = Tile(np.where(gap, np.float32(np.nan), image), gap)
    made = Enhancer(Networks("fill"), Reference(0.25, 0.06), samples=3)
    found = made.predict(tile, made.prepare(tile))
    middle, spread = image[~gap].mean(dtype=np.float64), image[~gap].std(dtype=np.float64)
    assert found.mean[gap] == pytest.approx(middle + 2 * spread * SAID.mean(), rel=1e-5)
    drawn = 2 * spread * SAID.std(ddof=1)
    assert found.std[gap] == pytest.approx(np.sqrt(drawn**2 + (WEIGHT * 0.06) ** 2), rel=1e-5)
    assert (found.source[gap[0]] == Source.GENERATED).all()  # the diffusion branch has the larger share
    assert np.isnan(found.mean[~gap]).all()


def test_of_thin_cloud_it_is_that_of_the_mixture() -> None:
    tile = Tile(np.full((3, 8, 8), 0.4, np.float32), np.ones((3, 8, 8), bool), wavelengths=(665, 560, 490))
    made = Enhancer(Networks("clear"), Reference(0.2, np.nan), samples=3)
    found = made.predict(tile, made.prepare(tile))
    looks, diffused = reflected(SAID), reflected(np.float32(DIFFUSED))
    apart = diffused - reflected(shown(np.float32(0.2)))
    assert found.mean == pytest.approx(np.full((3, 8, 8), looks.mean()), rel=1e-5)
    expected = np.sqrt(looks.var(ddof=1) + WEIGHT * (1 - WEIGHT) * apart**2)
    assert found.std == pytest.approx(np.full((3, 8, 8), expected), rel=1e-5)


@dataclass(frozen=True)
class Follower(Networks):
    """Ends at the reference, as W = 1 does."""

    def run(self, condition, reference, start, steps, limit):
        said = np.broadcast_to(reference, start.shape)
        yield FusionStep(1, np.ones_like(start), said, said, said)


def test_what_is_brighter_than_the_networks_range_stays_as_bright() -> None:
    """Snow or roofs in dark land: five deviations of a band were the most that came out."""
    image = np.random.default_rng(0).uniform(0.04, 0.06, (1, 64, 64)).astype(np.float32)
    image[:, 30:34, 30:34] = 0.6
    gap = np.zeros(image.shape, bool)
    gap[:, 31:33, 31:33] = True
    tile = Tile(np.where(gap, np.float32(np.nan), image), gap)
    for said in (0.6, -0.3):
        made = Enhancer(replace(Follower("fill"), clip=2.5), Reference(said, 0.06))
        state = made.prepare(tile)
        assert np.abs(said - state.mean) > 2.5 * 2 * state.spread
        assert made.predict(tile, state).mean[gap] == pytest.approx(said, rel=1e-5)
