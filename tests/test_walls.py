"""The walls of the house: who may import whom, what is packaged, what is shipped."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tomllib
from terramend.models.registry import ROWS, find

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("backend", "models", "ui")
TRACKED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
FILES = [Path(name) for name in TRACKED.stdout.split("\0") if name and (ROOT / name).exists()]
MODULES = [path for path in FILES if path.suffix == ".py" and path.parts[0] in (*PACKAGES, "plugin.py")]
BLOCKED = ("qgis", "PyQt5", "PyQt6", "torch", "diffusers", "dask", "distributed", "matplotlib", "skimage")
TORCH = re.compile(r"backend/(training|experiments)/|models/\w+/(network|unet|torch)\w*\.py")
"""Modules that only the full environment can import."""
SERVING = ("messages", "raster", "filling", "commands", "distribution")
RESEARCH = ("datasets", "fetch", "evaluation", "training", "experiments")
"""Folders of `backend`: each may stand on those before it alone, of both lists, in this order."""
OF_RASTER = ("masks", "products", "scene")
"""Folders of `backend/raster`, likewise. What lies in `raster` itself stands below them all."""
QGIS_LOADS = re.compile(r"backend/((__init__|protocol|request|errors|launch|version)|messages/\w+)\.py")


def imports(path: Path) -> list[tuple[int, str]]:
    """(level, module) of every import in a file."""
    found = []
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
            found += [
                (node.level, f"{node.module or ''}.{a.name}".strip(".")) for a in node.names if node.level
            ]
    return found


def target(path: Path, level: int, module: str) -> str:
    """The part of the package that a relative import reaches, such as `backend.raster`."""
    base = path.parent.parts[: len(path.parent.parts) - (level - 1)]
    return ".".join((*base, *filter(None, module.split("."))))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_respect_the_floors(path: Path) -> None:
    floor = path.parts[0]
    for level, module in imports(path):
        top = module.split(".")[0]
        if level == 0:
            assert top not in (*PACKAGES, "terramend"), f"{path}: import {module} would be a second copy"
            if floor in ("backend", "models"):
                assert top not in ("qgis", "PyQt5", "PyQt6", "osgeo", "processing"), f"{path}: {module}"
            if top in ("dask", "distributed"):
                assert path.parts[:2] == ("backend", "distribution"), f"{path}: {module}"
            continue
        reached = target(path, level, module)
        if floor == "models":
            assert not reached.startswith(("backend", "ui")), f"{path} reaches {reached}"
        if floor == "backend":
            assert not reached.startswith("ui"), f"{path} reaches {reached}"
        if floor == "ui" and reached.startswith(("backend", "models")) and reached != "backend":
            assert re.match(r"backend\.(protocol|request|errors|launch|version)(\.|$)", reached), (
                f"{path} reaches {reached}"
            )


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] == "backend"], ids=str)
def test_folders_of_the_backend_stand_on_each_other_in_this_order(path: Path) -> None:
    """What serves a fill knows no research folder, of which the zip holds none; `backend` itself serves."""
    folders = (*SERVING, *RESEARCH)
    above = folders[folders.index(path.parts[1]) + 1 :] if len(path.parts) > 2 else RESEARCH
    for level, module in imports(path):
        reached = target(path, level, module).split(".") if level else []
        assert not set(reached[1:2]) & set(above), f"{path} reaches {'.'.join(reached)}"


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[1:2] == ("raster",)], ids=str)
def test_masks_products_and_the_scene_stand_on_each_other_in_this_order(path: Path) -> None:
    above = OF_RASTER[OF_RASTER.index(path.parts[2]) + 1 :] if path.parts[2] in OF_RASTER else OF_RASTER
    for level, module in imports(path):
        reached = target(path, level, module).split(".") if level else []
        assert not set(reached[2:3]) & set(above), f"{path} reaches {'.'.join(reached)}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_modules_fit_in_the_head(path: Path) -> None:
    assert len((ROOT / path).read_text("utf-8").splitlines()) <= 500


def test_what_qgis_loads_is_python_39() -> None:
    loaded = [p for p in MODULES if p.parts[0] == "ui" or QGIS_LOADS.fullmatch(p.as_posix())]
    for path in [*loaded, Path("__init__.py"), Path("plugin.py")]:
        ast.parse((ROOT / path).read_text("utf-8"), feature_version=(3, 9))


def test_light_environment_serves_all_without_qgis_qt_or_torch() -> None:
    names = [
        "terramend." + ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if path.parts[0] in ("backend", "models")
        and path.name != "__main__.py"
        and not TORCH.match(path.as_posix())
    ]
    code = f"""
        import importlib, sys
        class Wall:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {BLOCKED!r}:
                    raise ImportError(name + " is behind the wall")
        sys.meta_path.insert(0, Wall())
        for name in {names!r}:
            if ".distribution." not in name:
                importlib.import_module(name)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_draws_in_nothing_heavy() -> None:
    code = "import sys, terramend, terramend.backend.request; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_package_list_matches_the_tree() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    inits = {path.parent for path in FILES if path.name == "__init__.py" and path.parts[0] in PACKAGES}
    found = {"terramend", *("terramend." + ".".join(path.parts) for path in inits)}
    assert sorted(listed) == sorted(found)


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[><=]", line)[0].lower() for lines in declared for line in lines}
    other = {"cv2": "opencv-python-headless", "shapefile": "pyshp", "skimage": "scikit-image"}
    come_along = {"affine": "rasterio", "google": "onnx", "huggingface_hub": "diffusers"}
    for path in MODULES:
        if path.parts[0] in ("backend", "models"):
            tops = {module.split(".")[0] for level, module in imports(path) if level == 0}
            for top in tops - sys.stdlib_module_names:
                assert {**other, **come_along}.get(top, top) in names, f"{path}: {top}"


