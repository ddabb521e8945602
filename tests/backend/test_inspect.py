"""What the dock is told before filling."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from terramend.backend.accuracy import accuracy
from terramend.backend.commands.fill import found as in_words
from terramend.backend.errors import TerramendError
from terramend.backend.expect import expect
from terramend.backend.fill import fill
from terramend.backend.inspect import inspect
from terramend.backend.mask import make_mask
from terramend.backend.request import FillRequest, Mask, Reference
from terramend.backend.watch import Watch
from terramend.models.registry import Row


def write(path, image, left=600000.0, descriptions=None, **options):
    profile = {"driver": "GTiff", "count": image.shape[0], "height": image.shape[1], "width": image.shape[2]}
    options = {"transform": Affine(10, 0, left, 0, -10, 5200000), **options}
    with rasterio.open(path, "w", dtype=image.dtype, crs="EPSG:32632", **profile, **options) as file:
        file.write(image)
        if descriptions:
            file.descriptions = descriptions
    return str(path)


def read(path):
    with rasterio.open(path) as file:
        return file.read()


@pytest.fixture
def request_of(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 9000, (3, 80, 100)).astype(np.uint16)
    target = write(tmp_path / "S2_20200101.tif", pixels, descriptions=("B04", "B08", "SCL"))
    mask = np.zeros((1, 80, 100), np.uint8)
    mask[:, :20, :40] = 1
    write(tmp_path / "S2_20200111.tif", pixels[:2], left=600500.0)
    write(tmp_path / "S2_20200111_mask.tif", mask, left=600500.0)
    dem = write(tmp_path / "dem.tif", np.ones((1, 80, 50), np.float32))
    gaps = Mask(write(tmp_path / "gaps.tif", mask), "nonzero")

    def made(**options):
        options = {
            "gaps": (gaps,),
            "references": (Reference(str(tmp_path / "S2_20200111.tif")),),
            "dem": dem,
            **options,
        }
        return FillRequest((target,), "out.tif", **options)

    return made


def test_bands_whose_gaps_stay_are_told_of_where_something_is_filled(request_of, tmp_path):
    image = np.random.default_rng(0).integers(1, 9000, (2, 80, 100)).astype(np.uint16)
    path = write(tmp_path / "a.tif", image, descriptions=("B04", "NDVI"))
    request = replace(request_of(), target=(path,), references=(), output=str(tmp_path / "o.tif"))
    runs = {run: Watch() for run in (inspect, fill, make_mask, accuracy)}
    for run, watch in runs.items():
        run(replace(request, output=str(tmp_path / f"{run.__name__}.tif")), watch)
    told = [any(n.code == "bands.left" for n in watch.notices) for watch in runs.values()]
    assert told == [True, True, False, False]


def test_each_date_that_is_left_out_is_named(request_of, tmp_path):
    folder = tmp_path / "dates"
    folder.mkdir()
    for number in (1, 2):
        write(folder / f"far_2020010{number}.tif", np.ones((2, 80, 100), np.uint16), left=900000.0)
    (folder / "broken.tif").write_text("no raster")
    found = inspect(request_of(references_from=str(folder), references_clear=True), Watch())
    told = {notice["arguments"]["path"]: notice["code"] for notice in found["left_out"]}
    assert told == {
        str(folder / "far_20200101.tif"): "reference.apart",
        str(folder / "far_20200102.tif"): "reference.apart",
        str(folder / "broken.tif"): "reference.broken",
    }
    codes = [notice["code"] for notice in found["notices"]]
    assert codes.count("reference.apart") == 1, "in few words there"


def test_a_date_of_a_folder_whose_mask_cannot_be_used_is_left_out_unless_none_remains(request_of, tmp_path):
    folder = tmp_path / "dates"
    folder.mkdir()
    pixels = np.random.default_rng(1).integers(1, 9000, (2, 80, 100)).astype(np.uint16)
    codes = np.random.default_rng(2).integers(0, 9, (1, 80, 100)).astype(np.uint8)
    dates = [write(folder / f"S2_2020030{day}.tif", pixels) for day in (1, 2, 3, 4)]
    write(folder / "S2_20200301_mask.tif", codes)  # it may be of several tables
    (folder / "S2_20200302_SCL.tif").write_text("no raster")
    cut = folder / "S2_20200304_SCL.tif"
    write(cut, np.full((1, 80, 100), 4, np.uint8))
    cut.write_bytes(cut.read_bytes()[:-1000])
    asked = request_of(references=(), references_from=str(folder))
    for look in (inspect, expect):
        with pytest.raises(TerramendError, match="20200302_SCL.tif cannot be read|20200301_mask.tif means"):
            look(asked, Watch())
    write(folder / "S2_20200303_SCL.tif", np.full((1, 80, 100), 4, np.uint8))
    found = inspect(asked, Watch())
    assert [facts["path"] for facts in found["references"]] == dates[2:3]
    assert [notice["code"] for notice in found["left_out"]] == ["reference.broken"] * 3
    assert [notice["arguments"]["path"] for notice in found["left_out"]] == [*dates[:2], dates[3]]
    assert expect(asked, Watch())["expected_error"] is not None
    filled = fill(replace(asked, output=str(tmp_path / "out.tif")), Watch())
    assert [used["name"] for used in filled.references] == ["S2_20200303.tif"]
    assert "reference.broken" in [notice["code"] for notice in filled.notices]
    named = replace(asked, references=(Reference(dates[0]),))
    with pytest.raises(TerramendError, match="20200301_mask.tif means"):
        inspect(named, Watch())


@pytest.mark.parametrize("bands", [(), (2,), (3,), (1, 3)])
def test_gaps_are_counted_as_a_fill_counts_them(request_of, tmp_path, bands):
    asked = request_of(bands=bands, model="harmonic")
    found = inspect(asked, Watch())
    filled = fill(replace(asked, output=str(tmp_path / "out.tif")), Watch())
    assert (found["gap_samples"], found["gap_fraction"]) == (filled.gap_samples, filled.gap_fraction)
    assert found["gap_samples"] == 800 * (len(bands) or 2)
    assert [band["number"] for band in found["bands"] if band["filled"]] == list(bands or (1, 2))


@pytest.mark.parametrize("bands", [(), (1,), (4,), (2, 3)])
def test_of_every_resolution_the_bands_are_told_that_a_fill_changes(request_of, tmp_path, bands):
    coarse = np.random.default_rng(3).integers(1, 9000, (1, 40, 50)).astype(np.uint16)
    place = {"transform": Affine(20, 0, 600000, 0, -20, 5200000)}
    more = write(tmp_path / "S2_20200101_20m.tif", coarse, descriptions=("B11",), **place)
    asked = request_of(bands=bands, references=(), dem=None, model="harmonic")
    asked = replace(asked, target=(*asked.target, more), output=str(tmp_path / "out.tif"))
    told = [band["number"] for band in inspect(asked, Watch())["bands"] if band["filled"]]
    fill(asked, Watch())
    before = [plane for name in asked.target for plane in read(name)]
    after = [plane for name in ("out.tif", "out_20m.tif") for plane in read(tmp_path / name)]
    changed = [i + 1 for i in range(4) if not np.array_equal(before[i], after[i])]
    assert told == changed == list(bands or (1, 2, 4))


def test_what_is_said(request_of, tmp_path):
    before = sorted(tmp_path.iterdir())
    found = inspect(request_of(sun=(140.0, 40.0)), Watch())
    assert sorted(tmp_path.iterdir()) == before
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["product"], found["date"], found["sensor"]) == (
        "S2_20200101.tif",
        "2020-01-01",
        "sentinel2",
    )
    assert found["grid"]["width"] == 100 and found["grid"]["crs"] == "EPSG:32632"
    assert found["gap_fraction"] == pytest.approx(0.1)
    assert found["gap_samples"] == 2 * 800
    assert [(b["number"], b["role"], b["filled"]) for b in found["bands"]] == [
        (1, "optical", True), (2, "optical", True), (3, "class", False),
    ]  # fmt: skip
    assert [mask["kind"] for mask in found["masks"]] == ["nonzero"]
    (reference,) = found["references"]
    assert (reference["date"], reference["days"], reference["bands"]) == (
        "2020-01-11",
        10,
        ["Band 1", "Band 2"],
    )
    assert reference["masks"][0]["path"].endswith("S2_20200111_mask.tif")
    assert reference["cover"] == pytest.approx(0.5 * (1 - 20 * 40 / (80 * 50)), abs=0.01)
    assert found["dem"]["cover"] == pytest.approx(0.5, abs=0.02)
    assert found["sar"] is None
    assert found["model"] and found["model_reason"].endswith(".")


def test_what_shows_nothing_is_said(request_of, tmp_path):
    everything = Mask(write(tmp_path / "all.tif", np.ones((1, 80, 100), np.uint8), left=600500.0), "nonzero")
    blind = Reference(str(tmp_path / "S2_20200111.tif"), (everything,))
    void = write(tmp_path / "void.tif", np.full((1, 80, 50), np.nan, np.float32))
    found = inspect(request_of(references=(blind,), dem=void), Watch())
    said = {notice["code"]: notice["message"] for notice in found["notices"]}
    assert "S2_20200111.tif shows nothing" in said["reference.blank"]
    assert "What --dem names holds no value" in said["guide.blank"]
    ones = np.ones((2, 80, 100), np.uint16)
    names = [write(tmp_path / f"S2_2020012{n}.tif", ones, left=600500.0) for n in range(3)]
    blinds = tuple(Reference(name, (everything,)) for name in names)
    three = inspect(request_of(references=blinds), Watch())["notices"]
    told = [notice for notice in three if "reference.blank" in str(notice)]
    assert [notice["code"] for notice in told] == ["reference.blank", "notice.alike"]
    assert told[1]["arguments"]["count"] == 2
    codes = {notice["code"] for notice in inspect(request_of(), Watch())["notices"]}
    assert not codes & {"reference.blank", "guide.blank"}


def test_the_targets_own_classes_serve_as_mask(request_of):
    found = inspect(request_of(gaps=(), references=(), dem=None), Watch())
    assert [mask["kind"] for mask in found["masks"]] == ["scl"]
    assert found["references"] == [] and found["dem"] is None


def test_masks_of_other_dates_are_said_as_they_are_read(request_of, tmp_path):
    mask = Mask(str(tmp_path / "S2_20200111_mask.tif"))
    other = Reference(str(tmp_path / "S2_20200111.tif"), (mask,))
    assert mask.kind == "auto"
    found = inspect(request_of(references=(other,)), Watch())
    assert found["references"][0]["masks"] == [{"path": mask.path, "kind": "nonzero"}]
    assert f"  {mask.path}: read as nonzero\n" in in_words(found)


def test_days_between_are_told_of_dates_that_are_known(request_of, tmp_path):
    write(tmp_path / "other.tif", read(tmp_path / "S2_20200111.tif"), left=600500.0)
    names, clear = ("S2_20200111.tif", "other.tif"), (Mask("", "none"),)
    others = tuple(Reference(str(tmp_path / name), clear) for name in names)
    found = inspect(request_of(references=others), Watch())
    assert [date["days"] for date in found["references"]] == [10, None]
    first, second = [line for line in in_words(found).splitlines() if line.startswith("Reference ")]
    assert "+10 days" in first and "days" not in second


def test_errors_are_those_of_a_fill(request_of, tmp_path):
    (tmp_path / "S2_20200111_mask.tif").unlink()
    with pytest.raises(TerramendError, match="has no mask"):
        inspect(request_of(), Watch())
    with pytest.raises(TerramendError, match="no method"):
        inspect(request_of(model="magic"), Watch())


READER = Row(
    "told", "Told", "Reads prompts.", "experimental", "classical.space:create_mean",
    options={"prompt": "its text", "region": "its place"},
)  # fmt: skip


@pytest.fixture
def reader(monkeypatch):
    monkeypatch.setattr(
        "terramend.backend.filling.choose.find", lambda name: READER if name == "told" else None
    )


def test_prompts_are_shown_for_models_that_read_them(request_of, reader):
    found = inspect(request_of(model="told"), Watch())
    assert found["prompts"] == [
        "<AlignDiff> Switzerland, 2020-01-01, 1, Red",
        "<AlignDiff> Switzerland, 2020-01-01, 1, NIR",
    ]
    alone = inspect(request_of(model="told", references=(), settings=(("region", "Grisons"),)), Watch())
    assert alone["prompts"] == ["<AlignDiff> Grisons, Red", "<AlignDiff> Grisons, NIR"]
    changed = inspect(request_of(model="told", settings=(("prompt", "{band}, day {day}"),)), Watch())
    assert changed["prompts"] == ["Red, day 1", "NIR, day 1"]


def test_a_prompt_that_is_none_is_said(request_of, reader):
    with pytest.raises(TerramendError, match="{place} is no field of a prompt") as caught:
        inspect(request_of(model="told", settings=(("prompt", "{place}"),)), Watch())
    assert caught.value.code == "model.value"


def test_where_the_scene_lies(request_of):
    found = inspect(request_of(), Watch())
    assert found["place"]["region"] == "Switzerland" and found["prompts"] == []
    assert (found["place"]["latitude"], found["place"]["longitude"]) == pytest.approx((46.9, 10.3), abs=0.1)
