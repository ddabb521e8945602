"""The contract of a fill: what was valid stays bit by bit, metadata is kept, gaps are filled."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.env import get_gdal_config
from terramend.backend import fill as module
from terramend.backend.errors import TerramendError
from terramend.backend.fill import fill
from terramend.backend.filling.fill_grid import fill_grid
from terramend.backend.raster.gdal import cache_within
from terramend.backend.request import FillRequest, Mask, Reference, from_json
from terramend.backend.watch import Watch
from terramend.models.base import Source

from .conftest import blobs, landscape

TOPS = {"uint8": 250, "int16": 9000, "uint16": 9000, "float32": 0.6}


def request(target: Path, gaps: Path | None, **more) -> FillRequest:
    masks = () if gaps is None else (Mask(str(gaps), "nonzero"),)
    base = {"model": "harmonic", "radiometry": more.get("radiometry", "dn")}
    output = str(target.parent / "out.tif")
    return FillRequest(target=(str(target),), output=output, gaps=masks, **{**base, **more})


def run(asked: FillRequest) -> tuple[object, np.ndarray]:
    result = fill(asked, Watch())
    with rasterio.open(asked.output) as out:
        return result, out.read()


def image(dtype: str, bands: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    top = TOPS[dtype]
    return landscape(bands, height, width, seed, 0.05 * top, top).astype(dtype)


def refused(code: str, asked: FillRequest) -> str:
    with pytest.raises(TerramendError) as caught:
        fill(asked, Watch())
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# -- bit-identity ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 3, 13])
@pytest.mark.parametrize("nodata", [None, 0])
def test_valid_samples_are_bit_identical_and_gaps_are_filled(write, dtype, bands, nodata):
    truth = image(dtype, bands, 61, 83)
    gaps = blobs(61, 83, 0.25)
    samples = truth.copy()
    samples[:, gaps] = 0 if nodata is not None else TOPS[dtype]
    target = write("in.tif", samples, nodata=nodata)
    result, out = run(request(target, write("gaps.tif", gaps.astype(np.uint8))))
    assert out.dtype == dtype
    np.testing.assert_array_equal(out[:, ~gaps], truth[:, ~gaps])
    assert result.gap_samples == bands * gaps.sum() and result.unfilled_samples == 0
    error = np.abs(out[:, gaps].astype(float) - truth[:, gaps])
    assert error.mean() < 0.15 * TOPS[dtype]
    if nodata is not None:
        assert not (out[:, gaps] == nodata).any()
    with rasterio.open(target) as before, rasterio.open(result.outputs[0]) as after:
        for key in ("crs", "transform", "dtype", "nodata", "width", "height", "count"):
            assert before.profile[key] == after.profile[key]


def test_gaps_that_differ_per_band(write):
    truth = image("uint16", 4, 70, 60)
    gaps = np.stack([blobs(70, 60, 0.2, seed) for seed in range(4)])
    samples = np.where(gaps, 0, truth).astype("uint16")
    target = write("in.tif", samples, nodata=0)
    result, out = run(request(target, None))
    np.testing.assert_array_equal(out[~gaps], truth[~gaps])
    assert result.gap_samples == gaps.sum() and result.unfilled_samples == 0
    assert (out != 0).all()


def test_lines_that_one_band_lacks_are_told_by_the_others(write):
    first = image("uint16", 3, 120, 100)
    truth = np.concatenate([first, (0.5 * first[:1] + 0.3 * first[1:2] + 0.1 * first[2:] + 200).round()])
    truth, clouds, lines = truth.astype("uint16"), blobs(120, 100, 0.1), np.arange(120) % 20 < 10
    samples = np.where(clouds, 0, truth).astype("uint16")
    samples[3, lines] = 0
    asked = request(write("in.tif", samples, nodata=0), None, model="guided")
    asked = replace(asked, provenance=str(Path(asked.output).with_name("provenance.tif")))
    result, out = run(asked)
    np.testing.assert_array_equal(out[samples > 0], samples[samples > 0])
    assert result.unfilled_samples == 0
    told = lines[:, None] & ~clouds
    assert np.abs(out[3].astype(float) - truth[3])[told].mean() < 0.03 * truth[3].std()
    with rasterio.open(asked.provenance) as file:
        source, age = file.read()
    assert (source[told] == Source.REFERENCE).all() and (source[clouds] == Source.SURROUNDINGS).all()
    assert (age == 255).all()


@pytest.mark.parametrize("valid", [0, 40])
def test_a_band_with_hardly_a_valid_pixel_stays_and_spoils_no_other(write, valid):
    truth, other = image("uint16", 3, 90, 80), image("uint16", 3, 90, 80)
    gaps = blobs(90, 80, 0.2)
    samples = np.where(gaps, 0, truth).astype("uint16")
    samples[1] = 0
    samples[1, 40, :valid] = 500
    asked = request(
        write("in.tif", samples, nodata=0),
        None,
        model="guided",
        references=(Reference(str(write("other.tif", other)), (Mask("", "none"),)),),
    )
    result, out = run(asked)
    assert {"code": "bands.empty", "band": 2} in [
        {"code": notice["code"], "band": notice["arguments"].get("band")} for notice in result.notices
    ]
    assert (out[1] == samples[1]).all() and result.unfilled_samples == 0
    error = np.abs(out[[0, 2]].astype(float) - truth[[0, 2]])[:, gaps]
    assert error.mean() < 0.002 * TOPS["uint16"]
    assert "--bands 2 fills it" in next(n["message"] for n in result.notices if n["code"] == "bands.empty")
    alone, out = run(replace(asked, bands=(2,), overwrite=True))
    assert alone.unfilled_samples == 0 and (out[1] > 0).all()


@pytest.mark.parametrize("second, said", [("2016-08-04", True), ("2016-07-25", False)])
def test_a_stack_of_dates_is_told_that_none_is_learnt_from_another(write, second, said):
    samples = image("uint16", 2, 60, 50)
    samples[:, 20:30, 20:30] = 0
    path = write("stack.tif", samples, nodata=0)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("B04_2016-07-25", f"B08_{second}")
    result, _ = run(request(path, None))
    assert [n["message"].split(", but")[0] for n in result.notices if n["code"] == "bands.dates"] == [
        "The bands of stack.tif are dates, from 2016-07-25 to 2016-08-04"
    ] * said


@pytest.mark.parametrize(
    "crs, transform",
    [
        (32633, rasterio.Affine(8.0, 3.0, 1e5, 3.0, -8.0, 4e6)),
        (4326, rasterio.Affine(1e-4, 0, 14.0, 0, -1e-4, 46.0)),
        (None, rasterio.Affine.identity()),
    ],
)
def test_rotated_geographic_and_plain_grids(write, crs, transform):
    where = {"crs": None if crs is None else rasterio.crs.CRS.from_epsg(crs), "transform": transform}
    truth, gaps = image("uint16", 2, 40, 45), blobs(40, 45, 0.2)
    target = write("in.tif", np.where(gaps, 7, truth).astype("uint16"), **where)
    result, out = run(request(target, write("gaps.tif", gaps.astype(np.uint8), **where)))
    np.testing.assert_array_equal(out[:, ~gaps], truth[:, ~gaps])
    with rasterio.open(result.outputs[0]) as after:
        assert after.crs == where["crs"] and after.transform == transform


@pytest.mark.parametrize("height, width", [(1, 1), (1, 50), (50, 1), (3, 2), (257, 255)])
def test_odd_and_tiny_sizes(write, height, width):
    truth = image("uint16", 2, height, width)
    gaps = np.zeros((height, width), np.uint8)
    gaps[height // 2, width // 2] = 1
    result, out = run(request(write("in.tif", truth), write("gaps.tif", gaps)))
    np.testing.assert_array_equal(out[:, gaps == 0], truth[:, gaps == 0])
    assert result.gap_samples == 2


def test_without_gaps_the_output_is_a_copy_and_says_so(write):
    truth = image("uint16", 3, 300, 280)
    result, out = run(request(write("in.tif", truth), write("gaps.tif", np.zeros((300, 280), np.uint8))))
    np.testing.assert_array_equal(out, truth)
    assert result.gap_samples == 0 and result.expected_error is None
    assert "fill.nothing" in [notice["code"] for notice in result.notices]


@pytest.mark.parametrize("unfilled", ["keep", "nodata"])
def test_a_scene_of_gaps_alone_keeps_or_loses_its_values_as_asked(write, unfilled):
    truth = image("int16", 2, 40, 50)
    target = write("in.tif", truth, nodata=-9999)
    gaps = write("gaps.tif", np.ones((40, 50), np.uint8))
    asked = request(target, gaps, unfilled=unfilled, provenance=str(target.parent / "p.tif"))
    result, out = run(asked)
    assert result.unfilled_samples == result.gap_samples == out.size
    np.testing.assert_array_equal(out, truth if unfilled == "keep" else np.full_like(truth, -9999))
    with rasterio.open(asked.provenance) as file:
        assert (file.read(1) == Source.UNFILLED).all()


def test_a_date_of_which_nothing_was_observed_lies_between_the_others(write):
    truth, before = image("int16", 2, 40, 50), image("int16", 2, 40, 50, seed=1)
    after, unlike = image("int16", 2, 40, 50, seed=2), image("int16", 1, 40, 50, seed=3)
    dates = (("b.tif", before, "2024-05-01"), ("a.tif", after, "2024-05-31"), ("u.tif", unlike, "2024-05-20"))
    others = tuple(Reference(str(write(name, data)), (Mask("", "none"),), day) for name, data, day in dates)
    asked = request(
        write("in.tif", truth, nodata=-9999), write("gaps.tif", np.ones((40, 50), np.uint8)),
        model="auto", references=others, date="2024-05-11",
    )  # fmt: skip
    folder = Path(asked.output).parent
    asked = replace(asked, provenance=str(folder / "p.tif"), std=str(folder / "s.tif"))
    result, out = run(asked)
    np.testing.assert_allclose(out, before + (after - before.astype(float)) / 3, atol=0.51)
    assert result.unfilled_samples == 0 and result.expected_error > 0
    assert {"mask.everything", "fill.line"} <= {notice["code"] for notice in result.notices}
    with rasterio.open(asked.provenance) as file:
        assert (file.read(1) == Source.REFERENCE).all() and (file.read(2) == 10).all()
    with rasterio.open(asked.std) as file:
        assert (file.read() > 0).all()


def test_unfilled_nodata_needs_a_nodata_value(write):
    target = write("in.tif", image("uint16", 1, 9, 9))
    gaps = write("gaps.tif", np.eye(9, dtype=np.uint8))
    assert "--unfilled" in refused("output.unfilled", request(target, gaps, unfilled="nodata"))
    assert left(target.parent) == {"in.tif", "gaps.tif"}


# -- values ------------------------------------------------------------------------------


def test_estimates_stay_inside_the_dtype_and_off_nodata(write):
    """Flat at nodata's neighbours: the estimate is nodata itself and must move by one step."""
    samples = np.full((1, 30, 30), 6, np.uint8)
    samples[:, :, 15:] = 8  # the harmonic surface between is 7 in the middle
    gaps = np.zeros((30, 30), np.uint8)
    gaps[5:25, 8:22] = 1
    samples[:, gaps > 0] = 7
    _, out = run(request(write("in.tif", samples, nodata=7), write("gaps.tif", gaps)))
    assert not (out == 7).any() and out.min() >= 6 and out.max() <= 8


