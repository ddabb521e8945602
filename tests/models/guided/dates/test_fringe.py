"""Cloud and shadow that a mask left at its edge: found, not learnt from, and never seen where there is none."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terramend.models.base import Reference, Source, Tile
from terramend.models.guided.dates import fringe
from terramend.models.guided.half import halved
from terramend.models.guided.model import of_quality

from ..scenes import blobs, moved, texture

COLOURS = (490.0, 560.0, 665.0, 842.0)


def reach(tile):
    """How far cloud and shadow reach, in pixels."""
    found = fringe.learn(tile)
    return (found.cloud, found.shadow) if found else (0, 0)


def clouded(haze=0.0, seed=1, side=256, share=0.25, wavelengths=COLOURS):
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


def shaded(tile, light=0.5, off=(6, 4)):
    """(tile, where): the ground so far from the gaps as bright as that share of the light (of each band) makes it."""
    gap = tile.gaps[0]
    dark = moved(gap, *off) & ~gap
    dim = np.broadcast_to(np.float32(light), len(tile.image))[:, None, None] * tile.image
    return replace(tile, image=np.where(dark, dim, tile.image)), dark


@pytest.mark.parametrize("seed", range(8))
def test_a_clean_edge_is_left_alone(seed):
    tile, _ = clouded(seed=seed)
    assert fringe.learn(tile) is None and fringe.hidden(tile, None) is tile


def error(model, tile, truth):
    made = model.predict(tile, model.prepare(tile))
    assert np.isnan(made.mean[~tile.gaps]).all() and np.isfinite(made.mean[tile.gaps]).all()
    np.testing.assert_array_equal(made.source == Source.VALID, ~tile.gaps[0])
    return np.sqrt(((made.mean - truth)[tile.gaps] ** 2).mean())


@pytest.mark.parametrize("fault", ["haze", "shadow"])
@pytest.mark.parametrize("quality", ["fast", "default"])
def test_neither_haze_nor_shadow_enters_the_fill(quality, fault, monkeypatch):
    tile, truth = clouded(0.15 if fault == "haze" else 0.0)
    if fault == "shadow":
        tile, _ = shaded(tile)
    model = of_quality(quality)
    found = model.prepare(tile).findings
    assert (found.haze >= 2, found.shadow >= 4) == (fault == "haze", fault == "shadow")
    with_it = error(model, tile, truth)
    monkeypatch.setattr(fringe, "learn", lambda overview: None)
    assert with_it < 0.85 * error(model, tile, truth)


def far_shaded(tile, truth):
    """(tile, where): shadow well away from the gaps, which another date does not show."""
    tile, dark = shaded(tile, 0.6, (40, -25))
    noise = np.random.default_rng(8).normal(0, 0.004, truth.shape)
    date = Reference((0.9 * truth + 0.02 + noise).astype(np.float32), days=5)
    return replace(tile, references=(date,)), dark


@pytest.mark.parametrize("quality", ["fast", "default"])
def test_shadow_far_from_the_gaps_is_not_learnt_from(quality, monkeypatch):
    clear, truth = clouded()
    tile, dark = far_shaded(clear, truth)
    model = of_quality(quality)
    assert model.prepare(tile).findings.cast
    seen = fringe.hidden(tile, fringe.learn(tile))
    more = seen.gaps[0] & ~tile.gaps[0]
    assert more[dark].mean() > 0.9 and more[~dark & ~tile.gaps[0]].mean() < 0.05
    with_it = error(model, tile, truth)
    monkeypatch.setattr(fringe, "learn", lambda overview: None)
    assert with_it < 0.8 * error(model, tile, truth)


@pytest.mark.parametrize("seed", range(1, 5))
def test_shadow_that_the_blue_sky_lights_is_found(seed):
    """It is not on the way from ground to black, as what one band loses is not what another one does."""
    clear, _ = clouded(seed=seed)
    tile, dark = shaded(clear, (0.8, 0.65, 0.5, 0.4), (40, -25))
    found = fringe.learn(tile)
    assert found.cast and fringe.hidden(tile, found).gaps[0][dark].mean() > 0.8


def test_windows_of_a_large_scene_show_shadow_far_from_the_gaps():
    tile, _ = far_shaded(*clouded(side=512))
    small = halved(halved(halved(tile)))
    looks = tuple(tile.cut(slice(row, row + 256), slice(row, row + 256)) for row in (0, 256))
    assert fringe.learn(replace(small, detail=looks)).cast


def test_shadow_far_from_the_gaps_shows_without_a_date_and_dark_ground_is_none():
    clear, truth = clouded()
    tile, _ = far_shaded(clear, truth)
    assert fringe.learn(replace(tile, references=())).cast
    lakes = blobs(truth.shape[1:], 55, 0.1)
    assert fringe.learn(replace(clear, image=np.where(lakes, 0.3 * clear.image, clear.image))) is None


def test_a_date_of_other_fields_makes_no_shadow():
    tile, truth = clouded()
    date = Reference(np.where(blobs(truth.shape[1:], 55, 0.1), 1.6 * truth, truth).astype(np.float32), days=5)
    assert fringe.learn(replace(tile, references=(date,))) is None


def test_only_what_is_dark_is_hidden_beside_a_shadow():
    tile, dark = shaded(clouded()[0])
    found = fringe.learn(tile)
    assert found.cloud == 0
    seen = fringe.hidden(tile, found)
    more = seen.gaps[0] & ~tile.gaps[0]
    assert more[dark].mean() > 0.6 and more[~dark].sum() < 0.7 * dark.sum()
    away = cv2.distanceTransform((~tile.gaps[0]).astype(np.uint8), cv2.DIST_L2, 5)
    assert found.shadow < away[more].max() <= found.shadow + 0.5
    np.testing.assert_array_equal(seen.image, np.where(seen.gaps, np.nan, tile.image))


def test_brighter_ground_that_another_date_shows_is_no_cloud():
    """Sand around lakes, say, where the mask takes the water for cloud."""
    tile, truth = clouded()
    away = cv2.distanceTransform((~tile.gaps[0]).astype(np.uint8), cv2.DIST_L2, 5)
    sand = np.exp(-away / 2.5) * np.array([0.15, 0.14, 0.12, 0.1])[:, None, None]
    sandy = replace(tile, image=(tile.image + sand).astype(np.float32))
    assert reach(sandy)[0] > 0
    date = Reference((0.9 * (truth + sand) + 0.02).astype(np.float32), days=5)
    assert reach(replace(sandy, references=(date,))) == (0, 0)
    unrelated = Reference(texture(truth.shape[1:], 77, bands=4), days=5)
    assert reach(replace(sandy, references=(unrelated,)))[0] > 0
    assert reach(replace(sandy, references=(unrelated, date))) == (0, 0)
    hidden = np.where(np.indices(truth.shape[1:])[0] < 200, np.nan, date.image).astype(np.float32)
    assert reach(replace(sandy, references=(replace(date, image=hidden),)))[0] > 0


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_cloud_is_brighter_than_ground_whatever_the_units(scale):
    tile, _ = clouded(0.15)
    assert reach(replace(tile, image=np.float32(scale) * tile.image))[0] >= 2
    dim = shaded(clouded()[0])[0]
    assert reach(replace(dim, image=np.float32(scale) * dim.image))[1] >= 4


def test_bands_of_which_nobody_knows_that_they_show_sunlight_say_nothing():
    hazy = clouded(0.15)[0]
    assert reach(replace(hazy, wavelengths=(math.nan,) * 4)) == (0, 0)
    assert reach(replace(hazy, wavelengths=(10800.0,) * 4)) == (0, 0)
    assert reach(replace(hazy, wavelengths=())) == (0, 0)
    assert reach(replace(hazy, wavelengths=(490.0, math.nan, math.nan, 842.0)))[0] >= 2


def test_where_few_pixels_would_be_left_they_are_kept():
    """Small clouds everywhere but in a corner."""
    _, truth = clouded()
    rows, columns = np.indices(truth.shape[1:])
    gap = (np.hypot(rows % 20 - 10, columns % 20 - 10) < 5) & ((rows > 80) | (columns > 180))
    away = cv2.distanceTransform((~gap).astype(np.uint8), cv2.DIST_L2, 5)
    image = np.where(gap, np.nan, truth + 0.3 * np.exp(-away / 5)).astype(np.float32)
    tile = Tile(image, np.repeat(gap[None], len(image), axis=0), wavelengths=COLOURS)
    kept, least = fringe.learn(tile).cloud, 0.3 * (away > 0).sum()
    assert 0 < kept < 8 and (away > kept).sum() >= least > (away > kept + 2).sum()


def test_a_large_scene_is_judged_by_its_windows():
    tile, _ = clouded(0.15, side=512)
    small = halved(halved(halved(tile)))
    assert fringe.learn(small) is None
    looks = tuple(tile.cut(slice(row, row + 256), slice(row, row + 256)) for row in (0, 256))
    seen = replace(small, detail=looks)
    found = fringe.learn(seen)
    assert found.cloud >= 2
    kept = fringe.hidden(seen, found)
    np.testing.assert_array_equal(kept.image, small.image)
    assert all(
        np.isnan(look.image).sum() > np.isnan(was.image).sum()
        for look, was in zip(kept.detail, looks, strict=True)
    )


@settings(max_examples=25)
@given(st.integers(3, 60), st.integers(3, 60), st.floats(0, 1), st.booleans(), st.integers(0, 99))
def test_any_scene_will_do(height, width, share, with_date, seed):
    random = np.random.default_rng(seed)
    gaps = random.random((2, height, width)) < share
    gaps[:, : 2 * height // 3] = False
    image = np.where(gaps, np.nan, random.random(gaps.shape)).astype(np.float32)
    image[:, -1] -= 2  # something stands out
    dates = (Reference(random.random((1, height, width), np.float32)),) if with_date else ()
    tile = Tile(image, gaps, dates, wavelengths=COLOURS[:2])
    seen = fringe.hidden(tile, fringe.learn(tile))
    assert (seen.gaps >= gaps).all() and np.isnan(seen.image[seen.gaps]).all()
    np.testing.assert_array_equal(seen.image[~seen.gaps], image[~seen.gaps])


def plots(blue=0.0, within=6.5, blocks=(3, 3), seed=4, everywhere=True, side=2):
    """A gap in the middle of each block of 32 pixels, around which it is bluer by so many deviations.

    In all blocks, or in the first one only.
    """
    shape = 32 * blocks[0], 32 * blocks[1]
    rows, columns = np.indices(shape)
    gap = (np.abs(rows % 32 - 15.5) < side / 2) & (np.abs(columns % 32 - 15.5) < side / 2)
    red, green = texture(shape, seed, bands=2, blur=2)
    random = np.random.default_rng(seed).standard_normal(shape)
    near = (fringe._away(gap) <= within) & (everywhere | ((rows < 32) & (columns < 32)))
    image = np.stack([0.6 * red + 0.003 * (random + blue * near), red, green]).astype(np.float32)
    gaps = np.broadcast_to(gap, image.shape).copy()
    return Tile(np.where(gaps, np.float32(np.nan), image), gaps, wavelengths=(490.0, 665.0, 842.0))


@pytest.mark.parametrize("within", [2.5, 4.5, 6.5])
def test_haze_is_as_wide_as_it_is(within):
    assert reach(plots(3.0, within)) == (int(within), 0)


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 1, 0], [1, 2, 0]])
def test_bands_are_known_in_any_order(order):
    tile = plots(3.0, 2.5)
    colours = tuple(np.array(tile.wavelengths)[order])
    assert reach(replace(tile, image=tile.image[order], wavelengths=colours)) == (2, 0)


def test_what_hardly_stands_out_is_none():
    assert reach(plots(0.5, 2.5)) == (0, 0)


def test_what_stands_out_beside_one_gap_is_a_roof():
    assert reach(plots(50.0, 2.5, everywhere=False)) == (0, 0)


def test_a_roof_does_not_hide_the_haze():
    tile = plots(2.0, 2.5)
    image = tile.image.copy()
    image[0, 14:18, 20:22] += 5
    assert reach(replace(tile, image=image)) == (2, 0)


def test_two_blocks_prove_nothing_and_those_of_two_windows_do():
    tile = plots(3.0, 2.5, blocks=(1, 2))
    assert reach(tile) == (0, 0)
    assert reach(replace(tile, step=8, detail=(tile, plots(3.0, 2.5, (1, 2), seed=5)))) == (2, 0)


def test_so_many_pixels_around_each_bands_own_gaps_are_hidden():
    gaps = np.zeros((2, 15, 15), bool)
    gaps[0, 7, 7] = True
    found = fringe.Fringe(
        2, 0, False, fringe.Filter(np.ones(2, np.float32), -1, np.zeros(0, np.float32), 0.0)
    )
    seen = fringe.hidden(Tile(np.ones((2, 15, 15), np.float32), gaps), found)
    rows, columns = np.indices((15, 15)) - 7
    np.testing.assert_array_equal(seen.gaps, [np.hypot(rows, columns) <= 2.5, gaps[1]])
    np.testing.assert_array_equal(np.isnan(seen.image), seen.gaps)


def test_values_that_no_light_has_end_nothing():
    """As an undeclared fill value: nothing can be told of such a scene, and nothing fails."""
    tile, _ = clouded()
    image = tile.image.copy()
    image[:, 5:9, 5:99] = 1e20
    assert fringe.learn(replace(tile, image=image)) is None
