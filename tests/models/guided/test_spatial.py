"""Surfaces through what lies around a gap."""

import numpy as np
from terramend.models.guided import spatial


def test_the_stiffer_surface_keeps_curvature_where_the_plate_flattens_it():
    rows, columns = np.indices((48, 48), np.float32)
    truth = np.sin(rows / 3) * np.cos(columns / 2.5)
    hidden = np.random.default_rng(3).random((48, 48)) < 0.35
    image = np.where(hidden, np.float32(np.nan), truth)
    errors = [np.sqrt(np.mean((spatial.fill(image, stiff=k) - truth)[hidden] ** 2)) for k in (0.0, 0.5, 1.0)]
    assert errors[2] < errors[1] < errors[0]
    assert np.array_equal(spatial.fill(image, stiff=1.0)[~hidden], truth[~hidden])


def test_sweeps_of_the_stiffer_surface_are_stable():
    values = np.random.default_rng(5).standard_normal((40, 40)).astype(np.float32)
    moving = np.zeros((40, 40), bool)
    moving[4:36, 4:36] = True
    assert np.abs(spatial.stiffen(values, moving, 400)).max() < 10