def test_scale_and_offset_only_scale_the_deviation(write):
    def decorate(file):
        file.scales, file.offsets = (1e-4, 1e-4), (-0.1, -0.1)

    truth, gaps = image("uint16", 2, 60, 60), blobs(60, 60, 0.2)
    target = write("in.tif", np.where(gaps, 0, truth).astype("uint16"), decorate, nodata=0)
    std_path = target.parent / "std.tif"
    asked = request(target, write("gaps.tif", gaps.astype(np.uint8)), std=str(std_path), radiometry="auto")
    result, _ = run(asked)
    with rasterio.open(std_path) as file:
        std = file.read()
        assert file.dtypes == ("float32",) * 2 and file.scales == (1.0, 1.0) and file.offsets == (0.0, 0.0)
    assert (std[:, ~gaps] == 0).all()
    filled = std[:, gaps]
    assert (filled[np.isfinite(filled)] > 0).all() and np.isfinite(filled).any()
    # scale 1e-4 makes the target's scaled units reflectance: the same as the expected error
    assert np.sqrt(np.nanmean(filled**2)) == pytest.approx(result.expected_error, rel=1e-4)


def test_std_of_bands_that_nobody_asked_for_is_not_known_under_the_cloud(write):
    gaps = blobs(50, 60, 0.2)
    target = write("in.tif", image("uint16", 3, 50, 60))
    path = target.parent / "std.tif"
    run(request(target, write("gaps.tif", gaps.astype(np.uint8)), bands=(2,), std=str(path)))
    with rasterio.open(path) as file:
        std = file.read()
    assert np.isnan(std[[0, 2]][:, gaps]).all() and np.isfinite(std[1][gaps]).all()
    assert (std[:, ~gaps] == 0).all()


