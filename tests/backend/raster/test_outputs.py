"""Outputs exist whole or not at all; wrong destinations are refused before anything is written."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from terramend.backend.errors import TerramendError
from terramend.backend.raster import outputs
from terramend.backend.raster.outputs import (
    Outputs,
    destination,
    local_files,
    sweep,
    temporary_name,
    working_folder,
)

LINKS = ("symlink", "linked folder")


def refused(code: str, paths, inputs=(), overwrite=False):
    with pytest.raises(TerramendError) as caught:
        Outputs([str(p) for p in paths], [str(i) for i in inputs], overwrite)
    assert caught.value.code == code
    return str(caught.value)


def test_commit_renames_all_and_removes_stale_sidecars(tmp_path):
    main, std = tmp_path / "out.tif", tmp_path / "std.tif"
    main.write_text("old")
    (tmp_path / "out.tif.aux.xml").write_text("old statistics")
    files = Outputs([str(main), str(std)], [], overwrite=True)
    for path in (main, std):
        files.temporary(path).write_text("new " + path.name)
    assert main.read_text() == "old" and not std.exists()
    files.commit()
    files.discard()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.tif", "std.tif"]
    assert main.read_text() == "new out.tif"


@pytest.mark.posix("links that anybody may make")
def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    """As GDAL does; what it points to may be an archive's, which nobody named."""
    archived, link = tmp_path / "archived.tif", tmp_path / "link.tif"
    archived.write_text("old")
    link.symlink_to(archived)
    refused("output.exists", [link])
    files = Outputs([str(link)], [], overwrite=True)
    files.temporary(link).write_text("new")
    files.commit()
    assert (link.read_text(), archived.read_text(), link.is_symlink()) == ("new", "old", False)


def test_discard_leaves_nothing(tmp_path):
    files = Outputs([str(tmp_path / "a[1].tif")], [], False)
    temporary = files.temporary(tmp_path / "a[1].tif")
    temporary.write_text("x")
    Path(f"{temporary}.aux.xml").write_text("x")
    temporary.with_suffix(".IMD").write_text("what GDAL writes for the tags of Landsat's MTL")
    other = tmp_path / "a1.tif"
    other.write_text("kept")
    files.discard()
    assert list(tmp_path.iterdir()) == [other]


def test_a_failing_main_file_takes_its_new_siblings_along(tmp_path, monkeypatch):
    main, std = tmp_path / "out.tif", tmp_path / "std.tif"
    files = Outputs([str(main), str(std)], [], False)
    files.temporary(std).write_text("x")
    files.temporary(main).write_text("x")
    replace = Path.replace

    def fail_for_main(self, target):
        if target == main:
            raise PermissionError(13, "in use")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_for_main)
    with pytest.raises(TerramendError, match="in use"):
        files.commit()
    files.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path, monkeypatch):
    """As on some network disks, or where a folder may be written but not read."""
    files = Outputs([str(tmp_path / "out.tif")], [], False)
    files.temporary(tmp_path / "out.tif").write_text("x")
    flush = os.fsync

    def fail_for_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        flush(handle)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    files.commit()
    assert (tmp_path / "out.tif").read_text() == "x"


def test_existing_output_needs_overwrite(tmp_path):
    (tmp_path / "out.tif").write_text("x")
    assert "--overwrite" in refused("output.exists", [tmp_path / "out.tif"])
    Outputs([str(tmp_path / "out.tif")], [], True)


def test_a_file_that_windows_would_not_replace_is_refused_before_the_work(tmp_path, monkeypatch):
    """A program holds it open, such as QGIS, where it is a layer."""

    def held(path: Path, target: Path) -> Path:
        raise PermissionError(13, "in use")

    path = tmp_path / "out.tif"
    path.write_bytes(b"old")
    Outputs([str(path)], [], overwrite=True)
    assert path.read_bytes() == b"old"
    monkeypatch.setattr(Path, "rename", held)
    said = refused("output.locked", [path], overwrite=True)
    assert str(path) in said and "in use" in said and "in QGIS, remove its layer" in said
    Outputs([str(tmp_path / "new.tif")], [], overwrite=True)


def test_another_ending_than_that_of_a_geotiff_is_refused(tmp_path):
    assert ".tif" in refused("output.ending", [tmp_path / "out.png"])
    Outputs([str(tmp_path / name) for name in ("a.TIF", "b.tiff", "c", "d_2020.01")], [], False)


def test_a_temporary_name_tells_its_destination(tmp_path):
    files = Outputs([str(tmp_path / "a.b.tif")], [], False)
    assert destination(files.temporary(tmp_path / "a.b.tif")) == tmp_path / "a.b.tif"
    assert destination(tmp_path / ".hidden.tif") == tmp_path / ".hidden.tif"


