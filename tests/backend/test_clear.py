"""`clear`: thin cloud off a whole raster, with the weights that come along."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from terramend.backend.cli import main
from terramend.backend.errors import TerramendError
from terramend.backend.failure import as_error
from terramend.backend.fill import fill
from terramend.backend.request import FillRequest, Mask
from terramend.backend.watch import Watch
from terramend.models.base import Source
from terramend.models.onnx import NetworkError
from terramend.models.weights import PACKAGED

NAMES = ("B02", "B03", "B04", "B11")


@pytest.fixture
def hazy(tmp_path):
    """(path, clear image, hazy image): fields under a veil; the last column was never observed."""
    random = np.random.default_rng(0)
    fields = np.kron(random.uniform(0.03, 0.2, (4, 10, 12)), np.ones((8, 8)))
    y, x = np.mgrid[:80, :96] / 96
    veil = 0.55 * np.exp(-((x - 0.5) ** 2 + (y - 0.4) ** 2) * 6)
    image = np.round(((1 - veil) * fields + veil * 0.6) * 1e4).astype(np.uint16)
    image[:, :, -1] = 0
    path = tmp_path / "hazy.tif"
    profile = {"driver": "GTiff", "count": 4, "height": 80, "width": 96, "dtype": "uint16", "nodata": 0}
    with rasterio.open(
        path, "w", crs="EPSG:32632", transform=from_origin(5e5, 5e6, 10, 10), **profile
    ) as file:
        file.write(image)
        file.descriptions = NAMES
    return path, fields, image


def cleared(path, **options):
    out = path.with_name("out.tif")
    request = FillRequest((str(path),), str(out), mode="clear", radiometry="sentinel2", **options)
    found = fill(request, Watch())
    with rasterio.open(out) as file:
        return found, file.read()


def test_classes_stay_where_thin_cloud_is_removed(hazy):
    path, _, image = hazy
    image[3] = np.arange(96) // 8
    image[3][30:50, 20:60] = 99
    with rasterio.open(path, "r+") as file:
        file.write(image[3], 4)
        file.set_band_description(4, "SCL")
    mask = path.with_name("mask.tif")
    with rasterio.open(path) as file:
        profile = {**file.profile, "count": 1, "nodata": None}
    with rasterio.open(mask, "w", **profile) as file:
        file.write((image[3] == 99).astype(np.uint16), 1)
    _, made = cleared(path, bands=(1, 2, 3, 4), gaps=(Mask(str(mask), "nonzero"),))
    assert np.array_equal(made[3], image[3])


def test_haze_goes_and_what_the_network_does_not_know_stays(hazy):
    path, fields, image = hazy
    result, made = cleared(path, provenance=str(path.with_name("p.tif")), std=str(path.with_name("s.tif")))
    assert (result.model, result.model_reason) == ("msda-cr", "MSDA-CR removes thin cloud.")
    seen = np.s_[:3, :, :-1]
    error = [np.sqrt(np.mean((picture[seen] / 1e4 - fields[seen]) ** 2)) for picture in (image, made)]
    assert error[1] < 0.6 * error[0]
    assert np.array_equal(made[3], image[3]) and np.array_equal(made[:, :, -1], image[:, :, -1])
    assert result.gap_samples == 3 * 80 * 95 and result.unfilled_samples == 0
    with rasterio.open(path.with_name("p.tif")) as file:
        source = file.read(1)
    assert (source[:, :-1] == Source.ALTERED).all() and (source[:, -1] == Source.OUTSIDE).all()
    with rasterio.open(path.with_name("s.tif")) as file:
        std = file.read()
    assert np.isnan(std[:3, :, :-1]).all() and (std[3, :, :-1] == 0).all()  # one pass has no spread


def test_diffusion_enhancement_takes_haze_off_too(hazy):
    path, fields, image = hazy
    result, made = cleared(path, model="de", quality="fast", std=str(path.with_name("s.tif")), seed=1)
    seen = np.s_[:3, :, :-1]
    error = [np.sqrt(np.mean((picture[seen] / 1e4 - fields[seen]) ** 2)) for picture in (image, made)]
    assert error[1] < 0.6 * error[0] and np.array_equal(made[3], image[3])
    with rasterio.open(path.with_name("s.tif")) as file:
        std = file.read()
    assert (std[seen] >= 0).all() and (std[seen] > 0).mean() > 0.9  # 0: black in all that was drawn
    assert result.expected_error is None  # the spread of samples is not the error
    path.with_name("out.tif").unlink()
    again, same = cleared(path, model="de", quality="fast", seed=1)
    assert np.array_equal(made, same) and again.weights_sha256 == result.weights_sha256


def test_a_mask_and_an_extent_say_where(hazy, tmp_path):
    path, _, image = hazy
    with rasterio.open(path) as file:
        profile = file.profile | {"count": 1, "dtype": "uint8", "nodata": None}
    flags = np.zeros((80, 96), np.uint8)
    flags[10:40, 20:50] = 1
    with rasterio.open(tmp_path / "m.tif", "w", **profile) as file:
        file.write(flags, 1)
    _, made = cleared(path, gaps=(Mask(str(tmp_path / "m.tif"), "nonzero"),), grow="0px")
    changed = (made != image).any(0)
    assert changed[flags > 0].mean() > 0.9 and not changed[flags == 0].any()
    path.with_name("out.tif").unlink()
    _, made = cleared(path, extent="500000,4999600,500400,5000000")
    changed = (made != image).any(0)
    assert changed[:40, :40].mean() > 0.9 and not changed[40:].any() and not changed[:, 40:].any()


def test_of_a_mask_beside_that_no_clearing_asks_for_nothing_is_said(hazy):
    path, *_ = hazy
    shutil.copy(path, path.with_name("hazy_cloudmask.tif"))
    codes = {notice["code"] for notice in cleared(path)[0].notices}
    assert "mask.beside" not in codes
    path.with_name("out.tif").unlink()
    codes = {notice["code"] for notice in cleared(path, own_mask=True)[0].notices}
    assert "mask.beside" in codes


def test_a_mask_on_what_was_never_observed_leaves_a_copy(hazy, tmp_path, capsys):
    path, _, image = hazy
    with rasterio.open(path) as file:
        profile = file.profile | {"count": 1, "dtype": "uint8", "nodata": None}
    with rasterio.open(tmp_path / "m.tif", "w", **profile) as file:
        file.write((image[0] == 0).astype(np.uint8), 1)
    result, made = cleared(path, gaps=(Mask(str(tmp_path / "m.tif"), "nonzero"),), grow="0px")
    assert np.array_equal(made, image) and result.gap_samples == 0
    (said,) = (notice["message"] for notice in result.notices if notice["code"] == "clear.nothing")
    assert "hazy.tif" in said and "copy" in said
    words = [
        "clear",
        str(path),
        "--gaps",
        str(tmp_path / "m.tif"),
        "--grow",
        "0px",
        "-o",
        str(tmp_path / "c.tif"),
    ]
    assert main([*words, "--radiometry", "sentinel2"]) == 0
    assert capsys.readouterr().out.startswith("There was nothing to change.\n")


def test_of_a_product_the_bands_of_a_coarser_grid_stay(hazy, tmp_path):
    """As of Sentinel-2, whose red, green and blue are finer than its short-wave infrared."""
    _, _, image = hazy
    files = []
    for name, values in zip(NAMES, (*image[:3], image[3, ::2, ::2]), strict=True):
        size = 800 / len(values)
        files.append(str(tmp_path / f"T32TPT_20220614T102601_{name}_{size:.0f}m.tif"))
        where = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5e6, size, size), "nodata": 0}
        shape = {"count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": "uint16"}
        with rasterio.open(files[-1], "w", driver="GTiff", **shape, **where) as file:
            file.write(values, 1)
    request = FillRequest(tuple(files), str(tmp_path / "out.tif"), mode="clear", radiometry="sentinel2")
    result = fill(request, Watch())
    assert result.outputs == (str(tmp_path / "out.tif"), str(tmp_path / "out_20m.tif"))
    with rasterio.open(result.outputs[0]) as fine, rasterio.open(result.outputs[1]) as coarse:
        assert (fine.read() != image[:3])[:, :, :-1].any(0).mean() > 0.9
        assert np.array_equal(coarse.read(1), image[3, ::2, ::2])
    assert result.gap_samples == 3 * 80 * 95


def test_a_raster_without_colours_is_refused(hazy):
    path, *_ = hazy
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("x", "y", "z", "w")
    with pytest.raises(TerramendError, match="needs red, green and blue"):
        cleared(path)
    assert not path.with_name("out.tif").exists()


@pytest.mark.parametrize(("mode", "model"), [("clear", "msda-cr"), ("fill", "ddpm")])
def test_where_the_bands_that_were_chosen_leave_some_out_that_is_said(hazy, mode, model):
    """The file names its bands; to name them there would mend nothing."""
    path, *_ = hazy
    out = path.with_name("out.tif")
    more = {"mode": mode, "model": model, "quality": "fast", "radiometry": "sentinel2"}
    with rasterio.open(path, "r+") as file:
        image = file.read()
        image[:, 30:40, 30:40] = 0
        file.write(image)
    with pytest.raises(TerramendError, match=r"hazy.tif.* --bands leaves some out"):
        fill(FillRequest((str(path),), str(out), bands=(1, 2), **more), Watch())
    assert not out.exists()
    assert fill(FillRequest((str(path),), str(out), bands=(1, 2, 3), **more), Watch()).outputs


@pytest.mark.parametrize("names", [("x", "y", "z", "w"), ("B08", "B8A", "B11", "B12")])
def test_a_fill_of_red_green_and_blue_alone_says_what_it_lacks(hazy, names):
    path, *_ = hazy
    with rasterio.open(path, "r+") as file:
        file.descriptions = names
    out = path.with_name("out.tif")
    request = FillRequest((str(path),), str(out), model="ddpm", quality="fast", radiometry="sentinel2")
    with rasterio.open(path, "r+") as file:
        image = file.read()
        image[:, 30:40, 30:40] = 0
        file.write(image)
    with pytest.raises(TerramendError, match=r"hazy.tif.*at 665 nm, 560 nm, 490 nm.*B04") as caught:
        fill(request, Watch())
    assert caught.value.code == "model.lacks" and not out.exists()
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("B08", "B04", "B03", "B02")
    result = fill(request, Watch())
    assert result.gap_samples == 400 and result.unfilled_samples == 100  # near infrared is not drawn


@pytest.mark.parametrize(
    ("mode", "model", "said"),
    [
        ("clear", "de", ["665 nm, 560 nm, 490 nm"]),
        ("clear", "align-cr", ["490 nm, 560 nm, 665 nm"]),
        ("fill", "align-cr", ["490 nm, 560 nm, 665 nm"]),
        ("fill", "ddpm", ["665 nm, 560 nm, 490 nm"]),
        ("fill", "de", []),  # any band, one at a time
        ("fill", "aligndiff", []),
        ("fill", "guided", []),
    ],
)
def test_networks_say_in_which_order_they_take_unnamed_bands(hazy, mode, model, said):
    path, *_ = hazy
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("", "", "", "")
        profile = {**file.profile, "count": 2, "dtype": "float32", "nodata": None}
    sar, gaps = path.with_name("sar.tif"), np.zeros((1, 80, 96), np.uint8)
    with rasterio.open(sar, "w", **profile) as file:
        file.write(np.random.default_rng(1).uniform(-20, -5, (2, 80, 96)).astype(np.float32))
    gaps[0, 30:40, 30:40] = 1
    with rasterio.open(path.with_name("gaps.tif"), "w", **{**profile, "count": 1, "dtype": "uint8"}) as file:
        file.write(gaps)
    given = {"gaps": (Mask(str(path.with_name("gaps.tif")), "nonzero"),)} if mode == "fill" else {}
    given |= {"sar": str(sar)} if model == "align-cr" else {}
    out = str(path.with_name("out.tif"))
    request = FillRequest(
        (str(path),), out, mode, model=model, radiometry="sentinel2", bands=(1, 2, 3), quality="fast", **given
    )
    told = [n["message"] for n in fill(request, Watch()).notices if n["code"] == "bands.order"]
    assert len(told) == len(said) and all(order in message for order, message in zip(said, told))


def test_bands_that_go_by_their_number_are_said(hazy):
    path, *_ = hazy
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("", "", "", "")
    result, _ = cleared(path, bands=(1, 2, 3))
    (said,) = (notice["message"] for notice in result.notices if notice["code"] == "bands.order")
    assert "665 nm, 560 nm, 490 nm" in said and "hazy.tif" in said
    path.with_name("out.tif").unlink()
    with rasterio.open(path, "r+") as file:
        file.descriptions = NAMES
    assert not [n for n in cleared(path, bands=(1, 2, 3))[0].notices if n["code"] == "bands.order"]


def test_from_the_shell(hazy, capsys):
    path, *_ = hazy
    assert main(["clear", str(path), "-o", str(path.with_name("c.tif")), "--radiometry", "sentinel2"]) == 0
    assert "Changed 75" in capsys.readouterr().out


@pytest.mark.posix("HOME")
def test_a_run_in_the_home_folder_may_be_named_from_there(hazy, tmp_path, monkeypatch):
    """The shell leaves `--set weights=~/run` as it is."""
    shutil.copytree(PACKAGED / "msda-cr", tmp_path / "run")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cleared(hazy[0], settings=(("weights", "~/run"),))[0].weights_sha256


@pytest.mark.parametrize(
    ("file", "content", "code", "said"),
    [
        ("remover.onnx", b"", "model.value", "remover.onnx is no network that ONNX Runtime can open"),
        ("remover.onnx", b"\x08\x08\x12\xffbeyond UTF-8", "model.value", "remover.onnx is no network"),
        ("remover.onnx", PACKAGED / "align-cr" / "network.onnx", "model.network", "remover.onnx: "),
        ("config.json", b"{}", "model.value", "its config.json is of another network .*data"),
        ("config.json", b"[]", "model.value", "its config.json is of another network"),
        ("config.json", b'{"data": {"wavelengths": [665, "green"]}}', "model.value", "green"),
    ],
)
def test_a_run_that_is_damaged_or_of_another_network(hazy, tmp_path, capfd, file, content, code, said):
    run = tmp_path / "run"
    shutil.copytree(PACKAGED / "msda-cr", run)
    (run / file).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    before = sorted(path.name for path in hazy[0].parent.iterdir())
    with pytest.raises((TerramendError, NetworkError)) as caught:
        cleared(hazy[0], settings=(("weights", str(run)),))
    error = as_error(caught.value)
    assert error.code == code and re.search(said, str(error)), error
    assert sorted(path.name for path in hazy[0].parent.iterdir()) == before
    assert not capfd.readouterr().out  # ONNX Runtime prints where it would fall back
