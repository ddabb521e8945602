"""A scene with parts of its valid pixels hidden: what is hidden, under which shapes, alike at any size."""

from __future__ import annotations

import numpy as np
import pytest
from terramend.backend.errors import TerramendError
from terramend.backend.filling.holdout_scene import LEAST, MOST, HoldoutScene, choose_shape
from terramend.backend.filling.opening import open_grid, open_inputs
from terramend.backend.raster.grid import Window
from terramend.backend.request import FillRequest, Mask
from terramend.backend.watch import Watch

from ..conftest import blobs, landscape

HEIGHT, WIDTH = 150, 170


@pytest.fixture
def opened(write, tmp_path):
    """`opened(gaps)`: the scene of a landscape with these gaps (H, W)."""
    truth = landscape(2, HEIGHT, WIDTH).astype("uint16")
    target = write("in.tif", truth)

    def scene(gaps):
        masks = (Mask(str(write("gaps.tif", gaps.astype(np.uint8))), "nonzero"),)
        request = FillRequest((str(target),), "o.tif", gaps=masks, radiometry="sentinel2")
        return open_grid(request, open_inputs(request, Watch()), 0, tmp_path, Watch())

    return scene


def test_valid_pixels_are_hidden_under_the_own_gaps_turned_over(opened):
    gaps = blobs(HEIGHT, WIDTH, 0.2, seed=4)
    with opened(gaps) as (scene, _):
        shape, words = choose_shape(scene, 0)
        tile, hidden, truth = HoldoutScene(scene, shape).pair(scene.grid.whole)
        assert words == "own gaps"
        turned = [gaps[::-1, ::-1], gaps[::-1], gaps[:, ::-1]]
        assert any(np.array_equal(hidden[0], one & ~gaps) for one in turned)
        assert LEAST < hidden.mean() / (~gaps).mean() < MOST
        assert np.isfinite(truth[hidden]).all() and np.isnan(tile.image[hidden]).all()
        np.testing.assert_array_equal(tile.gaps, hidden | gaps)
        np.testing.assert_array_equal(tile.image[~tile.gaps], scene.tile(scene.grid.whole).image[~tile.gaps])


@pytest.mark.parametrize(
    "gaps", [np.zeros((HEIGHT, WIDTH), bool), blobs(HEIGHT, WIDTH, 0.9)], ids=["none", "most"]
)
def test_clouds_are_drawn_where_the_own_gaps_do_not_fit_and_the_seed_says_which(opened, gaps):
    with opened(gaps) as (scene, _):
        whole = scene.grid.whole
        shapes = [choose_shape(scene, seed) for seed in (1, 1, 2)]
        assert {words for _, words in shapes} == {"drawn clouds"}
        first, again, other = (shape(whole) for shape, _ in shapes)
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other) and 0.05 < first.mean() < 0.3


def test_a_shape_is_the_same_in_every_window_and_in_the_overview(opened):
    for gaps in (blobs(HEIGHT, WIDTH, 0.2), np.zeros((HEIGHT, WIDTH), bool)):
        with opened(gaps) as (scene, _):
            seen = HoldoutScene(scene, choose_shape(scene, 3)[0])
            tile, hidden, _ = seen.pair(scene.grid.whole)
            window = Window(37, 20, 61, 90)
            part, inside, _ = seen.pair(window)
            np.testing.assert_array_equal(inside, hidden[(slice(None), *window.slices)])
            np.testing.assert_array_equal(part.gaps, tile.gaps[(slice(None), *window.slices)])
            overview = seen.overview()
            assert overview.step == 1
            np.testing.assert_array_equal(overview.gaps, tile.gaps)
            np.testing.assert_array_equal(overview.image, tile.image)


def test_where_nothing_is_valid_nothing_can_be_hidden(opened):
    with opened(np.ones((HEIGHT, WIDTH), bool)) as (scene, _), pytest.raises(TerramendError) as caught:
        choose_shape(scene, 0)
    assert caught.value.code == "accuracy.nothing"
