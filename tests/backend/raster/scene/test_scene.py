"""The scene: tiles and overviews hold exactly what the files and masks say."""

import tracemalloc
from contextlib import contextmanager
from dataclasses import replace

import makers
import numpy as np
import pytest
import rasterio.crs
import rasterio.warp
from terramend.backend.errors import TerramendError
from terramend.backend.raster.grid import Grid, Window
from terramend.backend.raster.masks.gapmap import build_gap_map
from terramend.backend.raster.products.products import open_product
from terramend.backend.raster.products.radiometry import apply, in_words
from terramend.backend.raster.scene import scene as scene_module
from terramend.backend.raster.scene.fill_bands import fill_bands, say_left, unit_of
from terramend.backend.raster.scene.references import open_references
from terramend.backend.raster.scene.scene import open_scene
from terramend.backend.request import FillRequest, Mask, Reference
from terramend.backend.watch import Watch
from terramend.models import threads
from terramend.models.base import digest

CLEAR = (Mask("", "none"),)


def image(seed, bands=3, height=130, width=150, dtype=np.uint16):
    return np.random.default_rng(seed).integers(1, 9000, (bands, height, width)).astype(dtype)


def spots(seed, height=130, width=150):
    return (np.random.default_rng(seed).random((height // 10, width // 10)) < 0.2).repeat(10, 0).repeat(10, 1)


@contextmanager
def scene_of(tmp_path, path, watch=None, mode="fill", **options):
    watch = watch or Watch()
    request = FillRequest((str(path),), "out.tif", mode=mode, radiometry="sentinel2", **options)
    rasters = open_product(
        request.target, radiometry="sentinel2", sun=request.sun, date=request.date, watch=watch
    )
    references = open_references(request, rasters[0], watch)
    gap_map = build_gap_map(
        rasters[0], request.gaps, grow=request.grow, classes=request.classes, cloud_threshold=None,
        fill_swath_edges=False, extent=None, directory=tmp_path, watch=watch,
    )  # fmt: skip
    with gap_map, open_scene(request, rasters[0], references, gap_map, watch) as scene:
        yield scene


@pytest.fixture
def inputs(tmp_path):
    """A target with its mask, two references (one on another grid), a DEM and radar."""
    mask, other = spots(1), spots(2)
    made = {
        "image": image(0), "mask": mask, "other": image(5), "other_mask": other,
        "path": makers.write(tmp_path / "t_20200101.tif", image(0)),
        "gaps": (Mask(makers.write(tmp_path / "m.tif", mask.astype(np.uint8)), "nonzero"),),
        "dem": makers.write(tmp_path / "dem.tif", image(7, 1, 60, 60).astype(np.float32), 90, left=makers.LEFT - 900, top=makers.TOP + 900),
        "sar": makers.write(tmp_path / "s1.tif", -10 - image(8, 2).astype(np.float32) / 1000, descriptions=("VV", "VH")),
    }  # fmt: skip
    other_mask = makers.write(tmp_path / "om.tif", other.astype(np.uint8))
    made["references"] = (
        Reference(
            makers.write(tmp_path / "a.tif", made["other"]), (Mask(other_mask, "nonzero"),), "2020-01-11"
        ),
        Reference(
            makers.write(tmp_path / "b.tif", image(6, 2, 90, 90), 20, left=makers.LEFT - 37),
            CLEAR,
            "2019-12-30",
        ),
    )
    return made


def asked(inputs):
    return {
        "gaps": inputs["gaps"],
        "references": inputs["references"],
        "dem": inputs["dem"],
        "sar": inputs["sar"],
        "sun": (150.0, 40.0),
    }


def test_a_tile_holds_what_the_files_say(tmp_path, inputs):
    with scene_of(tmp_path, inputs["path"], **asked(inputs)) as scene:
        window = Window(20, 30, 64, 70)
        tile = scene.tile(window)
        stored = scene.stored(window)
    rows, columns = window.slices
    gaps = np.broadcast_to(inputs["mask"][rows, columns], tile.gaps.shape)
    assert np.array_equal(tile.gaps, gaps)
    assert np.array_equal(np.isnan(tile.image), gaps)
    values = inputs["image"][:, rows, columns]
    assert np.array_equal(stored, values)
    np.testing.assert_allclose(tile.image[~gaps], (values / 1e4)[~gaps], atol=1e-6)
    first, second = tile.references
    assert (first.days, second.days) == (10, -2)
    assert (first.image.shape, second.image.shape) == ((3, 64, 70), (2, 64, 70))
    hidden = np.broadcast_to(inputs["other_mask"][rows, columns], first.image.shape)
    assert np.array_equal(np.isnan(first.image), hidden)
    np.testing.assert_allclose(
        first.image[~hidden], (inputs["other"][:, rows, columns] / 1e4)[~hidden], atol=1e-6
    )
    assert np.isfinite(second.image).all()
    assert tile.terrain.shape == (3, 64, 70) and np.isfinite(tile.terrain).all()
    np.testing.assert_allclose(tile.sar, (-10 - image(8, 2) / 1000.0)[:, rows, columns], atol=1e-5)
    assert (tile.row, tile.column, tile.step, tile.pixel_size) == (20, 30, 1, (10.0, 10.0))


def test_reading_an_overview_tells_how_far_it_is(tmp_path, inputs, monkeypatch):
    monkeypatch.setattr(scene_module, "STRIP", 5000)
    told = []
    watch = Watch(on_progress=lambda said: told.append((said.stage, said.done, said.total)))
    with scene_of(tmp_path, inputs["path"], watch, **asked(inputs)) as scene:
        told.clear()
        scene.overview(75)
        strips = len(list(scene.strips(2)))
    assert strips > 3 and told == [("prepare", done, strips) for done in range(strips + 1)]


def test_tiles_agree_where_they_overlap(tmp_path, inputs):
    with scene_of(tmp_path, inputs["path"], grow="2px", **asked(inputs)) as scene:
        whole = scene.tile(scene.grid.whole)
        for window in (Window(0, 0, 65, 75), Window(31, 50, 64, 77), Window(129, 149, 1, 1)):
            tile = scene.tile(window)
            for part, of in (
                (tile.image, whole.image), (tile.gaps, whole.gaps), (tile.terrain, whole.terrain), (tile.sar, whole.sar),
                (tile.references[0].image, whole.references[0].image), (tile.references[1].image, whole.references[1].image),
            ):  # fmt: skip
                assert part.tobytes() == of[(slice(None), *window.slices)].tobytes()


def test_an_overview_is_the_mean_of_what_is_valid(tmp_path, inputs):
    with scene_of(tmp_path, inputs["path"], **asked(inputs)) as scene:
        view = scene.overview(75)
        assert view.step == 2
        tile = scene.tile(scene.grid.whole)
    valid = ~np.isnan(tile.image)
    count = valid.reshape(3, 65, 2, 75, 2).sum(axis=(2, 4))
    total = np.nan_to_num(tile.image).reshape(3, 65, 2, 75, 2).sum(axis=(2, 4))
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.where(count >= 2, total / count, np.nan)
    np.testing.assert_allclose(view.image, expected, atol=1e-6)
    assert np.array_equal(view.gaps, np.isnan(view.image))
    means = tile.references[0].image[:, :64, :64].reshape(3, 32, 2, 32, 2).mean(axis=(2, 4))
    known = np.isfinite(means)
    np.testing.assert_allclose(view.references[0].image[:, :32, :32][known], means[known], atol=1e-6)
    assert [r.image.shape for r in view.references] == [(3, 65, 75), (2, 65, 75)]
    assert view.terrain.shape == (3, 65, 75) and view.sar.shape == (2, 65, 75)
    assert view.pixel_size == (20, 20)


@pytest.mark.parametrize("side", [5, 12, 33])
def test_strongly_reduced_overviews_cover_the_scene(tmp_path, inputs, side):
    with scene_of(tmp_path, inputs["path"], **asked(inputs)) as scene:
        view = scene.overview(side)
        again = scene.overview(side)
    rows, columns = -(-130 // view.step), -(-150 // view.step)
    assert max(rows, columns) <= side < 2 * max(rows, columns) + 1
    for part in (view.image, view.gaps, view.terrain, view.sar, *(r.image for r in view.references)):
        assert part.shape[1:] == (rows, columns)
    assert view.image.tobytes() == again.image.tobytes()
    with np.errstate(invalid="ignore"):
        assert abs(np.nanmean(view.image) - 0.45) < 0.03
    assert np.isfinite(view.terrain).all() and np.isfinite(view.sar).all()


@pytest.mark.parametrize("side", [60, 1024])
def test_sources_read_side_by_side_are_those_read_in_turn(tmp_path, inputs, side):
    with scene_of(tmp_path, inputs["path"], **asked(inputs)) as scene:
        alone = scene.overview(side)
    with scene_of(tmp_path, inputs["path"], **asked(inputs)) as scene, threads.allowed(3):
        together = scene.overview(side)
    assert digest(alone) == digest(together)


def test_a_tile_of_a_scene_that_was_seen_at_full_size_is_a_part_of_it(tmp_path, inputs):
    window = Window(31, 50, 64, 77)
    with scene_of(tmp_path, inputs["path"], **asked(inputs)) as scene:
        read = scene.tile(window)
        whole = scene.overview()
        assert whole.step == 1
        cut = scene.tile(window)
        before = digest(whole)
        for part in (cut.image, cut.gaps, cut.terrain, cut.sar, *(r.image for r in cut.references)):
            part[...] = 0  # a tile is its owner's: the next one is not touched by what is done to it
        assert digest(whole) == before
        assert digest(scene.tile(window)) == digest(read)


def test_memory_of_an_overview_does_not_grow_with_the_scene(tmp_path):
    peaks = []
    for side in (1536, 3072):
        pixels = np.full((2, side, side), 500, np.uint16)
        path = makers.write(tmp_path / f"{side}.tif", pixels, tiled=True, compress="deflate", zlevel=1)
        reference = Reference(makers.write(tmp_path / f"r{side}.tif", pixels, 10.5, tiled=True), CLEAR)
        with scene_of(tmp_path, path, references=(reference,)) as scene:
            tracemalloc.start()
            view = scene.overview(256)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        np.testing.assert_allclose(view.image, 0.05, rtol=1e-5)
    assert max(peaks) < 100e6
    assert peaks[1] < 1.6 * peaks[0]  # four times the pixels


def test_clear_mode_keeps_clouded_values(tmp_path, inputs):
    with scene_of(tmp_path, inputs["path"], mode="clear", gaps=inputs["gaps"]) as scene:
        tile = scene.tile(scene.grid.whole)
        view = scene.overview(75)
    assert np.isfinite(tile.image).all() and tile.gaps.any()
    assert np.isfinite(view.image).all() and view.gaps.any()


def test_only_optical_bands_are_filled_unless_asked(tmp_path):
    names = ("B02", "QA_PIXEL", "ST_B10", "NDVI", "B04")
    path = makers.write(tmp_path / "a.tif", image(0, 5), descriptions=names)
    (target,) = open_product([path], watch=Watch())
    watch = Watch()
    assert fill_bands(target, (), 0, watch) == (0, 4)
    assert fill_bands(target, (5, 3, 4), 0, watch) == (2, 3, 4)
    assert [notice.code for notice in watch.notices] == ["bands.thermal"]
    assert fill_bands(target, (6, 11), 5, watch) == (0,)  # the second raster of a product
    with pytest.raises(TerramendError, match="QA_PIXEL"):
        fill_bands(target, (2,), 0, watch)
    assert unit_of(target, (0, 2)) == "reflectance" and unit_of(target, (2,)) == "kilokelvin"
    assert unit_of(target, (3,)) == "values"
    untold = replace(target.bands[0], gain=1, bias=0, wavelength=np.nan)
    assert unit_of(replace(target, bands=(untold,)), (0,)) == "values"
    assert unit_of(replace(target, bands=(replace(untold, gain=1e-4),)), (0,)) == "reflectance"
    asked = apply(replace(target, bands=(untold,)), "reflectance", watch)  # as the analyst says it is
    assert unit_of(asked, (0,)) == in_words(asked) == "reflectance"


def test_temperatures_and_indices_whose_gaps_stay_are_told_of(tmp_path, inputs):
    names = ("B02", "ST_B10", "NDVI", "SAA", "B04")

    def told(file="a.tif", **options):
        watch, path = Watch(), makers.write(tmp_path / file, image(0, 5), descriptions=names)
        with scene_of(tmp_path, path, watch, **options) as scene:
            say_left(FillRequest((path,), "o.tif", **options), scene.target, 0, scene.gap_map, watch)
        return [n.arguments["bands"] for n in watch.notices if n.code == "bands.left"]

    assert told(gaps=inputs["gaps"]) == ["2 (ST_B10), 3 (NDVI)"]
    landsat = "LC08_L2SP_044034_20200101_20200820_02_T1.tif"  # which always has it: told of with each fill
    assert told(landsat, gaps=inputs["gaps"]) == ["3 (NDVI)"]
    assert told() == told(gaps=inputs["gaps"], bands=(1, 5)) == told(gaps=inputs["gaps"], mode="clear") == []


def test_an_image_without_optical_bands_is_about_its_temperatures_and_indices(tmp_path):
    """In their own values: a reference too, and where no band is asked for."""
    values = np.linspace(280, 310, 150 * 180, dtype=np.float32).reshape(1, 150, 180)
    path = makers.write(tmp_path / "LST_2024-05-01.tif", values)
    other = makers.write(tmp_path / "LST_2024-05-11.tif", values + 2)
    index = makers.write(tmp_path / "b_2024-05-06.tif", image(0, 2), descriptions=("NDVI", "QA_PIXEL"))
    optical = makers.write(tmp_path / "c.tif", image(0, 3), descriptions=("B02", "NDVI", "ST_B10"))
    mine = tuple(Reference(p, (Mask("", "none"),)) for p in (other, index, optical))
    with scene_of(tmp_path, path, references=mine) as scene:
        tile = scene.tile(scene.grid.whole)
        assert scene.fill_bands == (0,) and scene.unit == "values"
    np.testing.assert_array_equal(tile.image, values)
    np.testing.assert_array_equal(tile.references[0].image, values + 2)
    assert [len(reference.image) for reference in tile.references] == [1, 1, 1]


def test_a_date_of_an_index_in_other_units_does_not_show_the_same(tmp_path):
    """One without its scale, one in bytes; how the ground changed, or how large whole numbers are, proves nothing."""
    ndvi = np.linspace(0.1, 0.9, 150 * 180).reshape(1, 150, 180)
    path = makers.write(
        tmp_path / "ndvi_20240501.tif", (ndvi * 1e4).astype(np.int16), scales=(1e-4,), offsets=(0,)
    )
    others = {
        "ndvi_20240511.tif": ((ndvi * 1e4).astype(np.int16), {}),
        "ndvi_20240521.tif": ((ndvi * 200).astype(np.uint8), {}),
        "ndvi_20240531.tif": (ndvi.astype(np.float32), {}),
        "ndvi_20240610.tif": ((ndvi * 100).astype(np.int16), {"scales": (1e-4,), "offsets": (0,)}),
        "ndvi_20240620.tif": (np.zeros((1, 150, 180), np.float32), {}),
    }
    mine = tuple(
        Reference(makers.write(tmp_path / name, values, **options), CLEAR)
        for name, (values, options) in others.items()
    )
    watch = Watch()
    with scene_of(tmp_path, path, watch, references=mine) as scene:
        assert [info.alike for info in scene.references] == [False, False, True, True, True]
    told = [n for n in watch.notices if n.code in ("reference.units", "notice.alike")]
    assert [n.code for n in told] == ["reference.units", "notice.alike"]
    assert "ndvi_20240511.tif holds values 1e+04 times those" in told[0].sentence


def test_of_a_clouded_raster_the_dates_stored_as_it_is_tell_the_units(tmp_path):
    ndvi = np.linspace(0.1, 0.9, 150 * 180).reshape(1, 150, 180).astype(np.float32)
    path = makers.write(tmp_path / "ndvi_20240501.tif", np.full_like(ndvi, np.nan))
    others = {"ndvi_20240511.tif": (ndvi * 1e4).astype(np.int16), "ndvi_20240521.tif": ndvi}
    mine = tuple(Reference(makers.write(tmp_path / name, values), CLEAR) for name, values in others.items())
    watch = Watch()
    with scene_of(tmp_path, path, watch, references=mine) as scene:
        assert [info.alike for info in scene.references] == [False, True]
    assert [n.arguments["name"] for n in watch.notices if n.code == "reference.units"] == [
        "ndvi_20240511.tif"
    ]


@pytest.mark.parametrize("shown", [True, False])
def test_a_date_in_degrees_celsius_does_not_show_what_kelvin_do(tmp_path, shown):
    """A winter proves nothing, and whole numbers without a scale may be anything."""
    kelvin = np.linspace(280, 310, 150 * 180, dtype=np.float32).reshape(1, 150, 180)
    path = makers.write(tmp_path / "LST_20240501.tif", kelvin if shown else np.full_like(kelvin, np.nan))
    others = {
        "LST_20240511.tif": (kelvin - 30, {}),
        "LST_20240521.tif": (kelvin - 273.15, {}),
        "LST_20240531.tif": ((kelvin - 283.15) * 100, {"scales": (0.01,), "offsets": (0,)}),
        "LST_20240610.tif": ((kelvin / 0.02), {"scales": (0.02,), "offsets": (0,)}),
        "LST_20240620.tif": (kelvin - 200, {"dtype": np.uint8}),
    }
    mine = []
    for name, (values, options) in others.items():
        kind = options.pop("dtype", np.uint16 if options else np.float32)
        mine.append(
            Reference(makers.write(tmp_path / name, np.maximum(values, 0).astype(kind), **options), CLEAR)
        )
    with scene_of(tmp_path, path, watch := Watch(), references=tuple(mine)) as scene:
        assert [info.alike for info in scene.references] == [True, False, False, True, True]
    told = [n.sentence for n in watch.notices if n.code in ("reference.degrees", "notice.alike")]
    assert told[0].startswith("LST_20240521.tif and the raster to fill differ in their degrees")
    assert told[1:] == ["The same holds for 1 more of the other dates."]


def test_reflectance_is_never_in_other_units(tmp_path):
    """Scaling is told from the files, or guessed; dark scenes are no fault."""
    path = makers.write(tmp_path / "a_20240501.tif", image(0))
    dark = Reference(makers.write(tmp_path / "b_20240511.tif", (image(0) / 1e6).astype(np.float32)), CLEAR)
    with scene_of(tmp_path, path, watch := Watch(), references=(dark,)) as scene:
        assert scene.references[0].alike
    assert "reference.units" not in [notice.code for notice in watch.notices]


def test_a_product_of_several_resolutions_is_one_reference(tmp_path):
    product = makers.make_safe(tmp_path)
    rng = np.random.default_rng(0)
    path = makers.write(tmp_path / "t_20220604.tif", rng.integers(1, 9000, (1, 60, 60)).astype(np.uint16), 40)
    with scene_of(tmp_path, path, references=(Reference(str(product)),)) as scene:
        assert [len(info.bands) for info in scene.references] == [12]
        assert scene.references[0].days == 10
        tile = scene.tile(scene.grid.whole)
    (reference,) = tile.references
    assert reference.image.shape == (12, 60, 60)
    scl = np.zeros((60, 60), bool)
    scl[:10, :10] = True  # 20 x 20 pixels of 20 m, and the growth of the SCL around them
    assert np.isnan(reference.image[:, scl]).all()
    expected = (makers.numbers("B02", 10).reshape(60, 4, 60, 4).mean(axis=(1, 3)) - 1000) / 1e4
    clear = np.isfinite(reference.image[0])
    assert clear.mean() > 0.8
    np.testing.assert_allclose(reference.image[0][clear], expected[clear], atol=1e-5)


def test_no_sun_is_said(tmp_path, inputs):
    watch = Watch()
    with scene_of(tmp_path, inputs["path"], watch, dem=inputs["dem"]) as scene:
        assert np.isnan(scene.tile(Window(0, 0, 9, 9)).terrain[2]).all()
    assert "scene.no-sun" in [notice.code for notice in watch.notices]


def test_tiles_know_where_when_and_which_bands(tmp_path):
    path = makers.write(tmp_path / "t_20200101.tif", image(0), descriptions=("B02", "B03", "B04"))
    with scene_of(tmp_path, path, gaps=CLEAR, bands=(3, 1)) as scene:
        tile, overview = scene.tile(Window(10, 10, 40, 40)), scene.overview(64)
    assert tile.about == overview.about == scene.about
    assert (tile.about.date.isoformat(), tile.about.bands) == ("2020-01-01", ("B02", "B04"))
    crs = rasterio.crs.CRS.from_wkt(scene.grid.crs)
    x, y = scene.grid.affine @ (75, 65)
    (longitude,), (latitude,) = rasterio.warp.transform(crs, "EPSG:4326", [x], [y])
    assert tile.about.centre == pytest.approx((latitude, longitude), abs=1e-9)


@pytest.mark.parametrize(
    ("crs", "left"),
    [
        (None, 0.0),
        ('LOCAL_CS["plan",UNIT["metre",1]]', 0.0),
        (rasterio.crs.CRS.from_epsg(32632).to_wkt(), 6e12),  # far beyond the projection's ground
    ],
)
def test_a_centre_that_cannot_be_told_is_none(crs, left):
    assert Grid(crs, (10, 0, left, 0, -10, 5e6), 8, 8).centre is None


@pytest.mark.posix("such limits")
def test_more_dates_with_masks_than_files_may_be_open(tmp_path):
    import resource

    rng = np.random.default_rng(1)
    shape = (20, 24)
    made = [
        (rng.integers(1, 9000, (3, *shape)).astype(np.uint16), rng.random(shape) < 0.2) for _ in range(140)
    ]
    dates = tuple(
        Reference(
            makers.write(tmp_path / f"r{i}.tif", pixels),
            (Mask(makers.write(tmp_path / f"m{i}.tif", gaps.astype(np.uint8)), "nonzero"),),
        )
        for i, (pixels, gaps) in enumerate(made)
    )
    target = makers.write(tmp_path / "t.tif", made[0][0])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        with scene_of(tmp_path, target, references=dates) as scene, threads.allowed(4):
            tile = scene.tile(scene.grid.whole)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(tile.references) == len(made)
    for reference, (pixels, gaps) in zip(tile.references, made, strict=True):
        assert np.array_equal(np.isnan(reference.image[0]), gaps)
        assert np.allclose(reference.image[:, ~gaps], pixels[:, ~gaps] / 1e4)
