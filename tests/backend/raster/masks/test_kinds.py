"""Values of every kind of mask against the producers' own examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend.errors import TerramendError
from terramend.backend.raster.masks import tables
from terramend.backend.raster.masks.kinds import (
    ANY_CLASS,
    CLASS_BITS,
    FILL,
    layout_decoder,
    plain_decoder,
    probability_decoder,
    selection,
)
from terramend.backend.request import CLASSES, MASK_KINDS


def classes_of(layout, *values, dtype="uint16"):
    """The set of class names that a layout gives to one value per band."""
    decoder = layout_decoder(layout)
    planes = np.array(values, dtype)[[band - 1 for band in decoder.bands], None, None]
    bits = int(decoder.decode(planes)[0, 0, 0])
    return "fill" if bits == FILL else {name for name in CLASSES if bits & CLASS_BITS[name]}


# Values as they stand in the USGS tables of unpacked QA bands.
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "fill"),
        (21824, set()),  # clear
        (21826, {"cloud"}),  # dilated cloud over land
        (21888, {"water"}),
        (21952, {"water"}),
        (22080, {"cloud"}),  # medium confidence
        (22280, {"cloud"}),  # high confidence
        (23888, {"shadow"}),
        (23952, {"shadow", "water"}),
        (24088, {"cloud", "shadow"}),
        (30048, {"snow"}),
        (54596, {"cirrus"}),
        (54852, {"cirrus", "cloud"}),
        (5440, set()),  # Landsat 4-7, clear
        (5896, {"cloud"}),
        (7440, {"shadow"}),
    ],
)
def test_landsat_collection_2(value, expected):
    assert classes_of(tables.QA_PIXEL, value) == expected


@pytest.mark.parametrize(
    ("layout", "value", "expected"),
    [
        (tables.PIXEL_QA_C1, 1, "fill"),
        (tables.PIXEL_QA_C1, 322, set()),
        (tables.PIXEL_QA_C1, 66, set()),
        (tables.PIXEL_QA_C1, 324, {"water"}),
        (tables.PIXEL_QA_C1, 328, {"shadow"}),
        (tables.PIXEL_QA_C1, 336, {"snow"}),
        (tables.PIXEL_QA_C1, 352, {"cloud"}),
        (tables.PIXEL_QA_C1, 386, {"cloud"}),  # medium confidence
        (tables.PIXEL_QA_C1, 480, {"cloud"}),
        (tables.PIXEL_QA_C1, 834, {"cirrus"}),
        (tables.BQA_C1, 1, "fill"),
        (tables.BQA_C1, 2720, set()),
        (tables.BQA_C1, 2724, {"saturated"}),
        (tables.BQA_C1, 2752, {"cloud"}),  # medium confidence
        (tables.BQA_C1, 2800, {"cloud"}),
        (tables.BQA_C1, 2976, {"shadow"}),
        (tables.BQA_C1, 3744, {"snow"}),
        (tables.BQA_C1, 6816, {"cirrus"}),
        (tables.BQA_PRE, 1, "fill"),
        (tables.BQA_PRE, 20480, set()),
        (tables.BQA_PRE, 20512, set()),  # water maybe
        (tables.BQA_PRE, 23552, {"snow"}),
        (tables.BQA_PRE, 28672, {"cirrus"}),
        (tables.BQA_PRE, 36864, {"cloud"}),  # maybe
        (tables.BQA_PRE, 53248, {"cloud"}),
        (tables.BQA_PRE, 61440, {"cloud", "cirrus"}),
        (tables.QA60, 0, set()),
        (tables.QA60, 1024, {"cloud"}),
        (tables.QA60, 2048, {"cirrus"}),
        (tables.HLS_FMASK, 255, "fill"),
        (tables.HLS_FMASK, 0b01000000, set()),  # low aerosol
        (tables.HLS_FMASK, 0b01000010, {"cloud"}),
        (tables.HLS_FMASK, 0b01000100, {"cloud"}),  # adjacent
        (tables.HLS_FMASK, 0b01001000, {"shadow"}),
        (tables.HLS_FMASK, 0b11110000, {"snow", "water"}),
        (tables.MAJA_CLM, 0, set()),
        (tables.MAJA_CLM, 0b00000011, {"cloud"}),
        (tables.MAJA_CLM, 0b00010000, {"cirrus"}),
        (tables.MAJA_CLM, 0b00100001, {"shadow"}),
        (tables.MAJA_CLM, 0b01000001, {"shadow"}),
        (tables.MAJA_CLM_VENUS, 0b00110011, {"cloud"}),  # found by both kinds of thresholds
        (tables.MAJA_CLM_VENUS, 0b00000101, {"shadow"}),
        (tables.MAJA_CLM_VENUS, 0b00001001, {"shadow"}),
        (tables.MAJA_CLM_VENUS, 0b01000000, {"cirrus"}),
        (tables.MAJA_MG2, 0b00001000, {"shadow"}),
        (tables.MAJA_MG2, 0b00000101, {"water", "snow"}),
        (tables.MAJA_MG2, 0b00010000, set()),  # topographic shadow
        (tables.MODIS_STATE, 65535, "fill"),
        (tables.MODIS_STATE, 0b001_0_00 | 0b01 << 6, set()),  # land, low aerosol
        (tables.MODIS_STATE, 0b001_0_01, {"cloud"}),
        (tables.MODIS_STATE, 0b001_0_10, {"cloud"}),
        (tables.MODIS_STATE, 0b001_0_11, set()),  # not set, assumed clear
        (tables.MODIS_STATE, 0b001_1_00, {"shadow"}),
        (tables.MODIS_STATE, 0b011_0_00, {"water"}),
        (tables.MODIS_STATE, 0b001_0_00 | 1 << 13, {"cloud"}),
        (tables.MODIS_STATE, 0b001_0_00 | 3 << 8, {"cirrus"}),
        (tables.MODIS_STATE, 0b001_0_00 | 1 << 12, {"snow"}),
    ],
)
def test_bit_tables(layout, value, expected):
    assert classes_of(layout, value) == expected


@pytest.mark.parametrize(
    ("layout", "by_value"),
    [
        (
            tables.SCL,
            ["fill", {"saturated"}, set(), {"shadow"}, set(), set(), {"water"}, {"unclassified"},
             {"cloud"}, {"cloud"}, {"cirrus"}, {"snow"}],
        ),
        (tables.FMASK, [set(), {"water"}, {"shadow"}, {"snow"}, {"cloud"}]),
        (tables.PYTHON_FMASK, ["fill", set(), {"cloud"}, {"shadow"}, {"snow"}, {"water"}]),
        (tables.CLM, [set(), {"cloud"}]),
    ],
)  # fmt: skip
def test_class_tables(layout, by_value):
    assert [classes_of(layout, value, dtype="uint8") for value in range(len(by_value))] == by_value
    if layout in (tables.FMASK, tables.CLM):
        assert classes_of(layout, 255, dtype="uint8") == "fill"


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        ((1, 0, 0, 0, 0, 0, 90, 0), set()),
        ((0, 1, 0, 0, 0, 0, 90, 0), {"snow"}),
        ((0, 0, 1, 0, 0, 0, 90, 0), {"shadow"}),
        ((0, 0, 0, 1, 0, 0, 90, 0), {"cirrus"}),
        ((0, 0, 0, 0, 1, 0, 90, 0), {"cloud"}),
        ((0, 0, 0, 0, 0, 1, 90, 2), {"cloud"}),
        ((0, 0, 0, 0, 0, 0, 0, 1), "fill"),
    ],
)
def test_udm2_bands(bands, expected):
    assert classes_of(tables.UDM2, *bands, dtype="uint8") == expected


def test_sentinel_2_cloud_bands_of_level_1c():
    assert classes_of(tables.MSK_CLASSI, 1, 0, 0, dtype="uint8") == {"cloud"}
    assert classes_of(tables.MSK_CLASSI, 0, 1, 1, dtype="uint8") == {"cirrus", "snow"}


def test_every_kind_has_a_way_to_be_read():
    known = {*tables.LAYOUTS, *tables.PLAIN_KINDS, "cloudprob", "auto", "none"}
    assert known == set(MASK_KINDS)


def test_dilated_masks_grow_less():
    assert tables.QA_PIXEL.growth < tables.BQA_C1.growth
    assert tables.HLS_FMASK.growth == tables.MAJA_CLM.growth == 0


@pytest.mark.parametrize("layout", [found for group in tables.LAYOUTS.values() for found in group])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_look_up_tables_say_what_the_rules_say(layout, dtype):
    decoder = layout_decoder(layout, nodata=7)
    rng = np.random.default_rng(0)
    limits = np.iinfo(dtype)
    values = rng.integers(limits.min, limits.max, (len(decoder.bands), 50, 70), dtype=dtype, endpoint=True)
    values[:, :4, :4] = 7
    assert np.array_equal(decoder.tabulated(dtype).decode(values), decoder.decode(values))
    assert (decoder.decode(values)[:, :4, :4] == FILL).all()


@given(st.integers(0, 65535), st.sampled_from(["uint16", "int32", "float32", "float64", "int16"]))
def test_bits_are_the_same_in_any_dtype(value, dtype):
    decoder = layout_decoder(tables.QA_PIXEL)
    stored = np.array([[[value]]], np.uint16)
    other = stored.view(np.int16) if dtype == "int16" else stored.astype(dtype)
    assert decoder.tabulated(dtype).decode(other)[0, 0, 0] == decoder.decode(stored)[0, 0, 0]


def test_missing_values_of_float_files_are_not_observed():
    bits = layout_decoder(tables.SCL).decode(np.array([[[np.nan, 9.0, 4.0]]], np.float32))
    assert bits.tolist() == [[[FILL, CLASS_BITS["cloud"], 0]]]


def test_zero_declared_as_nodata_stays_what_the_table_says():
    assert layout_decoder(tables.QA60, nodata=0).decode(np.zeros((1, 1, 1), np.uint16))[0, 0, 0] == 0


@pytest.mark.parametrize(
    ("kind", "nodata", "expected"),
    [
        ("nonzero", None, [0, 1, 1, 1]),
        ("nonzero", 255, [0, 1, 1, 0]),
        ("zero", None, [1, 0, 0, 0]),
        ("zero", 0, [1, 0, 0, 0]),
        ("value=2,255", None, [0, 0, 1, 1]),
        ("value=1.0", 255, [0, 1, 0, 0]),
    ],
)
def test_plain_kinds(kind, nodata, expected):
    bits = plain_decoder(kind, (1,), nodata).decode(np.array([[[0, 1, 2, 255]]], np.uint8))
    assert bits.tolist() == [[[flag * ANY_CLASS for flag in expected]]]


@pytest.mark.parametrize(
    ("values", "nodata", "expected"),
    [
        (np.array([0, 1, 7], np.uint8), None, [1, 0, 0]),
        (np.array([0, 1, 7], np.uint8), 7, [0, 0, 1]),
        (np.array([0, np.nan, -9999], np.float32), None, [0, 1, 0]),
        (np.array([0, np.nan, -9999], np.float32), -9999, [0, 1, 1]),
        (np.array([0, 1, 7], np.uint8), -9999, [0, 0, 0]),
    ],
)
def test_nodata_kind(values, nodata, expected):
    bits = plain_decoder("nodata", (1,), nodata).tabulated(values.dtype.name).decode(values[None, None])
    assert bits.tolist() == [[[flag * FILL for flag in expected]]]


def test_nan_may_be_one_of_the_values():
    bits = plain_decoder("value=nan,3", (1,), None).decode(np.array([[[np.nan, 1.0, 3.0]]]))
    assert bits.tolist() == [[[ANY_CLASS, 0, ANY_CLASS]]]


def test_nan_is_no_gap_for_nonzero():
    bits = plain_decoder("nonzero", (1,), None).decode(np.array([[[np.nan, 1.0]]]))
    assert bits.tolist() == [[[0, ANY_CLASS]]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fractions_are_met_in_every_float(dtype):
    bits = plain_decoder("value=0.1", (1,), None).decode(np.array([[[0, 0.1]]], dtype))
    assert bits.tolist() == [[[0, ANY_CLASS]]]


@pytest.mark.parametrize("kind", ["value=", "value=a", "value=1;2", "value"])
def test_values_that_are_no_numbers(kind):
    with pytest.raises(TerramendError, match="numbers that mark gaps"):
        plain_decoder(kind, (1,), None)


def test_probability_threshold_is_reached_from_below():
    decoder = probability_decoder(1, 1.0, 40.0, 255).tabulated("uint8")
    bits = decoder.decode(np.array([[[39, 40, 100, 255]]], np.uint8))
    assert bits.tolist() == [[[0, CLASS_BITS["cloud"], CLASS_BITS["cloud"], FILL]]]


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (layout_decoder, (tables.QA_PIXEL, 1, 1.0)),
        (probability_decoder, (1, 1.0, 40.0, 255)),
        (plain_decoder, ("nonzero", (1,), None)),
    ],
)
def test_masks_of_one_kind_share_their_tables(make, arguments):
    first, second = (make(*arguments).tabulated("uint16") for _ in range(2))
    assert first.rules == second.rules
    assert make(*arguments).tabulated("uint8").rules != first.rules


def test_one_mask_a_band():
    values = np.array([[[0, 1]], [[1, 0]]], np.uint8)
    bits = plain_decoder("nonzero", (1, 2), None).decode(values)
    assert (bits != 0).tolist() == [[[False, True]], [[True, False]]]


def test_selection_is_a_sum_of_different_bits():
    assert selection(CLASSES) == ANY_CLASS
    assert selection(("cloud", "cloud")) == CLASS_BITS["cloud"]
    assert selection(()) == 0
