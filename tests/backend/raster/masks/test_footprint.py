"""What counts as observed, as a hole and as outside, seen in the gap map."""

import numpy as np
import pytest
import rasterio
from gap_makers import G, O, V, build, codes, disc, holed, raster, save
from terramend.backend.raster.reader import RasterReader
from terramend.backend.request import Mask
from terramend.backend.watch import Watch

# --- nodata ---


@pytest.mark.parametrize(
    ("dtype", "nodata", "zero_fill"),
    [("uint16", 0, False), ("uint16", None, True), ("int16", -9999, False), ("float32", None, False),
     ("float32", -9999, False), ("uint8", 255, False)],
)  # fmt: skip
def test_holes_are_gaps_and_what_is_open_is_outside(tmp_path, tmp, dtype, nodata, zero_fill):
    parts = holed()
    samples = np.full((2, 40, 50), 7, dtype)
    hidden = nodata if nodata is not None else (0 if zero_fill else np.nan)
    samples[:, parts > 0] = hidden
    samples[0, 0, 49] = 0 if nodata != 0 else 7  # zero in one band is a value
    target = raster(save(tmp_path / "t.tif", samples, nodata=nodata), zero_fill=zero_fill)
    watch = Watch()
    found = codes(target, directory=tmp, watch=watch)
    assert np.array_equal(found[0], np.choose(parts, [V, O, G, O]))
    assert np.array_equal(found[0], found[1])
    (said,) = (n.arguments["percent"] for n in watch.notices if n.code == "mask.open-nodata")
    assert said == round(100 * (45 + 30) / (2000 - 55), 1)  # of the hull: without 55 pixels of the corner
    filled = codes(target, directory=tmp, fill_swath_edges=True)
    corner = np.add.outer(np.arange(40), np.arange(50)) >= 10  # the hull cuts the corner off
    assert np.array_equal(
        filled[0], np.where(parts == 1, np.where(corner, G, O), np.choose(parts, [V, O, G, G]))
    )


def test_undeclared_zero_is_a_value_unless_the_raster_says_otherwise(tmp_path, tmp):
    samples = np.where(holed() > 0, 0, 7).astype(np.uint8)
    target = raster(save(tmp_path / "t.tif", samples))
    assert not codes(target, directory=tmp).any()
    named = codes(target, Mask(target.bands[0].path, "nodata"), directory=tmp)
    assert np.array_equal(named[0], np.choose(holed(), [V, O, G, O]))


def test_bands_have_their_own_gaps(tmp_path, tmp):
    samples = np.full((3, 40, 50), 7, np.uint16)
    samples[0, 5:9] = 0  # a stripe to both edges, in one band
    samples[1, 12:16] = 0
    samples[:, 20:24] = 0  # a stripe in all bands: open, so outside
    samples[:, 30:33, 10:20] = 0
    target = raster(save(tmp_path / "t.tif", samples, nodata=0))
    expected = np.zeros((3, 40, 50), np.uint8)
    expected[0, 5:9], expected[1, 12:16], expected[:, 20:24], expected[:, 30:33, 10:20] = G, G, O, G
    with build(target, directory=tmp) as gap_map:
        assert np.array_equal(gap_map.read(target.grid.whole), expected)
        assert gap_map.gap_counts == (230, 230, 30)
        assert gap_map.footprint_counts == (1800, 1800, 1800)
        assert gap_map.fraction == pytest.approx(490 / 5400)
        assert gap_map.fractions == pytest.approx((230 / 1800, 230 / 1800, 30 / 1800))


def test_class_and_alpha_bands_follow_the_others(tmp_path, tmp):
    samples = np.full((3, 40, 50), 255, np.uint8)
    samples[1] = 0  # class 0 everywhere: no nodata
    parts = holed()
    samples[2, parts > 0] = 0  # alpha
    target = raster(save(tmp_path / "t.tif", samples), roles={2: "class", 3: "alpha"})
    with build(target, directory=tmp) as gap_map:
        found = gap_map.read(target.grid.whole)
        assert gap_map.gap_samples == 50  # of the optical band alone
    assert np.array_equal(found, np.stack([np.choose(parts, [V, O, G, O])] * 3))


def test_a_mask_stored_with_the_file(tmp_path, tmp):
    parts, path = holed(), tmp_path / "t.tif"
    save(path, np.full((2, 40, 50), 7, np.uint8))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.where(parts > 0, 0, 255).astype(np.uint8))
    assert np.array_equal(codes(raster(path), directory=tmp)[1], np.choose(parts, [V, O, G, O]))


def test_masks_of_clouds_ask_for_open_nodata_masks_of_validity_do_not(tmp_path, tmp):
    samples = np.where(holed() == 1, 0, 7).astype(np.uint8)
    target = raster(save(tmp_path / "t.tif", samples, nodata=0))
    cloud = np.zeros((40, 50), np.uint8)
    cloud[5:15, :20] = 1
    path = save(tmp_path / "m.tif", cloud)
    watch = Watch()
    found = codes(target, Mask(path, "nonzero"), directory=tmp, watch=watch)[0]
    assert np.array_equal(found, np.where(cloud, G, np.where(samples, V, O)))
    assert "mask.open-nodata" in [n.code for n in watch.notices]  # what the mask leaves
    validity = Mask(save(tmp_path / "v.tif", 1 - cloud), "zero")
    found = codes(target, validity, directory=tmp)[0]
    assert np.array_equal(found, np.where(samples == 0, O, np.where(cloud, G, V)))
    everything = Mask(save(tmp_path / "e.tif", np.ones((40, 50), np.uint8)), "nonzero")
    watch = Watch()
    assert (codes(target, everything, directory=tmp, watch=watch) == G).all()
    assert [n.code for n in watch.notices] == ["mask.everything"]