def test_a_message_says_which_part_must_be_smooth(write):
    gaps = blobs(60, 60, 0.3)
    target = write("in.tif", image("uint16", 1, 60, 60))
    half = np.where(np.arange(60) < 30, 0, image("uint16", 1, 60, 60)).astype("uint16")  # no data on the left
    other = Reference(str(write("other.tif", half, nodata=0)), (Mask("", "none"),))
    mask = write("gaps.tif", gaps.astype(np.uint8))

    def said(**more):
        result, _ = run(request(target, mask, overwrite=True, **more))
        return [notice["arguments"] for notice in result.notices if notice["code"] == "fill.smooth"]

    assert said(model="harmonic") == [{"percent": "100"}]
    left = 100 * gaps[:, :30].sum() / gaps.sum()
    assert said(model="guided", references=(other,)) == [{"percent": f"{left:.0f}"}]
    everywhere = Reference(str(write("whole.tif", image("uint16", 1, 60, 60))), (Mask("", "none"),))
    assert said(model="guided", references=(everywhere,)) == []


def test_std_is_nan_outside_and_provenance_tells_sources(write):
    truth, gaps = image("uint16", 1, 64, 64), blobs(64, 64, 0.2)
    reference = write("2024-06-20.tif", image("uint16", 1, 64, 64), nodata=0)
    samples = np.where(gaps, 0, truth)
    samples[:, :, :10] = 0  # outside the footprint
    gaps = gaps & (np.arange(64) >= 10)
    target = write("2024-06-30.tif", samples.astype("uint16"), nodata=0)
    folder = target.parent
    asked = request(
        target,
        write("gaps.tif", gaps.astype(np.uint8)),
        std=str(folder / "std.tif"),
        provenance=str(folder / "prov.tif"),
        references=(Reference(str(reference), (Mask("", "none"),), "2024-06-20"),),
        date="2024-06-30",
        model="copy",
    )
    result, _ = run(asked)
    with rasterio.open(folder / "std.tif") as std, rasterio.open(folder / "prov.tif") as prov:
        outside = np.arange(64)[None] < np.full((64, 1), 10)
        assert np.isnan(std.read(1)[outside]).all()
        source, age = prov.read()
    assert (source[outside] == Source.OUTSIDE).all()
    assert (source[~outside & ~gaps] == Source.VALID).all()
    assert (source[gaps] == Source.REFERENCE).all() and (age[gaps] == 10).all()
    assert (age[~gaps] == 255).all()
    assert result.references[0]["days"] == -10


