"""Terramend in the windows of Processing: the dialog, the history, the model designer."""

from __future__ import annotations

import gc
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsLayerTreeModel,
    QgsPalettedRasterRenderer,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelParameter,
    QgsProcessingParameterString,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import QgsGui, QgsLayerTreeView
from qgis.PyQt.QtWidgets import QComboBox
from terramend.backend.request import DEFAULT_CLASSES
from terramend.ui import history
from terramend.ui.choices import Choices, MaskChoice, ReferenceChoice, to_parameters
from terramend.ui.layers.results import BEFORE, ROLE, Styler
from terramend.ui.widgets.form import ChoicesForm
from terramend.ui.words.option_words import _fields, _words


@pytest.fixture
def dialog(
    client: Any, provider: Any, qgis_iface: Any, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """`dialog(name, parameters)`: run in the toolbox's dialog; the layers that it loaded, by name."""
    import processing

    tree = QgsLayerTreeView()
    tree.setModel(QgsLayerTreeModel(QgsProject.instance().layerTreeRoot(), tree))
    monkeypatch.setattr(qgis_iface, "browserModel", lambda: None)
    monkeypatch.setattr(qgis_iface, "layerTreeView", lambda: tree)  # Processing puts the layers there

    def run(name: str, **parameters: Any) -> dict[str, QgsRasterLayer]:
        before = set(QgsProject.instance().mapLayers())
        window = processing.createAlgorithmDialog(f"terramend:{name}", parameters)
        done: list[bool] = []
        window.algorithmFinished.connect(lambda ok, results: done.append(ok))
        window.runButton().click()
        gc.collect()
        until(lambda: bool(done))
        assert done == [True]
        window.close()
        window.deleteLater()
        layers = QgsProject.instance().mapLayers()
        return {layers[key].name(): layers[key] for key in layers if key not in before}

    return run


def test_the_dialog_loads_what_a_fill_made_in_its_styles(
    dialog: Any, target: QgsRasterLayer, scene: dict[str, str], until: Callable[..., None]
) -> None:
    made = dialog("fillgaps", TARGET=target.id(), GAPS=[scene["mask"]], QUALITY="fast")
    assert set(made) == {f"{label}, target" for label in ("Filled raster", "Uncertainty", "Provenance")}
    assert made["Filled raster, target"].customProperty(BEFORE) == target.id()
    assert made["Uncertainty, target"].renderer().type() == "singlebandpseudocolor"
    assert isinstance(made["Provenance, target"].renderer(), QgsPalettedRasterRenderer)
    assert {layer.customProperty(ROLE) for layer in made.values()} == {"result"}
    until(lambda: not Styler.waiting)


def test_the_uncertainty_of_what_is_no_layer_is_that_of_the_band_shown_first(
    dialog: Any, scene: dict[str, str], tmp_path: Path, until: Callable[..., None]
) -> None:
    path = str(tmp_path / "blue_first.tif")
    made = gdal.Translate(path, scene["target"])
    for band, colour in enumerate((gdal.GCI_BlueBand, gdal.GCI_GreenBand, gdal.GCI_RedBand), 1):
        made.GetRasterBand(band).SetColorInterpretation(colour)
    del made
    loaded = dialog("fillgaps", TARGET=path, GAPS=[scene["mask"]], MODEL="nearest")
    assert loaded["Filled raster, blue_first"].renderer().redBand() == 3
    assert loaded["Uncertainty, blue_first"].renderer().usesBands() == [3]
    until(lambda: not Styler.waiting)


def test_the_dialog_loads_masks_and_cleared_rasters_too(dialog: Any, target: QgsRasterLayer) -> None:
    assert set(dialog("makegapmask", TARGET=target.id())) == {"Gap mask"}
    assert set(dialog("removethincloud", TARGET=target.id())) == {"Cleared raster, target"}


@pytest.fixture
def repeat(history_command: Callable[[], str]) -> Callable[[], dict[str, Any]]:
    """`repeat()`: run the latest entry of Processing's history again, as its window does; its results."""
    import processing

    def run() -> dict[str, Any]:
        found: dict[str, Any] = {}
        exec("results = " + history_command(), {"processing": processing}, found)
        return dict(found["results"])

    return run


def classes_of(results: dict[str, Any]) -> list[str]:
    request = gdal.Open(results["OUTPUT"]).GetMetadataItem("TERRAMEND_REQUEST")
    return list(json.loads(request)["classes"])


def test_what_the_dialog_ran_can_be_repeated(
    dialog: Any, target: QgsRasterLayer, scene: dict[str, str], repeat: Callable[[], dict[str, Any]]
) -> None:
    given = {"TARGET": target.id(), "GAPS": [scene["mask"]], "MODEL": "nearest"}
    for classes in (["cloud", "snow"], ["cloud"], ["cloud", "shadow", "cirrus"]):
        dialog("fillgaps", **given, CLASSES=classes)
        assert classes_of(repeat()) == classes


def test_what_the_dock_ran_can_be_repeated(
    client: Any,
    provider: Any,
    target: QgsRasterLayer,
    scene: dict[str, str],
    tmp_path: Path,
    repeat: Callable,
) -> None:
    for classes in (("cloud", "snow"), DEFAULT_CLASSES):
        choices = Choices(
            (target,), str(tmp_path / "filled.tif"), (MaskChoice(scene["mask"]),), classes, model="nearest"
        )
        history.entry(to_parameters(choices))()
        assert classes_of(repeat()) == list(classes)


def test_the_history_offers_a_run_of_the_dock_for_the_shell(
    client: Any, provider: Any, target: QgsRasterLayer, scene: dict[str, str], tmp_path: Path
) -> None:
    if not hasattr(QgsGui, "historyProviderRegistry"):
        pytest.skip("before QGIS 3.24 the history holds Python alone")
    choices = Choices((target,), str(tmp_path / "filled.tif"), (MaskChoice(scene["mask"]),), model="nearest")
    history.entry(to_parameters(choices))()
    told = QgsGui.historyProviderRegistry().queryEntries(providerId="processing")[-1].entry
    words = shlex.split(told["process_command"])
    assert words[:3] == ["qgis_process", "run", "terramend:fillgaps"]
    assert f"--GAPS={scene['mask']}" in words and "--MODEL=nearest" in words


def test_rows_that_are_added_to_the_docks_batch_begin_like_its_first(
    provider: Any, layers: dict[str, QgsRasterLayer], qgis_iface: Any
) -> None:
    """A mask of the first row's raster is none of the others': they have theirs found, or are given one."""
    mask = MaskChoice(layers["mask"], "nonzero")
    other = ReferenceChoice(layers["other"], MaskChoice(layers["other_mask"], "scl"), "2020-01-28")
    choices = Choices(
        (layers["target"],), "filled.tif", (mask,), ("cloud", "snow"), "2px", references=(other,), seed=4,
        date="2020-01-13", sun=(150.0, 30.0), unfilled="nodata", model="nearest", quality="best", device="cpu",
    )  # fmt: skip
    for gaps, kind in (((mask,), "nonzero"), ((mask, replace(mask, kind="scl")), "auto")):
        dialog = history.batch_dialog(to_parameters(replace(choices, gaps=gaps)), qgis_iface.mainWindow())
        panel = dialog.mainWidget()
        panel.addRow()
        gc.collect()
        names = {d.name() for d in dialog.algorithm().parameterDefinitions() if not d.isDestination()}
        first, second = ({name: panel.valueForParameter(row, name) for name in names} for row in (0, 1))
        assert (first["QUALITY"], first["CLASSES"], first["GROW"]) == ("best", ["cloud", "snow"], "2px")
        assert (len(first["GAPS"]), first["DATE"], second["GAPS_KIND"]) == (len(gaps), "2020-01-13", kind)
        own = {"TARGET", "GAPS", "SUN", "DATE"} | ({"GAPS_KIND"} if len(gaps) > 1 else set())
        assert {name for name in names if first[name] != second[name]} == own
        assert not any(second[name] for name in own - {"GAPS_KIND"})
        dialog.deleteLater()
    algorithm = QgsApplication.processingRegistry().algorithmById("terramend:fillgaps").create()
    assert algorithm.parameterDefinition("QUALITY").defaultValue() == "default"


def test_in_the_designer_texts_take_inputs_of_the_model(
    provider: Any, qgis_iface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from processing.modeler.ModelerParametersDialog import ModelerParametersDialog

    monkeypatch.setattr(qgis_iface, "activeLayer", lambda: None)
    model = QgsProcessingModelAlgorithm("fill", "tests")
    asked = QgsProcessingParameterString("how", "how")
    model.addModelParameter(asked, QgsProcessingModelParameter("how"))
    designer = ModelerParametersDialog(provider.algorithm("fillgaps"), model)
    wrappers = designer.widget.widget.wrappers
    source = QgsProcessingModelChildParameterSource
    wrappers["MODEL"].setWidgetValue(source.fromModelParameter("how"))
    wrappers["GAPS_KIND"].setWidgetValue(source.fromStaticValue("value=3"))
    sources = designer.createAlgorithm().parameterSources()
    assert sources["MODEL"][0].parameterName() == "how"
    assert sources["GAPS_KIND"][0].staticValue() == "value=3"
    designer.deleteLater()


def test_elsewhere_they_are_suggested_and_may_be_typed(
    provider: Any, qgis_iface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import processing

    monkeypatch.setattr(qgis_iface, "browserModel", lambda: None)
    window = processing.createAlgorithmDialog("terramend:fillgaps", {"GAPS_KIND": "value=3"})
    gc.collect()
    wrappers = window.mainWidget().wrappers
    box = wrappers["GAPS_KIND"].wrappedWidget()
    assert isinstance(box, QComboBox)
    assert {"auto", "scl", "qa_pixel"} <= {box.itemData(i) for i in range(box.count())}
    assert wrappers["GAPS_KIND"].parameterValue() == box.currentText() == "value=3"
    assert wrappers["MODEL"].parameterValue() == "auto"
    changed: list[Any] = []
    wrappers["GAPS_KIND"].widgetValueHasChanged.connect(changed.append)
    box.setEditText("scl;value=4")
    assert wrappers["GAPS_KIND"].parameterValue() == "scl;value=4" and changed
    box.setEditText("Fmask")
    assert wrappers["GAPS_KIND"].parameterValue() == "fmask"
    window.close()
    window.deleteLater()


SHOWN = """
    import sys
    sys.path.insert(0, {tests!r})
    import conftest
    from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingParameterString
    application = QgsApplication([], True)
    application.initQgis()
    from terramend.ui.algorithms.suggestions import Suggestions
    words = [["scl", "Sentinel-2 SCL"]]
    wrapper = Suggestions(QgsProcessingParameterString("kind"), None, words=words, typed=True)
    box = wrapper.createWrappedWidget(QgsProcessingContext())
    wrapper.setParameterValue("scl", QgsProcessingContext())
    print(box.currentText(), flush=True)
"""


def test_a_box_of_suggestions_holds_no_memory_that_is_freed() -> None:
    """It did, and QGIS crashed of it now and then. Python's debug allocator overwrites what is freed."""
    code = textwrap.dedent(SHOWN).format(tests=str(Path(__file__).parent))
    environment = {**os.environ, "PYTHONMALLOC": "debug"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "Sentinel-2 SCL\n"


def offers(box: QComboBox) -> dict[str, str]:
    """Words of a combo box, and how it shows them."""
    entries = {box.itemData(i): box.itemText(i) for i in range(box.count())}
    return {word: title for word, title in entries.items() if word is not None}


def test_words_are_shown_as_the_dock_shows_them(
    provider: Any, qgis_iface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts hold the words themselves."""
    import processing

    monkeypatch.setattr(qgis_iface, "browserModel", lambda: None)
    chosen = {"QUALITY": "best", "DEVICE": "cpu", "RADIOMETRY": "dn", "UNFILLED": "nodata"}
    window = processing.createAlgorithmDialog("terramend:fillgaps", chosen)
    gc.collect()
    wrappers = window.mainWidget().wrappers
    form = ChoicesForm(qgis_iface.mapCanvas())
    boxes = {
        "QUALITY": form.method.quality,
        "DEVICE": form.method.device,
        "RADIOMETRY": form.target.radiometry,
        "UNFILLED": form.output.unfilled,
        "GAPS_KIND": form.gaps.rows[0].kind,
    }
    for name, box in boxes.items():
        assert offers(wrappers[name].wrappedWidget()) == offers(box), name
    shown = offers(wrappers["MODEL"].wrappedWidget())
    assert offers(form.method.model).items() <= shown.items()
    assert shown["ddpm"].endswith(" (experimental)")
    assert {name: window.createProcessingParameters()[name] for name in chosen} == chosen
    wrappers["QUALITY"].wrappedWidget().setCurrentText("Normal")
    assert window.createProcessingParameters()["QUALITY"] == "default"
    for part in (window, form):
        part.close()
        part.deleteLater()


def test_what_sentences_quote_stands_in_the_toolbox(provider: Any) -> None:
    labels = {
        definition.description() for definition in provider.algorithm("fillgaps").parameterDefinitions()
    }
    quoted = {quote for words in _words().values() for quote in re.findall("“(.+?)”", words)}
    quoted |= set(_fields().values())
    dock = {"Its gaps", "clear everywhere", "becomes nodata", "keeps its value", "Choose by itself"}
    dock |= {"Fastest that works", "Advanced", "More", "Install its network", "From a folder…", "Detect"}
    assert quoted - labels - dock == {"Save to", "Sun", "Date"}  # by themselves, or with more beside them
