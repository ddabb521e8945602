"""The gap map against the same done at once on whole arrays (nodata: `test_footprint`)."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from gap_makers import TRANSFORM, UTM, G, O, V, build, codes, disc, holed, raster, save
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from scipy import ndimage
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Window
from terramend.backend.raster.masks import footprint, gapmap
from terramend.backend.raster.masks.gapmap import CELL
from terramend.backend.raster.raster import Raster
from terramend.backend.request import Mask
from terramend.backend.watch import Watch

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


@pytest.mark.parametrize("grow", [None, "0", "6px"])
def test_cloud_reaches_into_what_its_mask_did_not_observe(tmp_path, tmp, grow):
    """Stripes of Landsat 7: QA_PIXEL calls fill what any band lacks, and other bands show a little more."""
    stripe = np.zeros((70, 90), bool)
    stripe[30:42] = True
    samples = np.full((2, 70, 90), 7, np.uint8)
    samples[0, 30:40], samples[1, 32:42] = 0, 0
    target = raster(save(tmp_path / "t.tif", samples, nodata=0))
    cloud = np.zeros((70, 90), bool)
    cloud[:, 50:] = True
    qa = np.where(cloud, 22280, 21824).astype(np.uint16)
    qa[stripe] = 1
    mask = Mask(save(tmp_path / "qa.tif", qa, nodata=1), "qa_pixel")
    found = codes(target, mask, directory=tmp, grow=grow, fill_swath_edges=True)
    seen, marked = samples > 0, cloud & ~stripe
    radius = {None: 1, "0": 0, "6px": 6}[grow]
    assert ((found == G) == (disc(marked, radius) | disc(marked, 4) & stripe | ~seen)).all()
    assert (found[:, stripe & cloud] == G).all()
    assert (found[:, :, :44][seen[:, :, :44]] == V).all()


def test_the_products_own_masks_are_used_where_none_is_given(tmp_path, tmp, plain):
    flags = np.eye(70, 90, dtype=bool)
    own = Raster("t", plain.grid, plain.bands, masks=(Mask(save(tmp_path / "m.tif", flags), "nonzero"),))
    assert np.array_equal(codes(own, directory=tmp)[0] == G, flags)
    assert not codes(own, Mask("", "none"), directory=tmp).any()
    other = flags[:, ::-1]
    named = Mask(save(tmp_path / "o.tif", other), "nonzero")
    assert np.array_equal(codes(own, named, directory=tmp)[0] == G, other)
    with build(own, named, directory=tmp, own=True) as gap_map:
        assert np.array_equal(gap_map.read(plain.grid.whole)[0] == G, flags | other)
        assert [mask.path for mask in gap_map.masks] == [named.path, own.masks[0].path], "those named first"


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


def test_a_finer_mask_that_begins_within_a_pixel_marks_it(tmp_path, tmp, plain):
    place = (2.5, 0, 300107.5, 0, -2.5, 4999792.5)
    path = save(tmp_path / "m.tif", np.ones((20, 30), bool), transform=place)
    expected = np.zeros((70, 90), bool)
    expected[20:26, 10:19] = True
    assert np.array_equal(codes(plain, Mask(path), directory=tmp)[0] == G, expected)


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
