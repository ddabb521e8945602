"""Gaps that the masks missed: found where another date tells them from ground, filled, and only where asked."""

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
import rasterio
from terramend.backend.errors import TerramendError
from terramend.backend.expect import expect
from terramend.backend.fill import fill
from terramend.backend.filling import opening
from terramend.backend.inspect import inspect
from terramend.backend.mask import make_mask
from terramend.backend.raster.scene import scene
from terramend.backend.request import FillRequest, Mask, Reference, from_json, to_json
from terramend.backend.watch import Watch

from ...conftest import blobs, landscape
from ..makers import make_safe

PLACE = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 3e5, 0, -10, 5e6)}
LIGHT = 0.6
"""Share of it that is left in shadow."""


def write_raster(path, planes, names=()):
    """Planes (B, H, W) as a GeoTIFF with the names of its bands."""
    size = dict(zip(("count", "height", "width"), planes.shape, strict=True))
    with rasterio.open(path, "w", driver="GTiff", dtype=planes.dtype, **size, **PLACE) as file:
        file.write(planes)
        if names:
            file.descriptions = names
    return str(path)


class Shaded:
    """A scene whose mask marks clouds, but not the shadow that they cast 35 rows down and 20 columns on.

    Another date shows the ground without either.
    """

    def __init__(self, folder, size=(200, 220), seed=5):
        rng = np.random.default_rng(seed)
        self.mask = blobs(*size, 0.2)
        self.shadow = np.zeros_like(self.mask)
        self.shadow[35:, 20:] = self.mask[:-35, :-20]
        self.shadow &= ~self.mask
        ground, green = landscape(2, *size, seed=4) / 1e4
        self.clear = np.stack([0.6 * ground, 0.8 * ground, ground, green])
        noise = rng.normal(0, 0.002, self.clear.shape)
        self.image = (self.clear * np.where(self.shadow, LIGHT, 1) + noise).astype("float32")
        names = ("B02", "B03", "B04", "B08")
        target = write_raster(folder / "a_2024-05-01.tif", self.image, names)
        date = write_raster(folder / "b_2024-05-11.tif", (0.9 * self.clear + 0.02).astype("float32"), names)
        gaps = write_raster(folder / "mask.tif", self.mask[None].astype("uint8"))
        self.request = FillRequest(
            (target,), str(folder / "o.tif"), model="guided", quality="fast", gaps=(Mask(gaps),), missed=True,
            references=(Reference(date, (Mask("", "none"),)),), tmp=str(folder),
        )  # fmt: skip


@pytest.fixture
def shaded(tmp_path):
    return Shaded(tmp_path)


def codes(watch_or_result):
    notices = watch_or_result.notices
    return [n["code"] if isinstance(n, dict) else n.code for n in notices]


def read(path, band=None):
    with rasterio.open(path) as file:
        return file.read(band)


def test_shadow_away_from_its_clouds_is_filled_where_that_is_asked_for(shaded, tmp_path):
    before = sorted(tmp_path.iterdir())
    result = fill(shaded.request, Watch())
    made = read(shaded.request.output)
    changed = (made != shaded.image).any(axis=0) & ~shaded.mask
    assert changed[shaded.shadow].mean() > 0.95
    assert changed[~shaded.shadow & ~shaded.mask].mean() < 0.1
    error = np.sqrt(((made - shaded.clear)[:, shaded.shadow] ** 2).mean())
    assert error < 0.1 * np.sqrt(((shaded.image - shaded.clear)[:, shaded.shadow] ** 2).mean())
    assert codes(result).count("mask.missed") == 1 and "mask.cast-shadow" not in codes(result)
    share = (changed.sum() + shaded.mask.sum()) / shaded.mask.size
    assert result.gap_fraction == pytest.approx(share, abs=1e-3)
    (said,) = [n for n in result.notices if n["code"] == "mask.missed"]
    assert said["arguments"]["percent"] == pytest.approx(100 * changed.mean(), abs=0.06)
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "o.tif"])


def test_the_mask_of_it_fills_the_same(shaded, tmp_path):
    """A mask to look at first: `terramend mask --missed`, then a fill by it."""
    asked = replace(shaded.request, output=str(tmp_path / "found.tif"))
    watch = Watch()
    made = make_mask(asked, watch)
    found = read(asked.output, 1)
    assert made["gap_pixels"] == found.sum() and (found[shaded.mask] == 1).all()
    assert codes(watch) == ["mask.missed"]
    fill(shaded.request, Watch())
    again = replace(shaded.request, gaps=(Mask(asked.output),), missed=False, output=str(tmp_path / "p.tif"))
    fill(again, Watch())
    assert np.array_equal(read(shaded.request.output), read(again.output))


