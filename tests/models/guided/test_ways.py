"""The ways of filling are mixed by their weights, and err as their factors say."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.base import Reference, Source, Tile
from terramend.models.guided import uncertainty, ways
from terramend.models.guided.model import of_quality
from terramend.models.guided.state import learn
from terramend.models.holdout import distance_to_valid, over_distance

from .scenes import blobs, hide, texture

SETTINGS = of_quality("fast").settings
FACTORS = np.array([[1.0, 1.5, 2.0, 2.5], [0.5, 0.7, 1.1, 3.0]], np.float32)


@pytest.fixture(scope="module")
def scene():
    """(tile, state): clouded reflectance and another date, which is clouded in a corner."""
    shape = (64, 72)
    truth = texture(shape, 1, bands=2)
    other = truth + texture(shape, 2, bands=2) / 2
    other[:, :20, :20] = np.nan
    image, gaps = hide(truth, blobs(shape, 3, 0.3))
    gaps[0, 6:12, 6:12], image[0, 6:12, 6:12] = True, np.nan  # in the corner, of one band
    tile = Tile(image, gaps, (Reference(other, 8),))
    return tile, learn(tile, SETTINGS)


def filled(scene, references=1.0):
    tile, state = scene
    weights = replace(state.weights, references=references)
    return ways.fill(tile, replace(state, weights=weights), SETTINGS)


def test_the_weight_of_references_is_a_share_of_the_way_from_the_surroundings(scene):
    tile, _ = scene
    none, some, all_ = (filled(scene, weight) for weight in (0.0, 0.3, 1.0))
    there = tile.gaps & np.isfinite(tile.references[0].image)
    assert np.abs(all_.image - none.image)[there].mean() > 0.005
    np.testing.assert_allclose(some.image, 0.7 * none.image + 0.3 * all_.image, atol=1e-5)
    np.testing.assert_array_equal(all_.image[~tile.gaps], tile.image[~tile.gaps])
    assert np.isfinite(some.image).all() and np.isnan(some.std[~tile.gaps]).all()


def test_a_pixel_rests_on_references_where_one_is_clear_else_on_its_surroundings(scene):
    tile, _ = scene
    made, gap = filled(scene), tile.gaps.any(axis=0)
    clear = np.isfinite(tile.references[0].image[0])
    assert (gap & ~clear).any()
    assert (made.source[gap & clear] == Source.REFERENCE).all() and (made.main[gap & clear] == 0).all()
    assert (made.source[gap & ~clear] == Source.SURROUNDINGS).all()


def test_deviations_are_multiplied_by_the_factors_of_their_way_at_their_distance(scene):
    tile, state = scene
    plain = filled(scene)
    dated, spaced = (
        ways.fill(tile, replace(state, factors=replace(state.factors, **{way: FACTORS})), SETTINGS)
        for way in ("references", "space")
    )
    clear = np.isfinite(tile.references[0].image[0])
    for band, gap in enumerate(tile.gaps):
        factor = over_distance(FACTORS[band : band + 1], distance_to_valid(gap))[0]
        for made, here in ((dated, gap & clear), (spaced, gap & ~clear)):
            there = gap & ~here
            np.testing.assert_allclose(made.std[band][here], (plain.std[band] * factor)[here], rtol=1e-4)
            np.testing.assert_allclose(made.std[band][there], plain.std[band][there], rtol=1e-6)


@pytest.mark.parametrize("step", [1, 4])
def test_deviations_grow_with_the_distance_to_valid_data_in_pixels_of_the_scene(scene, step):
    tile, _ = scene
    grown = ways._by_distance(replace(tile, step=step), np.ones((2, 4), np.float32))
    for band, gap in enumerate(tile.gaps):
        np.testing.assert_allclose(grown[band], uncertainty.growth(step * distance_to_valid(gap)), rtol=1e-5)