def test_growth_does_not_ask_for_open_nodata(tmp_path, tmp):
    samples = np.where(holed() == 1, 0, 7).astype(np.uint8)
    cloud = np.zeros((40, 50), np.uint8)
    cloud[11, 5] = 1
    mask = Mask(save(tmp_path / "m.tif", cloud), "nonzero")
    found = codes(raster(save(tmp_path / "t.tif", samples, nodata=0)), mask, directory=tmp, grow="4px")[0]
    assert (found[:10, :10] == O).all()
    assert found[12, 5] == G


def test_fill_of_a_mask_counts_where_the_target_cannot_tell(tmp_path, tmp):
    parts = holed()
    scl = np.choose(parts, [4, 0, 0, 0]).astype(np.uint8)
    mask = Mask(save(tmp_path / "s.tif", scl), "scl")
    silent = raster(save(tmp_path / "t.tif", np.full((40, 50), 7, np.uint8)))
    assert np.array_equal(codes(silent, mask, directory=tmp)[0], np.choose(parts, [V, O, G, O]))
    telling = raster(save(tmp_path / "u.tif", np.full((40, 50), 7, np.uint8), nodata=0))
    assert not codes(telling, mask, directory=tmp).any()


def test_nodata_grows_only_where_it_is_the_mask(tmp_path, tmp):
    samples = np.full((40, 50), 7, np.uint8)
    samples[20, 25] = 0
    target = raster(save(tmp_path / "t.tif", samples, nodata=0))
    hole = samples == 0
    flags = np.zeros((40, 50), bool)
    flags[5, 5] = True
    mask = Mask(save(tmp_path / "m.tif", flags))
    assert np.array_equal(codes(target, directory=tmp)[0] == G, hole)
    assert np.array_equal(codes(target, directory=tmp, grow="4px")[0] == G, disc(hole, 4))
    assert np.array_equal(codes(target, mask, directory=tmp, grow="4px")[0] == G, disc(flags, 4) | hole)
    own = Mask(target.bands[0].path, "nodata")
    both = codes(target, mask, own, directory=tmp, grow="4px")
    assert np.array_equal(both[0] == G, disc(flags | hole, 4))


@pytest.mark.parametrize(("dtype", "nodata"), [("float32", np.nan), ("int16", -9999)])
@pytest.mark.parametrize("whole", [False, True])
def test_nodata_that_is_named_by_its_value_is_filled_up_to_the_edge(tmp_path, tmp, dtype, nodata, whole):
    """As what is said of nodata that is left tells to do."""
    samples = np.full((2, 40, 50), 7, dtype)
    hidden = np.ones((40, 50), bool) if whole else holed() > 0
    samples[:, hidden] = nodata
    path = save(tmp_path / "t.tif", samples, nodata=nodata)
    watch = Watch()
    codes(raster(path, zero_fill=False), directory=tmp, watch=watch)
    assert "value=V" in watch.notices[0].sentence and "value=nan" in watch.notices[0].sentence
    watch = Watch()
    own = Mask(path, f"value={nodata}")
    found = codes(raster(path, zero_fill=False), own, directory=tmp, watch=watch)
    assert np.array_equal(found[0] == G, hidden)
    assert [n.code for n in watch.notices] == (["mask.everything"] if whole else [])


@pytest.mark.parametrize("value", [0, 7])
def test_scenes_of_one_pixel(tmp_path, tmp, value):
    target = raster(save(tmp_path / "t.tif", np.full((2, 1, 1), value, np.uint8), nodata=0))
    watch = Watch()
    assert codes(target, directory=tmp, watch=watch).tolist() == [[[V if value else O]]] * 2
    assert [n.code for n in watch.notices] == ([] if value else ["target.empty"])
    mask = Mask(save(tmp_path / "m.tif", np.ones((1, 1), bool)))
    assert codes(target, mask, directory=tmp, grow="50px").tolist() == [[[G]]] * 2


def test_nodata_is_what_the_reader_hides(tmp_path, tmp):
    """What the gap map calls observed and what the raster reader reads as a number are one thing."""
    rng = np.random.default_rng(7)
    samples = rng.integers(0, 3, (4, 60, 50)).astype(np.float32)
    samples[rng.random(samples.shape) > 0.9] = np.nan
    samples[:, rng.random((60, 50)) > 0.9] = 0
    samples[3] = rng.random((60, 50)) > 0.1
    path = save(tmp_path / "t.tif", samples, nodata=2)
    target = raster(path, roles={4: "alpha"}, zero_fill=True)
    found = codes(target, directory=tmp)
    with RasterReader(target) as reader:
        observed = np.isfinite(reader.reflectance(target.grid.whole))
    assert np.array_equal(found[:3] == V, observed[:3])
