"""The command line from outside: statuses, streams, signals."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from terramend.backend import cli
from terramend.backend.errors import TerramendError
from terramend.backend.version import VERSION
from terramend.backend.watch import Watch

from .conftest import blobs, landscape

PYTHON = shlex.quote(sys.executable)
BARE = {name: value for name, value in os.environ.items() if not name.startswith("TERRAMEND_")}


def terramend(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "terramend.backend", *map(str, words)],
        capture_output=True, text=True, timeout=600, env={**BARE, **variables},
    )  # fmt: skip


@pytest.fixture
def target(write) -> Path:
    return write("target.tif", landscape(2, 64, 80).astype("uint16"))


@pytest.fixture
def mask(write) -> Path:
    return write("mask.tif", blobs(64, 80, 0.2).astype("uint8"))


@pytest.fixture
def quick(target, mask, tmp_path) -> list[str]:
    """Words of a fill that takes no time, into `o.tif`."""
    words = [
        "fill",
        target,
        "--gaps",
        mask,
        "--model",
        "nearest",
        "--radiometry",
        "dn",
        "-o",
        tmp_path / "o.tif",
    ]
    return [str(word) for word in words]


def test_fill_says_what_it_did_and_json_is_one_object(target, mask, tmp_path):
    words = ("fill", target, "--gaps", mask, "--model", "harmonic", "--radiometry", "dn")
    done = terramend(*words, "-o", tmp_path / "a.tif", "--std", "--provenance")
    assert done.returncode == 0, done.stderr
    assert "harmonic" in done.stdout and str(tmp_path / "a_std.tif") in done.stdout
    assert "\r" not in done.stderr and "fill" in done.stderr
    done = terramend(*words, "-o", tmp_path / "b.tif", "--json")
    result = json.loads(done.stdout)
    assert result["outputs"] == [str(tmp_path / "b.tif")]
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    with rasterio.open(tmp_path / "a.tif") as file, rasterio.open(target) as before:
        flags = rasterio.open(mask).read(1) == 0
        assert np.array_equal(file.read()[:, flags], before.read()[:, flags])


def test_errors_are_one_sentence_and_with_json_one_object(tmp_path):
    done = terramend("fill", "none.tif", "-o", tmp_path / "x.tif", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "raster.missing" and "none.tif" in error["message"]
    assert done.stderr.splitlines()[-1] == f"terramend: {error['message']}"
    assert "Traceback" not in done.stderr


def test_settings_hold_from_file_and_environment_and_the_flag_wins(target, mask, tmp_path):
    (tmp_path / "c.toml").write_text('model = "mean"\nquality = "fast"\n')
    words = (
        "fill",
        target,
        "--gaps",
        mask,
        "--radiometry",
        "dn",
        "--json",
        "--overwrite",
        "-o",
        tmp_path / "o.tif",
    )
    file = {"TERRAMEND_CONFIG": str(tmp_path / "c.toml")}
    assert json.loads(terramend(*words, **file).stdout)["model"] == "mean"
    both = json.loads(terramend(*words, **file, TERRAMEND_MODEL="nearest").stdout)
    assert (both["model"], both["quality"]) == ("nearest", "fast")
    flag = json.loads(terramend(*words, "--model", "idw", **file, TERRAMEND_MODEL="nearest").stdout)
    assert flag["model"] == "idw"


def test_doctor_shows_origins_and_tells_the_truth_about_the_device(tmp_path):
    done = terramend("doctor", "--jobs", "3", "--json", TERRAMEND_QUALITY="fast", TERRAMEND_QUALTY="x")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["healthy"] and found["version"] == VERSION
    assert found["settings"]["jobs"] == {"value": 3, "origin": "--jobs"}
    assert found["settings"]["quality"] == {"value": "fast", "origin": "TERRAMEND_QUALITY"}
    assert found["settings"]["device"] == {"value": "auto", "origin": "default"}
    assert found["unknown_variables"] == ["TERRAMEND_QUALTY"]
    assert {probe["device"]: probe["computes"] for probe in found["devices"]}["cpu"] is True
    for package in ("numpy", "rasterio", "onnxruntime"):
        assert found["packages"][package]
    text = terramend("doctor", TERRAMEND_QUALITY="fast").stdout
    assert "from TERRAMEND_QUALITY" in text and "computes" in text
    if not {probe["device"]: probe["computes"] for probe in found["devices"]}["cuda"]:
        refused = terramend("doctor", "--device", "cuda", "--json")
        assert refused.returncode == 3 and "cuda was asked for" in refused.stderr
        assert json.loads(refused.stdout)["error"]["code"] == "environment.device"


def test_doctor_looks_at_the_folder_of_temporary_files_that_is_used(tmp_path):
    found = json.loads(terramend("doctor", "--json", TERRAMEND_TMP=str(tmp_path)).stdout)
    assert found["temporary"]["folder"] == str(tmp_path) and found["temporary"]["free_gb"] > 0
    done = terramend("doctor", "--tmp", str(tmp_path / "none"))
    assert done.returncode == 0 and f"no folder {tmp_path / 'none'}" in done.stdout


@pytest.mark.posix("HOME")
def test_doctor_says_that_a_home_cannot_be_entered(tmp_path):
    (tmp_path / "file").touch()
    done = terramend("doctor", HOME=str(tmp_path / "file"), XDG_CONFIG_HOME="", XDG_DATA_HOME="")
    assert done.returncode == 0
    assert done.stdout.count("cannot be reached: Not a directory") == 2


def test_doctor_answers_where_nothing_else_can_be_imported():
    code = """
