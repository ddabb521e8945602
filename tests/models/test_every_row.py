"""What every reconstructor without learning must bear: odd shapes, no data, the same bytes again."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Source, Tile, digest
from terramend.models.registry import ROWS

LIGHT = [row for row in ROWS if row.group in ("guided", "space", "time") and not row.requires]
SHAPES = [(1, 1, 1), (1, 1, 9), (3, 7, 1), (2, 5, 4), (4, 33, 47), (13, 40, 24)]


def scene(bands: int, height: int, width: int, share: float = 0.3, dates: int = 3, seed: int = 0) -> Tile:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    truth = np.stack([0.2 + 0.1 * np.sin(x / 5 + b) + 0.05 * np.cos(y / 7) for b in range(bands)])
    gap = np.broadcast_to(random.random((height, width)) < share, truth.shape)
    image = np.where(gap, np.nan, truth).astype(np.float32)
    references = []
    for k in range(dates):
        other = (1.1 * truth + 0.02 * k + 0.01 * random.standard_normal(truth.shape)).astype(np.float32)
        other[:, random.random((height, width)) < 0.1] = np.nan
        references.append(Reference(other, days=5 * (k + 1) * (-1) ** k))
    return Tile(image, gap.copy(), tuple(references))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("row", LIGHT, ids=lambda r: r.name)
def test_predicts_any_shape_and_repeats_itself(row, shape):
    tile = scene(*shape)
    model = row.create()
    state = model.prepare(tile)
    made = model.predict(tile, state)
    again = row.create().predict(tile, row.create().prepare(tile))
    for name in ("mean", "std", "source", "reference"):
        first, second = getattr(made, name), getattr(again, name)
        assert first.shape == (tile.image.shape if name in ("mean", "std") else tile.image.shape[1:])
        np.testing.assert_array_equal(first, second)
    assert made.mean.dtype == made.std.dtype == np.float32
    assert digest(state) == digest(row.create().prepare(tile))
    filled = tile.gaps & np.isfinite(made.mean)
    assert np.isfinite(made.std[filled]).all() and (made.std[filled] >= 0).all()
    gap = tile.gaps.any(0)
    unfilled = gap & ~np.isfinite(made.mean).any(0)
    np.testing.assert_array_equal(made.source == Source.UNFILLED, unfilled)
    assert (made.source[~gap] == Source.VALID).all()


@pytest.mark.parametrize("row", LIGHT, ids=lambda r: r.name)
def test_the_same_pixels_for_every_seed(row):
    tile = scene(2, 96, 110)  # valid pixels for all that guided has
    one, other = (row.create(seed=seed) for seed in (0, 7))
    first, second = (model.predict(tile, model.prepare(tile)) for model in (one, other))
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.std, second.std)


@pytest.mark.parametrize("row", LIGHT, ids=lambda r: r.name)
def test_all_gap_without_any_valid_pixel(row):
    tile = scene(2, 20, 23, share=2.0)
    model = row.create()
    made = model.predict(tile, model.prepare(tile))
    filled = np.isfinite(made.mean)
    assert np.isfinite(made.std[filled]).all()
    if row.group == "space":
        assert not filled.any()


@pytest.mark.parametrize("row", [row for row in LIGHT if row.group != "time"], ids=lambda r: r.name)
def test_a_tile_inside_a_scene_of_gaps_alone_is_left_unfilled(row):
    tile = scene(2, 60, 64, share=2.0, dates=0)
    model = row.create()
    made = model.predict(tile.cut(slice(16, 48), slice(16, 48)), model.prepare(tile))
    assert not np.isfinite(made.mean).any() and (made.source == Source.UNFILLED).all()


@pytest.mark.parametrize("row", LIGHT, ids=lambda r: r.name)
def test_an_estimate_is_never_as_sure_as_a_measurement(row):
    tile = scene(2, 20, 23)
    flat = np.where(tile.gaps, np.nan, 0.25).astype(np.float32)
    same = tuple(replace(r, image=np.full_like(r.image, 0.25)) for r in tile.references)
    tile = replace(tile, image=flat, references=same)
    model = row.create()
    made = model.predict(tile, model.prepare(tile))
    np.testing.assert_allclose(made.mean[tile.gaps], 0.25, atol=1e-6)
    assert (made.std[tile.gaps] > 0).all()


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("row", [row for row in LIGHT if row.group != "time"], ids=lambda r: r.name)
def test_a_handful_of_pixels_is_not_taken_for_the_whole_range_of_the_land(row, side):
    tile = scene(2, 90, 80, share=0.0, dates=0)
    gaps = np.ones_like(tile.gaps)
    gaps[:, :side, :side] = False
    holed = replace(tile, image=np.where(gaps, np.float32(np.nan), tile.image), gaps=gaps)
    model = row.create()
    made = model.predict(holed, model.prepare(holed))
    assert (np.abs(made.mean - tile.image) < 1.645 * made.std)[gaps].mean() > 0.6


@pytest.mark.parametrize("row", LIGHT, ids=lambda r: r.name)
def test_nothing_to_fill(row):
    tile = scene(3, 16, 16, share=0.0)
    model = row.create()
    made = model.predict(tile, model.prepare(tile))
    assert not np.isfinite(made.mean).any()
    assert (made.source == Source.VALID).all()


@pytest.mark.parametrize("row", LIGHT, ids=lambda r: r.name)
def test_gaps_of_each_band_are_their_own(row):
    tile = scene(3, 40, 44, share=0.2)
    gaps = tile.gaps.copy()
    gaps[1] = np.roll(gaps[1], 5, 1)
    gaps[2] = False
    whole = scene(3, 40, 44, share=0.0)
    tile = replace(tile, image=np.where(gaps, np.nan, whole.image).astype(np.float32), gaps=gaps)
    model = row.create()
    made = model.predict(tile, model.prepare(tile))
    assert np.isfinite(made.mean[0][gaps[0]]).mean() > 0.9
    assert np.isfinite(made.mean[1][gaps[1]]).mean() > 0.9
    assert not np.isfinite(made.mean[2]).any()


@pytest.mark.parametrize("row", LIGHT, ids=lambda r: r.name)
def test_an_overview_at_another_scale_serves_tiles(row):
    tile = scene(2, 96, 96, share=0.3, seed=4)

    def shrunk(pixels):
        with np.errstate(invalid="ignore"):
            blocks = pixels.reshape(len(pixels), 24, 4, 24, 4)
            return np.nanmean(blocks, axis=(2, 4)).astype(np.float32)

    overview = replace(
        tile,
        image=shrunk(tile.image),
        gaps=np.zeros((2, 24, 24), bool),
        references=tuple(replace(r, image=shrunk(r.image)) for r in tile.references),
        step=4,
        pixel_size=(40.0, 40.0),
    )
    model = row.create()
    made = model.predict(tile, model.prepare(overview))
    assert np.isfinite(made.mean[tile.gaps]).mean() > 0.95
    assert np.abs(made.mean[tile.gaps] - 0.2).max() < 0.5
