"""The paper's regions as data."""

import pytest
import rasterio.warp
from terramend.backend.errors import TerramendError
from terramend.backend.fetch import regions


def test_all_hundred_regions_are_there():
    found = regions.paper()
    assert len(found) == 100 and [int(r.name[:3]) for r in found] == list(range(1, 101))
    assert (found[13].title, found[13].name) == ("Kenya", "014-kenya")
    assert found[13].bounds == pytest.approx((36.56, -1.22, 37.06, -0.72), abs=0.011)  # as printed
    assert found[95].bounds == pytest.approx((-123.20, -79.55, -122.70, -79.05), abs=0.011)
    counts = {
        title: sum(r.title == title for r in found) for title in ("Asia", "Africa", "Australia", "Antarctica")
    }
    assert counts == {"Asia": 20, "Africa": 40, "Australia": 11, "Antarctica": 10}


def test_what_cannot_serve_is_said():
    found = regions.paper()
    assert sum(r.note == "open sea" for r in found) == 13
    assert all((r.land == 0) == ("open sea" in r.note or "shelf ice" in r.note) for r in found)
    assert [r.name for r in found if not r.has_srtm] == [r.name for r in found if r.title == "Antarctica"]
    assert all("south of SRTM" in r.note for r in found if not r.has_srtm)
    europe = [r.name for r in found if "not in Africa" in r.note]
    assert europe == ["064-africa", "070-africa", "077-africa"]
    assert "Sweden" in found[7].note
    assert {r.name for r in regions.chosen("land")} == {r.name for r in found if r.land and r.has_srtm}
    assert len(regions.chosen("land")) == 100 - 13 - 10


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("14", ["014-kenya"]), ("Kenya", ["014-kenya"]), ("south africa", ["013-south-africa"]),
        ("014-kenya", ["014-kenya"]), ("2,4-5", ["002-canada", "004-argentina", "005-peru"]), ("3,3", ["003-brazil"]),
        ("10.1,46,10.6,46.5", ["box_10.1_46_10.6_46.5"]), ("-1, -2.5,1,2", ["box_-1_-2.5_1_2"]),
    ],
)  # fmt: skip
def test_regions_are_chosen(text, names):
    assert [r.name for r in regions.chosen(text)] == names


@pytest.mark.parametrize(
    "text", ["", "0", "101", "5-101", "atlantis", "1,2,3,x", "10.0,46,9,47", "0,0,30,30", "1,2,nan,3"]
)
def test_what_is_no_region_is_said(text):
    with pytest.raises(TerramendError, match="is no region"):
        regions.chosen(text)


@pytest.mark.parametrize("name", ["014-kenya", "001-usa", "096-antarctica", "020-new-zealand"])
def test_grids_hold_their_box_in_pixels_of_thirty_metres(name):
    (region,) = regions.chosen(name)
    grid = region.grid()
    assert grid.pixel_size == pytest.approx((30, 30))
    assert grid.transform[2] % 30 == grid.transform[5] % 30 == 0
    west, south, east, north = region.bounds
    xs, ys = rasterio.warp.transform(
        "EPSG:4326", grid.crs, [west, west, east, east], [south, north, south, north]
    )
    for x, y in zip(xs, ys):
        column, row = ~grid.affine @ (x, y)
        assert -0.01 <= column <= grid.width + 0.01 and -0.01 <= row <= grid.height + 0.01
    assert grid.centre == pytest.approx(((south + north) / 2, (west + east) / 2), abs=0.02)


def test_the_split_is_always_the_same_and_by_ground():
    sides = regions.sides()
    assert list(sides.values()).count("val") == 20
    assert sides == regions.tiling.split({r.name: r.bounds for r in reversed(regions.paper())})
