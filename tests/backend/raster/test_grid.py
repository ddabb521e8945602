"""Windows of a grid: what two of them share, halves, and where they lie."""

import numpy as np
from rasterio import Affine
from rasterio.crs import CRS
from terramend.backend.raster.grid import Grid, Window


def test_windows_meet_where_both_are():
    inside = np.zeros((2, 12, 12), bool)
    one, other = Window(1, 2, 5, 6), Window(4, 0, 8, 4)
    for plane, window in zip(inside, (one, other), strict=True):
        plane[window.slices] = True
    shared = one.meet(other)
    assert shared == other.meet(one) == Window(4, 2, 2, 2)
    both = np.zeros((12, 12), bool)
    both[shared.slices] = True
    assert np.array_equal(both, inside.all(0))
    assert one.meet(Window(6, 2, 3, 3)) is None  # they only touch


def test_halves_make_the_window():
    upper, lower = Window(3, 4, 7, 5).halves()
    assert (upper, lower) == (Window(3, 4, 3, 5), Window(6, 4, 4, 5))


def test_a_window_lies_where_its_pixels_do_also_on_a_turned_grid():
    affine = Affine.translation(300000, 5000000) @ Affine.rotation(30) @ Affine.scale(10, -10)
    window = Grid(None, tuple(affine)[:6], 90, 70).cut(Window(20, 30, 8, 9))
    assert np.allclose(window.affine @ (2, 3), affine @ (32, 23))
    assert (window.width, window.height) == (9, 8)


def test_a_crs_is_the_same_however_it_is_written():
    square = (10.0, 0.0, 300000.0, 0.0, -10.0, 5000000.0)
    one, other, none = (
        Grid(crs, square, 9, 9)
        for crs in (CRS.from_epsg(32633).to_wkt(), CRS.from_epsg(32633).to_wkt(version="WKT2_2019"), None)
    )
    assert one.crs != other.crs and one.same_as(other)
    assert not one.same_as(Grid(CRS.from_epsg(32634).to_wkt(), square, 9, 9)) and not one.same_as(none)
