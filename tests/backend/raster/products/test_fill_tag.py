"""A filled raster read again: radiometry, date, sun and credits of the product that it came from."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from makers import make_safe, write
from terramend.backend.fill import fill
from terramend.backend.raster.products.fill_tag import TAG, memory_of, remembered
from terramend.backend.raster.products.products import open_product
from terramend.backend.raster.products.sensors import credits_of
from terramend.backend.raster.products.siblings import find_references
from terramend.backend.request import FillRequest
from terramend.backend.watch import Watch


@pytest.fixture
def filled(tmp_path):
    """A filled Sentinel-2 product of baseline 04.00, under a name that tells nothing."""
    output = str(tmp_path / "out.tif")
    request = FillRequest((str(make_safe(tmp_path)),), output, model="mean", std=str(tmp_path / "std.tif"))
    fill(request, Watch())
    return output


def test_a_filled_product_is_read_as_the_product(filled):
    heard = []
    (raster,) = open_product((filled,), watch=Watch(on_notice=heard.append))
    assert {(band.gain, band.bias) for band in raster.bands} == {(1e-4, -0.1)}
    assert raster.date == datetime.date(2022, 6, 14) and raster.surface is True
    assert raster.sun == pytest.approx((147.25, 63.5))
    assert raster.credits == "contains modified Copernicus Sentinel data 2022"
    assert not heard


def test_an_option_still_has_the_last_word(filled):
    (raster,) = open_product((filled,), radiometry="sentinel2", date="2020-01-01", watch=Watch())
    assert {(band.gain, band.bias) for band in raster.bands} == {(1e-4, 0.0)}
    assert raster.date == datetime.date(2020, 1, 1)


def test_other_bands_than_the_tag_describes_are_not_scaled_by_it(filled, tmp_path):
    with rasterio.open(filled) as file:
        image, tags = file.read(), file.tags()
    fewer = write(tmp_path / "fewer.tif", image[:2], tags=tags, descriptions=("B02", "B03"))
    other = write(tmp_path / "other.tif", image.astype(np.float32) / 1e4, tags=tags)
    for path in (fewer, other):
        (raster,) = open_product((path,), watch=Watch())
        assert all(band.bias == 0 for band in raster.bands)
        assert raster.date == datetime.date(2022, 6, 14)


def test_the_deviation_does_not_claim_to_be_the_product(filled, tmp_path):
    with rasterio.open(tmp_path / "std.tif") as file:
        assert TAG not in file.tags()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"date": 3, "sun": [], "scaling": 1, "sensor": 1, "dtypes": 0}', "{"]
)
def test_a_tag_that_is_not_ours_changes_nothing(filled, text):
    (raster,) = open_product((filled,), watch=Watch())
    assert remembered(raster, {TAG: text}) == raster
    assert remembered(raster, memory_of(raster)) == raster


def test_the_sensor_is_known_by_tags(tmp_path):
    path = write(tmp_path / "a.tif", np.full((2, 9, 9), 500, np.uint16), tags={"SENSOR": "Sentinel-2 L2A"})
    assert open_product((path,), watch=Watch())[0].credits.startswith("contains modified Copernicus")
    path = write(tmp_path / "b.tif", np.full((2, 9, 9), 500, np.uint16), tags={"SPACECRAFT_ID": "LANDSAT_8"})
    assert open_product((path,), watch=Watch())[0].sensor == "landsat8"
    assert credits_of("landsat8", None).startswith("Landsat") and credits_of("", None) == ""


def test_a_folder_of_references_does_not_offer_what_was_filled(filled, tmp_path):
    folder = tmp_path / "dates"
    write(folder / "a_2022-06-01.tif", np.full((2, 9, 9), 500, np.uint16))
    write(folder / "b_filled.tif", np.full((2, 9, 9), 500, np.uint16), tags={"TERRAMEND_VERSION": "0.1.0"})
    (target,) = open_product((filled,), watch=Watch())
    found = find_references(str(folder), target, Watch())
    assert [Path(reference.path).name for reference in found] == ["a_2022-06-01.tif"]
