"""Prompts and numbers of scenes: what AlignDiff is told of where, when and which band."""

import datetime
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPoint, Point
from terramend.models.aligndiff import prompt, prompt_regions
from terramend.models.base import About, Reference, Tile

ZION = About((37.3, -113.0), datetime.date(2015, 8, 18), ("B2", "B5", "qa"))
WAVELENGTHS = (482.0, 865.0, math.nan)


def tile(about=ZION, references=0, bands=3):
    image = np.zeros((bands, 4, 4), np.float32)
    others = tuple(Reference(image, days) for days in range(references))
    return Tile(image, np.zeros(image.shape, bool), others, wavelengths=WAVELENGTHS[:bands], about=about)


def test_one_date_is_told_as_region_and_band():
    assert prompt.prompts(tile()) == (
        "<AlignDiff> United States, Blue",
        "<AlignDiff> United States, NIR",
        "<AlignDiff> United States, qa",
    )


def test_among_other_dates_the_date_and_the_day_of_the_year_are_told():
    assert prompt.prompts(tile(references=2))[0] == "<AlignDiff> United States, 2015-08-18, 230, Blue"


def test_what_is_not_known_is_said():
    bare = Tile(np.zeros((1, 2, 2), np.float32), np.ones((1, 2, 2), bool))
    assert prompt.prompts(bare) == ("<AlignDiff> unknown, unknown",)
    assert prompt.prompts(tile(About(), 1))[0] == "<AlignDiff> unknown, unknown, unknown, Blue"


def test_template_and_region_can_be_set():
    assert prompt.prompts(tile(), "{band} of {region}, day {day}", "Utah")[1] == "NIR of Utah, day 230"
    assert prompt.prompts(tile(), "the same for every band") == ("the same for every band",) * 3


@pytest.mark.parametrize(
    "template", ["{place}", "{region", "{}", "{region.__class__}", "{0}", "{day:d}", "{band!z}", "{day:{x}}"]
)
def test_a_template_with_other_fields_is_refused(template):
    with pytest.raises(ValueError, match=r"no (field|template)"):
        prompt.prompts(tile(), template)


@pytest.mark.parametrize(
    ("description", "wavelength", "name"),
    [
        ("B04", 665.0, "Red"), ("B3", 561.0, "Green"), ("", 1610.0, "SWIR1"), ("", 2201.0, "SWIR2"),
        ("red", math.nan, "Red"), ("SR_B5 (near infrared)", math.nan, "NIR"), ("Red Edge 1", math.nan, "Red edge"),
        ("NIR", math.nan, "NIR"), ("infrared of red", math.nan, "Red"), ("swir22", math.nan, "SWIR2"),
        ("coastal aerosol", math.nan, "Coastal"), ("Band 7", math.nan, "Band 7"), ("", math.nan, "unknown"),
        ("TIRS1", math.nan, "Thermal"), ("hundred", math.nan, "hundred"), ("water vapour", 945.0, "Water vapour"),
    ],
)  # fmt: skip
def test_band_names(description, wavelength, name):
    assert prompt.band_name(description, wavelength) == name


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"),
    [
        (46.05, 14.5, "Slovenia"), (-4.3, -52.5, "Brazil"), (35.7, -78.7, "United States"), (66.0, 181.0, "Russia"),
        (39.0, 260.0, "United States"), (60.0, -260.0, "Russia"),
        (-29.5, 28.2, "Lesotho"), (41.9, 12.5, "Italy"), (-75.0, 100.0, "Antarctica"), (-90.0, 0.0, "Antarctica"),
        (0.0, -150.0, "Sea"), (9.24, 148.8, "Sea"), (36.62, -122.5, "United States"), (1.35, 103.82, "Singapore"),
    ],
)  # fmt: skip
def test_regions_of_known_places(latitude, longitude, name):
    assert prompt_regions.region(latitude, longitude) == name


def rings():
    table = json.loads(Path(prompt_regions.__file__).with_name("countries.json").read_text("utf-8"))
    return {
        name: [np.cumsum(np.reshape(ring, (-1, 2)), 0) * table["step"] for ring in found]
        for name, found in table["countries"].items()
    }


