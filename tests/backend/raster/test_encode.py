"""Stored values: rounding, clipping, nodata avoided; classes from neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend.filling.compose import CLASS_REACH
from terramend.backend.raster.encode import NEIGHBOURHOODS, avoid, encode, frequent_class

DTYPES = ("uint8", "int16", "uint16", "float32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_stored_values_come_back_through_reflectance(dtype):
    top = 255 if dtype == "uint8" else 30000
    stored = np.arange(0, top, 7).astype(dtype)
    gain, bias = 1e-4, -0.1
    reflectance = (stored * gain + bias).astype(np.float32)
    np.testing.assert_allclose(encode(reflectance, dtype, gain, bias), stored, rtol=2e-6, atol=0.01)


@pytest.mark.parametrize("dtype, low, high", [("uint8", 0, 255), ("int16", -32768, 32767)])
def test_values_are_rounded_to_nearest_and_stay_inside(dtype, low, high):
    values = np.array([-1e9, 1e9, 0.49, 0.51, -0.51, 3.7], np.float32)
    expected = np.clip([low, high, 0, 1, -1, 4], low, high)
    np.testing.assert_array_equal(encode(values, dtype, 1.0, 0.0), expected)


def test_infinite_reflectance_stays_inside_float32():
    assert np.isfinite(encode(np.array([np.inf, -np.inf, 3e38], np.float32), "float32", 1e-4, 0.0)).all()


def beside(value, stops, kind):
    """The nearest value below that is allowed, or above where the dtype ends first."""
    for way, end in ((-1, -np.inf), (1, np.inf)):
        near = value
        while near in stops:
            near = np.nextafter(kind.type(near), kind.type(end)) if kind.kind == "f" else near + way
        if kind.kind == "f" or np.iinfo(kind).min <= near <= np.iinfo(kind).max:
            return near
    raise AssertionError


@given(
    dtype=st.sampled_from(DTYPES),
    nodata=st.sampled_from([0.0, 255.0, -32768.0, -9999.0, 65535.0, 1.0, float("nan"), None]),
    other=st.sampled_from([0.0, 1.0, None]),
    seed=st.integers(0, 50),
)
def test_no_value_equals_nodata_and_none_moves_further_than_needed(dtype, nodata, other, seed):
    rng = np.random.default_rng(seed)
    values = rng.choice([0, 1, 2, 3, 254, 255], 50).astype(dtype)
    if nodata is not None and np.isfinite(nodata):
        kind = np.dtype(dtype)
        if kind.kind == "f" or np.iinfo(kind).min <= nodata <= np.iinfo(kind).max:
            values[::3] = nodata
    moved = avoid(values, [nodata, other])
    for stop in (nodata, other):
        if stop is not None:
            assert not (moved == stop).any()
    for before, after in zip(values.tolist(), moved.tolist(), strict=True):
        assert after == beside(before, {nodata, other}, np.dtype(dtype))
    assert (moved[~np.isin(values, [s for s in (nodata, other) if s is not None])] ==
            values[~np.isin(values, [s for s in (nodata, other) if s is not None])]).all()  # fmt: skip


@pytest.mark.parametrize("nodata", [float("inf"), 0.5, 1e300, -1.0])
def test_nodata_that_no_whole_number_equals_moves_nothing(nodata):
    values = np.array([0, 1, 255], np.uint8)
    np.testing.assert_array_equal(avoid(values, [nodata]), values)


def test_classes_come_from_the_neighbourhood():
    classes = np.full((40, 40), 4, np.uint8)
    classes[:, 20:] = 7
    truth, gaps = classes.copy(), np.zeros((40, 40), bool)
    gaps[10:14, 3:8] = gaps[20:30, 30:38] = True
    classes[gaps] = 9
    made, found = frequent_class(classes, gaps)
    np.testing.assert_array_equal(made, truth)
    np.testing.assert_array_equal(found, gaps)


def test_without_any_valid_class_nothing_changes():
    classes = np.arange(9, dtype=np.uint8).reshape(3, 3)
    made, found = frequent_class(classes, np.ones((3, 3), bool))
    np.testing.assert_array_equal(made, classes)
    assert not found.any()


@given(side=st.integers(1, 24), share=st.floats(0, 1), kinds=st.integers(1, 4), seed=st.integers(0, 99))
def test_the_smallest_window_that_knows_a_class_tells_the_most_frequent(side, share, kinds, seed):
    random = np.random.default_rng(seed)
    classes = random.integers(0, kinds, (side, side + 3)).astype(np.uint8)
    gaps = random.random(classes.shape) < 1 - share**3
    made, found = frequent_class(classes, gaps)
    for row, column in np.ndindex(classes.shape):
        expected, told = classes[row, column], False
        for reach in (size // 2 for size in NEIGHBOURHOODS):
            near = np.s_[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
            counts = np.bincount(classes[near][~gaps[near]])
            if gaps[row, column] and counts.size:
                expected, told = counts.argmax(), True
                break
        assert (made[row, column], found[row, column]) == (expected, told)


def test_a_core_sees_as_far_around_itself_as_classes_are_sought():
    assert NEIGHBOURHOODS[-1] == 2 * CLASS_REACH + 1 and all(side % 2 for side in NEIGHBOURHOODS)