import sys
for name in ("numpy", "scipy", "rasterio", "onnxruntime", "cv2"):
    sys.modules[name] = None
from terramend.backend.cli import main
raise SystemExit(main(sys.argv[1:]))
"""
    done = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True, env=BARE)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "Networks cannot run here" in done.stdout
    words = ["fill", "a.tif", "-o", "b.tif"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=BARE)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "package" in done.stderr and "install it" in done.stderr


def test_help_and_overview(monkeypatch):
    monkeypatch.setenv("PYTHON_COLORS", "0")  # from 3.14 on help has colours where someone asks for them
    overview = terramend("--help")
    assert overview.returncode == 0
    for name in cli.available():
        assert f"  {name}" in overview.stdout
    for name in cli.available():
        assert cli.parser_of(name).format_help().startswith(f"usage: terramend {name}")
    assert terramend().returncode == 2
    assert terramend("--version").stdout.strip() == f"terramend {VERSION}"


def test_help_wants_nothing_that_only_the_full_environment_has():
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "accelerate", "onnx", "safetensors", "diffusers", "transformers", "peft"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from terramend.backend import cli
for name in cli.available():
    assert cli.main([name, "--help"]) == 0, name
assert cli.main(["train", "nothing", "--data", ".", "--out", "."]) == 2
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=BARE)
    assert done.returncode == 0, done.stderr
    assert "no network called nothing to train; there are: align-cr, aligndiff" in done.stderr


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options(below)
        elif action.help != argparse.SUPPRESS:
            yield action


@pytest.mark.parametrize("command", sorted(cli.available()))
def test_every_option_is_explained(command):
    for action in options(cli.parser_of(command)):
        assert action.help and not action.help.startswith(("of ", "in ", "how ")), action.option_strings


@pytest.mark.parametrize("words", ["fill a.tif --gap m.tif -o o.tif", "experiment de --data . --rival cvae"])
def test_no_option_is_taken_that_is_cut_short(words):
    name, *rest = words.split()
    with pytest.raises(TerramendError, match="Unrecognized arguments: --"):
        cli.parser_of(name).parse_args(rest)


def test_a_licence_of_weights_is_named():
    """Whoever exports knows what the data's licences allow; none is written by itself."""
    with pytest.raises(TerramendError, match="required: --licence"):
        cli.parser_of("export").parse_args(["net", "--from", "run", "--title", "A network"])


def test_a_command_without_its_module_is_not_offered(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "dream", cli.Command("no such thing", "dreams.command"))
    assert "dream" not in cli.available()
    assert cli.main(["dream"]) == 2


def test_models_lists_what_the_registry_has():
    from terramend.models.registry import ROWS

    listed = json.loads(terramend("models", "--json").stdout)["models"]
    assert [row["name"] for row in listed] == [row.name for row in ROWS]
    overview = terramend("models").stdout
    assert all(row["name"] in overview for row in listed)
    assert "--set" not in overview.rsplit("\n", 2)[0]


def test_models_explains_one_method():
    said = terramend("models", "lama").stdout
    assert "terramend train lama" in said
    assert "--set weights=" in said
    assert "There is no method nonsense" in terramend("models", "nonsense").stderr


def test_wide_pixels_are_told_in_metres(write):
    wide = write("wide.tif", np.ones((1, 8, 8), np.uint8), transform=rasterio.Affine(5566, 0, 0, 0, -5566, 0))
    assert "8 x 8 pixels of 5570 m" in terramend("inspect", wide).stdout  # was 5.57e+03


def test_inspect_and_mask(target, mask, tmp_path):
    before = sorted(tmp_path.iterdir())
    found = terramend("inspect", target, "--gaps", mask, "--radiometry", "dn", "--json")
    share = json.loads(found.stdout)["gap_fraction"]
    assert 0.15 < share < 0.25
    assert f"{share:.2%}" in terramend("inspect", target, "--gaps", mask).stdout
    assert sorted(tmp_path.iterdir()) == before
    made = terramend("mask", target, "--gaps", mask, "--grow", "1px", "-o", tmp_path / "m.tif", "--json")
    assert json.loads(made.stdout)["gap_fraction"] > share