# -- bands with other roles --------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_alpha_becomes_opaque_where_filled_and_classes_stay(write, dtype):
    truth, gaps = image(dtype, 3, 50, 50), blobs(50, 50, 0.2)
    samples = np.concatenate([truth, np.full((1, 50, 50), 4, dtype), np.full((1, 50, 50), 255, dtype)])
    samples[:3, gaps], samples[4, gaps] = 0, 0

    def decorate(file):
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue,
                            ColorInterp.undefined, ColorInterp.alpha]  # fmt: skip
        file.descriptions = ("red", "green", "blue", "SCL", "alpha")

    target = write("in.tif", samples, decorate)
    _, out = run(request(target, write("gaps.tif", gaps.astype(np.uint8))))
    np.testing.assert_array_equal(out[:3][:, ~gaps], truth[:, ~gaps])
    np.testing.assert_array_equal(out[3], samples[3])
    assert (out[4] == 255).all()


@pytest.mark.parametrize(("dtype", "most"), [("uint8", 255), ("uint16", 65535), ("float32", 1)])
def test_alpha_that_hid_everything_becomes_as_opaque_as_its_dtype_can_say(write, dtype, most):
    def decorate(file):
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]

    target = write("in.tif", np.zeros((4, 50, 50), dtype), decorate)
    other = write("other.tif", image(dtype, 3, 50, 50))
    references = (Reference(str(other), (Mask("", "none"),)),)
    everywhere = write("gaps.tif", np.ones((50, 50), np.uint8))
    _, out = run(request(target, everywhere, model="copy", references=references))
    assert (out[3] == most).all()


def test_a_map_of_classes_that_does_not_say_so_is_told_of_and_how_it_is_filled(write):
    classes = np.kron(np.random.default_rng(0).choice([1, 3, 7], (12, 12)), np.ones((8, 8), int))
    gaps = blobs(96, 96, 0.1)
    samples = np.where(gaps, 0, classes).astype(np.uint8)[None]
    result, _ = run(
        request(write("map.tif", samples, nodata=0), write("gaps.tif", gaps[None].astype("uint8")))
    )
    told = [notice["message"] for notice in result.notices if notice["code"] == "raster.classes"]
    assert len(told) == 1 and "holds 3 different" in told[0] and "_landcover" in told[0]
    named = write("map_landcover.tif", samples, nodata=0)
    mask = write("gaps.tif", gaps[None].astype("uint8"))
    result, out = run(request(named, mask, bands=(1,), overwrite=True))
    assert set(np.unique(out)) == {1, 3, 7}
    assert "raster.classes" not in [notice["code"] for notice in result.notices]


