"""Bands of another date beside those to fill: by wavelength, by name, by place."""

import math

import pytest
from terramend.backend.raster.products.roles import wavelength_of
from terramend.backend.raster.raster import Band
from terramend.backend.raster.scene.correspond import likes, order


def bands(*names, sensor=""):
    return tuple(
        Band(
            "a.tif", i, name or f"Band {i}", "optical", wavelength_of(name, sensor), "uint16", 0.0, 1e-4, 0.0
        )
        for i, name in enumerate(names, 1)
    )


S2 = bands("B02", "B03", "B04", "B08", "B05", "B11", sensor="sentinel2")


@pytest.mark.parametrize(
    ("target", "chosen", "other", "expected"),
    [
        (S2, (0, 1, 2, 3), S2, (0, 1, 2, 3, 4, 5)),
        (S2, (4, 5), S2, (4, 5, 0, 1, 2, 3)),  # the next resolution of a product
        (S2, (0, 1, 2), bands("red", "green", "blue"), (2, 1, 0)),
        (S2, (2, 3, 5), bands("SR_B4", "SR_B5", "SR_B6", sensor="landsat8"), (0, 1, 2)),
        (S2, (4,), bands("SR_B5", "SR_B4", sensor="landsat8"), (0, 1)),  # no red edge there: as they are
        (bands("SR_B3", "SR_B4"), (0, 1), bands("B4", "B3"), (1, 0)),  # no wavelengths, but names
        (bands("", "", ""), (1, 2), bands("", "", ""), (1, 2, 0)),
        (bands("blue", "green", "red"), (1, 2), bands("", "", ""), (1, 2, 0)),
        (bands("", "", ""), (1, 2), bands("", "", "", ""), (0, 1, 2, 3)),
    ],
)
def test_bands_that_show_the_same_come_first(target, chosen, other, expected):
    assert order(likes(target, chosen, other), len(other)) == expected


def test_a_band_without_its_like_is_told():
    assert likes(S2, (4,), bands("SR_B5", "SR_B4", sensor="landsat8")) is None
    assert likes(S2, (3,), bands("SR_B5", sensor="landsat8")) == (0,)
    assert math.isnan(bands("")[0].wavelength)


@pytest.mark.parametrize(
    ("target", "other"),
    [
        ("MOD11A1.061_LST_Day_1km_doy2020177_aid0001", "MOD11A1.061_LST_Night_1km_doy2020178_aid0001"),
        (
            "MOD13Q1.061__250m_16_days_NDVI_doy2020177_aid0001",
            "MOD13Q1.061__250m_16_days_EVI_doy2020193_aid0001",
        ),
        ("S1A_20200101_VV", "S1A_20200113_VH"),
        ("LAI_20200101", "FAPAR_20200111"),
    ],
)
def test_what_is_measured_otherwise_is_not_alike_though_it_is_the_only_band(target, other):
    assert likes(bands(target), (0,), bands(other)) is None
    assert likes(bands(target), (0,), bands(target.replace("2020", "2019"))) == (0,)
    assert likes(bands(target), (0,), bands("Band 1")) == (0,)
