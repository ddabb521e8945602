"""The plugin as QGIS would import it: package `terramend`, whatever the clone is called."""

from __future__ import annotations

import gc
import importlib.util
import inspect
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

if "terramend" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "terramend", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["terramend"] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
BACKEND_PYTHON = os.environ.setdefault("TERRAMEND_PYTHON", str(ROOT / ".venv" / "bin" / "python"))


@pytest.fixture(scope="session", autouse=True)
def nothing_outlives_qgis(qgis_app: Any) -> Iterator[None]:
    """What a failed test's traceback holds of QGIS goes while QGIS is there: later the process crashes."""
    yield
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        vars(sys).pop(name, None)
    gc.collect()


@pytest.fixture(scope="session")
def backend_python() -> str:
    """The interpreter with the light environment."""
    assert Path(BACKEND_PYTHON).exists(), f"no backend Python at {BACKEND_PYTHON}: make env"
    return BACKEND_PYTHON


@pytest.fixture
def until(qgis_app: Any) -> Callable[..., None]:
    """`until(condition)`: let QGIS's events run until it holds; however busy the machine is, it does in time."""

    def run(condition: Callable[[], bool], seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            qgis_app.processEvents()
            time.sleep(0.005)

    return run


@pytest.fixture
def client(qgis_app: Any, backend_python: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The session's client on the real backend, closed after the test."""
    from terramend.ui import client as module
    from terramend.ui import supervisor

    monkeypatch.setattr(
        supervisor, "PATIENCE", 60.0
    )  # a cancel is heeded on a busy machine too, before a kill
    yield module.client()
    module.close()
    gc.collect()  # what a test made with Qt goes in the GUI thread, not in some other


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """`alive(pid)`: whether a process runs (a zombie does not)."""

    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return runs


@pytest.fixture
def scene(tmp_path: Path) -> dict[str, str]:
    """Paths of the sample's two real dates, in a folder of their own: QGIS writes beside what it opens."""
    names = {
        "target": "boadella_2020-01-13.tif",
        "mask": "boadella_2020-01-13_cloudmask.tif",
        "truth": "boadella_2020-01-13_truth_in_hole.tif",
        "other": "boadella_2020-01-28.tif",
        "other_mask": "boadella_2020-01-28_cloudmask.tif",
    }
    folder = tmp_path / "two dates"
    folder.mkdir()
    for name in names.values():
        shutil.copy(ROOT / "sample" / "two_dates" / name, folder)
    return {key: str(folder / name) for key, name in names.items()}


@pytest.fixture
def provider(qgis_processing: None) -> Iterator[Any]:
    """Terramend's provider, registered with Processing."""
    from qgis.core import QgsApplication
    from terramend.ui.provider import TerramendProvider

    made = TerramendProvider()
    QgsApplication.processingRegistry().addProvider(made)
    yield made
    QgsApplication.processingRegistry().removeProvider(made)


class Interface:
    """QGIS's interface; remembers what was said in the message bar."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self.said: list[tuple[str, Any]] = []
        self.offered: list[Any] = []
        self.active: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iface, name)

    def messageBar(self) -> Interface:  # noqa: N802
        return self

    def pushMessage(self, title: str, text: str, level: Any, duration: int) -> None:  # noqa: N802
        self.said.append((text, level))

    def pushWidget(self, message: Any, level: Any) -> None:  # noqa: N802
        self.said.append((message.text(), level))
        self.offered.append(message)

    def popWidget(self, message: Any) -> None:  # noqa: N802
        self.offered.remove(message)

    def activeLayer(self) -> Any:  # noqa: N802
        return self.active


@pytest.fixture
def history_command(qgis_processing: None) -> Callable[[], str]:
    """`history_command()`: the Python of the latest entry of Processing's history."""

    def latest() -> str:
        from qgis.gui import QgsGui

        if hasattr(QgsGui, "historyProviderRegistry"):  # QGIS 3.24 and later
            entries = QgsGui.historyProviderRegistry().queryEntries(providerId="processing")
            return str(entries[-1].entry["python_command"])
        from processing.core.ProcessingLog import ProcessingLog

        return str(ProcessingLog.getLogEntries()[-1].text)

    return latest


@pytest.fixture
def batch_row(qgis_processing: None) -> Callable[[Any, int], tuple[dict[str, Any], bool]]:
    """`batch_row(panel, row)`: the parameters of a row of the batch dialog, and whether they are valid."""

    def read(panel: Any, row: int) -> tuple[dict[str, Any], bool]:
        from qgis.core import QgsProcessingContext, QgsProject

        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        asked = inspect.signature(panel.parametersForRow).parameters
        given = {"context": context} if "context" in asked else {}  # newer versions want one
        return panel.parametersForRow(row, **given)

    return read


@pytest.fixture
def layers(qgis_new_project: None, scene: dict[str, str]) -> dict[str, Any]:
    """The sample's rasters as layers of the project."""
    from qgis.core import QgsProject, QgsRasterLayer

    made = {key: QgsRasterLayer(scene[key], key) for key in ("target", "mask", "other", "other_mask")}
    QgsProject.instance().addMapLayers(list(made.values()))
    return made


@pytest.fixture
def target(qgis_new_project: None, scene: dict[str, str]) -> Any:
    """The raster to fill as the one layer of the project."""
    from qgis.core import QgsProject, QgsRasterLayer

    return QgsProject.instance().addMapLayer(QgsRasterLayer(scene["target"], "target"))


@pytest.fixture
def computed() -> Callable[..., Any]:
    """`computed(layer, factor, side)`: a layer that only QGIS reads, the first band of another times a factor."""

    def made(layer: Any, factor: float, side: int | None = None) -> Any:
        from qgis.core import QgsRasterDataProvider, QgsRasterLayer

        formula = QgsRasterDataProvider.VirtualRasterParameters()
        formula.crs, formula.extent = layer.crs(), layer.extent()
        formula.width, formula.height = side or layer.width(), side or layer.height()
        formula.formula = f'"a@1" * {factor}'
        band = QgsRasterDataProvider.VirtualRasterInputLayers()
        band.name, band.uri, band.provider = "a", layer.source(), "gdal"
        formula.rInputLayers = [band]
        uri = QgsRasterDataProvider.encodeVirtualRasterProviderUri(formula)
        return QgsRasterLayer(uri, "computed", "virtualraster")

    return made


@pytest.fixture
def iface(qgis_iface: Any) -> Interface:
    """QGIS's interface, with ears."""
    return Interface(qgis_iface)


@pytest.fixture
def dock(iface: Interface, layers: dict[str, Any], client: Any, provider: Any) -> Iterator[Any]:
    """A dock in which the sample's target, mask and other date are chosen."""
    from qgis.PyQt import sip
    from terramend.ui.dock import TerramendDock

    made = TerramendDock(iface)
    made.show()
    made.form.target.chooser.set_item(layers["target"])
    made.form.gaps.rows[0].chooser.set_item(layers["mask"])
    made.form.references.tick(layers["other"])
    yield made
    made.close_down()
    sip.delete(made)  # not by the garbage collector, which runs in any thread