@pytest.mark.parametrize("kind", ["dark", "two bands", "named", "float"])
def test_dark_water_and_what_has_a_name_is_no_map_of_classes(write, kind):
    values = np.random.default_rng(0).normal(12, 2, (2, 96, 96)).round()  # a count or two of noise
    samples = values[: 2 if kind == "two bands" else 1].astype(np.float32 if kind == "float" else np.uint8)
    if kind in ("two bands", "named", "float"):
        samples[:] = np.arange(96) // 40 + 1
    path = write("B04_red.tif" if kind == "named" else "a.tif", samples)
    gaps = write("gaps.tif", blobs(96, 96, 0.1)[None].astype("uint8"))
    result, _ = run(request(path, gaps))
    assert "raster.classes" not in [notice["code"] for notice in result.notices]


def test_a_class_band_asked_for_takes_the_most_frequent_neighbour(write):
    truth, gaps = image("uint8", 2, 60, 60), blobs(60, 60, 0.15)
    cover = np.full((60, 60), 4, np.uint8)
    cover[:, 30:] = 6
    samples = np.concatenate([truth, np.where(gaps, 9, cover)[None]]).astype(np.uint8)

    def decorate(file):
        file.descriptions = ("red", "green", "SCL")

    target = write("in.tif", samples, decorate)
    mask = write("gaps.tif", gaps.astype(np.uint8))
    _, out = run(request(target, mask, bands=(1, 3)))
    np.testing.assert_array_equal(out[1], samples[1])  # not asked for
    assert not (out[2] == 9).any() and (out[2] == cover).mean() > 0.97
    assert (out[0][~gaps] == truth[0][~gaps]).all()
    sources = str(Path(target).parent / "sources.tif")
    alone = replace(request(target, mask, bands=(3,)), provenance=sources, overwrite=True)
    result, out = run(alone)  # nothing is predicted, but something is filled
    np.testing.assert_array_equal(out[:2], samples[:2])
    assert result.gap_samples == gaps.sum() and not (out[2] == 9).any()
    assert result.model == "majority" and "most frequent class" in result.model_reason
    assert "fill.nothing" not in [notice["code"] for notice in result.notices]
    with rasterio.open(sources) as file:
        np.testing.assert_array_equal(file.read(1) == 2, gaps)


@pytest.mark.parametrize("unfilled", ["keep", "nodata"])
def test_a_class_band_s_gaps_that_know_no_class_around_are_unfilled(write, unfilled):
    samples = np.full((2, 200, 200), 4, np.uint8)
    samples[0] = image("uint8", 1, 200, 200)[0]
    gaps = np.zeros((200, 200), np.uint8)
    gaps[10:190, 10:190] = 1
    samples[1][gaps > 0] = 9

    def decorate(file):
        file.descriptions = ("red", "SCL")

    target, mask = write("in.tif", samples, decorate, nodata=255), write("gaps.tif", gaps)
    sources = str(target.parent / "sources.tif")
    result, out = run(request(target, mask, bands=(2,), unfilled=unfilled, provenance=sources))
    far = np.zeros((200, 200), bool)
    far[74:126, 74:126] = True  # 64 pixels and more within the gap
    assert (out[1][~far] == 4).all() and (out[1][far] == (9 if unfilled == "keep" else 255)).all()
    assert result.gap_samples == 180 * 180 and result.unfilled_samples == far.sum()
    with rasterio.open(sources) as file:
        source = file.read(1)
    assert (source[far] == Source.UNFILLED).all() and (source[~far & (gaps > 0)] == Source.SURROUNDINGS).all()


def test_a_mask_of_the_target_becomes_valid_where_filled(write):
    truth, gaps = image("uint8", 1, 50, 60), blobs(50, 60, 0.2)
    target = write("in.tif", truth, lambda file: file.write_mask(~gaps))
    result, out = run(request(target, write("gaps.tif", gaps.astype(np.uint8))))
    with rasterio.open(result.outputs[0]) as file:
        assert (file.dataset_mask() == 255).all()
    np.testing.assert_array_equal(out[:, ~gaps], truth[:, ~gaps])


# -- the same bytes ----------------------------------------------------------------------


