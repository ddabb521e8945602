"""What of a method is chosen and learnt before it fills."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from scipy import ndimage
from terramend.backend.accuracy import accuracy
from terramend.backend.errors import TerramendError
from terramend.backend.expect import expect
from terramend.backend.fill import fill
from terramend.backend.filling import method
from terramend.backend.filling.method import make_method
from terramend.backend.filling.opening import open_grid, open_inputs
from terramend.backend.filling.process import computing
from terramend.backend.filling.trial import candidates
from terramend.backend.request import FillRequest, Mask, Reference
from terramend.backend.watch import Watch
from terramend.models import threads
from terramend.models.base import Tile, digest
from terramend.models.guided.model import Guided
from terramend.models.registry import find as find_row

from ..conftest import blobs, landscape

PLACE = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 3e5, 0, -10, 5e6)}


def write_light(path, image):
    """Reflectance (4, H, W) of bands that Sentinel-2 names."""
    size = dict(zip(("count", "height", "width"), image.shape, strict=True))
    with rasterio.open(path, "w", driver="GTiff", dtype="float32", **size, **PLACE) as file:
        file.write(image.astype("float32"))
        file.descriptions = ("B02", "B03", "B04", "B08")


def write_mask(path, mask):
    """Flags (H, W) as a raster of 0 and 1."""
    size = dict(zip(("height", "width"), mask.shape, strict=True))
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype="uint8", **size, **PLACE) as file:
        file.write(mask.astype("uint8"), 1)


def test_the_growth_that_haze_asks_for_counts_from_the_mask(tmp_path):
    """--grow replaces the growth that a kind of mask has by itself."""
    rng = np.random.default_rng(3)
    mask = blobs(200, 200, 0.2)
    gap = ndimage.distance_transform_edt(~mask) <= 2  # as `clm` grows
    away = ndimage.distance_transform_edt(~gap)
    ground, green = landscape(2, 200, 200, seed=4) / 1e4
    image = np.stack([0.6 * ground, 0.8 * ground, ground, green]) + rng.normal(0, 0.003, (4, 200, 200))
    image += np.multiply.outer([1.0, 0.9, 0.8, 0.6], 0.12 * (away <= 2))
    write_light(tmp_path / "a.tif", image)
    write_mask(tmp_path / "a_CLM.tif", mask)
    request = FillRequest(
        (str(tmp_path / "a.tif"),), str(tmp_path / "o.tif"), model="guided", quality="fast",
        gaps=(Mask(str(tmp_path / "a_CLM.tif")),), overwrite=True,
    )  # fmt: skip
    (said,) = [notice for notice in fill(request, Watch()).notices if notice["code"] == "mask.fringe"]
    pixels, grow = said["arguments"]["pixels"], said["arguments"]["grow"]
    assert grow == 2 + pixels and f"--grow {grow}px would fill it too" in said["message"]
    again = fill(replace(request, grow=f"{grow}px"), Watch())
    assert "mask.fringe" not in [notice["code"] for notice in again.notices]


def test_shadow_away_from_the_clouds_is_told_of(tmp_path):
    """And stays as it is, bit by bit."""
    rng = np.random.default_rng(5)
    mask = blobs(200, 200, 0.2)
    shadow = np.zeros_like(mask)
    shadow[35:, 20:] = mask[:-35, :-20]
    ground, green = landscape(2, 200, 200, seed=4) / 1e4
    clear = np.stack([0.6 * ground, 0.8 * ground, ground, green])
    dark = clear * np.where(shadow & ~mask, 0.6, 1) + rng.normal(0, 0.002, clear.shape)
    write_light(tmp_path / "a_2024-05-01.tif", dark)
    write_light(tmp_path / "b_2024-05-11.tif", 0.9 * clear + 0.02)
    write_mask(tmp_path / "mask.tif", mask)
    request = FillRequest(
        (str(tmp_path / "a_2024-05-01.tif"),), str(tmp_path / "o.tif"), model="guided", quality="fast",
        gaps=(Mask(str(tmp_path / "mask.tif")),),
        references=(Reference(str(tmp_path / "b_2024-05-11.tif"), (Mask("", "none"),)),),
    )  # fmt: skip
    assert "mask.cast-shadow" in [notice["code"] for notice in fill(request, Watch()).notices]
    with rasterio.open(tmp_path / "o.tif") as made:
        filled = made.read()
    np.testing.assert_array_equal(filled[:, ~mask], dark.astype("float32")[:, ~mask])
    assert np.sqrt(((filled - clear)[:, mask] ** 2).mean()) < 0.01


@pytest.mark.parametrize("name", ["chlor_a", "B08"])
def test_amounts_are_filled_as_logarithms_and_result_and_tags_say_so(write, name):
    """Where the band's name says that it is light, nothing is said, and it is filled as light."""
    fields = np.log(landscape(1, 150, 140, seed=6, low=1, high=4))
    days = [
        np.exp(5 * (fields + 0.02 * np.random.default_rng(k).standard_normal(fields.shape))) for k in (1, 2)
    ]
    stored, other = (day.astype(np.float32) / np.float32(300) for day in days)
    gaps = blobs(150, 140, 0.2)

    def named(file):
        file.descriptions = (name,)

    target = write("in.tif", stored, decorate=named)
    request = FillRequest(
        (str(target),), str(target.parent / "o.tif"), std=str(target.parent / "s.tif"), model="auto",
        gaps=(Mask(str(write("gaps.tif", gaps.astype(np.uint8)))),),
        references=(Reference(str(write("other.tif", other, decorate=named)), (Mask("", "none"),)),),
    )  # fmt: skip
    result = fill(request, Watch())
    told = "fill.logarithms" in [notice["code"] for notice in result.notices]
    with rasterio.open(request.output) as file:
        out, tags = file.read(), file.tags()
    assert told == ("logarithmic" in result.model_reason) == ("logarithmic" in tags["TERRAMEND_MODEL_REASON"])
    assert told == (name == "chlor_a")
    np.testing.assert_array_equal(out[:, ~gaps], stored[:, ~gaps])
    with rasterio.open(request.std) as file:
        std = file.read()
    error = np.abs(out - stored)[:, gaps]
    assert (std[:, ~gaps] == 0).all() and 0.8 < (error <= 1.645 * std[:, gaps]).mean() <= 1
    if told:
        assert (out[:, gaps] >= stored.min()).all()
        stated = expect(request, Watch())
        assert "fill.logarithms" in [notice["code"] for notice in stated["notices"]]
        found = accuracy(request, Watch())
        assert 0.5 < found["rmse"] / found["expected_error"] < 2 and found["coverage"] > 0.8