def test_a_full_disk_of_temporary_files_is_said(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="cut off"), working_folder(tmp_path):
        raise OSError("cut off")
    monkeypatch.setattr(outputs, "is_full", lambda folder: True)
    with pytest.raises(TerramendError, match=r"temporary files .* --tmp"), working_folder(tmp_path):
        raise OSError("cut off")
    assert list(tmp_path.iterdir()) == []


def test_folder_missing_folder_and_twice(tmp_path):
    refused("output.folder", [tmp_path])
    refused("output.special", [os.devnull], overwrite=True)
    refused("output.no-folder", [tmp_path / "absent" / "out.tif"])
    refused("output.twice", [tmp_path / "a.tif", tmp_path / "a.tif"])


@pytest.mark.parametrize(
    "how",
    [
        "same",
        "hardlink",
        "dots",
        "zip",
        "subdataset",
        "vrt",
        *(pytest.param(how, marks=pytest.mark.posix("links that anybody may make")) for how in LINKS),
    ],
)
def test_an_output_that_is_an_input_is_refused_even_with_overwrite(tmp_path, how):
    folder = tmp_path / "data"
    folder.mkdir()
    source = folder / "in.tif"
    source.write_text("x")
    output, named = source, str(source)
    if how == "symlink":
        output = tmp_path / "link.tif"
        output.symlink_to(source)
    elif how == "hardlink":
        output = tmp_path / "hard.tif"
        os.link(source, output)
    elif how == "dots":
        output = folder / ".." / "data" / "in.tif"
    elif how == "linked folder":
        (tmp_path / "other").symlink_to(folder)
        output = tmp_path / "other" / "in.tif"
    elif how == "zip":
        named = f"/vsizip/{source}/inner/band.tif"
    elif how == "subdataset":
        named = f'NETCDF:"{source}":reflectance'
    elif how == "vrt":
        named = f"vrt://{source}?bands=3"
    refused("output.is-input", [output], [named], overwrite=True)


@pytest.mark.parametrize(
    "named",
    [
        "vrt://in.tif?bands=1",
        "/vsisubfile/0_9,in.tif",
        "/vsicached?file=in.tif",
        "/vsizip/{in.tif}/a.tif",
        "mosaic.txt",
        Path("mosaic.txt"),
    ],
)
def test_an_input_that_gdal_names_or_a_vrt_of_any_ending_draws_on(write, tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    rasterio.shutil.copy(write("in.tif", np.ones((1, 8, 8), np.uint8)), "mosaic.txt", driver="VRT")
    name = named if isinstance(named, str) else named.read_text()  # the VRT itself in place of its name
    refused("output.is-input", ["in.tif"], [name], overwrite=True)


def test_vrts_that_draw_on_each_other_end(write, tmp_path):
    for name, other in (("a.vrt", "b"), ("b.vrt", "a")):
        rasterio.shutil.copy(
            write(f"{other}.tif", np.ones((1, 8, 8), np.uint8)), tmp_path / name, driver="VRT"
        )
    (tmp_path / "a" / "deep").mkdir(parents=True)
    for name, other in (("a.vrt", "b"), ("b.vrt", "a")):
        text = (tmp_path / name).read_text().replace(f"{other}.tif", f"a/deep/../../{other}.vrt")
        (tmp_path / name).write_text(text)
    assert {path.name for path in local_files(str(tmp_path / "a.vrt"))} == {"a.vrt", "b.vrt"}


def test_a_dangling_link_to_a_new_file_is_no_input(tmp_path):
    assert local_files(str(tmp_path / "absent.tif")) == []
    assert local_files("/vsicurl/https://example.org/a.tif") == []


def test_free_space_is_checked(tmp_path):
    files = Outputs([str(tmp_path / "out.tif")], [], False)
    files.need(1)
    with pytest.raises(TerramendError) as caught:
        files.need(10**18)
    assert caught.value.code == "output.space"


def test_left_overs_of_dead_processes_are_swept_and_others_kept(tmp_path):
    code = (
        "import sys, pathlib; from terramend.backend.raster.outputs import temporary_name as t;"
        "f = pathlib.Path(sys.argv[1]); (f / (t('a.tif') + '.tif')).touch(); (f / t('work')).mkdir();"
        "(f / (t('a.tif') + '.IMD')).touch()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    mine = tmp_path / (temporary_name("b.tif") + ".tif")
    foreign = tmp_path / ".c.tif.terramend-otherhost-1-0.tmp.tif"
    plain = tmp_path / ".hidden.tif"
    for path in (mine, foreign, plain):
        path.touch()
    assert len(list(tmp_path.iterdir())) == 6
    sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {mine.name, foreign.name, plain.name}


CONTAINER = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
"""Begins a command whose processes have numbers of their own, under this host's name."""


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*CONTAINER, "true"], capture_output=True).returncode,
    reason="no containers can be begun",
)
@pytest.mark.posix("numbers of processes")
def test_a_left_over_with_a_number_that_no_process_has_is_swept_too(tmp_path):
    odd = tmp_path / temporary_name("out.tif").replace(f"-{os.getpid()}-", f"-{10**20}-")
    odd.touch()
    sweep(tmp_path)
    assert not odd.exists()