def digest(path: Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.mark.parametrize("model", ["guided", "harmonic"])
def test_workers_and_memory_change_no_byte(write, monkeypatch, model):
    monkeypatch.setattr("terramend.backend.raster.tiles.CORES", (256,))
    truth, gaps = image("uint16", 2, 300, 530), blobs(300, 530, 0.15)
    later = (truth * 0.9 + 50 + np.random.default_rng(3).normal(0, 30, truth.shape)).astype("uint16")
    reference = write("ref.tif", later, nodata=0)
    target = write("in.tif", np.where(gaps, 0, truth).astype("uint16"), nodata=0)
    mask = write("gaps.tif", gaps.astype(np.uint8))
    sums = []
    for jobs, limit in ((1, None), (3, None), (2, 0.6)):
        folder = target.parent / f"{jobs}-{limit}"
        folder.mkdir()
        asked = replace(
            request(target, mask, model=model, jobs=jobs, memory_limit=limit),
            output=str(folder / "out.tif"),
            std=str(folder / "std.tif"),
            provenance=str(folder / "prov.tif"),
            references=(Reference(str(reference), (Mask("", "none"),)),),
        )
        fill(asked, Watch())
        sums.append([digest(folder / name) for name in ("out.tif", "std.tif", "prov.tif")])
    assert sums[0] == sums[1] == sums[2]


def test_a_limit_below_the_scene_names_the_need(write):
    target = write("in.tif", image("uint16", 3, 300, 300))
    asked = request(target, write("gaps.tif", np.ones((300, 300), np.uint8)), memory_limit=0.1)
    said = refused("memory.limit", asked)
    need = float(said.split(" needs ")[1].split(" GB")[0])
    assert need > 0.1
    fill(replace(asked, memory_limit=need), Watch())


def test_a_limit_holds_gdals_cache_too_and_only_while_it_runs(write, monkeypatch):
    target = write("in.tif", image("uint16", 3, 300, 300))
    asked = request(target, write("gaps.tif", blobs(300, 300, 0.2).astype(np.uint8)), overwrite=True)
    seen, before = [], get_gdal_config("GDAL_CACHEMAX")

    def looking(*arguments, **more):
        seen.append(get_gdal_config("GDAL_CACHEMAX"))
        return fill_grid(*arguments, **more)

    monkeypatch.setattr(module, "fill_grid", looking)
    fill(replace(asked, memory_limit=1.0), Watch())
    fill(asked, Watch())
    assert seen == [125e6, before] and get_gdal_config("GDAL_CACHEMAX") == before


def test_of_limits_that_hold_at_once_the_least_counts_and_the_last_gives_gdals_cache_back():
    before = get_gdal_config("GDAL_CACHEMAX")
    first, second = cache_within(1.0), cache_within(0.8)
    first.__enter__()
    second.__enter__()
    assert get_gdal_config("GDAL_CACHEMAX") == 100e6
    first.__exit__(None, None, None)
    assert get_gdal_config("GDAL_CACHEMAX") == 100e6
    with cache_within(0.4), cache_within(1.0):
        assert get_gdal_config("GDAL_CACHEMAX") == 50e6
    assert get_gdal_config("GDAL_CACHEMAX") == 100e6
    second.__exit__(None, None, None)
    assert get_gdal_config("GDAL_CACHEMAX") == before


def test_dates_that_a_limit_does_not_hold_are_counted(write):
    target = write("in.tif", image("uint16", 4, 600, 600))
    gaps = write("gaps.tif", blobs(600, 600, 0.2).astype(np.uint8))
    dates = [write(f"d{i}.tif", image("uint16", 4, 600, 600, seed=i)) for i in range(24)]
    asked = request(target, gaps, model="guided", memory_limit=0.7, quality="fast", overwrite=True)
    asked = replace(asked, references=tuple(Reference(str(date), (Mask("", "none"),)) for date in dates))
    said = refused("memory.dates", asked)
    assert " 24 other dates " in said
    most = int(said.split("no more than ")[1].split()[0])
    assert 1 <= most < 24
    fill(replace(asked, references=asked.references[:most]), Watch())


def test_tiles_leave_no_seams(write, monkeypatch):
    """Many tiles give nearly what one gives, at the borders as elsewhere."""
    truth, gaps = image("uint16", 1, 300, 560), blobs(300, 560, 0.3)
    target = write("in.tif", np.where(gaps, 0, truth).astype("uint16"))
    asked = request(target, write("gaps.tif", gaps.astype(np.uint8)), overwrite=True)
    _, one = run(asked)
    monkeypatch.setattr("terramend.backend.raster.tiles.CORES", (256,))
    _, many = run(asked)
    apart = np.abs(many.astype(float) - one)[0]
    assert apart.max() > 0  # it was tiled
    assert apart[gaps].mean() < 0.01 * np.ptp(truth)
    border = np.zeros_like(gaps)
    border[:, 254:292] = border[:, 510:548] = border[254:292] = True
    assert apart[gaps & border].mean() < 0.02 * np.ptp(truth)


def test_a_cog_with_everything(write):
    truth, gaps = image("uint16", 2, 300, 280), blobs(300, 280, 0.1)
    target = write("in.tif", truth, nodata=0)
    folder = target.parent / "out"
    folder.mkdir()
    asked = request(
        target,
        write("gaps.tif", gaps.astype(np.uint8)),
        creation_options=("COG=YES", "COMPRESS=ZSTD"),
        std=str(folder / "std.tif"),
        provenance=str(folder / "prov.tif"),
    )
    result, out = run(replace(asked, output=str(folder / "out.tif")))
    np.testing.assert_array_equal(out[:, ~gaps], truth[:, ~gaps])
    assert left(folder) == {"out.tif", "std.tif", "prov.tif"}
    with rasterio.open(result.outputs[0]) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags()["TERRAMEND_MODEL"] == "harmonic"


def test_overviews_on_request(write):
    target = write("in.tif", image("uint16", 1, 600, 530), nodata=0)
    result, _ = run(request(target, None, creation_options=("OVERVIEWS=YES",)))
    with rasterio.open(result.outputs[0]) as file:
        assert file.overviews(1) == [2, 4]


@pytest.mark.parametrize(("scale", "offset"), [(0.0, 0.0), (float("nan"), 0.0), (1.0, float("inf"))])
def test_a_scaling_that_scales_nothing_is_none(write, scale, offset):
    truth, gaps = image("uint16", 2, 60, 60), blobs(60, 60, 0.2)

    def decorate(file):
        file.scales, file.offsets = (scale,) * 2, (offset,) * 2

    mask, plain = write("gaps.tif", gaps.astype(np.uint8)), write("plain.tif", truth)
    stds = [str(plain.parent / f"{name}_std.tif") for name in ("plain", "odd")]
    found = []
    for target, std in zip((plain, write("odd.tif", truth, decorate)), stds, strict=True):
        _, out = run(request(target, mask, std=std, radiometry="auto", overwrite=True))
        with rasterio.open(std) as file:
            found.append((out, file.read()))
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[1][1][:, gaps] > 0).all()


