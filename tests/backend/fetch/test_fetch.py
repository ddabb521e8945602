"""Fetching against a recorded Earth Engine, and preparing scenes that are at hand."""

import csv
import json
import os
import sys
import threading

import numpy as np
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from terramend.backend.cli import main, parser_of
from terramend.backend.datasets import catalog, holdout_masks
from terramend.backend.datasets.folder import read
from terramend.backend.errors import TerramendError
from terramend.backend.fetch import command, earth_engine, regions
from terramend.backend.fetch.scenes import find, sides
from terramend.backend.watch import Watch

BOX = "36.5,-1.1,36.65,-0.95"


def fetch(*options):
    return main(["fetch", "landsat", *map(str, options)])


def tiles_of(out):
    with (out / "tiles.csv").open() as source:
        return list(csv.DictReader(source))


def test_a_box_is_asked_for_as_in_the_papers_script(engine, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(earth_engine, "BLOCK", 256)
    out = tmp_path / "out"
    assert fetch("--region", BOX, "--out", out, "--project", "mine") == 0
    assert engine.initialized == ["mine"]
    asked = repr(engine.asked[0]["expression"])
    assert asked.startswith(
        "ImageCollection(LANDSAT/LC08/C02/T1_TOA).filterBounds(Rectangle([36.5, -1.1, 36.65, -0.95]"
    )
    assert ".filterDate('2013-01-01', '2022-12-31').filter(lte('CLOUD_COVER', 1)).median()" in asked
    assert repr(engine.asked[-1]["expression"]).startswith("Image(USGS/SRTMGL1_003).select(['elevation'])")
    folder = out / "train" / "box_36.5_-1.1_36.65_-0.95"
    grid = regions.chosen(BOX)[0].grid()
    with rasterio.open(folder / "landsat8.tif") as image, rasterio.open(folder / "srtm.tif") as dem:
        assert (
            image.crs.to_epsg() == dem.crs.to_epsg() == 32737
            and image.transform == dem.transform == grid.affine
        )
        assert (image.width, image.height) == (dem.width, dem.height) == (grid.width, grid.height)
        assert image.descriptions == ("B2", "B3", "B4", "B5", "B6", "B7") and image.nodata == 0
        x = (grid.transform[2] / 30 + np.arange(grid.width)) % 1000
        np.testing.assert_array_equal(image.read(3), np.broadcast_to((3000 + x).astype(int), image.shape))
        assert "median of 12 images" in image.tags()["SOURCE"]
    blocks = {(a["grid"]["dimensions"]["width"], a["grid"]["dimensions"]["height"]) for a in engine.asked}
    assert max(max(size) for size in blocks) == 256 and len(engine.asked) > 8
    place = catalog.read_place(out / "train", folder.name, folder.name)
    assert place.wavelengths[:4] == (482.0, 561.0, 655.0, 865.0) and place.elevation is not None
    assert place.dates[0].image[2, 0, 0] == pytest.approx((3000 + x[0]) * 1e-4, abs=1e-6)
    assert {row["side"] for row in tiles_of(out)} == {"train"}
    before = len(engine.asked)
    assert fetch("--region", BOX, "--out", out) == 0  # what is there stays
    assert len(engine.asked) == before
    assert "tiles in" in capsys.readouterr().out


def test_regions_go_to_the_side_of_the_split(engine, tmp_path, monkeypatch, capsys):
    held = next(r.name for r in regions.chosen("land") if regions.sides()[r.name] == "val")
    monkeypatch.setattr(regions.Region, "grid", lambda self: _small(self))
    assert fetch("--region", held, "--out", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["places"] == {held: "val"}
    assert (tmp_path / "out" / "val" / held / "srtm.tif").exists()
    stored = dict(holdout_masks.load(tmp_path / "out" / "masks" / f"{held}.npz"))
    assert {entry.kind for entry in stored} == set(holdout_masks.KINDS)
    assert all(0.1 <= entry.share <= 0.5 and flags.shape == (60, 70) for entry, flags in stored.items())


def _small(region):
    from terramend.backend.raster.grid import Grid

    west, _, _, north = region.bounds
    return Grid(rasterio.crs.CRS.from_epsg(4326).to_wkt(), (0.0003, 0, west, 0, -0.0003, north), 70, 60)


def test_regions_without_images_are_left_out_of_many_and_an_error_alone(engine, tmp_path, capsys):
    engine.count = 0
    assert fetch("--region", "21,30", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().err
    assert "021-asia may be of no use: open sea" in said and "030-asia is left out" in said
    assert fetch("--region", "21", "--out", tmp_path / "out") == 2
    assert "no Landsat-8 image of 021-asia" in capsys.readouterr().err


def test_no_package(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ee", None)
    assert fetch("--region", "kenya", "--out", tmp_path) == 3
    assert _one(capsys).startswith("terramend: The Python package earthengine-api is not installed")


class ServerNotFoundError(Exception):
    """httplib2's, by name."""


@pytest.mark.parametrize("message", ["no account", "no project"])
def test_no_account(engine, recorded, message, tmp_path, capsys):
    engine.refuses, engine.answer = "Initialize", engine.EEException(recorded[message])
    assert fetch("--region", "kenya", "--out", tmp_path) == 3
    said = _one(capsys)
    assert "does not let you in" in said and "--from FOLDER" in said and recorded[message].split()[0] in said


@pytest.mark.parametrize("step", ["Initialize", "computePixels"])
@pytest.mark.parametrize("kind", [ServerNotFoundError, ConnectionRefusedError])
def test_no_network(engine, recorded, step, kind, tmp_path, capsys):
    engine.refuses, engine.answer = step, kind(recorded["no network"])
    assert fetch("--region", BOX, "--out", tmp_path / "out") == 3
    assert "cannot be reached" in _one(capsys)
    assert not list((tmp_path / "out").rglob("*.tif"))


def test_what_the_engine_refuses_and_answers_that_are_none(engine, recorded, tmp_path, capsys):
    engine.refuses, engine.answer = "computePixels", engine.EEException(recorded["quota"])
    assert fetch("--region", BOX, "--out", tmp_path / "out") == 3
    assert "Too Many Requests" in _one(capsys)
    engine.refuses, engine.answer = None, b"<html>"
    assert fetch("--region", BOX, "--out", tmp_path / "out") == 3
    assert "no GeoTIFF" in _one(capsys)


def _one(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("terramend:")]
    assert len(lines) == 1
    return lines[0]


def test_the_list_shows_notes(capsys):
    assert fetch("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 100 and lines[20].endswith("open sea") and lines[13].startswith("014-kenya")
    assert fetch("--region", "kenya") == 2  # no --out
    capsys.readouterr()


def write(path, image, left=600000.0, pixel=30.0, crs="EPSG:32612", **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": len(image), "height": image.shape[1], "width": image.shape[2]}
    transform = Affine(pixel, 0, left, 0, -pixel, 4_100_000)
    with rasterio.open(path, "w", dtype=image.dtype, crs=crs, transform=transform, **profile) as target:
        target.write(image)
        target.descriptions = tags.pop("names", None) or [None] * len(image)
        target.update_tags(**tags)


@pytest.fixture
def scenes(tmp_path):
    rng = np.random.default_rng(0)
    names = ("B02", "B03", "B04", "B08")
    root = tmp_path / "scenes"
    image = rng.integers(300, 4000, (4, 90, 80)).astype(np.uint16)
    image[:, :10, :10] = 0
    write(root / "zion" / "S2_20200101.tif", image, names=names)
    mask = np.zeros((1, 90, 80), np.uint8)
    mask[:, 30:50, 30:60] = 1
    write(root / "zion" / "S2_20200101_mask.tif", mask)
    write(root / "zion" / "S2_20200211.tif", image + 7, names=names)
    # the DEM is coarser, and reaches beyond the scenes
    height = np.add.outer(np.arange(40), np.arange(40)).astype(np.float32)[None] * 10 + 100
    write(root / "zion" / "dem.tif", height, left=599000.0, pixel=90.0)
    write(root / "neighbour_20200101.tif", image, left=601000.0, names=names)
    write(root / "far_20200101.tif", image, left=700000.0, names=names)
    return root


def test_scenes_that_share_ground_at_180_degrees_are_on_one_side(tmp_path):
    image = np.ones((4, 90, 80), np.uint16)
    for name, left in (("across", 765_000.0), ("east", 766_500.0), ("alone", 600_000.0), ("west", 764_000.0)):
        write(tmp_path / f"{name}.tif", image, left=left, crs="EPSG:32660")
    found = find(tmp_path, None, Watch())
    with rasterio.open(tmp_path / "across.tif") as file:
        west, _, east, _ = rasterio.warp.transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    assert west > 179.9 and east < -179.9
    where = sides(found, Watch())
    assert where["across"] == where["east"] == where["west"] != where["alone"]


def test_scenes_at_hand_are_prepared(scenes, tmp_path, capsys):
    out = tmp_path / "out"
    assert fetch("--from", scenes, "--out", out, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    sides = result["places"]
    assert set(sides) == {"zion", "neighbour_20200101", "far_20200101"}
    assert sides["zion"] == sides["neighbour_20200101"] != sides["far_20200101"]  # they share ground
    place = read(out / sides["zion"] / "zion", "zion")
    assert [date.name for date in place.dates] == ["2020-01-01", "2020-02-11"]
    assert place.wavelengths == (492.0, 560.0, 665.0, 833.0)  # as the reader of scenes knows Sentinel-2
    with rasterio.open(scenes / "zion" / "S2_20200101.tif") as source:
        given = source.read()
    first = place.dates[0]
    assert (
        first.gaps[:10, :10].all() and first.gaps[32:48, 32:58].all() and not first.gaps[60:, :].any()
    )  # the mask is grown
    np.testing.assert_allclose(first.image[:, ~first.gaps], given[:, ~first.gaps] * 1e-4, atol=1e-6)
    assert place.elevation is not None and np.isfinite(place.elevation).all()
    across = np.diff(place.elevation, axis=1)
    assert np.median(across) == pytest.approx(10 / 3, abs=0.5)  # 10 m every 90 m, on pixels of 30 m
    alone = read(out / sides["far_20200101"] / "far_20200101", "far_20200101")
    assert alone.elevation is None
    rows = tiles_of(out)
    assert {(row["side"], row["place"]) for row in rows} == {(side, name) for name, side in sides.items()}
    assert {(row["height"], row["width"]) for row in rows} == {("90", "80")}
    held = [name for name, side in sides.items() if side == "val"]
    assert sorted(path.stem for path in (out / "masks").iterdir()) == sorted(held)


def test_dates_on_other_grids_are_brought_onto_the_first_ones(tmp_path, capsys):
    """What `terramend evaluate` says of such dates: that this brings them onto one grid."""
    rng = np.random.default_rng(1)
    names = ("B02", "B03", "B04", "B08")
    coarse = rng.integers(300, 4000, (4, 45, 40)).astype(np.uint16)
    image = coarse.repeat(2, axis=1).repeat(2, axis=2)
    place = tmp_path / "in" / "zion"
    write(place / "2020-01-01.tif", image, names=names)
    write(place / "2020-02-11.tif", coarse + 7, pixel=60.0, names=names)
    write(place / "2020-03-02.tif", image[:, :80, :70], left=600300.0, names=names)
    mask = np.zeros((1, 80, 70), np.uint8)
    mask[:, 20:40, 20:40] = 1
    write(place / "2020-03-02_mask.tif", mask, left=600300.0)
    write(place / "2020-04-01.tif", image, left=800000.0, names=names)
    write(place / "2020-05-01.tif", image[:3], names=names[:3])
    out = tmp_path / "out"
    assert fetch("--from", tmp_path / "in", "--out", out) == 0
    said = capsys.readouterr().err
    assert "2020-04-01.tif is left out: it lies beside the first date" in said
    assert "2020-05-01.tif is left out: its bands are 3" in said and "--sun" not in said
    made = read(out / "train" / "zion", "zion")
    assert [date.name for date in made.dates] == ["2020-01-01", "2020-02-11", "2020-03-02"]
    first, second, third = made.dates
    assert np.abs(second.image - first.image).mean() < 0.05  # smoothed, but in its place
    np.testing.assert_allclose(third.image[:, :15, 10:], image[:, :15, :70] * 1e-4, atol=1e-6)
    assert third.gaps[:, :10].all() and third.gaps[20:40, 30:50].all() and not third.gaps[:15, 20:75].any()


def test_a_scene_that_needs_the_sun_says_where_to_write_it(tmp_path, capsys):
    """Fetching has no option for it."""
    path = tmp_path / "in" / "LC08_L1TP_192030_20180710_20180717_01_T1.tif"
    image = np.random.default_rng(2).integers(7000, 30000, (4, 60, 60)).astype(np.uint16)
    write(path, image, names=("B2", "B3", "B4", "B5"))
    assert fetch("--from", tmp_path / "in", "--out", tmp_path / "out") == 2
    assert "SUN_AZIMUTH and SUN_ELEVATION" in _one(capsys)
    write(path, image, names=("B2", "B3", "B4", "B5"), SUN_AZIMUTH="140", SUN_ELEVATION="30")
    assert fetch("--from", tmp_path / "in", "--out", tmp_path / "out") == 0


def test_what_is_there_already_stays(scenes, tmp_path, capsys):
    out = tmp_path / "out"
    assert fetch("--from", scenes, "--out", out) == 0
    first = {path: path.stat().st_mtime_ns for path in out.rglob("*.tif")}
    gone = min(path for path in first if path.stem == "2020-02-11")
    gone.unlink()
    assert fetch("--from", scenes, "--out", out) == 0
    again = {path: path.stat().st_mtime_ns for path in out.rglob("*.tif")}
    assert {path for path in first if first[path] != again[path]} == {gone}


def test_of_one_dates_resolutions_the_finest_is_kept(tmp_path, capsys):
    image = np.full((2, 40, 40), 1000, np.uint16)
    root = tmp_path / "in" / "l8_dem_zion"  # a name that has a reader of its own
    write(root / "2020-01-01_10m.tif", image, pixel=10.0, names=("B04", "B08"))
    write(root / "2020-01-01_20m.tif", image[:, :20, :20], pixel=20.0, names=("B11", "B12"))
    assert fetch("--from", tmp_path / "in", "--out", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["places"] == {"l8_dem_zion-scenes": "train"}
    place = catalog.read_place(tmp_path / "out" / "train", "l8_dem_zion-scenes", "l8_dem_zion-scenes")
    assert place.shape == (40, 40) and place.wavelengths == (665.0, 833.0) and len(place.dates) == 1


def test_masks_hide_only_what_is_known(scenes, tmp_path, capsys):
    out = tmp_path / "out"
    assert fetch("--from", scenes, "--out", out, "--json") == 0
    sides = json.loads(capsys.readouterr().out)["places"]
    for path in (out / "masks").iterdir():
        place = read(out / "val" / path.stem, path.stem)
        for entry, flags in holdout_masks.load(path):
            assert entry.place == path.stem
            assert not (flags & place.date(entry.date).gaps).any() and flags.any()
    assert "val" in sides.values()


def test_a_folder_without_scenes(tmp_path, capsys):
    for path in (tmp_path, tmp_path / "absent"):
        assert fetch("--from", path, "--out", tmp_path / "out") == 2
        assert "no scene that can be prepared" in _one(capsys)


def test_a_cancel_says_that_what_is_prepared_stays(scenes, tmp_path):
    out = tmp_path / "out"
    options = parser_of("fetch").parse_args(["landsat", "--from", str(scenes), "--out", str(out)])
    watch = Watch(on_progress=lambda progress: watch.cancel() if any(out.rglob("*.tif")) else None)
    with pytest.raises(
        TerramendError, match="what was finished is kept in .*out, and the same command goes on"
    ):
        command.main(options, watch)
    assert any(out.rglob("*.tif"))


def test_cancel(scenes, tmp_path):
    from terramend.backend.fetch import scenes as module

    watch = Watch()
    found = module.find(scenes, None, watch)
    watch.cancel()
    with pytest.raises(TerramendError, match="Cancelled"):
        module.prepare(found[0], tmp_path / "out", watch)
    assert not list((tmp_path / "out").rglob("*.tif"))


@pytest.mark.posix("limits of a process")
def test_a_raster_that_could_not_be_written_to_its_end_gets_no_name(scenes, tmp_path):
    """A second run takes what is there for whole."""
    import resource

    from terramend.backend.fetch import scenes as module

    found = module.find(scenes, None, Watch())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        with pytest.raises(TerramendError) as caught:
            module.prepare(found[0], tmp_path / "out", Watch())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code == "output.write"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_is_full_is_said(scenes, tmp_path, monkeypatch):
    from terramend.backend.fetch import place_raster
    from terramend.backend.fetch import scenes as module

    monkeypatch.setattr(place_raster, "is_full", lambda folder: True)
    monkeypatch.setattr(module.RasterReader, "reflectance", _broken)
    with pytest.raises(TerramendError) as caught:
        module.prepare(module.find(scenes, None, Watch())[0], tmp_path / "out", Watch())
    assert caught.value.code == "output.full"
    assert list((tmp_path / "out").iterdir()) == []


def _broken(*_):
    raise rasterio.errors.RasterioIOError("Write failed")


def test_a_place_that_a_broken_run_left_empty_is_no_hindrance(scenes, tmp_path):
    (tmp_path / "out" / "train" / "empty").mkdir(parents=True)
    assert fetch("--from", scenes, "--out", tmp_path / "out") == 0
    assert "empty" not in {row["place"] for row in tiles_of(tmp_path / "out")}


def test_a_table_of_tiles_is_whole_or_as_it_was(scenes, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert fetch("--from", scenes, "--out", out) == 0
    before = (out / "tiles.csv").read_bytes()

    def full(self, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command.csv, "writer", lambda *_, **__: type("Full", (), {"writerow": full})())
    assert fetch("--from", scenes, "--out", out) == 3
    assert (out / "tiles.csv").read_bytes() == before
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("call", ["Initialize", "pixels"])
def test_a_cancel_does_not_wait_for_an_engine_that_is_silent(engine, tmp_path, call):
    asked, done = threading.Event(), threading.Event()

    def silent(*_, **__):
        asked.set()
        done.wait()

    setattr(engine if call == "Initialize" else engine.data, call.replace("pixels", "computePixels"), silent)
    watch = Watch()
    threading.Thread(target=lambda: (asked.wait(), watch.cancel())).start()
    options = parser_of("fetch").parse_args(["landsat", "--region", BOX, "--out", str(tmp_path / "out")])
    try:
        with pytest.raises(TerramendError) as caught:
            command.main(options, watch)
    finally:
        done.set()
    assert caught.value.code == "research.cancelled"


@pytest.mark.posix("named pipes")
def test_a_pipe_is_no_scene(tmp_path):
    """Opened, it would wait for ever for who writes to it."""
    (tmp_path / "place").mkdir()
    for name in ("a.tif", "dem.tif", "b.zip", "place/c.tif", "place/c_mask.tif"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(TerramendError, match="is no scene that can be prepared"):
        command.scenes.find(tmp_path, None, Watch())
