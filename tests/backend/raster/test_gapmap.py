"""The gap map against the same done at once on whole arrays."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from scipy import ndimage
from terramend.backend.errors import TerramendError
from terramend.backend.raster import footprint, gapmap
from terramend.backend.raster.gapmap import CELL, GAP, OUTSIDE, VALID, build_gap_map
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.raster import Band, Raster
from terramend.backend.request import DEFAULT_CLASSES, Mask
from terramend.backend.watch import Watch

UTM = CRS.from_epsg(32633).to_wkt()
TRANSFORM = (10.0, 0.0, 300000.0, 0.0, -10.0, 5000000.0)  # as the fixture `write` has it
V, G, O = VALID, GAP, OUTSIDE  # noqa: E741


def save(path, samples, transform=TRANSFORM, crs=UTM, **profile):
    samples = samples[None] if samples.ndim == 2 else samples
    samples = samples.astype(np.uint8) if samples.dtype == bool else samples
    count, height, width = samples.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=samples.dtype, crs=crs,
        transform=rasterio.Affine(*transform), **profile,
    ) as file:  # fmt: skip
        file.write(samples)
    return str(path)


def raster(path, roles=None, **facts):
    with rasterio.open(path) as file:
        grid = Grid(
            file.crs.to_wkt() if file.crs else None, tuple(file.transform)[:6], file.width, file.height
        )
        bands = tuple(
            Band(str(path), i, f"B{i}", (roles or {}).get(i, "optical"), 500.0, file.dtypes[i - 1],
                 file.nodatavals[i - 1], 1e-4, 0.0)
            for i in file.indexes
        )  # fmt: skip
    return Raster("target", grid, bands, **facts)


def build(target, *masks, directory, watch=None, **options):
    options = {"grow": None, "classes": DEFAULT_CLASSES, "cloud_threshold": None, "extent": None} | options
    options.setdefault("fill_swath_edges", False)
    directory.mkdir(exist_ok=True)
    return build_gap_map(target, masks, directory=directory, watch=watch or Watch(), **options)


def codes(target, *masks, directory, **options):
    with build(target, *masks, directory=directory, **options) as gap_map:
        return gap_map.read(target.grid.whole).copy()


@pytest.fixture
def tmp(tmp_path):
    folder = tmp_path / "work"
    yield folder
    assert not folder.exists() or not list(folder.iterdir()), "temporary files are left"


@pytest.fixture
def plain(tmp_path):
    """A target without nodata of 3 bands and 70 x 90 pixels."""
    return raster(save(tmp_path / "target.tif", np.full((3, 70, 90), 100, np.uint16)))


def disc(flags, radius):
    return ndimage.distance_transform_edt(~flags) <= radius if flags.any() else flags


# --- masks ---


def test_a_plain_mask(tmp_path, tmp, plain):
    flags = np.random.default_rng(0).random((70, 90)) > 0.9
    found = codes(plain, Mask(save(tmp_path / "m.tif", flags)), directory=tmp)
    assert found.shape == (3, 70, 90)
    assert np.array_equal(found, np.broadcast_to(flags, found.shape))


def test_masks_are_united_with_their_own_growth(tmp_path, tmp, plain):
    rng = np.random.default_rng(1)
    clouds, scl = rng.random((70, 90)) > 0.999, np.where(rng.random((70, 90)) > 0.999, 3, 4).astype(np.uint8)
    masks = Mask(save(tmp_path / "m.tif", clouds)), Mask(save(tmp_path / "s.tif", scl), "scl")
    assert np.array_equal(codes(plain, *masks, directory=tmp)[0] == G, clouds | disc(scl == 3, 3))
    assert np.array_equal(
        codes(plain, *masks, directory=tmp, grow="5px")[2] == G, disc(clouds | (scl == 3), 5)
    )
    assert np.array_equal(codes(plain, *masks, directory=tmp, grow="0")[1] == G, clouds | (scl == 3))
    assert np.array_equal(
        codes(plain, *masks, directory=tmp, grow="25m")[1] == G, disc(clouds | (scl == 3), 2.5)
    )


@pytest.mark.parametrize(
    ("classes", "marked"),
    [(("cloud",), {8, 9}), (("snow", "water"), {6, 11}), ((), set()), (("shadow",), {3})],
)
def test_classes_are_ticked(tmp_path, tmp, plain, classes, marked):
    scl = np.resize(np.arange(12, dtype=np.uint8), (70, 90))
    found = codes(plain, Mask(save(tmp_path / "s.tif", scl), "scl"), directory=tmp, classes=classes, grow="0")
    assert np.array_equal(found[0] == G, np.isin(scl, list(marked)) | (scl == 0) & (found[0] == G))
    assert set(np.unique(scl[(found[0] == G) & (scl > 0)])) == marked


def test_the_products_own_masks_are_used_where_none_is_given(tmp_path, tmp, plain):
    flags = np.eye(70, 90, dtype=bool)
    own = Raster("t", plain.grid, plain.bands, masks=(Mask(save(tmp_path / "m.tif", flags), "nonzero"),))
    assert np.array_equal(codes(own, directory=tmp)[0] == G, flags)
    assert not codes(own, Mask("", "none"), directory=tmp).any()


def test_one_mask_a_band(tmp_path, tmp, plain):
    flags = np.random.default_rng(2).random((3, 70, 90)) > 0.995
    with build(plain, Mask(save(tmp_path / "m.tif", flags)), directory=tmp, grow="2px") as gap_map:
        found = gap_map.read(plain.grid.whole)
        assert gap_map.gap_counts == tuple((found == G).sum(axis=(1, 2)).tolist())
        assert gap_map.cells.sum() == (found == G).any(axis=0).sum()
    assert np.array_equal(found == G, [disc(band, 2) for band in flags])


def test_polygons(tmp_path, tmp, plain):
    path = tmp_path / "p.geojson"
    path.write_text(
        '{"type": "Polygon", "coordinates": [[[300100, 4999900], [300200, 4999900], [300200, 4999800], '
        '[300100, 4999800], [300100, 4999900]]], "crs": {"type": "name", "properties": {"name": "EPSG:32633"}}}'
    )
    expected = np.zeros((70, 90), bool)
    expected[10:20, 10:20] = True
    for kind in ("auto", "polygons"):
        assert np.array_equal(codes(plain, Mask(str(path), kind), directory=tmp)[0] == G, expected)
    assert np.array_equal(codes(plain, Mask(str(path)), directory=tmp, grow="2px")[0] == G, disc(expected, 2))


# --- masks on other grids ---


def test_a_coarser_mask_is_taken_by_the_nearest_pixel(tmp_path, tmp, plain):
    flags = np.random.default_rng(3).random((35, 45)) > 0.9
    path = save(tmp_path / "m.tif", flags, transform=(20, 0, 300000, 0, -20, 5000000))
    assert np.array_equal(codes(plain, Mask(path), directory=tmp)[0] == G, flags.repeat(2, 0).repeat(2, 1))


def test_default_growth_is_in_pixels_of_the_mask(tmp_path, tmp, plain):
    scl = np.full((35, 45), 4, np.uint8)
    scl[17, 22] = 9
    path = save(tmp_path / "s.tif", scl, transform=(20, 0, 300000, 0, -20, 5000000))
    cloud = (scl == 9).repeat(2, 0).repeat(2, 1)
    assert np.array_equal(codes(plain, Mask(path, "scl"), directory=tmp)[0] == G, disc(cloud, 6))


def test_a_finer_mask_marks_a_pixel_if_any_of_its_pixels_is(tmp_path, tmp, plain):
    flags = np.random.default_rng(4).random((140, 180)) > 0.98
    path = save(tmp_path / "m.tif", flags, transform=(5, 0, 300000, 0, -5, 5000000))
    expected = flags.reshape(70, 2, 90, 2).any(axis=(1, 3))
    assert np.array_equal(codes(plain, Mask(path), directory=tmp)[0] == G, expected)


@pytest.mark.parametrize(("size", "east", "south"), [(5, 5, 5), (4, 0, 0), (7.5, 0, 0), (3.2, 1, 2)])
def test_a_finer_mask_may_lie_to_its_raster_as_it_likes(tmp_path, tmp, plain, size, east, south):
    rows, columns = np.random.default_rng(5).integers(0, 400 // size, (2, 30))
    flags = np.zeros((int(800 // size), int(1000 // size)), bool)
    flags[rows, columns] = True
    path = save(tmp_path / "m.tif", flags, transform=(size, 0, 300000 + east, 0, -size, 5000000 - south))
    marked = codes(plain, Mask(path), directory=tmp)[0] == G
    left, top = columns * size + east, rows * size + south  # metres from the raster's corner
    centres = np.zeros_like(marked)
    centres[((top + size / 2) // 10).astype(int), ((left + size / 2) // 10).astype(int)] = True
    touched = np.zeros_like(marked)
    for i in range(30):
        bottom, right = top[i] + size - 1e-6, left[i] + size - 1e-6
        touched[int(top[i] // 10) : int(bottom // 10) + 1, int(left[i] // 10) : int(right // 10) + 1] = True
    assert not (centres & ~marked).any()
    assert not (marked & ~touched).any()


def test_a_mask_that_covers_a_part_marks_nothing_beyond(tmp_path, tmp, plain):
    watch = Watch()
    path = save(tmp_path / "m.tif", np.zeros((20, 30), bool), transform=(10, 0, 300100, 0, -10, 4999800))
    found = codes(plain, Mask(path, "zero"), directory=tmp, watch=watch)[0] == G
    expected = np.zeros((70, 90), bool)
    expected[20:40, 10:40] = True
    assert np.array_equal(found, expected)
    assert [n.code for n in watch.notices] == ["mask.partial"]


def test_a_mask_in_another_crs(tmp_path, tmp, plain):
    from rasterio.warp import Resampling, reproject

    flags = ndimage.uniform_filter(np.random.default_rng(5).random((200, 260)), 9) > 0.52
    transform = (0.0002, 0, 12.455, 0, -0.0001, 45.131)
    path = save(tmp_path / "m.tif", flags, transform=transform, crs=CRS.from_epsg(4326).to_wkt())
    expected = np.zeros((70, 90), np.uint8)
    reproject(
        flags.astype(np.uint8), expected, src_transform=rasterio.Affine(*transform), src_crs="EPSG:4326",
        dst_transform=rasterio.Affine(*TRANSFORM), dst_crs=UTM, resampling=Resampling.nearest, tolerance=0,
    )  # fmt: skip
    found = codes(plain, Mask(path), directory=tmp)[0]
    assert expected.any() and (found != expected).mean() < 0.002


def test_masks_elsewhere_or_of_unknown_place(tmp_path, tmp, plain):
    flags = np.ones((70, 90), bool)
    apart = save(tmp_path / "a.tif", flags, transform=(10, 0, 900000, 0, -10, 5000000))
    with pytest.raises(TerramendError) as raised:
        codes(plain, Mask(apart), directory=tmp)
    assert raised.value.code == "mask.apart"
    nowhere = save(tmp_path / "n.tif", flags[:50], crs=None, transform=(1, 0, 0, 0, 1, 0))
    with pytest.raises(TerramendError) as raised:
        codes(plain, Mask(nowhere), directory=tmp)
    assert raised.value.code == "mask.size"
    assert "90 x 50" in str(raised.value) and "90 x 70" in str(raised.value)


def test_a_mask_of_the_same_size_without_a_place_is_paired(tmp_path, tmp, plain):
    watch = Watch()
    flags = np.eye(70, 90, dtype=bool)
    path = save(tmp_path / "m.tif", flags, crs=None, transform=(1, 0, 0, 0, 1, 0))
    assert np.array_equal(codes(plain, Mask(path), directory=tmp, watch=watch)[0] == G, flags)
    assert [n.code for n in watch.notices] == ["mask.paired"]


# --- nodata ---


def holed(height=40, width=50):
    """Nodata: a corner that reaches the edge (1), a hole (2), a wedge that is open to the edge (3)."""
    parts = np.zeros((height, width), np.uint8)
    parts[:10, :10] = 1
    parts[20:25, 20:30] = 2
    parts[30:32, 35:] = 3
    return parts


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
    assert "mask.open-nodata" in [n.code for n in watch.notices]
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


@pytest.mark.parametrize("value", [0, 7])
def test_scenes_of_one_pixel(tmp_path, tmp, value):
    target = raster(save(tmp_path / "t.tif", np.full((2, 1, 1), value, np.uint8), nodata=0))
    watch = Watch()
    assert codes(target, directory=tmp, watch=watch).tolist() == [[[V if value else O]]] * 2
    assert [n.code for n in watch.notices] == ([] if value else ["target.empty"])
    mask = Mask(save(tmp_path / "m.tif", np.ones((1, 1), bool)))
    assert codes(target, mask, directory=tmp, grow="50px").tolist() == [[[G]]] * 2


# --- extent ---


def test_extent_restricts_gaps_and_hides_what_is_masked_beyond(tmp_path, tmp, plain):
    flags = np.random.default_rng(6).random((70, 90)) > 0.5
    mask = Mask(save(tmp_path / "m.tif", flags))
    found = codes(plain, mask, directory=tmp, extent="300100,4999500,300500,4999900")[0]
    inside = np.zeros((70, 90), bool)
    inside[10:50, 10:50] = True
    assert np.array_equal(found, np.where(flags, np.where(inside, G, O), V))


# --- reading and counting ---


def test_windows_counts_and_uses(tmp_path, tmp):
    flags = np.zeros((300, 500), bool)
    flags[130:140, 200:210] = True
    target = raster(save(tmp_path / "t.tif", np.full((4, 300, 500), 9, np.uint8)))
    path = save(tmp_path / "m.tif", flags)
    with build(target, Mask(path), directory=tmp) as gap_map:
        for window in target.grid.blocks(77):
            part = gap_map.read(window)
            assert np.array_equal(
                part, np.broadcast_to(flags[window.slices], (4, *flags[window.slices].shape))
            )
            assert gap_map.any_gap(window) or not part.any()
        assert not gap_map.any_gap(Window(0, 0, 2 * CELL, 500))
        assert not gap_map.any_gap(Window(2 * CELL, 0, CELL, 3 * CELL))
        assert gap_map.any_gap(Window(139, 209, 1, 1))
        assert (gap_map.gap_samples, gap_map.footprint_samples) == (400, 600000)
        assert [(m.path, m.kind, m.growth) for m in gap_map.masks] == [(path, "nonzero", 0)]
        assert gap_map.masks[0].marked == pytest.approx(100 / 150000)


@pytest.mark.parametrize(
    ("kind", "told"),
    [("clm", ["mask.no-shadow"]), ("nonzero", []), ("scl", []), ("cloudprob", ["mask.no-shadow"])],
)
def test_clouds_without_shadows_are_said(tmp_path, tmp, plain, kind, told):
    watch = Watch()
    values = np.full((70, 90), 0 if kind == "clm" else 3, np.uint8)
    values[5, 5] = {"clm": 1, "cloudprob": 90}.get(kind, 9)
    mask = Mask(save(tmp_path / "m.tif", values), kind)
    codes(plain, mask, directory=tmp, watch=watch, grow="0")
    assert [n.code for n in watch.notices if n.code != "mask.everything"] == told
    quiet = Watch()
    shadows = Mask(save(tmp_path / "s.tif", np.eye(70, 90, dtype=bool)), "nonzero")
    codes(plain, mask, shadows, directory=tmp, watch=quiet)
    assert "mask.no-shadow" not in [n.code for n in quiet.notices]


def test_masks_that_mark_nothing_are_said(tmp_path, tmp, plain):
    watch = Watch()
    codes(plain, Mask(save(tmp_path / "m.tif", np.zeros((70, 90), bool))), directory=tmp, watch=watch)
    assert [n.code for n in watch.notices] == ["mask.nothing"]


def test_a_cancel_leaves_nothing_behind(tmp_path, tmp, monkeypatch):
    samples = np.where(holed() > 0, 0, 7).astype(np.uint8)
    target = raster(save(tmp_path / "t.tif", samples, nodata=0))
    mask = Mask(save(tmp_path / "m.tif", np.eye(40, 50, dtype=bool)))
    for step in range(4):
        watch = Watch()
        steps = iter(range(step))
        advance = watch.advance

        def stop(units=1, *, steps=steps, watch=watch, advance=advance):
            if next(steps, None) is None:
                watch.cancel()
            advance(units)

        monkeypatch.setattr(watch, "advance", stop)
        if step < 3:
            with pytest.raises(TerramendError) as raised:
                codes(target, mask, directory=tmp, watch=watch)
            assert raised.value.code == "run.cancelled"
        else:
            codes(target, mask, directory=tmp, watch=watch)
        assert not list(tmp.iterdir())


# --- properties ---

SCENES = st.tuples(st.integers(1, 150), st.integers(1, 40), st.integers(1, 10), st.integers(0, 2**31))


def scene(folder, height, width, bands, seed):
    """A target with nodata per band and two masks, as files; and their arrays."""
    rng = np.random.default_rng(seed)
    hidden = ndimage.uniform_filter(rng.random((height, width)), 3) < rng.uniform(0.2, 0.5)
    samples = np.where(hidden | (rng.random((bands, height, width)) > 0.98), 0, 7).astype(np.uint8)
    flags = [rng.random((height, width)) > 0.99 for _ in range(2)]
    target = raster(save(folder / "t.tif", samples, nodata=0))
    return target, samples == 0, flags, [save(folder / f"{i}.tif", f) for i, f in enumerate(flags)]


@settings(max_examples=40)
@given(SCENES, st.integers(0, 15), st.booleans())
def test_strips_never_matter(shape, radius, edges):
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        target, nodata, flags, paths = scene(folder, *shape)
        masks = [Mask(path, "nonzero") for path in paths]

        def rows_of_64(grid, bytes_per_pixel, least=0):
            for row in range(0, grid.height, 64):
                yield Window(row, 0, min(64, grid.height - row), grid.width)

        options = {"grow": f"{radius}px", "fill_swath_edges": edges, "directory": folder / "w"}
        whole = codes(target, *masks, **options)
        patch.setattr(footprint, "strips", rows_of_64)
        patch.setattr(gapmap, "strips", rows_of_64)
        assert np.array_equal(codes(target, *masks, **options), whole)
        marked = disc(flags[0] | flags[1], radius)
        everywhere = nodata.all(axis=0)
        if not edges:
            outside = everywhere & ~ndimage.binary_fill_holes(~everywhere)
            beyond = outside & ~(flags[0] | flags[1])  # a mask asks for what it marks, not for its growth
            expected = np.where(beyond, O, (marked | nodata).astype(np.uint8))
            assert np.array_equal(whole, expected)
        else:
            assert not (whole[:, ~everywhere] == O).any()


@settings(max_examples=20)
@given(SCENES, st.integers(0, 5))
def test_more_masks_never_mean_fewer_gaps(shape, radius):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target, _, _, paths = scene(folder, *shape)
        masks = [Mask(path, "nonzero") for path in paths]
        options = {"grow": f"{radius}px", "directory": folder / "w"}
        one, other = (codes(target, mask, **options) for mask in masks)
        both, swapped = codes(target, *masks, **options), codes(target, *masks[::-1], **options)
        assert np.array_equal(both, swapped)
        assert np.array_equal(both == G, (one == G) | (other == G))
        wider = codes(target, *masks, directory=folder / "w", grow=f"{radius + 1}px")
        assert ((wider == G) | (both != G)).all()


def test_nodata_is_what_the_reader_hides(tmp_path, tmp):
    """What the gap map calls observed and what the raster reader reads as a number are one thing."""
    from terramend.backend.raster.reader import RasterReader

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