# -- tags --------------------------------------------------------------------------------


def test_tags_repeat_the_request_and_name_the_inputs(write):
    truth, gaps = image("uint16", 2, 40, 40), blobs(40, 40, 0.2)
    target = write("in.tif", truth, lambda file: file.update_tags(sensor="MSI", STATISTICS_MEAN="1"))
    asked = request(target, write("gaps.tif", gaps.astype(np.uint8)), seed=5, hash_inputs=True)
    result, _ = run(asked)
    with rasterio.open(asked.output) as file:
        tags = file.tags()
    assert tags["sensor"] == "MSI" and "STATISTICS_MEAN" not in tags
    assert tags["TERRAMEND_REQUEST_HASH"] == result.request_hash
    assert tags["TERRAMEND_MODEL"] == "harmonic" and tags["TERRAMEND_SEED"] == "5"
    assert "estimates" in tags["TERRAMEND_NOTE"]
    inputs = json.loads(tags["TERRAMEND_INPUTS"])
    assert [entry["name"] for entry in inputs] == ["in.tif", "gaps.tif"]
    assert inputs[0]["sha256"] == digest(target)
    again = from_json({**json.loads(tags["TERRAMEND_REQUEST"]), "output": asked.output})
    assert again == replace(asked, jobs=0)
    folder = Path(target).parent.name
    assert [name for name, text in tags.items() if folder in text] == ["TERRAMEND_REQUEST"]
    assert float(tags["TERRAMEND_GAP_FRACTION"]) == pytest.approx(gaps.mean(), abs=1e-6)


def test_tags_tell_which_dates_were_left_out_and_credit_none_of_them(write):
    scene, clear = image("uint16", 2, 40, 40), np.full((40, 40), 4, np.uint8)
    target = write("T32TPT_20200101.tif", scene, nodata=0)
    folder = target.parent / "dates"
    folder.mkdir()
    names = ("S2A_MSIL2A_20200301.tif", "S2A_MSIL2A_20210301.tif")
    for name in names:
        write(f"dates/{name}", scene)
    write("dates/S2A_MSIL2A_20200301_SCL.tif", clear)
    (folder / "S2A_MSIL2A_20210301_SCL.tif").write_text("no raster")
    mask = write("gaps.tif", blobs(40, 40, 0.2).astype(np.uint8))
    asked = request(target, mask, references_from=str(folder), model="copy")
    run(asked)
    with rasterio.open(asked.output) as file:
        tags = file.tags()
    told = {entry["name"]: entry.get("left_out", False) for entry in json.loads(tags["TERRAMEND_INPUTS"])}
    assert told == {
        "T32TPT_20200101.tif": False,
        "S2A_MSIL2A_20200301.tif": False,
        "S2A_MSIL2A_20200301_SCL.tif": False,
        "S2A_MSIL2A_20210301.tif": True,
        "S2A_MSIL2A_20210301_SCL.tif": True,
        "gaps.tif": False,
    }
    assert "2021" not in tags["TERRAMEND_CREDITS"] and "2020" in tags["TERRAMEND_CREDITS"]


