"""The plugin in a QGIS: loaded, used, unloaded, loaded again; and without a window."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsApplication, QgsProcessingModelAlgorithm, QgsProcessingModelChildAlgorithm
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEvent
from qgis.PyQt.QtWidgets import QAction, QComboBox, QDialog, QDockWidget, QWidget

ROOT = Path(__file__).resolve().parents[2]


def terramend_widgets(window: Any) -> list[Any]:
    """All that the plugin may have put into the main window."""
    found = [dock for dock in window.findChildren(QDockWidget) if "Terramend" in dock.objectName()]
    found += [action for action in window.findChildren(QAction) if "Terramend" in action.objectName()]
    found += [child for child in window.children() if type(child).__module__.startswith("terramend")]
    return found


class Interface:
    """QGIS's interface as far as pytest-qgis leaves it out, recording what is added and removed."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self.icons: list[QAction] = []
        self.menu: list[tuple[str, QAction]] = []
        self.docks: list[QDockWidget] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iface, name)

    def addToolBarIcon(self, action: QAction) -> None:  # noqa: N802
        self.icons.append(action)

    def removeToolBarIcon(self, action: QAction) -> None:  # noqa: N802
        if action in self.icons:
            self.icons.remove(action)

    def addPluginToRasterMenu(self, menu: str, action: QAction) -> None:  # noqa: N802
        self.menu.append((menu, action))

    def removePluginRasterMenu(self, menu: str, action: QAction) -> None:  # noqa: N802
        self.menu.remove((menu, action))

    def addDockWidget(self, area: Any, dock: QDockWidget) -> None:  # noqa: N802
        self.docks.append(dock)
        self._iface.mainWindow().addDockWidget(area, dock)

    def removeDockWidget(self, dock: QDockWidget) -> None:  # noqa: N802
        self.docks.remove(dock)
        self._iface.mainWindow().removeDockWidget(dock)


@pytest.fixture
def iface(qgis_iface: Any, qgis_new_project: None) -> Iterator[Interface]:
    yield Interface(qgis_iface)


def provider() -> Any:
    return QgsApplication.processingRegistry().providerById("terramend")


def load(iface: Any) -> Any:
    import terramend

    plugin = terramend.classFactory(iface)
    if iface is None:
        plugin.initProcessing()
    else:
        plugin.initGui()
    return plugin


def settle(qgis_app: Any) -> None:
    """Let deferred deletions happen."""
    qgis_app.processEvents()
    qgis_app.sendPostedEvents(None, int(QEvent.Type.DeferredDelete))
    gc.collect()


def test_without_a_window_there_are_algorithms_only(qgis_app: Any) -> None:
    plugin = load(None)
    assert {a.name() for a in provider().algorithms()} >= {"fillgaps", "makegapmask", "checkaccuracy"}
    plugin.unload()
    assert provider() is None


def test_the_menu_is_that_of_the_category(iface: Interface) -> None:
    metadata = ConfigParser(interpolation=None)
    metadata.read(ROOT / "metadata.txt", "utf-8")
    plugin = load(iface)
    assert [menu for menu, _ in iface.menu] == ["Terramend"] * 3
    assert metadata["general"]["category"] == "Raster"
    plugin.unload()


def test_actions_have_names_of_their_own(iface: Interface) -> None:
    """QGIS's customization and tests of windows know them by these, in every language."""
    plugin = load(iface)
    names = [action.objectName() for _, action in iface.menu]
    assert names == ["TerramendFillAction", "TerramendEnvironmentAction", "TerramendGuideAction"]
    plugin.unload()


def test_load_use_unload_and_again_without_leftovers(
    iface: Interface, qgis_app: Any, until: Callable, alive: Callable[[int], bool]
) -> None:
    from terramend.ui.client import client

    window = iface.mainWindow()
    threads = {thread.name for thread in threading.enumerate()}
    pids = []
    for _ in range(3):
        plugin = load(iface)
        assert len(iface.icons) == 1 and {menu for menu, _ in iface.menu} == {"Terramend"}
        assert provider() is not None
        iface.icons[0].trigger()
        assert len(iface.docks) == 1 and iface.docks[0].isVisibleTo(window)
        until(lambda: client().pid is not None)
        pids.append(client().pid)
        plugin.unload()
        settle(qgis_app)
        assert (iface.icons, iface.menu, iface.docks) == ([], [], [])
        assert provider() is None
        assert terramend_widgets(window) == []
        assert not alive(pids[-1])
        until(lambda: {thread.name for thread in threading.enumerate()} <= threads)
    assert len(set(pids)) == 3
    plugin.unload()  # a second time does no harm