def test_a_container_of_the_same_name_does_not_sweep_what_is_written_outside(tmp_path):
    mine = tmp_path / (temporary_name("b.tif") + ".tif")
    mine.touch()
    code = "import sys, pathlib; from terramend.backend.raster.outputs import sweep; sweep(pathlib.Path(sys.argv[1]))"
    subprocess.run([*CONTAINER, sys.executable, "-c", code, str(tmp_path)], check=True)
    assert mine.exists()


def test_the_working_folder_goes_also_after_an_error(tmp_path):
    with pytest.raises(ValueError), working_folder(tmp_path) as folder:
        (folder / "file").touch()
        raise ValueError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TerramendError) as caught, working_folder(tmp_path / "absent"):
        pass
    assert caught.value.code == "tmp.folder"


def test_own_process_is_alive():
    assert outputs._alive(os.getpid())


def test_what_lies_beside_an_output_is_never_lost_unasked(tmp_path):
    """GDAL would take them for the new file's, so they go with an old one: unless they are an input."""
    main, mask = tmp_path / "out.tif", tmp_path / "out.tif.msk"
    mask.write_text("somebody's mask")
    assert str(mask) in refused("output.sidecar", [main], [mask], overwrite=True)
    assert str(mask) in refused("output.exists", [main])
    Outputs([str(main)], [], overwrite=True)
    mask.unlink()
    (tmp_path / "out.tif.aux.xml").write_text("statistics that QGIS left behind")
    Outputs([str(main)], [], overwrite=False)


def test_a_file_that_appears_during_the_run_stays(tmp_path):
    main, std = tmp_path / "out.tif", tmp_path / "std.tif"
    files = Outputs([str(main), str(std)], [], overwrite=False)
    for path in (main, std):
        files.temporary(path).write_text("new")
    std.write_text("another program's")
    with pytest.raises(TerramendError) as caught:
        files.commit()
    files.discard()
    assert caught.value.code == "output.exists" and std.read_text() == "another program's"
    assert list(tmp_path.iterdir()) == [std]


def test_a_report_ends_in_html(tmp_path):
    with pytest.raises(TerramendError) as caught:
        Outputs([], [], True, reports=[str(tmp_path / "victim.tif")])
    assert caught.value.code == "output.report"
    assert Outputs([], [], False, reports=[str(tmp_path / "a.HTML")]).paths == [tmp_path / "a.HTML"]


@pytest.mark.posix("owners of files")
def test_what_only_another_user_may_replace_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "theirs.tif").touch()
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(TerramendError) as caught:
        Outputs([str(tmp_path / "theirs.tif")], [], True)
    assert caught.value.code == "output.owner"
    Outputs([str(tmp_path / "new.tif")], [], True)
    tmp_path.chmod(0o777)
    Outputs([str(tmp_path / "theirs.tif")], [], True)


def test_a_name_without_room_for_its_temporary_one_is_refused_before_the_work(tmp_path):
    fits = "ä" * ((outputs.LONGEST - 4) // 2)
    with pytest.raises(TerramendError) as caught:
        Outputs([str(tmp_path / f"{fits}ä.tif")], [], False)
    assert caught.value.code == "output.long"
    longest = Outputs([str(tmp_path / f"{fits}.tif")], [], False)
    Path(f"{longest.temporary(longest.paths[0])}.flat.tif").touch()


def test_a_text_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "report.json"
    outputs.write_whole(path, "first")
    with pytest.raises(ZeroDivisionError), outputs.written(path) as part:
        part.write_text("sec")
        raise ZeroDivisionError
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]
    outputs.write_whole(path, "second")
    assert path.read_text() == "second" and list(tmp_path.iterdir()) == [path]


def test_a_text_without_a_folder_is_said_by_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        outputs.write_whole(tmp_path / "none" / "report.json", "x")
    assert caught.value.filename == str(tmp_path / "none" / "report.json")


def test_what_another_file_lacks_is_said_of_that_one(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, outputs.written(tmp_path / "report.json"):
        (tmp_path / "input.json").read_text()
    assert caught.value.filename == str(tmp_path / "input.json")


def test_a_text_that_a_folder_stands_in_the_way_of(tmp_path):
    (tmp_path / "report.json").mkdir()
    with pytest.raises(TerramendError) as caught:
        outputs.write_whole(tmp_path / "report.json", "x")
    assert caught.value.code == "output.locked" and str(tmp_path / "report.json") in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
