"""What terrain and radar say: radar's roughness, ferns on both, and nothing of them where they are useless."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Source, Tile
from terramend.models.guided.half import halved
from terramend.models.guided.model import Guided, of_quality
from terramend.models.guided.regression import Settings
from terramend.models.guided.space import spatial, surroundings, terrain
from terramend.models.guided.space.terrain import sar_features, terrain_features

from ..scenes import blobs, hide, patchwork, texture


def test_radar_tells_a_town_from_a_field_as_bright_and_an_overview_tells_it_too():
    random = np.random.default_rng(1)
    rough = np.where(np.arange(128) < 64, 3.0, 0.5)  # of houses three pixels wide
    houses = random.standard_normal((43, 43)).repeat(3, 0).repeat(3, 1)[:128, :128]
    sar = np.stack([houses * rough - 10, houses * rough - 17]).astype(np.float32)
    planes = sar_features(sar, 1)
    assert len(planes) == 10 and all(plane.shape == (128, 128) for plane in planes)
    town, field = np.s_[16:112, 16:48], np.s_[16:112, 80:112]
    for plane in (planes[3], planes[4]):  # VV's
        assert plane[town].mean() > 3 * plane[field].mean()
    assert abs(planes[2][town].mean() - planes[2][field].mean()) < 0.5
    small = sar.reshape(2, 64, 2, 64, 2).mean((2, 4))
    for whole, coarse in zip(planes, sar_features(small, 2), strict=True):
        np.testing.assert_allclose(whole[::2, ::2][8:56, 8:56].mean(), coarse[8:56, 8:56].mean(), rtol=0.15)


def test_a_void_of_the_terrain_is_no_plateau():
    """Its height continues what is around; the mean of the scene would be a cliff at its edge."""
    rows, columns = np.indices((96, 96), dtype=np.float32)
    ground = np.stack([200 + 3 * rows + columns, np.full_like(rows, 0.3), 0.5 + rows / 200])
    torn = ground.copy()
    torn[:, 20:44, 10:40] = np.nan
    whole, filled = (terrain_features(planes, (10.0, 10.0), 1) for planes in (ground, torn))
    for right, made in zip(whole, filled, strict=True):
        np.testing.assert_allclose(made, right, atol=0.02 * max(np.ptp(right), 1.0))


@pytest.mark.parametrize("shrunk", [False, True])
def test_ferns_find_what_radar_and_height_say_together(shrunk):
    """Also where the scene is learnt from an overview and the tile grows its own."""
    tile, truth = patchwork()

    def error(count):
        model = Guided(Settings(ferns=count))
        state = model.prepare(halved(tile) if shrunk else tile)
        assert state.guide is not None and (state.guide.ferns is None) == (shrunk or not count)
        made = model.predict(tile, state)
        return np.sqrt(((made.mean - truth)[tile.gaps] ** 2).mean())

    assert error(100) < 0.9 * error(0)


def test_ferns_are_asked_around_gaps_only_and_know_nothing_of_what_is_hidden():
    tile, truth = patchwork()
    middle = np.zeros_like(tile.gaps)
    middle[:, 60:68, 60:68] = True
    tile = replace(tile, gaps=middle, image=np.where(middle, np.nan, truth).astype(np.float32))
    model = Guided()
    state = model.prepare(tile)
    target = state.standard.scores(tile.image)
    said = surroundings.say(tile, target, state.guide, 100)
    far = surroundings.AROUND + 1
    assert np.isnan(said.ferns[:, : 60 - far]).all() and np.isfinite(said.ferns[:, 60:68, 60:68]).all()
    np.testing.assert_array_equal(said.mean(0.0)[:, : 60 - far], said.linear[:, : 60 - far])
    np.testing.assert_allclose(
        said.mean(1.0)[:, 62],
        (
            said.nonlinear[:, 62]
            + np.where(np.isfinite(said.ferns[:, 62]), said.ferns[:, 62], said.nonlinear[:, 62])
        )
        / 2,
        atol=1e-6,
    )
    other = surroundings.say(tile, np.where(middle, np.float32(9), target), state.guide, 100)
    np.testing.assert_array_equal(other.ferns, said.ferns)


def hidden_hill(shape=(160, 160), dates=0):
    """Land that height says nothing of, nearly flat, but for a steep hill that lies under the largest gap."""
    rows, columns = np.indices(shape, dtype=np.float32)
    off = np.hypot(rows - 80, columns - 80)
    height = 100 + 30 * texture(shape, 42, bands=1, blur=4)[0] + 300 * np.clip(1 - off / 35, 0, None)
    down, across = np.gradient(height, 10.0)
    slope = np.arctan(np.hypot(down, across))
    relief = np.stack([height, slope, np.cos(slope) + 0.6 * across - 0.3 * down]).astype(np.float32)
    truth = texture(shape, 1)
    image, gaps = hide(truth, (off < 40) | blobs(shape, 78, 0.15))
    seen = (0.8 * truth + 0.3 * texture(shape, 6)).astype(np.float32)
    return Tile(image, gaps, (Reference(seen, -10),) * dates, relief, pixel_size=(10.0, 10.0)), truth


@pytest.mark.parametrize("dates", [0, 1])
@pytest.mark.parametrize("quality", ["fast", "default"])
def test_a_hill_above_all_that_is_valid_is_filled_as_well_as_without_its_height(quality, dates):
    tile, truth = hidden_hill(dates=dates)
    model, errors = of_quality(quality), []
    for one in (replace(tile, terrain=None), tile):
        made = model.predict(one, model.prepare(one))
        errors.append(np.sqrt(((made.mean - truth)[tile.gaps] ** 2).mean()))
    assert errors[1] < 1.15 * errors[0]
    assert (np.abs(made.mean - truth) <= 1.645 * made.std)[tile.gaps].mean() > 0.8


def test_terrain_is_read_no_further_out_than_valid_pixels_show_it_and_radar_as_it_is():
    tile, _ = hidden_hill()
    rows, columns = np.indices(tile.gaps[0].shape, dtype=np.float32)
    radar = np.stack([np.where(tile.gaps[0], -25, -10) + rows / 99, columns]).astype(np.float32)
    tile = replace(tile, sar=radar)
    guides = terrain.learn(tile)
    assert len(terrain_features(tile.terrain, tile.pixel_size, 1)) == terrain.TERRAIN
    planes, valid = terrain.features(tile, guides), tile.valid.all(0)
    shown, vv = planes[: terrain.TERRAIN, valid], planes[terrain.TERRAIN]
    np.testing.assert_array_equal(planes[: terrain.TERRAIN].min((1, 2)), shown.min(1))
    np.testing.assert_array_equal(planes[: terrain.TERRAIN].max((1, 2)), shown.max(1))
    assert planes[0, 80, 80] == shown[0].max() and vv.min() < vv[valid].min()
    part = tile.cut(slice(60, 100), slice(60, 100))  # of the hill alone: it goes by the scene's bounds
    assert terrain.features(part, guides)[0, 20, 20] == planes[0, 80, 80]
    nothing = replace(tile, gaps=np.ones_like(tile.gaps))
    assert terrain.learn(nothing) is None


def test_flat_terrain_is_none():
    truth = texture((120, 112), 3, bands=1)
    gaps = np.broadcast_to(blobs((120, 112), 4, 0.3), truth.shape).copy()
    tile, model = Tile(np.where(gaps, np.float32(np.nan), truth), gaps), Guided()
    flat = replace(tile, terrain=np.full((3, *gaps[0].shape), 7, np.float32))
    made = model.predict(flat, model.prepare(flat))
    np.testing.assert_array_equal(made.mean, model.predict(tile, model.prepare(tile)).mean)
    assert (made.source[gaps[0]] == Source.SURROUNDINGS).all()


@pytest.mark.parametrize("stiff", [0.0, 0.7])
def test_the_error_of_a_guess_is_filled_and_the_guess_laid_under_it(stiff):
    image, guess = texture((40, 44), 1, bands=3), texture((40, 44), 2, bands=3)
    gaps = np.stack([blobs((40, 44), k, 0.3) for k in range(3)])
    gaps[2] = False
    image[gaps] = np.nan
    alone, laid = (surroundings.fill(image, gaps, some, stiff) for some in (None, guess))
    for band in range(2):
        np.testing.assert_array_equal(alone[band], spatial.fill(image[band], stiff))
        error = spatial.fill(image[band] - guess[band], stiff)
        np.testing.assert_allclose(laid[band], error + guess[band], atol=1e-6)
    np.testing.assert_array_equal([alone[2], laid[2]], [image[2], image[2]])


def test_roughness_is_the_deviation_of_detail_where_a_dozen_pixels_show_some():
    rows, columns = np.indices((120, 130), np.float32)
    random = np.random.default_rng(3)
    image = np.stack(
        [0.2 * rows + 0.1 * columns + s * random.standard_normal(rows.shape) for s in (1, 1, 4, 1)]
    )
    image[:, random.random(rows.shape) < 0.3] = np.nan
    for band, count in ((0, 0), (1, 11), (3, 12)):
        image[band][np.cumsum(np.isfinite(image[band])).reshape(rows.shape) > count] = np.nan
    made = surroundings.roughness(image.astype(np.float32), np.array([7, 8, 9, 10], np.float32))
    assert (made[0] == 7).all() and (made[1] == 8).all() and (made[3] < 9).all()
    assert np.mean(made[2]) == pytest.approx(4, rel=0.1)  # not that of the slope, which is 7


def test_four_hundred_pixels_teach_what_radar_says_and_fewer_do_not():
    tile, truth = patchwork(side=64)
    target = (truth - truth.mean()) / truth.std()
    for count in (399, 400):
        known = np.arange(64 * 64).reshape(64, 64) < count
        image = np.where(known, target, np.nan).astype(np.float32)
        few = replace(tile, image=image, gaps=np.broadcast_to(~known, image.shape))
        assert (surroundings.learn(few, image, 0) is None) == (count < 400)
