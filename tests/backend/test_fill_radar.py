"""Align-CR through the one function behind every door: radar as it comes, valid samples bit by bit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from rasterio.warp import Resampling, calculate_default_transform, reproject
from terramend.backend.errors import TerramendError
from terramend.backend.fill import fill
from terramend.backend.inspect import inspect
from terramend.backend.request import FillRequest, Mask
from terramend.backend.watch import Watch
from terramend.models.align_cr import model
from terramend.models.base import Source

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")


def named(*names):
    """Writes names of bands."""

    def decorate(file):
        file.descriptions = names

    return decorate


class Stand:
    """A network that adds a tenth of the VV plane about its middle."""

    def run(self, _, given):
        image = given["image"]
        return [image[:, :6] + 0.1 * (image[:, 7:8] - 0.5) * image[:, 9:10]]


@pytest.fixture
def scene(tmp_path, write, monkeypatch):
    """Target, mask, radar in dB, truth, and the folder of a network that knows how they hang together."""
    monkeypatch.setattr(model, "session", lambda path, device: Stand())
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "network.onnx").write_bytes(b"a stand-in")
    layout = {"kind": "align-cr", "inputs": 10, "outputs": 6, "sar": 3, "multiple": 32}
    (folder / "config.json").write_text(json.dumps({"network": layout}))
    random = np.random.default_rng(0)
    rough = np.kron(random.uniform(-0.5, 0.5, (30, 32)), np.ones((4, 4)))  # 40 m: survives another grid
    truth = (10000 * np.stack([0.25 + 0.02 * b + 0.1 * rough for b in range(6)])).astype(np.uint16)
    gap = np.zeros((120, 128), np.uint8)
    gap[30:80, 40:100] = 1
    clouded = np.where(gap > 0, 9000, truth).astype(np.uint16)
    target = write("target.tif", clouded, decorate=named(*BANDS))
    sar = np.stack([25 * rough - 12.5, 25 * rough - 19.5]).astype(np.float32)
    return {
        "target": target, "gaps": write("gaps.tif", gap), "sar": sar, "truth": truth, "gap": gap > 0,
        "clouded": clouded, "weights": str(folder),
    }  # fmt: skip


def asked(scene, sar, tmp_path, **more):
    plain = {
        "gaps": (Mask(str(scene["gaps"]), "nonzero"),), "model": "align-cr", "overwrite": True,
        "settings": (("weights", scene["weights"]), ("prior", "harmonic")), "provenance": str(tmp_path / "prov.tif"),
        "sar": None if sar is None else str(sar),
    }  # fmt: skip
    return FillRequest((str(scene["target"]),), str(tmp_path / "out.tif"), **{**plain, **more})


def filled(request):
    watch = Watch()
    result = fill(request, watch)
    with rasterio.open(request.output) as out, rasterio.open(request.provenance) as prov:
        return result, out.read(), prov.read(1), [notice.code for notice in watch.notices]


def moved(path, out, crs="EPSG:4326"):
    """The raster in another CRS."""
    with rasterio.open(path) as source:
        transform, width, height = calculate_default_transform(
            source.crs, crs, source.width, source.height, *source.bounds
        )
        profile = {**source.profile, "crs": crs, "transform": transform, "width": width, "height": height}
        with rasterio.open(out, "w", **{**profile, "nodata": np.nan}) as sink:
            sink.descriptions = source.descriptions
            for band in (1, 2):
                reproject(
                    rasterio.band(source, band), rasterio.band(sink, band),
                    resampling=Resampling.nearest, init_dest_nodata=True, dst_nodata=np.nan,
                )  # fmt: skip
    return out


def rms(scene, out):
    return float(np.sqrt(np.mean((out.astype(float) - scene["truth"])[:, scene["gap"]] ** 2)))


@pytest.mark.parametrize("form", ["dB", "linear", "swapped", "one", "another CRS", "part"])
def test_radar_as_it_comes(scene, tmp_path, write, form):
    sar, said = scene["sar"], []
    names = {"decorate": named("VV", "VH")}
    if form == "linear":
        sar, said = 10 ** (sar / 10), ["sar.linear"]
    elif form == "swapped":
        sar, names, said = sar[::-1], {}, ["sar.order"]
    elif form == "one":
        sar, names = sar[1:], {"decorate": named("VH")}
    elif form == "part":
        sar, said = np.where(np.arange(128) < 70, sar, np.nan), ["guide.partly"]
    path = write("s1.tif", sar.astype(np.float32), **names)
    if form == "another CRS":
        path = moved(path, tmp_path / "moved.tif")
    result, out, prov, codes = filled(asked(scene, path, tmp_path))
    gap = scene["gap"]
    assert np.array_equal(out[:, ~gap], scene["clouded"][:, ~gap]) and result.unfilled_samples == 0
    assert [code for code in codes if code.startswith(("sar", "guide"))] == said
    plain = filled(asked(scene, path, tmp_path, model="harmonic", settings=()))[1]
    assert rms(scene, out) < (0.8 if form in ("part", "another CRS") else 0.4) * rms(scene, plain)
    assert result.model == "align-cr" and len(result.weights_sha256) == 64 and result.expected_error > 0
    assert set(np.unique(prov[~gap])) == {Source.VALID}
    expected = {Source.GUIDE, Source.SURROUNDINGS} if form == "part" else {Source.GUIDE}
    assert set(np.unique(prov[gap])) == expected


@pytest.mark.parametrize("bands", [1, 13])
def test_from_one_band_to_thirteen(scene, tmp_path, write, bands):
    names = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
    names = names if bands == 13 else ("B08",)
    truth = np.stack([scene["truth"][0] + 100 * band for band in range(bands)])
    scene["clouded"] = np.where(scene["gap"], 9000, truth).astype(np.uint16)
    scene["target"], scene["truth"] = write("many.tif", scene["clouded"], decorate=named(*names)), truth
    path = write("s1.tif", scene["sar"], decorate=named("VV", "VH"))
    request = asked(scene, path, tmp_path, bands=tuple(range(1, bands + 1)))
    result, out, prov, _ = filled(request)
    assert out.shape == truth.shape and result.unfilled_samples == 0
    assert np.array_equal(out[:, ~scene["gap"]], scene["clouded"][:, ~scene["gap"]])
    plain = filled(asked(scene, path, tmp_path, model="harmonic", settings=(), bands=request.bands))[1]
    assert rms(scene, out) < 0.4 * rms(scene, plain)
    assert set(np.unique(prov[scene["gap"]])) == {Source.GUIDE}


def test_coarse_radar_is_repeated_where_that_is_asked(scene, tmp_path, write):
    small = scene["sar"][:, 1::4, 1::4]
    path = write("s1.tif", small, decorate=named("VV", "VH"))
    with rasterio.open(scene["target"]) as target, rasterio.open(path, "r+") as coarse:
        coarse.crs, coarse.transform = target.crs, target.transform @ target.transform.scale(4)
    errors = []
    for upsampling in ("nearest", "bilinear"):
        settings = (("prior", "harmonic"), ("upsampling", upsampling), ("weights", scene["weights"]))
        errors.append(rms(scene, filled(asked(scene, path, tmp_path, settings=settings))[1]))
    assert errors[0] < 0.7 * errors[1]  # the scene is made of blocks of these pixels


def test_without_radar_or_weights_is_said(scene, tmp_path, write):
    with pytest.raises(TerramendError) as caught:
        fill(asked(scene, None, tmp_path), Watch())
    assert caught.value.code == "model.needs" and "--sar" in str(caught.value)
    path = write("s1.tif", scene["sar"], decorate=named("VV", "VH"))
    with pytest.raises(TerramendError) as caught:
        fill(asked(scene, path, tmp_path, settings=(("weights", str(tmp_path)),)), Watch())
    assert "has no config.json" in str(caught.value)


def test_the_same_bytes_for_any_number_of_workers(scene, tmp_path, write):
    path = write("s1.tif", scene["sar"], decorate=named("VV", "VH"))
    outs = [filled(asked(scene, path, tmp_path, jobs=jobs))[1] for jobs in (1, 3)]
    assert np.array_equal(*outs)


def test_clear_changes_the_image_and_marks_what_it_altered(scene, tmp_path, write):
    path = write("s1.tif", scene["sar"], decorate=named("VV", "VH"))
    request = asked(scene, path, tmp_path, mode="clear", gaps=())
    _, out, prov, _ = filled(request)
    expected = scene["clouded"] / 10000 + 0.1 * ((scene["sar"][0] + 25) / 25 - 0.5)
    assert np.abs(out / 10000 - expected).max() < 2e-4
    assert (prov == Source.ALTERED).all()


def test_a_method_that_makes_no_use_of_the_radar_says_so(scene, tmp_path, write):
    path = write("s1.tif", scene["sar"], decorate=named("VV", "VH"))
    request = asked(scene, path, tmp_path, model="mean", settings=())
    for notices in (inspect(request, Watch())["notices"], fill(request, Watch()).notices):
        assert "The method mean makes no use of --sar" in " ".join(notice["message"] for notice in notices)
