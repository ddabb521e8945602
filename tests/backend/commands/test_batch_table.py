"""The rows of a batch: tables as people write them, and folders."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from terramend.backend import cli
from terramend.backend.commands import batch_table
from terramend.backend.commands.batch_table import Row, from_folder, from_table
from terramend.backend.errors import TerramendError
from terramend.backend.request import Mask, Reference
from terramend.backend.watch import Watch

from ..conftest import table


def only(folder: Path, text: str, **common) -> Row:
    (row,) = from_table(table(folder, text), common)
    return row


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_row_is_read_as_the_command_line_would(tmp_path, delimiter, mark):
    apart = str(tmp_path.parent / "r2.tif")
    cells = {
        "Target": "b1.tif|b2.tif", "gaps": "a.tif|b.gpkg", "gaps_kind": "scl|polygons", "--grow": "30m",
        "reference": f"r1.tif|{apart}", "reference-gaps": "m1.tif|", "reference-date": "2024-01-02|",
        "reference-gaps-kind": "|none", "classes": '"cloud,snow"', "Fill swath edges": "yes", "std": "yes",
        "provenance": "p.tif", "set": "a=1|b=2", "seed": "7", "overwrite": "no", "output": "out/o.tif",
        "dem": "/vsizip/dem.zip/d.tif", "extent": '"-1,2,3,4"', "quality": "",
    }  # fmt: skip
    row = only(tmp_path, f"{mark}{delimiter.join(cells)}\n{delimiter.join(cells.values())}\n\n")
    assert row.error is None, row.error
    made, here = row.request, tmp_path
    assert made.target == (str(here / "b1.tif"), str(here / "b2.tif"))
    assert made.gaps == (Mask(str(here / "a.tif"), "scl"), Mask(str(here / "b.gpkg"), "polygons"))
    assert made.references == (
        Reference(str(here / "r1.tif"), (Mask(str(here / "m1.tif")),), "2024-01-02"),
        Reference(apart, (Mask("", "none"),)),
    )
    assert (made.grow, made.classes, made.extent) == ("30m", ("cloud", "snow"), "-1,2,3,4")
    assert (made.fill_swath_edges, made.overwrite, made.seed) == (True, False, 7)
    assert (made.std, made.provenance) == (str(here / "out/o_std.tif"), str(here / "p.tif"))
    assert made.settings == (("a", "1"), ("b", "2"))
    assert made.dem == "/vsizip/dem.zip/d.tif"


def test_columns_may_be_named_as_the_fields_of_a_request(tmp_path):
    cells = {
        "target": "t.tif", "output": "o.tif", "settings": "a=1", "creation_options": "COG=YES",
        "references_from": "dates", "weights_map": "w.png", "trajectory": "t.png", "hash_inputs": "no",
    }  # fmt: skip
    made = only(tmp_path, f"{','.join(cells)}\n{','.join(cells.values())}\n", hash_inputs=True).request
    assert (made.settings, made.creation_options) == ((("a", "1"),), ("COG=YES",))
    assert made.references_from == str(tmp_path / "dates")
    assert (made.weights_map, made.trajectory) == (str(tmp_path / "w.png"), str(tmp_path / "t.png"))
    assert not made.hash_inputs


def test_empty_lines_before_the_header_are_none(tmp_path):
    assert only(tmp_path, "\n\ntarget;output\na.tif;o.tif\n").request.output == str(tmp_path / "o.tif")


def test_a_table_that_is_not_there_is_named_once(tmp_path):
    with pytest.raises(TerramendError) as caught:
        from_table(tmp_path / "none.csv", {})
    assert caught.value.arguments["why"] == "No such file or directory"


def test_empty_columns_behind_the_last_one_are_none(tmp_path):
    assert only(tmp_path, "target,output,,\nt.tif,o.tif,,\n").request.target == (str(tmp_path / "t.tif"),)
    assert only(tmp_path, "target,output,,\nt.tif,o.tif,,x\n").error.code == "batch.cells"


def test_one_qualifier_serves_all(tmp_path):
    row = only(tmp_path, "target,gaps,gaps-kind,output\nt.tif,a.tif|b.tif,nonzero,o.tif\n")
    assert [mask.kind for mask in row.request.gaps] == ["nonzero", "nonzero"]


def test_a_layer_of_a_file_is_one_value(tmp_path):
    text = (
        "target,gaps,gaps-kind,reference,reference-gaps,output\nt.tif,a.gpkg|layername=x|b.tif,polygons|scl,"
    )
    row = only(tmp_path, text + "r.tif|s.tif,|c.gpkg|layername=y z,o.tif\n")
    here = tmp_path
    assert row.request.gaps == (
        Mask(f"{here / 'a.gpkg'}|layername=x", "polygons"),
        Mask(str(here / "b.tif"), "scl"),
    )
    assert [r.masks for r in row.request.references] == [(), (Mask(f"{here / 'c.gpkg'}|layername=y z"),)]


def test_the_files_of_one_reference_are_relative_to_the_table(tmp_path):
    apart = tmp_path.parent / "r3.tif"
    row = only(tmp_path, f"target,reference,output\nt.tif,r4.tif; {apart}|s.tif,o.tif\n")
    assert [r.path for r in row.request.references] == [
        f"{tmp_path / 'r4.tif'};{apart}",
        str(tmp_path / "s.tif"),
    ]


def test_common_options_hold_where_a_row_says_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    common = {
        "model": "mean", "dem": "d.tif", "gaps": [{"path": "{folder}/{stem}_m.tif"}], "output": "out/{stem}_f.tif",
        "std": True,
    }  # fmt: skip
    first, second = from_table(table(tmp_path, "target,model\nx.tif,\nsub/y.tif,idw\n"), common)
    assert (first.request.model, second.request.model) == ("mean", "idw")
    assert first.request.dem == str(tmp_path.parent / "d.tif")
    assert second.request.gaps == (Mask(str(tmp_path / "sub/y_m.tif")),)
    assert second.request.output == str(tmp_path.parent / "out/y_f.tif")
    assert second.request.std == str(tmp_path.parent / "out/y_f_std.tif")


def test_a_rows_no_holds_over_the_options_of_the_command(tmp_path):
    common = {
        "overwrite": True,
        "hash_inputs": True,
        "fill_swath_edges": True,
        "std": True,
        "provenance": True,
    }
    text = "target,output,overwrite,hash-inputs,fill-swath-edges,std,provenance"
    refusing, silent = from_table(
        table(tmp_path, f"{text}\nt.tif,o.tif,no,0,off,no,No\nt.tif,p.tif,,,,,\n"), common
    )
    assert refusing.error is None
    made = refusing.request
    assert (made.overwrite, made.hash_inputs, made.fill_swath_edges) == (False, False, False)
    assert (made.std, made.provenance) == (None, None)
    assert silent.request.overwrite and silent.request.std == str(tmp_path / "p_std.tif")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no column target"]),
        ("output\no.tif\n", ["no column target"]),
        ("target,output\n", ["no rows"]),
        ("target,colour\nt.tif,red\n", ["'colour'", "gaps-kind"]),
        ("target,model,model\nt.tif,a,b\n", ["'model'"]),
        (f'target,output\nt.tif,"{"x" * 200_000}\n', ["field larger"]),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, text, words):
    with pytest.raises(TerramendError) as caught:
        from_table(table(tmp_path, text), {})
    assert caught.value.code == "batch.table"
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("columns", "cells", "code"),
    [
        ("target", "t.tif", "batch.output"),
        ("target,output", ",o.tif", "command.option"),
        ("target,output,gaps,gaps-kind", "t.tif,o.tif,a|b|c,scl|scl", "batch.count"),
        ("target,output,gaps-kind", "t.tif,o.tif,scl", "batch.owner"),
        ("target,output,overwrite", "t.tif,o.tif,perhaps", "command.option"),
        ("target,output,seed", "t.tif,o.tif,x", "command.usage"),
        ("target,output,quality", "t.tif,o.tif,high", "command.usage"),
        ("target,output,date", "t.tif,o.tif,yesterday", "command.option"),
        ("target,output,bands", "t.tif,o.tif,1,3", "batch.cells"),  # unquoted
        ("output,target", "o.tif", "command.option"),  # cut short
    ],
)
def test_a_row_that_cannot_be_used(tmp_path, columns, cells, code):
    assert only(tmp_path, f"{columns}\n{cells}\n").error.code == code


def test_what_is_wrong_is_said_of_the_option_that_a_column_is_named_as(tmp_path):
    row = only(tmp_path, "target,output,grow\nt.tif,o.tif,far\n")
    assert str(row.error).startswith("--grow is not valid: 'far'")


def test_two_rows_cannot_have_one_output(tmp_path):
    first, second = from_table(table(tmp_path, "target,output\na.tif,o.tif\nb.tif,./o.tif\n"), {})
    assert first.error is None
    assert (second.error.code, second.error.arguments["row"]) == ("batch.twice", 1)


@pytest.mark.posix("links that anybody may make")
def test_two_rows_cannot_have_one_output_by_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    rows = from_table(table(tmp_path, "target,output\na.tif,real/o.tif\nb.tif,link/o.tif\n"), {})
    assert [row.error and row.error.code for row in rows] == [None, "batch.twice"]


def test_a_row_costs_little_to_read(tmp_path):
    """In calls of functions: a table may have thousands of rows."""
    lines = [f"a{number}.tif,b.tif,none,o{number}.tif" for number in range(100)]
    path = table(tmp_path, "\n".join(["target,reference,reference-gaps-kind,output", *lines]))
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        rows = from_table(path, {})
    finally:
        sys.setprofile(None)
    assert all(row.error is None for row in rows)
    assert calls < 1000 * len(rows)  # twice as many where each asks anew what types a request has


def test_two_rows_cannot_share_an_extra_output(tmp_path):
    text = "target,output,provenance\na.tif,a_f.tif,\nb.tif,b_f.tif,\nc.tif,c_f.tif,b_f.tif\n"
    rows = from_table(table(tmp_path, text), {"std": str(tmp_path / "s.tif")})
    assert [row.error and row.error.code for row in rows] == [None, "batch.twice", "batch.twice"]
    assert "s.tif" in str(rows[1].error) and "{stem} in its name" in str(rows[1].error)
    rows = from_table(table(tmp_path, text), {"std": str(tmp_path / "{stem}_s.tif")})
    assert [row.error and row.error.code for row in rows] == [None, None, "batch.twice"]


def test_cells_too_may_name_a_part_of_the_target(tmp_path):
    text = "target,gaps,output\na.tif,{stem}_m.tif,{folder}/out/{stem}_f.tif\nb.tif,,{name}_f.tif\n"
    first, second = from_table(table(tmp_path, text), {})
    assert first.request.gaps[0].path == str(tmp_path / "a_m.tif")
    assert first.request.output == str(tmp_path / "out" / "a_f.tif")
    assert "{name} stands for nothing" in str(second.error)


def test_a_folder_without_its_masks_and_outputs(tmp_path):
    for name in ("a.tif", "a_mask.tif", "a_filled.tif", "b.tif", "b_mask.tif", "dem.tif", "notes.txt"):
        (tmp_path / name).touch()
    common = {
        "gaps": [{"path": "{folder}/{stem}_mask.tif"}], "dem": str(tmp_path / "dem.tif"),
        "output": "{folder}/{stem}_filled.tif",
    }  # fmt: skip
    rows = from_folder(tmp_path, "*.tif", common, Watch())
    assert [(row.number, Path(row.target).name) for row in rows] == [(1, "a.tif"), (2, "b.tif")]
    with pytest.raises(TerramendError, match=r"\*\.SAFE"):
        from_folder(tmp_path, "*.SAFE", common, Watch())


def test_a_folder_without_the_masks_beside_its_scenes(tmp_path):
    masks = ("a_cloudmask.tif", "b_clouds.tif", "mask_b.tif")
    for name in ("a.tif", "b.tif", "cloud_free.tif", "clouds_2020.tif", *masks):
        (tmp_path / name).touch()
    common, watch = {"output": "{folder}/out/{stem}.tif"}, Watch()
    rows = from_folder(tmp_path, "*.tif", common, watch)
    scenes = ["a.tif", "b.tif", "cloud_free.tif", "clouds_2020.tif"]
    assert [Path(row.target).name for row in rows] == scenes
    (notice,) = watch.notices
    assert notice.code == "batch.masks" and "3 (a_cloudmask.tif first)" in notice.sentence
    rows = from_folder(tmp_path, "*_cloudmask.tif", common, Watch())
    assert [Path(row.target).name for row in rows] == ["a_cloudmask.tif"]


def test_a_folder_without_the_other_dates_and_the_area_of_its_rows(tmp_path):
    for name in ("a.tif", "area.gpkg"):
        (tmp_path / name).touch()
    (tmp_path / "dates").mkdir()
    common = {"references_from": str(tmp_path / "dates"), "extent": str(tmp_path / "area.gpkg")}
    rows = from_folder(tmp_path, "*", {**common, "output": "{stem}_filled.tif"}, Watch())
    assert [Path(row.target).name for row in rows] == ["a.tif"]


def test_a_folder_without_the_quality_bands_beside_its_scenes(tmp_path):
    quality = (
        "a_SCL.tif",
        "landsat8_BQA.tif",
        "MOD11A1.061_QC_Day_doy2020177_aid0001.tif",
        "a_VI_Quality.tif",
    )
    for name in ("a.tif", "clouds_2020.tif", *quality):
        (tmp_path / name).touch()
    common = {"output": "{folder}/out/{stem}.tif"}
    rows = from_folder(tmp_path, "*.tif", common, Watch())
    assert [Path(row.target).name for row in rows] == ["a.tif", "clouds_2020.tif"]
    rows = from_folder(
        tmp_path, "*_SCL.tif", common, Watch()
    )  # who asks for it is told what is wrong with it
    assert [Path(row.target).name for row in rows] == ["a_SCL.tif"]


@pytest.mark.posix("links that anybody may make")
def test_entries_of_a_folder_that_are_hidden_or_links(tmp_path):
    archive, scenes = tmp_path / "archive", tmp_path / "scenes"
    for folder in (archive, scenes):
        folder.mkdir()
    (archive / "long_name.tif").touch()
    for name in ("b.tif", "dem.tif", "results.csv", "._b.tif", ".b_f.tif.terramend-host-1-0.tmp.tif"):
        (scenes / name).touch()
    (scenes / "a.tif").symlink_to(archive / "long_name.tif")
    (tmp_path / "link").symlink_to(scenes)
    common = {"output": "{folder}/{stem}_f.tif", "dem": str(tmp_path / "link/dem.tif")}
    rows = from_folder(tmp_path / "link", "*", common, Watch())
    assert [row.target for row in rows] == [f"{scenes}/a.tif", f"{scenes}/b.tif"]
    assert rows[0].request.output == f"{scenes}/a_f.tif"


@pytest.mark.parametrize("pattern", ["", "/etc/*", "*.SAFE"])
def test_a_pattern_that_finds_nothing(tmp_path, pattern):
    (tmp_path / "a.tif").touch()
    with pytest.raises(TerramendError) as caught:
        from_folder(tmp_path, pattern, {}, Watch())
    assert caught.value.code == "batch.folder"


def test_every_option_of_fill_is_a_column():
    known = {name for action in cli.parser_of("fill")._actions for name in action.option_strings}
    columns = {name.removeprefix("--") for name in known if name.startswith("--")} - {"help", "json"}
    assert columns | {"target"} == batch_table.KNOWN


def test_a_folder_that_may_not_be_read_is_not_called_empty(tmp_path, monkeypatch):
    def closed(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(PermissionError):
        from_folder(tmp_path, "*.tif", {}, Watch())


@pytest.mark.posix("links")
def test_a_folder_that_is_a_link_to_itself_holds_nothing(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(TerramendError) as caught:
        from_folder(tmp_path / "loop", "*.tif", {}, Watch())
    assert caught.value.code == "batch.folder"