def test_every_code_folder_is_a_package() -> None:
    folders = {path.parent for path in MODULES if path.parts[0] in PACKAGES}
    assert all((ROOT / folder / "__init__.py").exists() for folder in folders)


def test_zip_holds_the_allow_list_only(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "package.py", "--out", tmp_path], check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.zip")
    names = zipfile.ZipFile(archive).namelist()
    assert all(name.startswith("terramend/") for name in names)
    assert {
        "terramend/metadata.txt",
        "terramend/LICENSE",
        "terramend/__init__.py",
        "terramend/plugin.py",
    } <= set(names)
    forbidden = re.compile(
        r"/(tests|sample|datasets|evaluation|fetch|training|experiments)/|\.(pyc|exe|dll|so|sh|bat|tif)$"
    )
    assert not [name for name in names if forbidden.search(name)]
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    pictures = {f"terramend/docs/{name}" for name in re.findall(r"\]\((images/[^)]+)\)", pages)}
    assert {name for name in names if "/images/" in name} == pictures, "what the guide in QGIS shows"
    assert archive.stat().st_size <= 10 * 2**20
    networks = {name.split("/")[3] for name in names if name.endswith(".onnx")}
    assert networks == {name for row in ROWS if row.group == "network" for name in row.networks.values()}


def test_what_is_shipped_passes_the_plugin_repositorys_rules(tmp_path: Path) -> None:
    """Asserts, missing keys and what looks like a leaked key are refused there."""
    subprocess.run([sys.executable, ROOT / "package.py", "--out", tmp_path], check=True, capture_output=True)
    (path,) = tmp_path.glob("*.zip")
    archive = zipfile.ZipFile(path)
    modules = [name for name in archive.namelist() if name.endswith(".py")]
    for name in modules:
        asserts = [n.lineno for n in ast.walk(ast.parse(archive.read(name))) if isinstance(n, ast.Assert)]
        assert not asserts, (name, asserts)
    for name in archive.namelist():
        assert not re.search(rb"""(["'])[0-9a-fA-F]{32,}\1""", archive.read(name)), name
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read_string(archive.read("terramend/metadata.txt").decode("utf-8"))
    required = (
        "name", "description", "version", "qgisMinimumVersion", "author", "email", "about", "tracker",
        "repository", "homepage",
    )  # fmt: skip
    assert all(metadata["general"].get(key, "").strip() for key in required)
    assert f"terramend/{metadata['general']['icon']}" in archive.namelist()
    assert metadata["general"]["hasProcessingProvider"] == "yes"


def test_zip_works_as_a_package(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "package.py", "--out", tmp_path], check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.zip")
    plugins = tmp_path / "plügins with space"
    zipfile.ZipFile(archive).extractall(plugins)
    launch = plugins / "terramend" / "backend" / "launch.py"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, launch, "models", "--json"], capture_output=True, text=True, cwd=tmp_path, env=clean
    )
    assert done.returncode == 0, done.stderr
    assert '"guided"' in done.stdout
    code = """
        import terramend.backend.cli as cli
        for name in cli.available():
            cli.parser_of(name)
    """
    offered = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, cwd=tmp_path, env={**clean, "PYTHONPATH": str(plugins)},
    )  # fmt: skip
    assert offered.returncode == 0, offered.stderr