@pytest.fixture(scope="module")
def shapes():
    """Every country by shapely, as the difference of its rings; those that are less than a triangle have no area."""
    from shapely.geometry import Polygon

    made = {}
    for name, found in rings().items():
        area = Polygon()
        for ring in sorted((r for r in found if len(r) > 2), key=len, reverse=True):
            area = area.symmetric_difference(Polygon(ring).buffer(0))
        made[name] = area
    return {name: area for name, area in made.items() if not area.is_empty}


def test_places_inside_are_found_as_shapely_finds_them(shapes):
    random, told = np.random.default_rng(0), set()
    for latitude, longitude in zip(random.uniform(-85, 80, 60), random.uniform(-180, 180, 60)):
        point = Point(longitude, latitude)
        holding = [name for name, area in shapes.items() if area.contains(point)]
        clear = all(area.boundary.distance(point) > 0.2 for area in shapes.values())
        if clear:
            found = prompt_regions.region(latitude, longitude)
            told.add(found)
            assert found in holding if holding else found in prompt_regions.regions()
            if not holding and min(area.distance(point) for area in shapes.values()) > 1:
                assert found == prompt_regions.SEA
    assert len(told) > 5


def test_the_table_says_its_source_and_holds_every_country_once():
    table = json.loads(Path(prompt_regions.__file__).with_name("countries.json").read_text("utf-8"))
    assert "Natural Earth" in table["source"] and table["licence"] == "public domain"
    names = prompt_regions.regions()
    assert len(names) == len(set(names)) > 230 and names[-1] == prompt_regions.SEA
    assert all("." not in name and name.isascii() for name in names)
    everything = MultiPoint([corner for found in rings().values() for ring in found for corner in ring])
    assert everything.bounds == pytest.approx((-180, -90, 180, 83.6), abs=0.2)


places = st.tuples(st.floats(-90, 90), st.floats(-360, 360))


@given(places)
def test_every_place_has_a_region(place):
    assert prompt_regions.region(*place) in prompt_regions.regions()


@given(st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180)), st.none() | st.dates())
def test_numbers_are_bounded_and_flag_what_is_known(centre, date):
    made = prompt.numbers(About(centre, date))
    assert made.shape == (prompt.NUMBERS,) and made.dtype == np.float32
    assert np.abs(made).max() <= 1
    assert made[-2:].tolist() == [float(centre is not None), float(date is not None)]
    waves = made[:-2].reshape(3, 2 * prompt.OCTAVES)
    assert (waves[:2].any()) == (centre is not None) and (waves[2].any()) == (date is not None)


def test_numbers_go_round_and_tell_places_apart():
    east, west = (prompt.numbers(About((10.0, side), None)) for side in (180.0, -180.0))
    np.testing.assert_allclose(east, west, atol=1e-6)
    last, first = (prompt.numbers(About(None, datetime.date(*day))) for day in ((2019, 12, 31), (2020, 1, 1)))
    summer = prompt.numbers(About(None, datetime.date(2020, 7, 1)))
    assert np.abs(last - first).max() < 0.15 < 1 < np.abs(summer - first).max()
    assert prompt.numbers(About((30.0, 0.0)))[0] == pytest.approx(0.5)  # sin of the latitude


def test_numbers_are_sines_and_cosines_of_latitude_longitude_and_day() -> None:
    day = datetime.date(2024, 3, 1)  # the 61st of 366
    found = prompt.numbers(About((30.0, -120.0), day))
    angles = np.outer([math.radians(30), math.radians(-120), 2 * math.pi * 60 / 366], [1, 2, 4, 8])
    expected = np.concatenate([np.sin(angles), np.cos(angles)], 1).ravel()
    np.testing.assert_allclose(found, [*expected, 1, 1], atol=1e-6)


def test_how_near_a_coast_is_does_not_depend_on_the_latitude(monkeypatch) -> None:
    corners = np.array([[0, 60], [10, 60], [10, 70], [0, 70]], float)
    (x, y), (u, v) = corners.T, np.roll(corners, -1, axis=0).T
    land = prompt_regions._Borders(("Square",), np.zeros(4, int), x, y, u, v)
    monkeypatch.setattr(prompt_regions, "_borders", lambda: land)
    for latitude in (61.0, 69.0):
        degree = math.cos(math.radians(latitude))  # of longitude, in degrees of a great circle
        assert prompt_regions.region(latitude, 10 + 0.49 / degree) == "Square"
        assert prompt_regions.region(latitude, 10 + 0.51 / degree) == prompt_regions.SEA
