"""Surfaces through what lies around a gap."""

import numpy as np
import pytest
from scipy.signal import convolve2d
from terramend.models.classical import membrane
from terramend.models.guided.space import spatial
from terramend.models.holdout import distance_to_valid


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


def test_stencils_are_powers_of_the_laplacian():
    laplace = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    second = convolve2d(laplace, laplace)
    third = convolve2d(second, laplace)
    plate = (1 - spatial.TENSION) * second + spatial.TENSION * np.pad(laplace, 1)
    np.testing.assert_allclose(spatial.operator(), plate / plate[2, 2], rtol=1e-6)
    said = spatial._powers()
    np.testing.assert_allclose(said[0], np.pad(second, 1) / second[2, 2], rtol=1e-12)
    np.testing.assert_allclose(said[1], third / third[3, 3], rtol=1e-12)
    stiff, _ = spatial._stiff_operator()
    np.testing.assert_allclose(stiff, said[0] + spatial._STIFFER * (said[1] - said[0]), rtol=1e-5, atol=1e-7)


def test_the_plate_continues_slopes_across_a_narrow_gap_where_the_membrane_cuts_the_bend_short():
    rows, _ = np.indices((40, 44), np.float32)
    truth = 0.01 * (rows - 12) ** 2
    image = truth.copy()
    image[10:14, 5:40] = np.nan
    hidden = np.isnan(image)
    made, taut = spatial.fill(image), membrane.solve(image, cycles=3)
    assert np.abs(made - truth)[hidden].max() < 0.6 * np.abs(taut - truth)[hidden].max()
    np.testing.assert_array_equal(made[~hidden], truth[~hidden])
    assert np.isnan(spatial.fill(np.full((5, 5), np.nan, np.float32))).all()


def test_deep_in_a_gap_the_membrane_is_left_alone():
    rows, columns = np.indices((60, 64), np.float32)
    image = (np.sin(rows / 5) + np.cos(columns / 7)).astype(np.float32)
    image[15:45, 15:50] = np.nan
    deep = distance_to_valid(np.isnan(image)) > spatial.REACH
    plain = membrane.solve(image, cycles=3)
    for stiff in (0.0, 1.0):
        made = spatial.fill(image, stiff=stiff)
        np.testing.assert_array_equal(made[deep], plain[deep])
        assert np.abs(made - plain)[~deep].max() > 0.01


@pytest.mark.parametrize("surface", [spatial.plate, spatial.stiffen])
def test_a_surface_goes_on_beyond_the_edge_as_in_a_mirror(surface):
    random = np.random.default_rng(6)
    values, moving = random.random((20, 24)).astype(np.float32), random.random((20, 24)) < 0.5
    wide, both = (np.concatenate([part, part[:, ::-1]], axis=1) for part in (values, moving))
    np.testing.assert_allclose(surface(values, moving, 9), surface(wide, both, 9)[:, :24], atol=1e-5)
    high, both = (np.concatenate([part[::-1], part]) for part in (values, moving))
    np.testing.assert_allclose(surface(values, moving, 9), surface(high, both, 9)[20:], atol=1e-5)


@pytest.mark.parametrize("surface", [spatial.plate, spatial.stiffen])
def test_after_many_sweeps_a_surface_solves_its_equation(surface):
    values = np.random.default_rng(7).random((24, 26)).astype(np.float32)
    moving = np.zeros((24, 26), bool)
    moving[8:14, 9:16] = True
    made = surface(values, moving, 4000)
    stencil = spatial.operator() if surface is spatial.plate else spatial._stiff_operator()[0]
    assert np.abs(convolve2d(made, stencil, "same"))[moving].max() < 1e-3
    np.testing.assert_array_equal(made[~moving], values[~moving])