# -- outputs whole or absent -------------------------------------------------------------


def test_nothing_is_written_where_something_is_wrong(write):
    target, gaps = write("in.tif", image("uint16", 1, 20, 20)), write("gaps.tif", np.eye(20, dtype=np.uint8))
    before = left(target.parent)
    asked = request(target, gaps)
    refused("output.is-input", replace(asked, output=str(target), overwrite=True))
    refused("output.is-input", replace(asked, output=str(gaps), overwrite=True))
    refused("model.unknown", replace(asked, model="magic"))
    refused("model.no-band", replace(asked, bands=(2,)))
    refused("output.lossy", replace(asked, creation_options=("COMPRESS=JPEG",)))
    refused("tmp.folder", replace(asked, tmp=str(target.parent / "absent")))
    refused("model.needs", replace(asked, model="copy"))
    assert left(target.parent) == before


def test_a_method_that_fails_leaves_nothing(write, monkeypatch):
    from terramend.models.registry import Row

    class Broken:
        def prepare(self, overview):
            return None

        def predict(self, tile, state):
            raise ValueError("broken")

    monkeypatch.setattr(Row, "create", lambda *a: Broken())
    target, gaps = write("in.tif", image("uint16", 1, 20, 20)), write("gaps.tif", np.eye(20, dtype=np.uint8))
    with pytest.raises(ValueError, match="broken"):
        fill(request(target, gaps), Watch())
    assert left(target.parent) == {"in.tif", "gaps.tif"}


def cancelled_in(stage: str) -> Watch:
    watch = Watch(on_progress=lambda p: watch.cancel() if p.stage == stage else None)
    return watch


def test_a_cancel_leaves_nothing(write):
    target, gaps = write("in.tif", image("uint16", 2, 150, 150)), blobs(150, 150, 0.2)
    mask = write("gaps.tif", gaps.astype(np.uint8))
    folder = target.parent / "out"
    folder.mkdir()
    asked = replace(request(target, mask), output=str(folder / "out.tif"), tmp=str(folder))
    for stage in ("open", "footprint", "gaps", "prepare", "learn", "fill", "write", "save"):
        with pytest.raises(TerramendError) as caught:
            fill(asked, cancelled_in(stage))
        assert caught.value.code == "run.cancelled", stage
        assert left(folder) == set(), stage


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize(("bands", "nodata", "seen"), [(3, None, False), (3, 65535, True), (2, None, True)])
def test_zeros_of_another_date_are_a_hole_where_it_declares_none(write, dtype, bands, nodata, seen):
    scene, mask, hole = image(dtype, bands, 48, 48), np.zeros((48, 48), "uint8"), np.s_[:, 24:28, 24:28]
    mask[20:32, 20:32] = 1
    other = scene.copy()
    other[hole] = 0
    reference = Reference(str(write("r.tif", other, nodata=nodata)), (Mask("", "none"),), "2024-01-02")
    more = {"references": (reference,), "model": "copy", "date": "2024-01-01"}
    result, filled = run(request(write("t.tif", scene), write("m.tif", mask), **more))
    assert result.unfilled_samples == (0 if seen else bands * 16)
    np.testing.assert_allclose(filled, other if seen else scene, rtol=1e-5)


@pytest.mark.parametrize("more", ["alpha", "SCL"])
def test_zeros_are_seen_beside_alpha_and_a_class_makes_no_third_band(write, more):
    bands = 3 if more == "alpha" else 2
    names = ("B02", "B03", "B04")[:bands]
    scene, mask = image("uint16", bands, 48, 48), np.zeros((48, 48), "uint8")
    mask[20:32, 20:32] = 1
    other = scene.copy()
    other[:, 24:28, 24:28] = 0

    def decorate(file):
        file.descriptions = (*names, more)[: file.count]
        if more == "alpha" and file.count > bands:
            file.colorinterp = [ColorInterp.undefined] * bands + [ColorInterp.alpha]

    last = np.full((1, 48, 48), 65535 if more == "alpha" else 4, "uint16")
    reference = Reference(str(write("r.tif", np.concatenate([other, last]), decorate)), (Mask("", "none"),))
    result, filled = run(
        request(write("t.tif", scene, decorate), write("m.tif", mask), references=(reference,), model="copy")
    )
    assert result.unfilled_samples == 0
    np.testing.assert_array_equal(filled, other)
