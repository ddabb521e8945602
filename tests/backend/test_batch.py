"""Many fills: resumable, and one failure stops nobody else."""

from __future__ import annotations

import csv
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import rasterio
from terramend.backend import batch, cli
from terramend.backend.commands.batch_row import is_done
from terramend.backend.commands.batch_table import from_folder, from_table
from terramend.backend.errors import TerramendError
from terramend.backend.fill import fill
from terramend.backend.request import FillRequest
from terramend.backend.watch import Watch

from .conftest import blobs, landscape, table


@pytest.fixture
def work(write, tmp_path) -> Path:
    """A folder with three targets, a mask, and a table whose second row cannot be done."""
    for name in ("a", "b", "c"):
        write(f"{name}.tif", landscape(1, 48, 48, seed=ord(name)).astype("uint16"))
    write("m.tif", blobs(48, 48, 0.2).astype("uint8"))
    lines = ["target,gaps,output", "a.tif,m.tif,oa.tif", "b.tif,none.tif,ob.tif", "c.tif,m.tif,oc.tif"]
    return table(tmp_path, "\n".join(lines)).parent


def touch(path: Path) -> None:
    """Make a file newer than all beside it, also where the clock of files is coarse."""
    for other in path.parent.iterdir():
        before = other.stat().st_mtime_ns - 10 * 10**9
        os.utime(other, ns=(before, before))
    os.utime(path)


def terramend(capsys, *words) -> tuple[int, dict]:
    status = cli.main([*map(str, words), "--model", "nearest", "--radiometry", "dn", "--json"])
    return status, json.loads(capsys.readouterr().out)


