"""Ends that are not the usual one: killed in the middle, several resolutions, extents, overrides."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from terramend.backend.accuracy import accuracy
from terramend.backend.errors import TerramendError
from terramend.backend.fill import fill, output_paths
from terramend.backend.filling import opening
from terramend.backend.mask import make_mask
from terramend.backend.raster.products.products import open_product
from terramend.backend.request import FillRequest, Mask, Reference, to_json
from terramend.backend.watch import Watch

from .conftest import NORTH_UP, blobs, landscape

SLOW = textwrap.dedent(
    """
    import json, sys, time
    from terramend.backend.fill import fill
    from terramend.backend.request import from_json
    from terramend.backend.watch import Watch
    from terramend.models.registry import Row
    create = Row.create

    class Slow:
        def __init__(self, model): self.model, self.calls = model, 0
        def prepare(self, overview): return self.model.prepare(overview)
        def predict(self, tile, state):
            self.calls += 1
            if self.calls > 1: time.sleep(600)
            return self.model.predict(tile, state)

    Row.create = lambda self, *a: Slow(create(self, *a))
    fill(from_json(json.loads(sys.argv[1])), Watch())
    """
)


def asked_for(target: Path, gaps: Path, **more) -> FillRequest:
    base = {"target": (str(target),), "gaps": (Mask(str(gaps), "nonzero"),), "model": "nearest",
            "radiometry": "dn", "output": str(target.parent / "out" / "out.tif")}  # fmt: skip
    return FillRequest(**{**base, **more})


@pytest.mark.posix("SIGKILL")
def test_killed_in_the_middle_leaves_no_output_and_the_next_run_sweeps(write, monkeypatch):
    truth = landscape(2, 300, 530).astype("uint16")
    target = write("in.tif", truth)
    mask = write("gaps.tif", blobs(300, 530, 0.3).astype(np.uint8))
    folder, tmp = target.parent / "out", target.parent / "tmp"
    folder.mkdir(), tmp.mkdir()
    asked = asked_for(target, mask, tmp=str(tmp), std=str(folder / "std.tif"), jobs=1)
    small = "import terramend.backend.raster.tiles as t; t.CORES = (256,)\n"
    process = subprocess.Popen([sys.executable, "-c", small + SLOW, json.dumps(to_json(asked))])
    while not any(p.stat().st_size for p in folder.glob(".out.tif.*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    names = {path.name for path in folder.iterdir()}
    assert names and all(name.startswith(".") and "terramend" in name for name in names)
    assert list(tmp.iterdir())
    fill(asked, Watch())
    assert {path.name for path in folder.iterdir()} == {"out.tif", "std.tif"}
    assert list(tmp.iterdir()) == []


def test_a_product_of_two_resolutions_gives_a_file_for_each(write, monkeypatch):
    """The grids are filled one by one; bands are counted through both."""
    fine, coarse = landscape(2, 80, 60).astype("uint16"), landscape(1, 40, 30, 5).astype("uint16")
    wide = NORTH_UP @ rasterio.Affine.scale(2)
    first, second = write("B02.tif", fine), write("B11.tif", coarse, transform=wide)
    gaps = blobs(80, 60, 0.2)
    mask = write("gaps.tif", gaps.astype(np.uint8))
    rasters = [open_product([str(path)], radiometry="dn", watch=Watch())[0] for path in (first, second)]
    monkeypatch.setattr(opening, "open_product", lambda *a, **k: tuple(rasters))
    folder = first.parent / "out"
    folder.mkdir()
    asked = asked_for(first, mask, std=str(folder / "s.tif"), unfilled="keep")
    told = []
    result = fill(asked, Watch(on_progress=told.append))
    spans = {one.stage: [s.span for s in told if s.stage == one.stage] for one in told}
    assert spans["fill"][0] == (0, 8 / 9) and spans["fill"][-1] == (8 / 9, 1)
    assert spans["open"] == [(0, 1)] and spans["save"] == [(8 / 9, 1)]
    assert {path.name for path in folder.iterdir()} == {"out.tif", "out_20m.tif", "s.tif", "s_20m.tif"}
    assert result.outputs[0] == asked.output and str(folder / "out_20m.tif") in result.outputs
    assert result.stds == (str(folder / "s.tif"), str(folder / "s_20m.tif")) and result.provenances == ()
    with rasterio.open(folder / "out_20m.tif") as file:
        out = file.read()
        assert file.transform == wide
    coarse_gaps = gaps[1::2, 1::2] | gaps[::2, ::2] | gaps[1::2, ::2] | gaps[::2, 1::2]
    np.testing.assert_array_equal(out[:, ~coarse_gaps], coarse[:, ~coarse_gaps])
    assert result.unfilled_samples == 0 and result.gap_samples > 2 * gaps.sum()
    only_third = fill(replace(asked, bands=(3,), overwrite=True, std=None), Watch())
    with rasterio.open(only_third.outputs[0]) as file:
        np.testing.assert_array_equal(file.read(), fine)
    assert only_third.gap_samples  # though the finest grid is copied
    assert "fill.nothing" not in [notice["code"] for notice in only_third.notices]
    nowhere = fill(replace(asked, gaps=(Mask("", "none"),), overwrite=True, std=None), Watch())
    assert [notice["code"] for notice in nowhere.notices] == ["fill.nothing"]


def test_notices_of_a_products_coarser_grids_say_which(write, monkeypatch):
    fine, coarse = landscape(1, 80, 60).astype("uint16"), landscape(1, 40, 60).astype("uint16")
    coarse[:, :, 20:28] = 0
    paths = (
        write("B02.tif", fine),
        write("B11.tif", coarse, nodata=0, transform=NORTH_UP @ rasterio.Affine.scale(1, 2)),
    )
    rasters = [open_product([str(path)], radiometry="dn", watch=Watch())[0] for path in paths]
    monkeypatch.setattr(opening, "open_product", lambda *a, **k: tuple(rasters))
    mask = write("gaps.tif", blobs(80, 60, 0.2).astype(np.uint8))
    told = fill(asked_for(paths[0], mask, output=str(mask.with_name("o.tif"))), Watch()).notices
    coarser = [notice for notice in told if notice["message"].startswith("In the bands of 20 m: ")]
    assert [notice["arguments"]["told"]["code"] for notice in coarser] == ["mask.open-nodata"]
    assert told[-1]["code"] == "fill.smooth"  # said of all grids


def test_copies_are_of_the_same_band_whatever_the_order_of_the_files(write):
    """A date with its bands the other way round, and a part of the bands."""
    truth, gaps = landscape(3, 80, 60).astype("uint16"), blobs(80, 60, 0.2)
    names = ("blue", "green", "red")

    def named(names):
        return lambda file: setattr(file, "descriptions", names)

    target = write("t.tif", np.where(gaps, np.uint16(9), truth), decorate=named(names))
    other = write("other.tif", truth[::-1].copy(), decorate=named(names[::-1]))
    mask = write("gaps.tif", gaps.astype(np.uint8))
    (target.parent / "out").mkdir()
    date = Reference(str(other), (Mask("", "none"),))
    asked = asked_for(target, mask, references=(date,), model="copy", radiometry="auto")
    for bands in ((), (2, 3)):
        result = fill(replace(asked, bands=bands, overwrite=True), Watch())
        with rasterio.open(result.outputs[0]) as file:
            filled = file.read()
        np.testing.assert_array_equal(filled[1:], truth[1:])
        assert "reference.bands-unlike" not in [notice["code"] for notice in result.notices]
    strange = write("strange.tif", truth, decorate=named(("red", "rededge", "nir")))
    date = Reference(str(strange), (Mask("", "none"),))
    result = fill(replace(asked, references=(date,), overwrite=True), Watch())
    assert "reference.bands-unlike" in [notice["code"] for notice in result.notices]
    few = write("few.tif", truth[:2], decorate=named(names[:2]))
    asked = replace(asked, references=(Reference(str(few), (Mask("", "none"),)),), overwrite=True)
    result = fill(asked, Watch())
    assert result.unfilled_samples == result.gap_samples > 0
    (said,) = [n["message"] for n in result.notices if n["code"].startswith("reference.bands")]
    assert "fewer bands (2) than are to be filled (3): copy does not use it" in said
    assert fill(replace(asked, bands=(1, 2)), Watch()).unfilled_samples == 0  # as the notice advises


@pytest.mark.parametrize("other", [65535, float("nan")])
def test_nodata_of_several_files_becomes_the_one_that_the_output_has(write, other):
    kind = "float32" if other != other else "uint16"
    first, second = landscape(2, 60, 60).astype(kind)
    first[:, :9], second[:, :9] = 0, other
    names = [write("B02.tif", first, nodata=0), write("B03.tif", second, nodata=other)]
    gaps = blobs(60, 60, 0.2)
    gaps[:, :9] = False
    asked = asked_for(names[0], write("gaps.tif", gaps.astype(np.uint8)))
    asked = replace(asked, target=tuple(map(str, names)))
    Path(asked.output).parent.mkdir()
    fill(asked, Watch())
    with rasterio.open(asked.output) as file:
        out, nodata = file.read(), file.nodata
    assert nodata == 0 and (out[0, :, :9] == 0).all()
    assert np.isnan(out[1, :, :9]).all() if kind == "float32" else (out[1, :, :9] == 0).all()
    for plane, source in zip(out, (first, second), strict=True):
        np.testing.assert_array_equal(plane[:, 9:][~gaps[:, 9:]], source[:, 9:][~gaps[:, 9:]])


def test_of_bands_with_several_nodata_values_none_is_left_and_what_reads_as_nodata_is_told(write):
    first, second = landscape(2, 40, 1300).astype("uint16")
    first[:, 1200:], second[:, 1200:] = 0, 65535  # in tiles without a gap
    second[5, 700:703] = 0
    second[3, 3] = first[20, 20] = 0  # under the mask, and missing in its own band
    gaps = np.zeros((40, 1300), np.uint8)
    gaps[2:9, 2:9] = 1
    names = [write("B02.tif", first, nodata=0), write("B03.tif", second, nodata=65535)]
    asked = asked_for(names[0], write("gaps.tif", gaps))
    asked = replace(asked, target=tuple(map(str, names)))
    Path(asked.output).parent.mkdir()
    result = fill(asked, Watch())
    with rasterio.open(asked.output) as file:
        out = file.read()
    assert (out[:, :, 1200:] == 0).all()
    np.testing.assert_array_equal(out[1, :, 9:1200], second[:, 9:1200])
    (said,) = [notice["message"] for notice in result.notices if notice["code"] == "output.nodata"]
    assert "that are 0: 3." in said


def test_names_of_equal_looking_resolutions_differ(write):
    first = open_product([str(write("a.tif", np.ones((1, 4, 4), "uint8")))], radiometry="dn", watch=Watch())
    paths = output_paths(FillRequest(("a.tif",), "o.tif", std="s.tif"), [*first, *first, *first])
    assert [part.main for part in paths] == ["o.tif", "o_10m.tif", "o_10m_3.tif"]
    assert [part.std for part in paths] == ["s.tif", "s_10m.tif", "s_10m_3.tif"]


def test_only_gaps_inside_the_extent_are_filled(write):
    truth, gaps = landscape(1, 60, 60).astype("uint16"), np.zeros((60, 60), np.uint8)
    gaps[10:20, 10:20] = gaps[40:50, 40:50] = 1
    samples = np.where(gaps, 9999, truth).astype("uint16")
    target, mask = write("in.tif", samples), write("gaps.tif", gaps)
    (target.parent / "out").mkdir()
    x, y = NORTH_UP @ (30, 30)
    asked = asked_for(target, mask, extent=f"{NORTH_UP.c},{y},{x},{NORTH_UP.f}")
    result = fill(asked, Watch())
    with rasterio.open(asked.output) as file:
        out = file.read()
    assert result.gap_samples == 100
    assert (out[0, 10:20, 10:20] != 9999).all() and (out[0, 40:50, 40:50] == 9999).all()


def test_the_layers_crs_and_nodata_count_where_they_are_given(write):
    truth = landscape(1, 50, 50).astype("uint16")
    gaps = blobs(50, 50, 0.2)
    target = write("in.tif", np.where(gaps, 77, truth).astype("uint16"), crs=None)
    (target.parent / "out").mkdir()
    asked = replace(asked_for(target, target), gaps=(), target_crs="EPSG:32633", target_nodata=77.0)
    result = fill(asked, Watch())
    with rasterio.open(asked.output) as file:
        assert file.crs.to_epsg() == 32633 and file.nodata == 77
        assert not (file.read() == 77).any()
    assert result.gap_samples == gaps.sum()


def test_a_full_disk_is_said_before_anything_is_written(write, monkeypatch):
    target, mask = write("in.tif", np.ones((1, 40, 40), "uint8")), write("g.tif", np.eye(40, dtype="uint8"))
    (target.parent / "out").mkdir()
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("terramend.backend.raster.outputs.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(TerramendError) as caught:
        fill(asked_for(target, mask), Watch())
    assert caught.value.code == "output.space"
    assert list((target.parent / "out").iterdir()) == []
    usage.free = 40 * 40  # holds the raster, but not the one beside it of which a COG is made
    assert fill(asked_for(target, mask), Watch()).outputs
    with pytest.raises(TerramendError) as caught:
        fill(asked_for(target, mask, creation_options=("COG=YES",), overwrite=True), Watch())
    assert caught.value.code == "output.space"


def test_progress_reaches_its_total(write):
    truth = landscape(1, 300, 300).astype("uint16")
    target, mask = write("in.tif", truth), write("g.tif", blobs(300, 300, 0.1).astype(np.uint8))
    (target.parent / "out").mkdir()
    seen = []
    fill(asked_for(target, mask), Watch(on_progress=seen.append))
    filled = [p for p in seen if p.stage == "fill"]
    assert filled[-1].done == filled[-1].total > 0
    assert [p.done for p in filled] == sorted(p.done for p in filled)


@pytest.mark.parametrize("door", [fill, accuracy, make_mask])
@pytest.mark.parametrize("name", ["in.tif", "g.tif"])
def test_an_input_that_is_rewritten_meanwhile_is_said_and_nothing_is_kept(write, door, name):
    truth = landscape(1, 150, 150).astype("uint16")
    target, mask = write("in.tif", truth), write("g.tif", blobs(150, 150, 0.1).astype(np.uint8))
    (target.parent / "out").mkdir()
    changed = target.parent / name
    os.utime(changed, (1e9, 1e9))

    def rewrite(progress):
        if progress.stage in ("check", "fill", "write"):
            changed.write_bytes(changed.read_bytes())

    with pytest.raises(TerramendError) as caught:
        door(asked_for(target, mask, tmp=str(target.parent / "out")), Watch(on_progress=rewrite))
    assert caught.value.code == "input.changed" and str(changed) in str(caught.value)
    assert list((target.parent / "out").iterdir()) == []


def test_what_is_written_beside_an_input_by_those_who_look_at_it_is_no_change(write):
    truth = landscape(1, 150, 150).astype("uint16")
    target, mask = write("in.tif", truth), write("g.tif", blobs(150, 150, 0.1).astype(np.uint8))
    with rasterio.open(target, "r+") as file:
        file.update_tags(SENSOR="Sentinel-2")
    rasterio.shutil.copy(target, target.parent / "in.gpkg", driver="GPKG")
    asked = asked_for(target, mask, output=str(target.parent / "out.tif"))
    asked = replace(asked, target=(f"GPKG:{target.parent / 'in.gpkg'}:in",))
    assert fill(asked, Watch()).outputs  # GDAL has written in.gpkg.aux.xml meanwhile


def test_what_goes_wrong_because_an_input_was_replaced_is_said_as_that(write):
    truth = landscape(1, 150, 150).astype("uint16")
    target, mask = write("in.tif", truth), write("g.tif", blobs(150, 150, 0.1).astype(np.uint8))
    other = write("other.tif", truth[:, :90, :90])

    def replaced(progress):
        if progress.stage == "gaps" and other.exists():
            other.replace(target)

    with pytest.raises(TerramendError) as caught:
        fill(asked_for(target, mask, output=str(target.parent / "out.tif")), Watch(on_progress=replaced))
    assert caught.value.code == "input.changed"


def test_an_input_that_is_gone_at_the_end_was_read_whole(write):
    truth = landscape(1, 150, 150).astype("uint16")
    target, mask = write("in.tif", truth), write("g.tif", blobs(150, 150, 0.1).astype(np.uint8))
    asked = asked_for(target, mask, output=str(target.parent / "out.tif"))
    fill(asked, Watch(on_progress=lambda p: mask.unlink(missing_ok=True) if p.stage == "fill" else None))
    with rasterio.open(asked.output) as file:
        assert file.shape == (150, 150)
