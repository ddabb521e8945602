"""Haze that a mask left at its edge: found, not learnt from, and never seen where there is none."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.models.base import Source, Tile
from terramend.models.guided import haze_rim
from terramend.models.guided.half import halved
from terramend.models.guided.model import of_quality

from .scenes import blobs, texture

COLOURS = (490.0, 560.0, 665.0, 842.0)


def clouded(haze, seed=1, side=256, share=0.25, wavelengths=COLOURS):
    """(tile, truth): ground under clouds, whose haze dies out over some pixels beyond the mask."""
    gap = blobs((side, side), seed, share)
    ground, green = texture((side, side), seed + 1, bands=2, blur=2)
    truth = np.stack([0.6 * ground, 0.8 * ground, ground, green])
    truth += np.random.default_rng(seed).normal(0, 0.003, truth.shape).astype(np.float32)
    away = cv2.distanceTransform((~gap).astype(np.uint8), cv2.DIST_L2, 5)
    veil = np.multiply.outer(np.array([1.0, 0.9, 0.8, 0.6]), haze * np.exp(-away / 2.5))
    gaps = np.broadcast_to(gap, truth.shape).copy()
    image = np.where(gaps, np.nan, truth + veil).astype(np.float32)
    return Tile(image, gaps, wavelengths=wavelengths), truth


@pytest.mark.parametrize("seed", range(8))
def test_a_clean_edge_is_left_alone(seed):
    tile, _ = clouded(0.0, seed)
    assert haze_rim.width(tile) == 0


@pytest.mark.parametrize("quality", ["fast", "default"])
def test_haze_does_not_enter_the_fill(quality, monkeypatch):
    tile, truth = clouded(0.15)
    model = of_quality(quality)
    state = model.prepare(tile)
    assert state.findings.haze >= 2
    made = model.predict(tile, state)
    assert np.isnan(made.mean[~tile.gaps]).all() and np.isfinite(made.mean[tile.gaps]).all()
    np.testing.assert_array_equal(made.source == Source.VALID, ~tile.gaps[0])

    def error(made):
        return np.sqrt(((made.mean - truth)[tile.gaps] ** 2).mean())

    monkeypatch.setattr(haze_rim, "width", lambda overview: 0)
    assert error(made) < 0.8 * error(model.predict(tile, model.prepare(tile)))


def test_shadow_brighter_ground_and_unknown_bands_are_none_of_its_business():
    assert haze_rim.width(clouded(-0.05)[0]) == 0
    assert haze_rim.width(clouded(0.15, wavelengths=(math.nan, math.nan, 665.0, 842.0))[0]) == 0
    assert haze_rim.width(clouded(0.15, wavelengths=())[0]) == 0
    tile, _ = clouded(0.0)
    sandy = np.exp(-haze_rim._away(tile.gaps[0]) / 2.5) * np.array([0.06, 0.08, 0.1, 0.1])[:, None, None]
    assert haze_rim.width(replace(tile, image=(tile.image + sandy).astype(np.float32))) == 0


def test_where_few_pixels_would_be_left_they_are_kept():
    tile, _ = clouded(0.15, share=0.9)
    assert haze_rim.width(tile) < 4


def test_a_large_scene_is_judged_by_its_windows():
    tile, _ = clouded(0.15, side=512)
    small = halved(halved(halved(tile)))
    assert haze_rim.width(small) == 0
    looks = tuple(tile.cut(slice(row, row + 256), slice(row, row + 256)) for row in (0, 256))
    seen = replace(small, detail=looks)
    wide = haze_rim.width(seen)
    assert wide >= 2
    kept = haze_rim.hidden(seen, wide)
    np.testing.assert_array_equal(kept.image, small.image)
    assert all(
        np.isnan(look.image).sum() > np.isnan(was.image).sum()
        for look, was in zip(kept.detail, looks, strict=True)
    )


@settings(max_examples=25)
@given(st.integers(3, 40), st.integers(3, 40), st.floats(0, 1), st.integers(0, 6), st.integers(0, 99))
def test_any_scene_will_do(height, width, share, pixels, seed):
    random = np.random.default_rng(seed)
    gaps = random.random((2, height, width)) < share
    image = np.where(gaps, np.nan, random.random(gaps.shape)).astype(np.float32)
    tile = Tile(image, gaps, wavelengths=COLOURS[:2])
    assert 0 <= haze_rim.width(tile) <= 6
    seen = haze_rim.hidden(tile, pixels)
    assert (seen.gaps >= gaps).all() and np.isnan(seen.image[seen.gaps]).all()
    np.testing.assert_array_equal(seen.image[~seen.gaps], image[~seen.gaps])


def plots(blue=0.0, within=6.5, blocks=(3, 3), seed=4, everywhere=True, side=6):
    """A gap in the middle of each block of 32 pixels, around which it is bluer by so many deviations.

    In all blocks, or in the first one only.
    """
    shape = 32 * blocks[0], 32 * blocks[1]
    rows, columns = np.indices(shape)
    gap = (np.abs(rows % 32 - 15.5) < side / 2) & (np.abs(columns % 32 - 15.5) < side / 2)
    red, green = texture(shape, seed, bands=2, blur=2)
    random = np.random.default_rng(seed).standard_normal(shape)
    near = (haze_rim._away(gap) <= within) & (everywhere | ((rows < 32) & (columns < 32)))
    image = np.stack([0.6 * red + 0.003 * (random + blue * near), red, green]).astype(np.float32)
    gaps = np.broadcast_to(gap, image.shape).copy()
    return Tile(np.where(gaps, np.float32(np.nan), image), gaps, wavelengths=(490.0, 665.0, 842.0))


@pytest.mark.parametrize("within", [2.5, 4.5, 6.5])
def test_haze_is_as_wide_as_it_is(within):
    assert haze_rim.width(plots(3.0, within, side=2)) == int(within)


def test_of_haze_that_covers_too_much_the_inner_rings_are_left_out():
    tile = plots(3.0, 6.5)
    there, away = tile.valid[0], haze_rim._away(tile.gaps[0])
    left = [width for width in (2, 4, 6) if (there & (away > width)).sum() >= 0.8 * there.sum()]
    assert haze_rim.width(tile) == max(left) < 6


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 1, 0], [1, 2, 0]])
def test_bands_are_known_by_their_colours_in_any_order(order):
    tile = plots(3.0, 2.5)
    colours = tuple(np.array(tile.wavelengths)[order])
    assert haze_rim.width(replace(tile, image=tile.image[order], wavelengths=colours)) == 2


def test_what_is_hardly_bluer_is_no_haze():
    assert haze_rim.width(plots(0.5, 2.5)) == 0


def test_what_is_blue_beside_one_gap_is_a_roof():
    assert haze_rim.width(plots(50.0, 2.5, everywhere=False)) == 0


def test_a_roof_does_not_hide_the_haze():
    tile = plots(2.0, 2.5)
    image = tile.image.copy()
    image[0, 14:18, 20:22] += 5
    assert haze_rim.width(replace(tile, image=image)) == 2


def test_two_blocks_prove_nothing_and_those_of_two_windows_do():
    tile = plots(3.0, 2.5, blocks=(1, 2))
    assert haze_rim.width(tile) == 0
    assert haze_rim.width(replace(tile, step=8, detail=(tile, plots(3.0, 2.5, (1, 2), seed=5)))) == 2


def test_so_many_pixels_around_each_bands_own_gaps_are_hidden():
    gaps = np.zeros((2, 15, 15), bool)
    gaps[0, 7, 7] = True
    seen = haze_rim.hidden(Tile(np.ones((2, 15, 15), np.float32), gaps), 2)
    rows, columns = np.indices((15, 15)) - 7
    np.testing.assert_array_equal(seen.gaps, [np.hypot(rows, columns) <= 2, gaps[1]])
    np.testing.assert_array_equal(np.isnan(seen.image), seen.gaps)