def test_a_mask_that_marks_it_all_stays_as_it_is(shaded, tmp_path):
    whole = write_raster(tmp_path / "whole.tif", (shaded.mask | shaded.shadow)[None].astype("uint8"))
    grown = replace(shaded.request, gaps=(Mask(whole),), grow="3px")
    result = fill(grown, Watch())
    with_it = read(grown.output)
    assert codes(result).count("mask.missed-none") == 1
    fill(replace(grown, missed=False, overwrite=True), Watch())
    assert np.array_equal(read(grown.output), with_it)


def test_it_is_looked_for_inside_the_extent_only(shaded):
    west = replace(shaded.request, extent="300000,4998000,301000,5000000")  # 100 columns
    result = fill(west, Watch())
    changed = (read(west.output) != shaded.image).any(axis=0)
    assert not changed[:, 100:].any() and changed[:, :100][shaded.shadow[:, :100]].mean() > 0.95
    assert "mask.missed" in codes(result)


def test_a_scene_seen_in_strips_and_windows_finds_the_same(shaded, tmp_path, monkeypatch):
    """Where a window begins does not tell what is found in it, nor how coarse the overview is."""
    asked = replace(shaded.request, output=str(tmp_path / "whole.tif"))
    make_mask(asked, Watch())
    monkeypatch.setattr(scene, "STRIP", 64 * 220)
    make_mask(replace(asked, output=str(tmp_path / "strips.tif")), Watch())
    assert np.array_equal(read(tmp_path / "whole.tif"), read(tmp_path / "strips.tif"))
    monkeypatch.setattr(scene.Scene.overview, "__defaults__", (128,))
    make_mask(replace(asked, output=str(tmp_path / "coarse.tif")), Watch())
    found = read(tmp_path / "coarse.tif", 1) == 1
    assert found[shaded.shadow].mean() > 0.9 and found[~shaded.shadow & ~shaded.mask].mean() < 0.15


def test_no_stage_comes_twice(shaded):
    """Doors make one bar of them, which would go back."""
    told = []
    fill(shaded.request, Watch(on_progress=lambda progress: told.append(progress.stage)))
    stages = [name for name, _ in groupby(told)]
    assert len(stages) == len(set(stages)) and {"missed", "widen", "prepare"} < set(stages)


@pytest.mark.parametrize("stage", ["missed", "widen"])
def test_a_cancel_while_it_is_looked_for_leaves_nothing(shaded, tmp_path, stage):
    before = sorted(tmp_path.iterdir())
    watch = Watch(on_progress=lambda progress: watch.cancel() if progress.stage == stage else None)
    with pytest.raises(TerramendError) as caught:
        fill(shaded.request, watch)
    assert caught.value.code == "run.cancelled" and sorted(tmp_path.iterdir()) == before


def test_classes_alone_show_nothing_that_is_missed(tmp_path):
    classes = np.random.default_rng(0).integers(1, 5, (1, 90, 80)).astype("uint8")
    target = write_raster(tmp_path / "landcover.tif", classes, ("landcover",))
    gaps = write_raster(tmp_path / "gaps.tif", (blobs(90, 80, 0.2))[None].astype("uint8"))
    request = FillRequest((target,), str(tmp_path / "o.tif"), gaps=(Mask(gaps),), bands=(1,), missed=True)
    result = fill(request, Watch())
    assert codes(result).count("mask.missed-none") == 1 and result.unfilled_samples == 0


def test_bands_without_names_are_told_of(shaded, tmp_path):
    """They may show cloud or not: that nothing was found would be taken for there being none."""
    nameless = write_raster(tmp_path / "c_2024-05-01.tif", shaded.image)
    result = fill(replace(shaded.request, target=(nameless,)), Watch())
    assert "mask.missed-bands" in codes(result) and "mask.missed-none" not in codes(result)


def test_it_is_looked_for_on_the_grids_that_are_filled(tmp_path, monkeypatch):
    """A product's other grids have nothing to fill: no date is read there, and nothing said of them."""
    looked = []
    real = opening.missed_gaps
    monkeypatch.setattr(
        opening, "missed_gaps", lambda scene, *more: looked.append(scene.grid.width) or real(scene, *more)
    )
    product = str(make_safe(tmp_path))
    fill(FillRequest((product,), str(tmp_path / "o.tif"), model="mean", bands=(1, 2), missed=True), Watch())
    assert looked == [240]


def test_inspect_does_not_look_for_it(shaded):
    """It is asked while the analyst chooses: finding may take as long as reading all dates."""
    told = inspect(shaded.request, Watch())
    assert told["gap_fraction"] == pytest.approx(shaded.mask.mean())


def test_the_expected_error_comes_with_the_share_that_is_filled(shaded):
    """The dock's line says both: the share was that of the masks alone."""
    told = expect(shaded.request, Watch())
    assert told["gap_fraction"] == fill(shaded.request, Watch()).gap_fraction > 1.2 * shaded.mask.mean()


def test_thin_cloud_is_removed_without_it(shaded):
    with pytest.raises(TerramendError, match="missed"):
        from_json({**to_json(shaded.request), "mode": "clear"})
