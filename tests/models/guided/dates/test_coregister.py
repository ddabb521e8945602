"""Dates that lie off by whole pixels are found and moved; those that do not are left alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from terramend.models.base import Reference, Tile
from terramend.models.guided.dates import coregister
from terramend.models.guided.model import of_quality

from ..scenes import thinned

SHAPE = (90, 120)


def ground(bands=2, seed=0, shape=SHAPE):
    """(bands, H + 40, W + 40): detail of a few pixels, alike in all bands."""
    random = np.random.default_rng(seed)
    wide = shape[0] + 40, shape[1] + 40
    base = ndimage.gaussian_filter(random.standard_normal(wide), 1.2)
    slow = ndimage.gaussian_filter(random.standard_normal(wide), 15)
    parts = [(k + 1) * base / base.std() + 2 * slow / slow.std() for k in range(bands)]
    return (0.3 + 0.02 * np.stack(parts)).astype(np.float32)


def cut(planes, rows=0, columns=0, shape=SHAPE):
    return planes[:, 20 + rows : 20 + rows + shape[0], 20 + columns : 20 + columns + shape[1]].copy()


def scene(*offsets, seed=0, noise=0.005):
    """A target with a gap, and dates that show at (y, x) + offset what it shows at (y, x)."""
    planes = ground(seed=seed)
    random = np.random.default_rng(seed + 1)
    truth = cut(planes)
    references = []
    for rows, columns in offsets:
        seen = 0.8 * cut(planes, -rows, -columns) + 0.05
        references.append(Reference(seen + noise * random.standard_normal(seen.shape).astype(np.float32)))
    gaps = np.zeros(truth.shape, bool)
    gaps[:, 30:60, 40:70] = True
    return Tile(np.where(gaps, np.float32(np.nan), truth), gaps, tuple(references)), truth


@given(st.integers(-7, 7), st.integers(-7, 7), st.integers(0, 10**6))
@settings(max_examples=25)
def test_offsets_are_found_and_undone(rows, columns, seed):
    tile, truth = scene((rows, columns), (0, 0), seed=seed, noise=0)
    found = coregister.offsets(tile)
    assert found == ((rows, columns), (0, 0))
    back = coregister.moved(tile, found)
    inside = np.s_[:, 8:-8, 8:-8]
    np.testing.assert_array_equal(back.references[0].image[inside], back.references[1].image[inside])
    np.testing.assert_array_equal(back.references[0].image[inside], (0.8 * truth + 0.05)[inside])
    assert all(np.isfinite(r.image).all() for r in back.references)


def test_a_date_that_lies_right_is_the_same_array():
    tile, _ = scene((0, 0))
    assert coregister.moved(tile, coregister.offsets(tile)) is tile


def test_half_a_pixel_and_noise_move_nothing():
    tile, truth = scene((0, 0))
    half = (truth + np.roll(truth, 1, 2)) / 2
    nothing = np.random.default_rng(3).random(truth.shape).astype(np.float32)
    flat, unseen = np.full_like(truth, 0.2), np.full_like(truth, np.nan)
    dates = tuple(Reference(image) for image in (half, nothing, flat, unseen))
    found = coregister.offsets(replace(tile, references=dates))
    assert max(map(abs, found[0])) <= 1 and found[1:] == ((0, 0),) * 3


def test_a_date_that_shows_too_little_is_not_moved_to_where_it_shows_enough():
    tile, truth = scene((0, 0))
    gaps = tile.gaps.copy()
    gaps[:, 20:70, 40:80] = True
    image = tile.references[0].image.copy()
    image[:, :78] = np.nan  # of the rows that are compared four show it, a row further down five
    tile = Tile(np.where(gaps, np.float32(np.nan), truth), gaps, (Reference(image),))
    assert coregister.offsets(tile) == ((0, 0),)


def test_clouds_of_a_date_move_with_it():
    tile, _ = scene((2, -3))
    image = tile.references[0].image.copy()
    image[:, 10:40, 50:90] = np.nan
    tile = replace(tile, references=(Reference(image),))
    found = coregister.offsets(tile)
    assert found == ((2, -3),)
    clear = np.isfinite(coregister.moved(tile, found).references[0].image)
    assert not clear[:, 8:38, 53:93].any() and clear[:, :8].all() and clear[:, 38:].all()


@pytest.mark.parametrize("quality", ["fast", "default"])
def test_a_gap_is_filled_as_well_from_a_date_that_lies_off(quality):
    def wrong(offset):
        tile, truth = scene(offset)
        model = of_quality(quality)
        state = model.prepare(tile)
        assert state.findings.offsets == (offset,)
        made = model.predict(tile, state)
        return np.sqrt(np.mean((made.mean - truth)[tile.gaps] ** 2))

    assert wrong((3, -2)) < 1.1 * wrong((0, 0))


def test_an_overview_is_moved_by_its_own_pixels_and_judged_by_its_windows():
    tile, _ = scene((4, -6))
    small = thinned(tile, 2)
    assert coregister.offsets(small) == ((0, 0),)
    close = replace(small, detail=(tile, tile))
    assert coregister.offsets(close) == ((4, -6),)
    back = coregister.moved(close, ((4, -6),))
    expected = small.references[0].image[:, 2:, :-3]
    np.testing.assert_array_equal(back.references[0].image[:, :-2, 3:], expected)
    np.testing.assert_array_equal(
        back.detail[0].references[0].image, coregister.moved(tile, ((4, -6),)).references[0].image
    )


def test_bands_of_another_number_are_compared_all_with_all():
    tile, _ = scene((1, 2))
    last = replace(tile.references[0], image=tile.references[0].image[1:])
    assert coregister.offsets(replace(tile, references=(last,))) == ((1, 2),)


def test_one_band_alone_moves_nothing():
    planes = ground(6, seed=5)
    tile = Tile(cut(planes), np.zeros((6, *SHAPE), bool))
    noise = np.random.default_rng(6).standard_normal((6, *SHAPE)).astype(np.float32)
    noise *= 0.02 * np.array([1, 2, 3, 0, 5, 6], np.float32)[:, None, None]
    image = cut(planes) + noise
    image[3] = cut(planes, -2)[3]  # the clearest one, enlarged from large pixels at another place
    assert coregister.offsets(replace(tile, references=(Reference(image),))) == ((0, 0),)
    assert coregister.offsets(replace(tile, references=(Reference(image[3:4]),))) == ((2, 0),)
    image = cut(planes, -2) + noise
    assert coregister.offsets(replace(tile, references=(Reference(image),))) == ((2, 0),)


def test_little_that_is_valid_proves_nothing():
    tile, _ = scene((3, 3))
    image = np.where(np.arange(SHAPE[1]) < 12, tile.image, np.float32(np.nan))
    assert coregister.offsets(replace(tile, image=image)) == ((0, 0),)
    tiny = replace(tile, image=tile.image[:, :30], references=(Reference(tile.references[0].image[:, :30]),))
    assert coregister.offsets(tiny) == ((0, 0),)


@pytest.mark.parametrize("seed", range(4))
def test_a_date_that_shows_the_gap_alone_stays(seed):
    tile, _ = scene((0, 0), seed=seed)
    image = np.where(tile.gaps, tile.references[0].image, np.float32(np.nan))
    assert coregister.offsets(replace(tile, references=(Reference(image),))) == ((0, 0),)


@pytest.mark.parametrize("offset", [(coregister.REACH, 0), (-3, -coregister.REACH), (11, 4)])
def test_what_is_best_at_the_edge_of_what_is_tried_may_lie_beyond_and_stays(offset):
    tile, _ = scene(offset, noise=0)
    assert coregister.offsets(tile) == ((0, 0),)


def test_a_date_that_fits_hardly_better_elsewhere_stays():
    tile, truth = scene((0, 0))
    for share, found in ((0.51, (0, 0)), (0.6, (0, 4))):
        image = (1 - share) * truth + share * np.roll(truth, 4, 2)
        assert coregister.offsets(replace(tile, references=(Reference(image),))) == (found,)


def test_light_and_haze_over_a_date_do_not_hide_where_it_lies():
    tile, _ = scene((3, -2))
    haze = ndimage.gaussian_filter(np.random.default_rng(9).standard_normal(SHAPE), 15)
    image = tile.references[0].image + (0.3 * haze / haze.std()).astype(np.float32)
    assert coregister.offsets(replace(tile, references=(Reference(image),))) == ((3, -2),)


def test_stripes_that_both_lack_are_no_shapes():
    tile, truth = scene((2, -3))
    stripe = np.broadcast_to(np.arange(SHAPE[0])[:, None] % 16 < 4, truth.shape)
    image = np.where(stripe, np.float32(np.nan), tile.references[0].image)
    tile = replace(
        tile,
        image=np.where(stripe, np.float32(np.nan), truth),
        gaps=stripe.copy(),
        references=(Reference(image),),
    )
    assert coregister.offsets(tile) == ((2, -3),)


def test_windows_of_other_brightness_side_by_side_do_not_see_each_other():
    tile, _ = scene((0, 7), noise=0)
    snow = replace(
        tile,
        image=tile.image + np.float32(9),
        references=(Reference(tile.references[0].image + np.float32(9)),),
    )
    small = replace(thinned(tile, 2), detail=(tile, snow, tile))
    assert coregister.offsets(small) == ((0, 7),)


def test_half_of_what_is_compared_does_not_speak_for_the_rest():
    """A ribbon of which one half is seen at its place, and again over the other half, seven columns on."""
    tile, truth = scene((0, 0))
    columns = np.arange(SHAPE[1])
    ribbon = (columns >= 40) & (columns < 56)
    seen = np.where(columns < 47, truth, np.roll(truth, 7, 2))
    image, date = (np.where(ribbon, planes, np.float32(np.nan)) for planes in (truth, seen))
    tile = replace(tile, image=image, gaps=np.isnan(image), references=(Reference(date),))
    assert coregister.offsets(tile) == ((0, 0),)
    wide = replace(tile, image=truth, gaps=np.zeros_like(tile.gaps), references=(Reference(seen),))
    assert coregister.offsets(wide) == ((0, 7),)


def test_a_date_is_compared_first_by_the_band_that_shows_most():
    tile, _ = scene((3, -2), noise=0)
    noise = 0.1 * np.random.default_rng(8).standard_normal(SHAPE)
    for band in (0, 1):
        image = tile.references[0].image.copy()
        image[band] = noise
        assert coregister.offsets(replace(tile, references=(Reference(image),))) == ((3, -2),)