def test_unloaded_it_offers_nothing_more(iface: Interface, backend_python: str) -> None:
    plugin = load(iface)
    iface.icons[0].trigger()
    bar = iface.messageBar()
    plugin.dock.teller.offer("Its project is no longer open", "Add layers here", lambda: None)
    assert len(bar.items()) == 1
    plugin.unload()
    assert bar.items() == []


def test_unloaded_in_the_middle_of_a_run_it_leaves_no_temporary_files(
    iface: Interface, qgis_app: Any, scene: dict[str, str], until: Callable
) -> None:
    from qgis.core import QgsProcessingUtils

    def folders() -> set[Path]:
        return set(Path(QgsProcessingUtils.tempFolder()).glob("terramend_*"))

    before = folders()
    for asked in ("fill", "look"):
        plugin = load(iface)
        iface.icons[0].trigger()
        plugin.dock.form.target.chooser.set_item(scene["target"])
        plugin.dock.fill() if asked == "fill" else plugin.dock._outlook.ask()
        run = plugin.dock.run or plugin.dock._outlook._run
        until(lambda run=run: run._call.sent)
        assert len(folders() - before) == 1
        plugin.unload()
        settle(qgis_app)
        assert folders() == before


def test_dialogs_of_its_algorithms_go_with_the_plugin(
    iface: Interface, qgis_iface: Any, qgis_processing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would crash QGIS at the next press of Run: the plugin's upgrade is a reload."""
    import processing
    from terramend.ui.history import batch_dialog

    monkeypatch.setattr(qgis_iface, "browserModel", lambda: None)
    plugin = load(iface)
    dialogs = [
        processing.createAlgorithmDialog("terramend:fillgaps", {}),
        batch_dialog({"MODEL": "auto"}, iface.mainWindow()),
    ]
    other = processing.createAlgorithmDialog("native:buffer", {})
    for dialog in (*dialogs, other):
        dialog.show()
    plugin.unload()
    assert all(sip.isdeleted(dialog) for dialog in dialogs) and not sip.isdeleted(other)
    sip.delete(other)


def test_so_do_those_of_models_with_one_of_its_algorithms(
    iface: Interface, qgis_iface: Any, qgis_processing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import processing

    monkeypatch.setattr(qgis_iface, "browserModel", lambda: None)
    plugin = load(iface)

    def model(algorithm: str) -> QgsProcessingModelAlgorithm:
        made = QgsProcessingModelAlgorithm(f"model of {algorithm}", "")
        made.addChildAlgorithm(QgsProcessingModelChildAlgorithm(algorithm))
        made.setProvider(
            QgsApplication.processingRegistry().providerById("native")
        )  # the dialog asks for one
        return made

    ours = processing.createAlgorithmDialog(model("terramend:makegapmask"), {})
    other = processing.createAlgorithmDialog(model("native:buffer"), {})
    assert ours.algorithm().childAlgorithms() and other.algorithm().childAlgorithms()
    plugin.unload()
    assert sip.isdeleted(ours) and not sip.isdeleted(other)
    sip.delete(other)


def test_windows_of_other_plugins_may_have_an_algorithm_of_their_own(
    iface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *fault: faults.append(fault))
    plugin = load(iface)
    window = QDialog()
    window.algorithm = QComboBox(window)
    plugin.unload()
    assert not faults and not sip.isdeleted(window)


def test_a_dialog_that_runs_ends_its_run_first(
    iface: Interface,
    qgis_iface: Any,
    qgis_app: Any,
    qgis_processing: None,
    monkeypatch: pytest.MonkeyPatch,
    scene: dict[str, str],
    tmp_path: Path,
    until: Callable,
) -> None:
    """QGIS's own code goes on in the dialog when the run is over."""
    import processing
    from qgis.core import QgsProject, QgsRasterLayer
    from terramend.ui import client as module

    monkeypatch.setattr(qgis_iface, "browserModel", lambda: None)
    faults: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *fault: faults.append(fault))
    plugin = load(iface)
    layer = QgsRasterLayer(scene["target"], "target")
    QgsProject.instance().addMapLayer(layer)
    asked = {"TARGET": layer.id(), "GAPS": [scene["mask"]], "OUTPUT": str(tmp_path / "filled.tif")}
    asked |= {"MODEL": "aligndiff", "SETTINGS": "prior=harmonic;steps=1000"}  # minutes, quick to cancel
    dialog = processing.createAlgorithmDialog("terramend:fillgaps", asked)
    dialog.show()
    dialog.runButton().click()
    until(lambda: any(tmp_path.glob(".*")))
    plugin.unload()
    until(lambda: sip.isdeleted(dialog) and QgsApplication.taskManager().countActiveTasks() == 0)
    assert not faults and module._client is None and list(tmp_path.glob("*.tif")) == []


def test_so_do_those_that_lie_in_a_window_of_their_own(iface: Interface, qgis_processing: None) -> None:
    """As since QGIS 4.2: what knows the algorithm is no window, and the window may be QGIS's own."""
    plugin = load(iface)
    closed: list[str] = []

    class Hosted(QWidget):
        def __init__(self, algorithm: Any, window: QWidget) -> None:
            super().__init__(window)
            self.algorithm = lambda: algorithm

        def forceClose(self) -> None:  # noqa: N802
            closed.append(self.algorithm().name())

    ours = Hosted(provider().algorithm("fillgaps"), iface.mainWindow())
    other = Hosted(QgsApplication.processingRegistry().algorithmById("native:buffer"), iface.mainWindow())
    plugin.unload()
    assert closed == ["fillgaps"] and sip.isdeleted(ours)
    assert not sip.isdeleted(other) and not sip.isdeleted(iface.mainWindow())
    sip.delete(other)


def test_the_button_shows_and_hides_the_dock(iface: Interface, qgis_app: Any) -> None:
    iface.mainWindow().show()
    plugin = load(iface)
    button = iface.icons[0]
    assert not iface.docks, "the dock is made when it is first wanted"
    button.trigger()
    (dock,) = iface.docks
    assert button.isChecked() and dock.isVisible()
    button.trigger()
    assert not button.isChecked() and not dock.isVisible()
    button.trigger()
    dock.close()  # by its own cross
    qgis_app.processEvents()
    assert not button.isChecked()
    assert len(iface.docks) == 1
    plugin.unload()
    iface.mainWindow().hide()


@pytest.fixture
def no_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine where no backend is set up."""
    from terramend.ui import settings
    from terramend.ui.installation import interpreter

    monkeypatch.delenv("TERRAMEND_PYTHON")
    monkeypatch.setattr(interpreter, "managed_folder", lambda: tmp_path / "environment")
    settings.put("environment/declined", False)
    yield
    settings.put("environment/declined", False)


def test_first_use_offers_the_environment_until_it_is_declined(
    iface: Interface, qgis_app: Any, no_python: None, tmp_path: Path
) -> None:
    plugin = load(iface)
    iface.icons[0].trigger()
    assert plugin.dialog is not None and plugin.dialog.isVisible()
    plugin.dialog.close()
    iface.icons[0].trigger()
    iface.icons[0].trigger()
    assert not plugin.dialog.isVisible(), "it was declined once"
    plugin.actions[1].trigger()
    assert plugin.dialog.isVisible(), "the menu still has it"
    plugin.unload()
    settle(qgis_app)
    assert terramend_widgets(iface.mainWindow()) == []
    assert list(tmp_path.iterdir()) == [], "nothing is installed without consent"


def test_where_a_backend_is_set_up_nothing_is_offered(iface: Interface, backend_python: str) -> None:
    plugin = load(iface)
    iface.icons[0].trigger()
    assert plugin.dialog is None
    plugin.unload()
