"""What is in the managed environment, in which state it is, and what it can be built on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from terramend.backend.errors import TerramendError
from terramend.ui.installation import base_python, environment
from terramend.ui.installation.base_python import BasePython
from terramend.ui.installation.environment import State, Variant

ALL = [Variant(full, gpu) for full in (False, True) for gpu in (False, True)]


@pytest.mark.parametrize("variant", ALL, ids=str)
def test_exactly_one_onnx_runtime_and_only_pins(variant: Variant) -> None:
    lines = environment.requirements(variant)
    names = [environment.package_name(line) for line in lines]
    assert [n for n in set(names) if n.startswith("onnxruntime")] == [
        "onnxruntime-gpu" if variant.gpu else "onnxruntime"
    ]
    assert ("torch" in names) == variant.full
    assert {"numpy", "scipy", "rasterio", "opencv-python-headless"} <= set(names)
    assert all("==" in line for line in lines)
    assert not [line for line in lines if "+" in line]  # a build (+cpu) is not on every index


def test_the_lock_file_has_every_dependency() -> None:
    project = tomllib.loads((environment.LOCKS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {environment.package_name(line) for line in project["dependencies"]}
    assert wanted <= {environment.package_name(line) for line in environment.requirements(Variant())}


def test_variants_differ_in_hash_and_size() -> None:
    assert len({environment.requirements_hash(variant) for variant in ALL}) == 4
    assert min(ALL, key=lambda variant: variant.download_mb) == Variant()
    assert max(ALL, key=lambda variant: variant.disk_mb) == Variant(full=True, gpu=True)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("numpy==2.4.6 ; python_full_version < '3.12'", "numpy"),
        ("onnxruntime-gpu[cuda,cudnn]==1.31.1", "onnxruntime-gpu"),
        ("pydantic_core==2.50.4", "pydantic-core"),
    ],
)
def test_package_name(line: str, name: str) -> None:
    assert environment.package_name(line) == name


def make(folder: Path, variant: Variant | None) -> None:
    python = environment.environment_python(folder)
    python.parent.mkdir(parents=True)
    python.write_text("")
    (folder / "pyvenv.cfg").write_text("")
    if variant is not None:
        environment.write_marker(folder, variant)


def test_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "environment"
    assert environment.state(folder) is State.ABSENT
    make(folder, None)
    assert environment.state(folder) is State.BROKEN
    environment.write_marker(folder, Variant(gpu=True))
    assert environment.state(folder) is State.READY
    assert environment.installed_variant(folder) == Variant(gpu=True)
    monkeypatch.setattr(environment, "requirements_hash", lambda variant: "of another version")
    assert environment.state(folder) is State.OUTDATED
    monkeypatch.undo()
    environment.environment_python(folder).unlink()  # the base Python was removed: a dangling link
    assert environment.state(folder) is State.BROKEN
    for nonsense in ("", "[]", "{}", '{"full": 1}', "\ud7ff"):
        (folder / environment.MARKER).write_text(nonsense, "utf-8")
        assert environment.state(folder) is State.BROKEN


def test_remove_takes_environments_only(tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    make(folder, Variant())
    make(environment.building_place(folder), None)
    environment.remove(folder)
    assert list(tmp_path.iterdir()) == []
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    environment.remove(folder)
    assert (folder / "thesis.txt").exists()


# --- the base Python ---


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def test_candidates_on_windows_put_standalone_pythons_first(tmp_path: Path) -> None:
    uv = tmp_path / "Roaming" / "uv" / "python" / "cpython-3.12.4-windows-x86_64-none" / "python.exe"
    old = tmp_path / "Lokal [x]" / "Programs" / "Python" / "Python39" / "python.exe"
    new = tmp_path / "Lokal [x]" / "Programs" / "Python" / "Python313" / "python.exe"
    managed = tmp_path / "Lokal [x]" / "Python" / "pythoncore-3.14-64" / "python.exe"
    touch(uv, old, new, managed, managed.parents[1] / "bin" / "python.exe")
    environ = {"APPDATA": str(tmp_path / "Roaming"), "LOCALAPPDATA": str(tmp_path / "Lokal [x]")}
    found = list(base_python.candidates("win32", environ, "", str(tmp_path / "OSGeo4W")))
    assert found == [str(uv), str(managed), str(new), str(old), str(tmp_path / "OSGeo4W" / "python.exe")]


def test_candidates_on_linux_and_macos(tmp_path: Path) -> None:
    managed = tmp_path / ".local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3"
    touch(managed, tmp_path / "bin" / "python3", tmp_path / "bin" / "python3.13")
    linux = list(base_python.candidates("linux", {"PATH": str(tmp_path / "bin")}, str(tmp_path), ""))
    assert linux[0] == "/usr/bin/python3"
    assert linux[-3:] == [str(managed), str(tmp_path / "bin/python3"), str(tmp_path / "bin/python3.13")]
    mac = list(
        base_python.candidates("darwin", {"PATH": "/usr/bin"}, str(tmp_path), "/Applications/QGIS.app")
    )
    assert mac[0] == str(managed)
    assert "/usr/bin/python3" not in mac and not [path for path in mac if ".app/" in path]


@pytest.mark.parametrize(
    ("path", "version", "bits", "free", "venv", "why"),
    [
        ("/usr/bin/python3.11", (3, 11, 2), 64, False, True, ""),
        ("/usr/bin/python3.10", (3, 10, 9), 64, False, True, "older"),
        ("C:\\Python312\\python.exe", (3, 12, 0), 32, False, True, "32-bit"),
        ("C:\\pythoncore-3.14t-64\\python.exe", (3, 14, 2), 64, True, True, "free-threaded"),
        ("/Applications/QGIS.app/Contents/MacOS/bin/python3", (3, 12, 0), 64, False, True, "application"),
        ("/usr/bin/python3.12", (3, 12, 0), 64, False, False, "python3-venv"),
        ("/usr/bin/python3.14", (3, 14, 9), 64, False, True, ""),
        ("/usr/bin/python3.15", (3, 15, 0), 64, False, True, "it is newer than 3.14, the last that all"),
    ],
)
def test_judgement(path: str, version: tuple, bits: int, free: bool, venv: bool, why: str) -> None:
    found = base_python.judge(path, version, bits, free, venv, (3, 14))
    assert why in found.why_not and bool(found.why_not) == bool(why)


def test_packages_are_not_built_for_every_machine() -> None:
    newest = base_python.newest_for
    assert newest("linux", "aarch64") == newest("win32", "AMD64") == newest("darwin", "arm64") == (3, 14)
    assert newest("darwin", "x86_64") == (3, 13)
    path, arm = "C:\\Python314-arm64\\python.exe", newest("win32", "ARM64")
    found = base_python.judge(path, (3, 14), 64, False, True, arm)
    assert "Windows on ARM" in found.why_not
    sentence = str(TerramendError("backend.base", found="none"))
    assert "Python of {}.{} to {}.{} was".format(*base_python.OLDEST, *newest("linux", "x86_64")) in sentence


@pytest.mark.parametrize(
    ("system", "machine"),
    [("linux", "x86_64"), ("win32", "AMD64"), ("darwin", "arm64"), ("darwin", "x86_64")],
)
@pytest.mark.parametrize("variant", [Variant(), Variant(gpu=True), Variant(full=True)])
def test_of_every_package_one_version_is_for_a_machine(system: str, machine: str, variant: Variant) -> None:
    newest = base_python.newest_for(system, machine)
    for minor in range(base_python.OLDEST[1], newest[1] + 1):
        where = {
            "python_full_version": f"3.{minor}.1", "python_version": f"3.{minor}", "sys_platform": system,
            "platform_machine": machine, "platform_python_implementation": "CPython",
        }  # fmt: skip
        lines = [Requirement(line) for line in environment.requirements(variant)]
        names = [line.name for line in lines if line.marker is None or line.marker.evaluate(where)]
        assert len(set(names)) == len(names)
        assert {"numpy", "rasterio", "onnxruntime-gpu" if variant.gpu else "onnxruntime"} <= set(names)


def test_find_takes_the_first_that_will_do(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("absent", "mute", "old", "good", "better")]
    touch(*paths[1:])
    answers = {
        "old": BasePython("/real/old", (3, 9), "it is older than 3.11"),
        "good": BasePython("/real/good", (3, 11)),
        "better": BasePython("/real/better", (3, 12)),
    }
    asked: list[str] = []

    def question(path: str) -> BasePython | None:
        asked.append(Path(path).name)
        return answers.get(Path(path).name)

    assert base_python.find(map(str, paths), question).path == "/real/good"
    assert asked == ["mute", "old", "good"]
    with pytest.raises(TerramendError, match="/real/old: it is older than 3.11"):
        base_python.find(map(str, paths[:3]), question)
    answers["old"] = BasePython(str(paths[2]), (3, 9), "it is older than 3.11")  # no link, as on Windows
    with pytest.raises(TerramendError, match="old: it is older than 3.11"):
        base_python.find(map(str, paths[:3]), question)


def test_this_machine_has_a_base() -> None:
    found = base_python.find()
    assert found.version >= (3, 11) and Path(found.path).is_file()
    assert "venv" not in Path(found.path).parts


def test_what_is_no_python_does_not_answer(tmp_path: Path) -> None:
    script = tmp_path / "python3"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)
    assert base_python.ask(str(script)) is None
    assert base_python.ask(str(tmp_path)) is None
    script.write_text("#!/bin/sh\nexec sleep 30\n")
    assert base_python.ask(str(script), timeout=0.3) is None


def test_a_free_threaded_python_says_so(tmp_path: Path) -> None:
    script = tmp_path / "python3"  # this Python with the one value that tells such a build
    told = "import sysconfig; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -c "{told}\n$3"\n')
    script.chmod(0o755)
    found = base_python.ask(str(script))
    assert found is not None and "free-threaded" in found.why_not


def test_a_venv_answers_with_what_it_is_built_on() -> None:
    assert sys.prefix != sys.base_prefix, "these tests run in a virtual environment"
    found = base_python.ask(sys.executable)
    assert found is not None and found.path == str(Path(sys.executable).resolve())