def test_networks_that_do_not_come_along_are_installed(tmp_path: Path) -> None:
    """The zip, as in QGIS, on a machine that has no network yet; the clone is the release."""
    subprocess.run([sys.executable, ROOT / "package.py", "--out", tmp_path], check=True, capture_output=True)
    zipfile.ZipFile(next(tmp_path.glob("*.zip"))).extractall(tmp_path)
    image = np.random.default_rng(0).integers(500, 3000, (3, 48, 48), dtype=np.uint16)
    image[:, 20:28, 20:28] = 0
    with rasterio.open(
        tmp_path / "scene.tif", "w", driver="GTiff", width=48, height=48, count=3, dtype="uint16", nodata=0
    ) as file:
        file.write(image)
        file.descriptions = ("B04", "B03", "B02")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def terramend(*words: object) -> subprocess.CompletedProcess[str]:
        launch = tmp_path / "terramend" / "backend" / "launch.py"
        return subprocess.run(
            [sys.executable, launch, *map(str, words)],
            capture_output=True, text=True, cwd=tmp_path, env={**clean, "TERRAMEND_WEIGHTS": str(tmp_path / "own")},
        )  # fmt: skip

    words = (
        "fill",
        "scene.tif",
        "--model",
        "ddpm",
        "--set",
        "steps=1",
        "--set",
        "samples=1",
        "--json",
        "-o",
        "o.tif",
    )
    absent = terramend(*words)
    assert absent.returncode == 3 and "run terramend models install ddpm." in absent.stderr
    rows = {row["name"]: row["lacks"] for row in json.loads(terramend("models", "--json").stdout)["models"]}
    assert {name: lacks for name, lacks in rows.items() if lacks} == {
        "de": ["de-fill", "de-clear"], "ddpm": ["ddpm"], "aligndiff": ["aligndiff"],
    }  # fmt: skip
    brought = terramend("models", "install", "ddpm", "--from", ROOT / "models" / "weights")
    assert brought.returncode == 0, brought.stderr
    done = terramend(*words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["weights_sha256"] == find("ddpm").create().weights_sha256
    network = tmp_path / "own" / "ddpm" / "ddpm.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"?")
    changed = terramend(*words, "--overwrite")
    assert changed.returncode == 3 and f"{network} is not the file that" in changed.stderr


def test_one_source_for_the_version() -> None:
    code = "import importlib.metadata as m; from terramend.backend.version import VERSION; print(VERSION)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"version={done.stdout.strip()}\n" in (ROOT / "metadata.txt").read_text("utf-8")
    assert not re.search(r"^version\s*=", (ROOT / "pyproject.toml").read_text("utf-8"), re.M)


def test_the_citation_names_this_version_its_authors_and_licence() -> None:
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read_string((ROOT / "metadata.txt").read_text("utf-8"))
    general = metadata["general"]
    licence = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["license"]
    citation = (ROOT / "CITATION.cff").read_text("utf-8").splitlines()
    for line in (
        f"title: {general['name']}",
        f"version: {general['version']}",
        f"license: {licence}",
        f"  - name: {general['author']}",
    ):
        assert line in citation


def test_no_pickle_no_shell() -> None:
    for path in MODULES:
        text = (ROOT / path).read_text("utf-8")
        assert not re.search(r"\b((import|from) (pickle|marshal|shelve)\b|allow_pickle=True)", text), path
        assert not re.search(r"\b(torch\.load|shell=True|os\.system)", text), path
        assert not re.search(r"(?<![\w.])(eval|exec)\(", text), path


@pytest.mark.parametrize(
    "way",
    [
        "import terramend.models.onnx",
        "import terramend.backend.training.quantize",
        "from terramend.backend import device; device.probe('cpu')",
    ],
)
def test_onnx_runtime_is_told_to_report_nothing_before_it_is_imported(way: str) -> None:
    """It reports from its import on; `test_onnx_runtime_stays_where_it_is_told` says that these are all ways."""
    code = f"""
        import os, sys
        class Watch:
            def find_spec(self, name, path=None, target=None):
                if name == "onnxruntime":
                    print(os.environ.get("ORT_DISABLE_TELEMETRY"), flush=True)
                    os._exit(0)
        sys.meta_path.insert(0, Watch())
        {way}
    """
    for users, told in ((None, "1"), ("0", "0")):  # who wants it to report has said so
        environ = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
        environ.update({"ORT_DISABLE_TELEMETRY": users} if users else {})
        command = [sys.executable, "-c", textwrap.dedent(code)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
        assert done.stdout.strip() == told


def test_onnx_runtime_stays_where_it_is_told() -> None:
    for path in MODULES:
        if any(level == 0 and module.split(".")[0] == "onnxruntime" for level, module in imports(path)):
            assert path.parts[0] == "models" or path.as_posix() in (
                "backend/device.py",
                "backend/training/quantize.py",
            ), f"{path} imports onnxruntime"


def test_torch_stays_where_networks_are_defined_and_trained() -> None:
    for path in MODULES:
        if any(level == 0 and module.split(".")[0] == "torch" for level, module in imports(path)):
            assert TORCH.match(path.as_posix()), f"{path} imports torch"
