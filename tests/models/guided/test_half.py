"""A scene at half its size, plane by plane."""

import numpy as np
from terramend.models.base import Reference, Tile
from terramend.models.guided.half import halved


def means(planes):
    """(n, H/2, W/2) of the finite ones of each four, NaN of less than two; H and W are even."""
    count, height, width = planes.shape
    fours = planes.reshape(count, height // 2, 2, width // 2, 2).transpose(0, 1, 3, 2, 4)
    fours = fours.reshape(count, height // 2, width // 2, 4)
    enough = np.isfinite(fours).sum(-1) >= 2
    known = np.where(np.isfinite(fours), fours, 0).sum(-1) / np.maximum(np.isfinite(fours).sum(-1), 1)
    return np.where(enough, known, np.nan)


def test_all_planes_are_halved_alike_and_sizes_are_doubled():
    random = np.random.default_rng(1)

    def torn(bands):
        planes = random.random((bands, 30, 44)).astype(np.float32)
        return np.where(random.random(planes.shape) < 0.4, np.float32(np.nan), planes)

    image, date, terrain, sar = torn(2), torn(3), torn(3), torn(2)
    gaps = np.isnan(image) & (random.random(image.shape) < 0.8)
    made = halved(Tile(image, gaps, (Reference(date, 5, "d"),), terrain, sar, (10.0, 20.0), step=4))
    planes = (made.image, made.references[0].image, made.terrain, made.sar)
    for half, whole in zip(planes, (image, date, terrain, sar), strict=True):
        np.testing.assert_allclose(half, means(whole), rtol=1e-5)
    any_gap = gaps.reshape(2, 15, 2, 22, 2).any((2, 4))
    np.testing.assert_array_equal(made.gaps, any_gap & np.isnan(means(image)))
    assert (any_gap & ~made.gaps).any() and (np.isnan(made.image) & ~made.gaps).any()
    assert made.pixel_size == (20.0, 40.0) and made.step == 8
    assert (made.references[0].days, made.references[0].name) == (5, "d")


def test_without_terrain_and_radar_there_is_none():
    made = halved(Tile(np.ones((1, 5, 7), np.float32), np.zeros((1, 5, 7), bool)))
    assert made.terrain is None and made.sar is None
    np.testing.assert_array_equal(made.image, np.ones((1, 3, 4)))  # blocks at the edge are of what is there