def results(folder: Path) -> list[dict]:
    with (folder / "table_results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_failing_rows_are_reported_and_the_rest_goes_on(work, capsys):
    status, summary = terramend(capsys, "batch", work / "table.csv")
    assert status == 5
    assert (summary["rows"], summary["done"], summary["failed"]) == (3, 2, 1)
    assert summary["failures"][0]["row"] == 2 and "none.tif" in summary["failures"][0]["message"]
    assert (work / "oa.tif").exists() and (work / "oc.tif").exists() and not (work / "ob.tif").exists()
    lines = results(work)
    assert [line["status"] for line in lines] == ["done", "failed", "done"]
    assert [line["row"] for line in lines] == ["1", "2", "3"]
    assert lines[0]["model"] == "nearest" and 0.1 < float(lines[0]["gap_fraction"]) < 0.3
    assert lines[1]["code"] == "raster.missing" and "none.tif" in lines[1]["message"]


def test_what_only_filling_finds_wrong_is_said_of_the_option_too(work, capsys):
    (work / "table.csv").write_text("target,output,target-crs\na.tif,o.tif,EPSG:99999\n", "utf-8")
    _, summary = terramend(capsys, "batch", work / "table.csv")
    assert summary["failures"][0]["message"].startswith("--target-crs is not valid: 'EPSG:99999'")


def test_the_folder_of_the_outputs_is_made_but_no_folders_above_it(work, capsys):
    rows = ("batch", "--folder", work, "--gaps", work / "m.tif", "-o")
    status, _ = terramend(capsys, *rows, work / "filled" / "{stem}.tif")
    assert status == 0 and sorted(p.name for p in (work / "filled").iterdir()) == ["a.tif", "b.tif", "c.tif"]
    status, summary = terramend(capsys, *rows, work / "x" / "y" / "{stem}.tif")
    assert (status, summary["failed"]) == (5, 3) and "does not exist" in summary["failures"][0]["message"]
    assert not (work / "x").exists()


def test_a_row_that_fails_by_our_fault_leaves_its_traceback_in_the_log(work, capsys, monkeypatch):
    def broken(request, watch):
        raise ZeroDivisionError("one too few")

    monkeypatch.setattr("terramend.backend.commands.batch_row.run", broken)
    assert cli.main(["batch", str(work / "table.csv")]) == 5
    said = capsys.readouterr().err
    assert said.count("Traceback") == 3 and "in broken" in said and "please report it with the log" in said


def test_a_second_run_does_only_what_is_missing_or_out_of_date(work, capsys):
    terramend(capsys, "batch", work / "table.csv")
    touch(work / "m.tif")  # the mask is newer than the outputs: both are out of date
    stamps = {name: (work / name).stat().st_mtime_ns for name in ("oa.tif", "oc.tif")}
    status, summary = terramend(capsys, "batch", work / "table.csv")
    assert (status, summary["skipped"], summary["failed"]) == (5, 0, 3)  # the outputs exist
    (work / "none.tif").write_bytes((work / "m.tif").read_bytes())
    status, summary = terramend(capsys, "batch", work / "table.csv", "--overwrite")
    assert (status, summary["done"], summary["skipped"]) == (0, 3, 0)
    assert all((work / name).stat().st_mtime_ns > stamp for name, stamp in stamps.items())
    status, summary = terramend(capsys, "batch", work / "table.csv")
    assert (status, summary["done"], summary["skipped"]) == (0, 0, 3)
    assert [line["status"] for line in results(work)] == ["skipped"] * 3
    assert all(line["model"] == "nearest" and float(line["gap_fraction"]) > 0.1 for line in results(work))
    (work / "oc.tif").write_bytes(b"")
    status, summary = terramend(capsys, "batch", work / "table.csv", "--overwrite", "--seed", "1")
    assert summary["done"] == 3  # another request


def test_rows_that_are_skipped_tell_nothing_of_the_time_left(work):
    rows = from_table(work / "table.csv", {"model": "nearest", "radiometry": "dn"})
    batch.run(rows, work / "table_results.csv", None, Watch())
    seen = []
    batch.run(rows, work / "table_results.csv", None, Watch(on_progress=seen.append))
    assert [(p.done, p.total) for p in seen if p.stage == "rows"] == [(0, 1), (1, 1)]


def test_a_series_in_one_folder_is_resumed_until_one_of_its_dates_changes(write, tmp_path, capsys):
    """What the batch itself writes into the folder of references makes no row out of date."""
    for day in (1, 2):
        write(f"s_2024-06-0{day}.tif", landscape(1, 48, 48, seed=day).astype("uint16"))
        write(f"s_2024-06-0{day}_mask.tif", blobs(48, 48, 0.2, seed=day).astype("uint8"))
    words = [
        "batch", "--folder", tmp_path, "--pattern", "s_*[0-9].tif", "--references", tmp_path, "--std",
        "--gaps", "{folder}/{stem}_mask.tif", "-o", "{folder}/{stem}_filled.tif", "--overwrite",
    ]  # fmt: skip
    assert terramend(capsys, *words)[1]["done"] == 2
    assert terramend(capsys, *words)[1]["skipped"] == 2
    touch(tmp_path / "s_2024-06-01_mask.tif")
    assert terramend(capsys, *words)[1]["done"] == 2
    write("s_2024-06-03.tif", landscape(1, 48, 48, seed=3).astype("uint16"))
    touch(write("s_2024-06-03_mask.tif", blobs(48, 48, 0.2, seed=3).astype("uint8")))
    assert terramend(capsys, *words)[1] | {"results": ""} == {
        "rows": 3, "done": 3, "skipped": 0, "failed": 0, "results": "", "failures": [],
    }  # fmt: skip


@pytest.mark.parametrize("touched", ["areas.geojson", "b.tif", "b_cloudmask.tif", "list.json"])
def test_a_row_is_out_of_date_with_each_file_that_it_read(work, capsys, touched):
    corners = [[300100, 4999900], [300100, 4999700], [300300, 4999700], [300300, 4999900], [300100, 4999900]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    shape = {"type": "Polygon", "coordinates": [corners]}
    areas = {"type": "FeatureCollection", "crs": crs, "features": [{"type": "Feature", "geometry": shape}]}
    (work / "areas.geojson").write_text(json.dumps(areas))
    (work / "b_cloudmask.tif").write_bytes((work / "m.tif").read_bytes())
    (work / "list.json").write_text('["b.tif"]')
    words = (
        "batch",
        table(work, "target,gaps,references,output\na.tif,areas.geojson|layername=areas,list.json,o.tif"),
    )
    assert terramend(capsys, *words, "--overwrite")[1]["done"] == 1
    assert terramend(capsys, *words)[1]["skipped"] == 1
    touch(work / touched)
    assert terramend(capsys, *words)[1]["skipped"] == 0


def test_a_row_is_out_of_date_once_a_date_of_its_list_has_the_mask_for_want_of_which_it_was_left_out(
    work, capsys
):
    (work / "b_cloudmask.tif").write_bytes((work / "m.tif").read_bytes())
    (work / "list.json").write_text('["b.tif", "c.tif"]')
    lines = ["target,gaps,references,output", "a.tif,m.tif,list.json,o.tif", "a.tif,m.tif,,a_cloudmask.tif"]
    words = ("batch", table(work, "\n".join(lines)), "--overwrite")  # the latter's output is no mask
    assert terramend(capsys, *words)[1]["done"] == 2
    assert "c.tif has no mask" in results(work)[0]["notices"]
    assert terramend(capsys, *words)[1]["skipped"] == 2
    (work / "c_cloudmask.tif").write_bytes((work / "m.tif").read_bytes())
    touch(work / "c_cloudmask.tif")
    assert terramend(capsys, *words)[1]["done"] == 1
    assert "no mask" not in results(work)[0]["notices"]
    assert terramend(capsys, *words)[1]["skipped"] == 2


def test_a_row_that_reads_what_another_writes_anew_is_out_of_date(work, capsys):
    lines = [
        "target,gaps,output,reference,reference-gaps-kind",
        "a.tif,m.tif,o.tif,,",
        "b.tif,m.tif,p.tif,o.tif,none",
    ]
    words = ("batch", table(work, "\n".join(lines)), "--overwrite")
    assert terramend(capsys, *words)[1]["done"] == 2
    assert terramend(capsys, *words)[1]["skipped"] == 2
    touch(work / "a.tif")
    assert terramend(capsys, *words)[1]["done"] == 2


def test_an_extra_output_of_another_run_does_not_count(work, capsys):
    words = ("batch", table(work, "target,gaps,output\na.tif,m.tif,o.tif"), "--overwrite")
    assert terramend(capsys, *words, "--std")[1]["done"] == 1
    assert terramend(capsys, *words, "--seed", "1")[1]["done"] == 1
    assert terramend(capsys, *words, "--seed", "1", "--std")[1]["done"] == 1
    with rasterio.open(work / "o_std.tif") as file:
        assert file.tags()["TERRAMEND_SEED"] == "1"


def test_a_row_is_done_once_all_that_it_writes_is_there(work):
    request = FillRequest((str(work / "a.tif"),), str(work / "o.tif"), model="nearest", radiometry="dn")
    fill(request, Watch())
    assert is_done(request)
    for name in ("std", "provenance", "weights_map", "trajectory"):
        assert not is_done(replace(request, **{name: str(work / "other.png")}))


def test_each_row_has_its_own_prompt(work, capsys):
    rows = ["region=Utah", "region=Peru", "prompt={colour}"]
    lines = [
        "target,gaps,output,set",
        *(f"a.tif,m.tif,o{k}.tif,{r}|samples=1|steps=1" for k, r in enumerate(rows)),
    ]
    words = ["batch", table(work, "\n".join(lines)), "--model", "aligndiff", "--radiometry", "dn", "--json"]
    assert cli.main([*map(str, words)]) == 5
    summary = json.loads(capsys.readouterr().out)
    assert (summary["done"], summary["failed"]) == (2, 1)
    assert "no field of a prompt" in summary["failures"][0]["message"]
    with rasterio.open(work / "o0.tif") as first, rasterio.open(work / "o1.tif") as second:
        assert first.tags()["TERRAMEND_MODEL"] == "aligndiff"
        assert (first.read() != second.read()).any()


def test_a_folder_from_the_command_line(work, capsys):
    words = ("batch", "--folder", work, "--gaps", "{folder}/m.tif", "-o", "{folder}/{stem}_filled.tif")
    status, summary = terramend(capsys, *words)
    assert (status, summary["done"]) == (0, 3)
    assert summary["results"] == str(work / "results.csv")
    with rasterio.open(work / "a_filled.tif") as file:
        assert file.tags()["TERRAMEND_REQUEST_HASH"]
    assert terramend(capsys, *words)[1]["skipped"] == 3


def test_a_file_that_is_no_table_of_results_is_not_replaced(work, capsys):
    (work / "notes.csv").write_text("mine\n")
    status = cli.main(["batch", str(work / "table.csv"), "--results", str(work / "notes.csv")])
    assert status == 2 and "notes.csv" in capsys.readouterr().err
    assert (work / "notes.csv").read_text() == "mine\n"


def test_a_file_beside_the_table_of_results_is_nobodys_draft(work, capsys):
    mine = work / "table_results.csv.tmp"
    mine.write_text("mine")
    assert terramend(capsys, "batch", work / "table.csv")[1]["done"] == 2
    assert mine.read_text() == "mine" and len(results(work)) == 3


@pytest.mark.parametrize("place", ["none/r.csv", "."])
def test_a_place_where_no_results_can_be_written(work, capsys, place):
    status = cli.main(["batch", str(work / "table.csv"), "--results", str(work / place)])
    said = capsys.readouterr().err
    assert status == 2 and "--results" in said and str(work / place) in said and ".tmp" not in said
    assert not (work / "oa.tif").exists()


def test_results_that_cannot_be_written_for_a_while_stop_no_row(work):
    """As on Windows where a spreadsheet holds the table."""
    path = work / "table_results.csv"

    def follow(progress):
        if (progress.stage, progress.done) == ("rows", 0):  # the empty table was written
            path.unlink()
            path.mkdir()
        elif (progress.stage, progress.done) == ("rows", 2):
            path.rmdir()

    rows = from_table(work / "table.csv", {"model": "nearest", "radiometry": "dn"})
    assert batch.run(rows, path, None, Watch(on_progress=follow))["done"] == 2
    assert [line["status"] for line in results(work)] == ["done", "failed", "done"]


def test_what_terramend_wrote_is_no_target_of_a_folder(work):
    words = ["--gaps", str(work / "m.tif"), "--model", "nearest", "--radiometry", "dn", "--std"]
    words += ["-o", "{folder}/{stem}_f.tif", "--provenance", "{folder}/{stem}_from.tif"]
    assert cli.main(["batch", "--folder", str(work), *words]) == 0
    (work / "m.tif").unlink()
    scenes = sorted(path.name for path in work.glob("?.tif"))
    assert len(list(work.glob("*.tif"))) == 4 * len(scenes)
    watch = Watch()
    common = {"output": "{folder}/{stem}_again.tif"}
    assert [Path(row.target).name for row in from_folder(work, "*.tif", common, watch)] == scenes
    (notice,) = watch.notices
    assert notice.code == "batch.written" and f"by Terramend: {3 * len(scenes)} (" in notice.sentence
    with pytest.raises(TerramendError) as caught:
        from_folder(work, "*_f.tif", common, Watch())
    assert caught.value.code == "batch.written"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_stops_no_other_row(work):
    (work / os.fsdecode(b"b\xff.tif")).write_bytes((work / "b.tif").read_bytes())
    common = {
        "gaps": [{"path": "{folder}/m.tif"}], "output": "{folder}/o{stem}.tif", "model": "nearest",
        "radiometry": "dn",
    }  # fmt: skip
    path = work / "results.csv"
    summary = batch.run(from_folder(work, "b*.tif", common, Watch()), path, None, Watch())
    assert (summary["done"], summary["failed"]) == (1, 1)
    assert r"b\udcff.tif" in path.read_text("utf-8")


def test_cancel_keeps_what_is_done_and_the_next_run_goes_on(work, capsys):
    (work / "none.tif").write_bytes((work / "m.tif").read_bytes())
    rows = from_table(work / "table.csv", {"model": "nearest", "radiometry": "dn"})
    watch = Watch(on_progress=lambda p: (p.stage, p.done) == ("rows", 1) and watch.cancel())
    with pytest.raises(TerramendError) as caught:
        batch.run(rows, work / "table_results.csv", None, watch)
    assert caught.value.code == "batch.cancelled"
    assert caught.value.exit_status == 4
    assert caught.value.arguments == {"done": 1, "rows": 3}
    assert [line["status"] for line in results(work)] == ["done"]
    assert not list(work.glob(".*")) and not list(work.glob("*.tmp"))
    assert terramend(capsys, "batch", work / "table.csv")[1] | {"results": ""} == {
        "rows": 3, "done": 2, "skipped": 1, "failed": 0, "results": "", "failures": [],
    }  # fmt: skip


def test_a_cancel_that_is_asked_for_twice_tells_of_the_rows_that_are_done(work):
    def impatient(progress) -> None:
        if progress.stage == "rows" and progress.done:
            raise KeyboardInterrupt

    rows = from_table(work / "table.csv", {"model": "nearest", "radiometry": "dn"})
    with pytest.raises(TerramendError) as caught:
        batch.run(rows, work / "table_results.csv", None, Watch(on_progress=impatient))
    assert (caught.value.code, caught.value.arguments) == ("batch.cancelled", {"done": 1, "rows": 3})


def test_a_cancel_forgets_nothing_that_was_known(work):
    """Neither a row that was done while the cancel came, nor those of an earlier run that were not reached."""
    rows = from_table(work / "table.csv", {"model": "nearest", "radiometry": "dn"})
    (work / "a.tif").rename(work / "late.tif")
    batch.run(rows, work / "table_results.csv", None, Watch())
    before = results(work)
    assert [line["status"] for line in before] == ["failed", "failed", "done"]
    (work / "late.tif").rename(work / "a.tif")
    (work / "oc.tif").unlink()

    class Late(Watch):
        """Is cancelled when the first row's output is in place."""

        def check(self) -> None:
            if (work / "oa.tif").exists():
                self.cancel()
            super().check()

    with pytest.raises(TerramendError) as caught:
        batch.run(rows, work / "table_results.csv", None, Late())
    assert caught.value.arguments == {"done": 1, "rows": 3}
    assert [line["status"] for line in results(work)] == ["done", "failed", "done"]
    assert results(work)[1:] == before[1:]


def test_settings_of_this_machine_hold_for_rows_and_are_checked_before_the_first(work, capsys, monkeypatch):
    words = ["batch", str(table(work, "target,gaps,output\na.tif,m.tif,o.tif\n")), "--radiometry", "dn"]
    monkeypatch.setenv("TERRAMEND_MODEL", "nearest")
    monkeypatch.setenv("TERRAMEND_JOBS", "many")
    assert cli.main(words) == 2
    assert "TERRAMEND_JOBS" in capsys.readouterr().err and not (work / "table_results.csv").exists()
    monkeypatch.setenv("TERRAMEND_JOBS", "1")
    assert cli.main(words) == 0
    assert results(work)[0]["model"] == "nearest"


@pytest.mark.parametrize("words", [[], ["t.csv", "--folder", "x"], ["missing.csv"]])
def test_wrong_calls(words, capsys):
    assert cli.main(["batch", *words]) == 2
    assert capsys.readouterr().err.startswith("terramend: ")
