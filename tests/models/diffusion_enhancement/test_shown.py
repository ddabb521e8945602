"""What DE's networks are shown, on sizes that they can take, and which pixels are never theirs."""

from __future__ import annotations

import numpy as np
import pytest
from terramend.models.base import Prediction, Source, Tile, sources
from terramend.models.diffusion import schedules
from terramend.models.diffusion.noise import noise
from terramend.models.diffusion.scaling import shown, standardised
from terramend.models.diffusion_enhancement.model import Enhancer, Networks

RGB = (665.0, 560.0, 490.0)
CLIP, MARGIN = 2.5, 32


class Graph:
    """A network in ONNX Runtime's stead that says one value everywhere, and keeps what it was given."""

    def __init__(self, value: float) -> None:
        self.value, self.given = value, []

    def run(self, _, given):
        self.given.append(given)
        return [np.full_like(given["sample"], self.value)]


class Reference:
    """Says 0.25 in the gaps, but nothing in a tile's first three lines."""

    def prepare(self, overview):
        return None

    def predict(self, tile, state):
        mean = np.full(tile.image.shape, 0.25, np.float32)
        mean[:, :3] = np.nan
        source = sources(tile.gaps, mean, Source.REFERENCE)
        return Prediction(mean, np.full_like(mean, 0.01), source, np.full(source.shape, -1, np.int16))


def networks(use: str, said: float = 0.4, weight: float = 0.0) -> Networks:
    schedule = schedules.make("linear", 1000)
    mask = use == "fill"
    return Networks(Graph(said), Graph(weight), schedule, use, RGB, CLIP, mask, "x0", 16, "")


@pytest.fixture
def tile():
    """One band of 90 x 100 pixels with a gap; it lies at row 128 and column 64 of its scene."""
    image = np.random.default_rng(0).uniform(0.1, 0.3, (1, 90, 100)).astype(np.float32)
    gaps = np.zeros(image.shape, bool)
    gaps[0, 40:44, 50:57] = True
    return Tile(np.where(gaps, np.float32(np.nan), image), gaps, row=128, column=64)


def test_a_gap_is_shown_with_its_surroundings_its_mask_and_noise_of_its_place(tile) -> None:
    nets = networks("fill")
    made = Enhancer(nets, Reference(), steps=2, limit=0.0, samples=3, seed=5)
    state = made.prepare(tile)
    made.predict(tile, state)
    rows, columns = (slice(a - MARGIN, b + MARGIN) for a, b in ((40, 44), (50, 57)))
    height, width = 4 + 2 * MARGIN, 7 + 2 * MARGIN
    first = nets.predictor.given[0]
    sizes = (-height % 16 + height, -width % 16 + width)
    assert first["sample"].shape == (3, 1, *sizes) and first["condition"].shape == (3, 2, *sizes)
    gap = tile.gaps[0][rows, columns]
    pasted = np.where(gap, np.float32(0.25), tile.image[0][rows, columns])[None]
    condition = first["condition"][:, :, :height, :width]
    np.testing.assert_allclose(
        condition[:, 0], np.repeat(standardised(pasted, state.mean, state.spread), 3, 0), atol=1e-6
    )
    np.testing.assert_array_equal(condition[:, 1], np.repeat(gap[None], 3, 0))
    for draw in range(3):
        expected = noise(5, draw, 1, 128 + rows.start, 64 + columns.start, height, width)
        np.testing.assert_array_equal(first["sample"][draw, :, :height, :width], expected)
    assert first["sample"][..., height:, :].std() > 0.5  # beyond them there is noise too
    assert [given["t"].tolist() for given in nets.predictor.given] == [[1000] * 3, [500] * 3]
    np.testing.assert_array_equal(nets.allocator.given[0]["reference"], first["condition"][:, :1])


def test_known_pixels_are_the_references_and_the_gap_the_networks(tile) -> None:
    nets = networks("fill", said=0.4, weight=0.25)
    reference = np.full((1, 21, 27), -0.5, np.float32)
    gap = np.zeros((1, 21, 27), np.float32)
    gap[:, 5:9, 6:12] = 1
    start = np.zeros((2, 1, 21, 27), np.float32)
    *_, last = nets.run(np.concatenate([reference, gap]), reference, start, 3, 0.0)
    assert last.sample.shape == start.shape
    expected = np.where(gap > 0, 0.75 * 0.4 + 0.25 * -0.5, -0.5)
    np.testing.assert_allclose(last.sample, np.broadcast_to(expected, start.shape), atol=1e-6)


@pytest.mark.parametrize(("weight", "source"), [(0.4, Source.GENERATED), (0.6, Source.REFERENCE)])
def test_the_source_is_whose_share_is_larger(tile, weight, source) -> None:
    made = Enhancer(networks("fill", weight=weight), Reference(), limit=0.3)
    found = made.predict(tile, made.prepare(tile))
    assert (found.source[tile.gaps[0]] == source).all()


def test_nothing_is_cleared_where_the_reference_is_silent_or_nothing_was_seen() -> None:
    image = np.full((3, 20, 24), 0.4, np.float32)
    image[1, 10, 5] = np.nan
    tile = Tile(image, np.isfinite(image), wavelengths=RGB)
    made = Enhancer(networks("clear"), Reference())
    found = made.predict(tile, made.prepare(tile))
    silent = np.zeros((20, 24), bool)
    silent[:3], silent[10, 5] = True, True
    assert np.isnan(found.mean[:, silent]).all() and np.isfinite(found.mean[:, ~silent]).all()
    given = made.networks.predictor.given[0]["condition"][0, :, :20, :24]
    np.testing.assert_allclose(given[:, ~silent], shown(np.float32(0.4)), atol=1e-6)


def test_views_are_told_of_each_step_in_0_to_1(tile) -> None:
    steps = []
    made = Enhancer(networks("fill", said=-2 * CLIP), Reference(), steps=3, limit=0.3).observed(steps.append)
    made.predict(tile, made.prepare(tile))
    assert [step.step for step in steps] == [0, 1, 2]
    for step in steps:
        assert (step.band, step.row, step.column) == (0, 128 + 40 - MARGIN, 64 + 50 - MARGIN)
        gap = np.s_[MARGIN : MARGIN + 4, MARGIN : MARGIN + 7]
        np.testing.assert_allclose(step.weight[gap], 0.3, atol=1e-6)
        assert step.image.min() >= 0 and step.image.max() <= 1
