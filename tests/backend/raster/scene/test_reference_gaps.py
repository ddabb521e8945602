"""Gaps of a reference on the target's grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.crs import CRS
from scipy import ndimage
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.scene.reference_gaps import ReferenceGaps
from terramend.backend.request import DEFAULT_CLASSES, Mask
from terramend.backend.watch import Watch

UTM = CRS.from_epsg(32633).to_wkt()
TARGET = Grid(UTM, (10.0, 0.0, 300000.0, 0.0, -10.0, 5000000.0), 80, 60)


def gaps(*masks, reference=TARGET, watch=None, **options):
    options = {"grow": None, "classes": DEFAULT_CLASSES, "cloud_threshold": None} | options
    return ReferenceGaps(masks, reference, TARGET, watch=watch or Watch(), **options)


def test_masks_are_united_and_grown(write):
    rng = np.random.default_rng(0)
    flags, scl = rng.random((60, 80)) > 0.995, np.where(rng.random((60, 80)) > 0.995, 9, 4).astype(np.uint8)
    masks = Mask(str(write("m.tif", flags.astype(np.uint8)))), Mask(str(write("s.tif", scl)), "scl")
    with gaps(*masks, grow="3px") as found:
        expected = ndimage.distance_transform_edt(~(flags | (scl == 9))) <= 3
        assert np.array_equal(found(TARGET.whole), expected)


def test_what_a_mask_did_not_observe_is_a_gap(write):
    scl = np.full((60, 80), 4, np.uint8)
    scl[:, :7] = 0
    with gaps(Mask(str(write("s.tif", scl)), "scl")) as found:
        assert np.array_equal(found(TARGET.whole), scl == 0)
    with gaps(Mask(str(write("r.tif", scl, nodata=0)), "nodata")) as found:
        assert np.array_equal(found(TARGET.whole), scl == 0)


@pytest.mark.parametrize("masks", [(), (Mask("", "none"),)])
def test_no_masks_are_no_gaps(masks):
    with gaps(*masks) as found:
        assert not found(Window(3, 4, 5, 6)).any()
        assert found(Window(3, 4, 5, 6)).shape == (5, 6)


def test_a_mask_that_covers_its_date_covers_it_also_where_that_is_a_part_of_the_target(write):
    place = (10.0, 0.0, 300400.0, 0.0, -10.0, 5000000.0)
    half = Grid(UTM, place, 60, 60)  # the right half of the target, and beyond
    for columns, told in ((60, []), (20, ["mask.partial"])):
        watch = Watch()
        flags = np.ones((60, columns), np.uint8)
        path = write(f"{columns}.tif", flags, crs=UTM, transform=Affine(*place))
        with gaps(Mask(str(path), "nonzero"), reference=half, watch=watch) as found:
            assert found(TARGET.whole).sum() == 60 * min(columns, 40)
            assert not found(Window(0, 0, 60, 20)).any()  # all beside the mask
        assert [n.code for n in watch.notices] == told
    assert watch.notices[0].arguments["percent"] == 50


def test_a_mask_without_a_place_lies_where_its_reference_does(write):
    reference = Grid(UTM, (20.0, 0.0, 299900.0, 0.0, -20.0, 5000100.0), 45, 35)
    flags = np.random.default_rng(1).random((35, 45)) > 0.8
    path = write("m.tif", flags.astype(np.uint8), crs=None, transform=Affine.identity())
    watch = Watch()
    with gaps(Mask(str(path)), reference=reference, watch=watch) as found:
        expected = flags.repeat(2, 0).repeat(2, 1)[10:70, 10:90]
        assert np.array_equal(found(TARGET.whole), expected)
    assert [n.code for n in watch.notices] == ["mask.paired"]
    with pytest.raises(TerramendError) as raised:
        gaps(Mask(str(path)))
    assert raised.value.code == "mask.size"


def test_any_band_of_a_mask_per_band_counts(write):
    flags = np.random.default_rng(2).random((3, 60, 80)) > 0.9
    path = str(write("m.tif", flags.astype(np.uint8)))
    with gaps(Mask(path), bands=3) as found:
        assert np.array_equal(found(TARGET.whole), flags.any(axis=0))


def test_what_any_band_of_a_mask_per_band_did_not_observe_is_a_gap(write):
    flags = np.zeros((3, 60, 80), np.uint8)
    flags[1, 5:9] = 255
    with gaps(Mask(str(write("m.tif", flags, nodata=255)), "nodata"), bands=3) as found:
        assert np.array_equal(found(TARGET.whole), flags.any(axis=0))


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """A mask on a turned grid in another CRS."""
    import rasterio

    flags = ndimage.uniform_filter(np.random.default_rng(3).random((220, 220)), 5) > 0.56
    path = tmp_path_factory.mktemp("turned") / "m.tif"
    transform = Affine.translation(12.458, 45.1335) @ Affine.scale(8e-5) @ Affine.rotation(-60)
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=220, width=220, dtype="uint8", crs="EPSG:4326",
        transform=transform,
    ) as file:  # fmt: skip
        file.write(flags.astype(np.uint8), 1)
    return str(path)


@settings(max_examples=40)
@given(st.data(), st.integers(0, 12))
def test_windows_never_matter(turned, data, radius):
    row, column = data.draw(st.integers(0, 59)), data.draw(st.integers(0, 79))
    height, width = data.draw(st.integers(1, 60 - row)), data.draw(st.integers(1, 80 - column))
    with gaps(Mask(turned), grow=f"{radius}px") as found:
        whole = found(TARGET.whole)
        window = Window(row, column, height, width)
        assert np.array_equal(found(window), whole[window.slices])
    assert whole.any()