@pytest.mark.parametrize("option", ["--reference", "--references"])
def test_other_dates_that_a_mask_would_not_read_are_refused(target, mask, tmp_path, option):
    words = ("mask", target, "--gaps", mask, "-o", tmp_path / "m.tif", option, tmp_path)
    done = terramend(*words)
    assert done.returncode == 2 and not (tmp_path / "m.tif").exists()
    assert f"{option} is not valid" in done.stderr and "add --missed" in done.stderr


def test_a_terminal_with_few_characters(tmp_path):
    path = tmp_path / "größe ×.tif"
    few = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"}
    done = terramend("fill", path, "-o", tmp_path / "o.tif", **few)
    assert done.returncode == 2 and "gr\\xf6\\xdfe" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.posix("such a shell")
def test_a_reader_that_leaves_is_no_fault():
    line = f"{PYTHON} -m terramend.backend models | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, env=BARE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.posix("such a shell")
@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize("json", ["", "--json"])
def test_a_reader_that_leaves_does_not_change_the_status(tmp_path, json, variables):
    (tmp_path / "t.csv").write_text("target,output\nnone.tif,o.tif\n")
    line = f"{PYTHON} -m terramend.backend batch {shlex.quote(str(tmp_path))}/t.csv {json} | true"
    words = ["bash", "-o", "pipefail", "-c", line]
    done = subprocess.run(words, capture_output=True, text=True, env={**BARE, **variables})
    assert done.returncode == 5 and "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.posix("such a shell")
@pytest.mark.parametrize("errors", ["2>&1 | true", "2> /dev/full", "2>&-", "2>&- <&- >&-"])
def test_work_is_done_also_where_nobody_reads_what_is_said_of_it(quick, tmp_path, errors):
    line = f"{PYTHON} -m terramend.backend {shlex.join(quick)} {errors}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, env=BARE)
    assert (done.returncode, done.stderr) == (0, "")
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.read().any()


@pytest.mark.posix("such a shell")
@pytest.mark.parametrize("json", ["", "--json"])
def test_an_output_without_room_is_one_sentence(json):
    line = f"{sys.executable} -m terramend.backend models {json} > /dev/full"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=BARE)
    assert done.returncode == 3
    assert done.stderr.startswith("terramend: There is no space left") and done.stderr.count("\n") == 1


@pytest.mark.posix("such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_cancel_cleanly(write, tmp_path, name):
    target = write("many.tif", landscape(12, 150, 150).astype("uint16"))
    mask = write("many_mask.tif", blobs(150, 150, 0.2).astype("uint8"))
    before = sorted(tmp_path.iterdir())
    words = ["fill", target, "--gaps", mask, "--radiometry", "dn", "--tmp", tmp_path, "--model", "aligndiff"]
    words += ["--set", "prior=harmonic", "--set", "steps=1000"]  # each is quick, all take minutes
    process = subprocess.Popen(
        [sys.executable, "-m", "terramend.backend", *map(str, words), "-o", str(tmp_path / "o.tif")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=BARE,
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),  # whatever runs the tests ignores
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("prepare"):
            break
    process.send_signal(getattr(signal, name))
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, out) == (4, "")
    assert errors.splitlines()[-1] == "terramend: Cancelled; nothing was written."
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.posix("such signals")
@pytest.mark.parametrize("when", ["atexit.register(end); status = main()", "status = main(); end()"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_after_the_work_is_done_does_not_change_the_status(name, when):
    """Such as while the interpreter tidies up: the outputs are there, and their status is 0."""
    code = f"""
import atexit, os, signal, sys
from terramend.backend.cli import main
end = lambda: os.kill(os.getpid(), signal.{name})
sys.argv = ["terramend", "models"]
{when}
sys.exit(status)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=BARE,
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.posix("such signals")
def test_a_second_signal_does_not_break_an_import_off(tmp_path, monkeypatch):
    """Half of NumPy or torch fails anywhere, or ends the process by the signal."""
    code = "import signal\nfor _ in range(3):\n    signal.raise_signal(signal.SIGINT)\nwhole = True\n"
    (tmp_path / "library_that_takes_long.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    watch = Watch()
    with cli._cancelling(watch, alone=False):
        assert importlib.import_module("library_that_takes_long").whole
        with pytest.raises(TerramendError, match="Cancelled"):
            watch.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_signals_go_where_they_went_before_once_a_call_is_over(capsys):
    before = signal.signal(signal.SIGINT, heard := lambda *_: None)
    try:
        assert cli.main(["models"]) == 0
        assert signal.getsignal(signal.SIGINT) is heard
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.posix("such signals")
def test_what_nohup_begins_outlives_the_terminal(quick, tmp_path):
    process = subprocess.Popen(
        ["nohup", sys.executable, "-m", "terramend.backend", *quick],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=BARE,
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("open"):
            process.send_signal(signal.SIGHUP)
    assert process.wait() == 0 and (tmp_path / "o.tif").exists()