@pytest.mark.parametrize("way", ["prepare", "predict"])
@pytest.mark.parametrize(
    "step",
    [lambda: threads.each(lambda _: time.sleep(0.1), [0]), lambda: time.sleep(0.1) or threads.proceed()],
)
def test_a_cancelled_run_leaves_no_thread_that_works_on(write, monkeypatch, way, step) -> None:
    watch, ended = Watch(), threading.Event()

    def works(*_):
        watch.cancel()
        try:
            for _ in range(600):
                step()
        finally:
            ended.set()

    monkeypatch.setattr(f"terramend.models.guided.model.Guided.{way}", works)
    target, gaps = write("in.tif", landscape(1, 30, 30).astype("uint16")), np.zeros((30, 30), np.uint8)
    gaps[9:12] = 1
    mask = Mask(str(write("gaps.tif", gaps)), "nonzero")
    with pytest.raises(TerramendError, match="Cancelled"):
        fill(FillRequest((str(target),), str(target.with_name("out.tif")), gaps=(mask,)), watch)
    assert ended.wait(30)


@pytest.mark.parametrize(
    "settings", [("guided",), ("de", ("steps", "1"), ("samples", "1"))], ids=lambda s: s[0]
)
def test_a_date_that_guided_moves_is_said_also_where_another_method_asks_it(write, settings):
    truth = landscape(2, 120, 130, seed=5).astype("uint16")
    target, other = write("in.tif", truth), write("other.tif", np.roll(truth, 3, axis=1) + 50)
    gaps = write("gaps.tif", blobs(120, 130, 0.2).astype(np.uint8))
    model, *chosen = settings
    asked = FillRequest(
        (str(target),), str(target.with_name("o.tif")), gaps=(Mask(str(gaps), "nonzero"),), model=model,
        references=(Reference(str(other), (Mask("", "none"),)),), radiometry="sentinel2", quality="fast",
        settings=tuple(chosen),
    )  # fmt: skip
    (said,) = [one for one in fill(asked, Watch()).notices if one["code"] == "reference.moved"]
    assert said["arguments"] == {"name": "other.tif", "by": "3 pixels down"}


def values(tile: Tile) -> int:
    """Bytes of a tile's image and dates."""
    return tile.image.nbytes + sum(reference.image.nbytes for reference in tile.references)


@pytest.mark.parametrize("model", ["guided", "auto"])
def test_a_scene_that_is_seen_coarse_is_seen_at_full_size_in_windows(write, monkeypatch, model):
    truth = landscape(1, 1100, 600).astype("uint16")
    target, other = write("in.tif", truth), write("other.tif", truth + 50)
    gaps = write("gaps.tif", blobs(1100, 600, 0.2).astype(np.uint8))
    dates = (Reference(str(other), (Mask("", "none"),)),)
    asked = FillRequest(
        (str(target),), "o.tif", gaps=(Mask(str(gaps), "nonzero"),), references=dates, model=model,
        radiometry="sentinel2", quality="fast",
    )  # fmt: skip
    seen, read, watch, prepare = [], [], Watch(), Guided.prepare
    monkeypatch.setattr(Guided, "prepare", lambda self, tile: seen.append(tile) or prepare(self, tile))
    inputs = open_inputs(asked, watch)
    with computing(), open_grid(asked, inputs, 0, target.parent, watch) as (scene, _):
        find = scene.tile

        def tile(window):
            read.append(window)
            return find(window)

        make_method(asked, scene, scene.overview, watch, tile)
        overview = seen[-1]
        assert overview.step == 2 and 1 <= len(overview.detail) == len(read)
        assert not scene._files._idle  # GDAL let go of what reading held
        sight = method._sight(scene, find_row("guided"))
        assert not sight.kept and sight.seen_bytes == sum(map(values, (overview, *overview.detail)))
        for shown, window in zip(overview.detail, read, strict=True):
            assert shown.step == 1 and digest(shown) == digest(find(window))
        make_method(asked, scene, lambda: scene.overview(2000), watch, tile)
        assert (seen[-1].step, seen[-1].detail) == (1, ())
    alone = candidates(1, False, False)[1].shown(overview)
    assert not alone.references and not any(window.references for window in alone.detail)
