"""A cloud removal network as a reconstructor: what it is shown, and which pixels it changes."""

from __future__ import annotations

import numpy as np
from terramend.models.base import Source, Tile
from terramend.models.diffusion.scaling import reflected, shown
from terramend.models.rivals.model import Remover

RGB = (665.0, 560.0, 490.0)


class Halving:
    """A network in ONNX Runtime's stead that brings all values half way to black."""

    def run(self, _, given):
        (self.image,) = given["image"]
        return [(self.image[None] - 1) / 2]


def test_bands_that_it_knows_are_changed_where_it_sees_them_all() -> None:
    image = np.random.default_rng(0).uniform(0, 1.1, (4, 21, 27)).astype(np.float32)
    image[1, 3, 4] = np.nan  # of one band alone
    image[3, 5, 6] = np.nan  # of one that it does not read
    gaps = np.isfinite(image)
    gaps[:, :, 25:] = False
    network = Halving()
    made = Remover(network, RGB).predict(Tile(image, gaps, wavelengths=(490.0, 560.0, 665.0, 842.0)), None)
    unseen = np.zeros((21, 27), bool)
    unseen[3, 4] = True
    assert np.isnan(made.mean[:, unseen]).all() and np.isnan(made.mean[3]).all() and np.isnan(made.std).all()
    looks = shown(np.where(unseen, 0, image[[2, 1, 0]]))
    np.testing.assert_allclose(network.image[:, :21, :27], looks, atol=1e-6)
    assert network.image.shape == (3, 32, 32)  # edges are repeated up to a multiple of 16
    np.testing.assert_array_equal(network.image[:, 21:, :27], looks[:, -1:].repeat(11, 1))
    expected = reflected((looks - 1) / 2)[[2, 1, 0]]
    np.testing.assert_allclose(made.mean[:3, ~unseen], expected[:, ~unseen], atol=1e-6)
    assert (made.source[:, :25][~unseen[:, :25]] == Source.ALTERED).all()
    assert made.source[3, 4] == Source.UNFILLED and (made.source[:, 25:] == Source.VALID).all()


def test_without_one_of_its_bands_nothing_is_changed() -> None:
    tile = Tile(
        np.full((3, 5, 6), 0.2, np.float32), np.ones((3, 5, 6), bool), wavelengths=(665.0, 560.0, 842.0)
    )
    made = Remover(Halving(), RGB).predict(tile, None)
    assert np.isnan(made.mean).all() and (made.source == Source.UNFILLED).all()
