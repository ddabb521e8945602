"""Bands of other dates that are hardly there do not make their date useless."""

from dataclasses import replace

import numpy as np
import pytest
from terramend.models.guided.dates import bands
from terramend.models.guided.model import of_quality

from ..test_guided import linear_scene, rmse


def emptied(tile, share):
    """The tile whose first date lacks a band but for a share of the lines."""
    image = tile.references[0].image.copy()
    image[1, round(share * image.shape[1]) :] = np.nan
    return replace(tile, references=(replace(tile.references[0], image=image), *tile.references[1:]))


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_a_date_is_read_without_a_band_that_is_hardly_there(share):
    tile, truth = linear_scene(noise=0.004, seed=80)
    one = emptied(tile, share)
    assert bands.seen(one) == ((0, 2), (0, 1, 2))
    without = bands.shown(one, bands.seen(one))
    assert [len(reference.image) for reference in without.references] == [2, 3]
    model = of_quality()
    made, expected = (model.predict(look, model.prepare(look)) for look in (one, without))
    np.testing.assert_array_equal(made.mean, expected.mean)
    alone = replace(tile, references=tile.references[1:])
    assert rmse(made, truth, tile.gaps) < 0.9 * rmse(
        model.predict(alone, model.prepare(alone)), truth, tile.gaps
    )


def test_a_band_with_clouds_stays_and_so_does_a_date_of_nothing():
    tile, _ = linear_scene(seed=81)
    cloudy = emptied(tile, 0.3)
    assert bands.seen(cloudy) == ((0, 1, 2), (0, 1, 2))
    assert bands.shown(cloudy, bands.seen(cloudy)) is cloudy
    nothing = replace(tile.references[0], image=np.full_like(tile.references[0].image, np.nan))
    assert bands.seen(replace(tile, references=(nothing,))) == ((0, 1, 2),)
