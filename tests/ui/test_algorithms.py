"""Terramend's algorithms through Processing, with the real backend."""

from __future__ import annotations

import datetime
import itertools
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    NULL,
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsProperty,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDate
from terramend.backend.errors import Notice
from terramend.ui.algorithms.check_accuracy import _reword
from terramend.ui.installation import interpreter
from terramend.ui.layers.results import Styler
from terramend.ui.words.messages import told_in_windows

gdal.UseExceptions()


class Feedback(QgsProcessingFeedback):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.errors: list[str] = []

    def reportError(self, text: str, fatal: bool = False) -> None:  # noqa: N802
        self.errors.append(text)

    def pushInfo(self, text: str) -> None:  # noqa: N802
        self.told.append(text)

    pushWarning = pushInfo  # noqa: N815


@pytest.fixture
def run(client: Any, provider: Any, qgis_new_project: None) -> Any:
    import processing

    def call(name: str, feedback: QgsProcessingFeedback | None = None, **parameters: Any) -> dict[str, Any]:
        return processing.run(f"terramend:{name}", parameters, feedback=feedback or QgsProcessingFeedback())

    return call


def read(path: str) -> Any:
    return gdal.Open(path).ReadAsArray()


def test_every_algorithm_explains_itself(provider: Any) -> None:
    algorithms = provider.algorithms()
    assert [a.id() for a in algorithms] == [
        "terramend:checkaccuracy",
        "terramend:fillgaps",
        "terramend:makegapmask",
        "terramend:removethincloud",
    ]
    for algorithm in algorithms:
        assert len(algorithm.shortHelpString()) > 100
        assert not algorithm.icon().isNull()
        assert algorithm.tags() and algorithm.shortDescription().endswith(".")
        assert isinstance(algorithm.create(), QgsProcessingAlgorithm)
        for definition in algorithm.parameterDefinitions():
            assert definition.description(), definition.name()
            assert definition.help().endswith("."), definition.name()


def test_without_a_backend_no_window_opens_but_a_sentence(
    provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {algorithm.canExecute() for algorithm in provider.algorithms()} == {(True, "")}
    monkeypatch.setenv("TERRAMEND_PYTHON", str(tmp_path / "no such python"))
    for algorithm in provider.algorithms():
        able, why = algorithm.canExecute()
        assert not able and "no such python" in why
    monkeypatch.delenv("TERRAMEND_PYTHON")
    monkeypatch.setattr(interpreter, "managed_folder", lambda: tmp_path / "environment")
    able, why = provider.algorithm("fillgaps").canExecute()
    assert not able and "under Raster > Terramend > Backend environment" in why and "TERRAMEND_PYTHON" in why


def test_relative_paths_are_those_of_qgis_wherever_the_backend_started(
    run: Any, scene: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Path(scene["target"]).parent
    (beside / "dates").mkdir()
    shutil.copy(scene["other"], beside / "dates")
    ring = [[2.79, 42.34], [2.82, 42.34], [2.82, 42.36], [2.79, 42.36], [2.79, 42.34]]
    (beside / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    whole = run("makegapmask", TARGET=scene["target"], GAPS=[scene["mask"]], OUTPUT="TEMPORARY_OUTPUT")
    target, mask, other = (Path(scene[key]).name for key in ("target", "mask", "other"))
    monkeypatch.chdir(beside)
    made = run("makegapmask", TARGET=target, GAPS=[mask], OUTPUT="dates/mask.tif")
    assert made == {**whole, "OUTPUT": str(beside / "dates" / "mask.tif")}
    Path(made["OUTPUT"]).unlink()
    filled = run(
        "fillgaps", PRODUCT=target, GAPS=[mask], REFERENCES=[other], REFERENCE_GAPS_KIND="none", AREA="area.geojson",
        QUALITY="fast", OUTPUT="filled.tif", STD="dates/std.tif", PROVENANCE="dates/provenance.tif",
    )  # fmt: skip
    for key, name in (
        ("OUTPUT", "filled.tif"),
        ("STD", "dates/std.tif"),
        ("PROVENANCE", "dates/provenance.tif"),
    ):
        assert filled[key] == str(beside / name) and (beside / name).is_file()
        (beside / name).unlink()
    checked = run(
        "checkaccuracy", TARGET=target, GAPS=[mask], REFERENCES_FROM="dates", REFERENCES_CLEAR=True,
        QUALITY="fast", OUTPUT="report.html",
    )  # fmt: skip
    assert checked["OUTPUT"] == str(beside / "report.html") and (beside / "report.html").is_file()


def test_what_a_mask_missed_joins_it_where_another_date_shows_it(
    run: Any, scene: dict[str, str], tmp_path: Path
) -> None:
    gaps = read(scene["mask"]) == 1
    shadow = np.zeros_like(gaps)
    shadow[40:, 25:] = gaps[:-40, :-25]
    shadow &= ~gaps
    shaded = str(tmp_path / "shaded.tif")
    shutil.copy(scene["target"], shaded)
    file = gdal.Open(shaded, gdal.GA_Update)
    for number in range(1, file.RasterCount + 1):
        band = file.GetRasterBand(number)
        values = band.ReadAsArray()
        values[shadow] = values[shadow] * 0.5
        band.WriteArray(values)
    del band, file
    parts = {"TARGET": shaded, "GAPS": [scene["mask"]], "OUTPUT": "TEMPORARY_OUTPUT"}
    bare = run("makegapmask", **parts)
    dates = {"REFERENCES": [scene["other"]], "REFERENCE_GAPS": [scene["other_mask"]]}
    for unread in (dates, {"REFERENCES_FROM": str(tmp_path)}):
        with pytest.raises(QgsProcessingException, match="Other dates only help .* missed, too"):
            run("makegapmask", **unread, **parts)
    made = run("makegapmask", feedback := Feedback(), MISSED=True, **dates, **parts)
    found = read(made["OUTPUT"]) == 1
    assert found[gaps].all() and found[shadow].mean() > 0.9 and found[~gaps & ~shadow].mean() < 0.2
    assert made["GAP_PERCENT"] > bare["GAP_PERCENT"] + 5
    assert any("What the masks missed" in line for line in feedback.told)


def test_a_mask_is_made_and_its_output_feeds_the_fill(
    run: Any, scene: dict[str, str], tmp_path: Path
) -> None:
    mask = run(
        "makegapmask", TARGET=scene["target"], GAPS=[scene["mask"]], GROW="2px", OUTPUT="TEMPORARY_OUTPUT"
    )
    assert 22.4 < mask["GAP_PERCENT"] < 40
    filled = run(
        "fillgaps",
        feedback := Feedback(),
        TARGET=scene["target"],
        GAPS=[mask["OUTPUT"]],
        REFERENCES=[scene["other"]],
        OUTPUT=str(tmp_path / "filled.tif"),
        STD="TEMPORARY_OUTPUT",
        PROVENANCE="TEMPORARY_OUTPUT",
    )
    before, after, hole = read(scene["target"]), read(filled["OUTPUT"]), read(mask["OUTPUT"]) == 1
    assert (before[:, ~hole] == after[:, ~hole]).all()
    assert (after[:, hole] > 0).all()
    assert filled["GAP_PERCENT"] == pytest.approx(100 * hole.mean(), abs=0.01)
    assert (filled["UNFILLED_SAMPLES"], filled["MODEL_USED"]) == (0, "guided")
    assert 0 < filled["EXPECTED_ERROR"] < 0.1
    assert json.loads(filled["RESULT_JSON"])["std"] == filled["STD"]
    assert (read(filled["STD"])[:, ~hole] == 0).all()
    assert set(np.unique(read(filled["PROVENANCE"])[0][~hole])) == {0}
    assert any("other date" in text for text in feedback.told)
    truth = read(scene["truth"])
    inside = read(scene["mask"]) > 0
    error = after[:, inside].astype(float) - truth[:, inside]
    assert np.sqrt(np.mean(error[:3] ** 2)) < 300  # visible bands: 0.03 reflectance


def test_other_dates_of_a_folder(run: Any, scene: dict[str, str], tmp_path: Path) -> None:
    dates = tmp_path / "other dates"
    dates.mkdir()
    for key in ("other", "other_mask"):
        shutil.copy(scene[key], dates)
    output = str(tmp_path / "filled.tif")
    given = {"TARGET": scene["target"], "GAPS": [scene["mask"]], "REFERENCES_FROM": str(dates)}
    made = run("fillgaps", **given, OUTPUT=output)
    assert (made["STD"], made["PROVENANCE"]) == (None, None)  # a script gets what it names
    named = json.loads(gdal.Open(output).GetMetadataItem("TERRAMEND_DATES"))
    assert [date["name"] for date in named] == [Path(scene["target"]).name, Path(scene["other"]).name]


def test_a_product_may_be_a_folder(provider: Any) -> None:
    for name in ("fillgaps", "makegapmask", "checkaccuracy", "removethincloud"):
        product = provider.algorithm(name).parameterDefinition("PRODUCT")
        assert product.checkValueIsAcceptable("/scenes/LC08_L2SP_198031_20200101_20200823_02_T1")


def test_layers_of_the_project_and_their_settings(run: Any, scene: dict[str, str]) -> None:
    layers = {key: QgsRasterLayer(path, key) for key, path in scene.items()}
    drawn = QgsVectorLayer("Polygon?crs=EPSG:4326", "drawn", "memory")
    QgsProject.instance().addMapLayers([*layers.values(), drawn])
    from qgis.core import QgsFeature, QgsGeometry, QgsRectangle

    centre = layers["target"].extent().center()
    box = QgsRectangle(centre.x() - 0.002, centre.y() - 0.002, centre.x() + 0.002, centre.y() + 0.002)
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(box))
    drawn.dataProvider().addFeature(feature)
    made = run(
        "makegapmask",
        TARGET=layers["other"].id(),
        GAPS=[drawn.id(), layers["other_mask"].id()],
        OUTPUT="TEMPORARY_OUTPUT",
    )
    hole, cloud = read(made["OUTPUT"]) == 1, read(scene["other_mask"]) > 0
    assert (hole & ~cloud).mean() == pytest.approx(0.004 * 0.004 / layers["other"].extent().area(), rel=0.1)
    assert hole[cloud].all()


def test_result_and_report_tell_their_notices_as_the_windows_do(
    run: Any, scene: dict[str, str], tmp_path: Path
) -> None:
    dem = str(tmp_path / "dem.tif")
    blank = gdal.Translate(dem, scene["target"], bandList=[1], noData=0)
    blank.GetRasterBand(1).Fill(0)
    del blank
    asked = {
        "TARGET": scene["target"],
        "GAPS": [scene["mask"]],
        "DEM": dem,
        "MODEL": "guided",
        "QUALITY": "fast",
    }
    filled = run("fillgaps", **asked, OUTPUT="TEMPORARY_OUTPUT")
    (told,) = [n for n in json.loads(filled["RESULT_JSON"])["notices"] if n["code"] == "guide.blank"]
    assert told["message"].startswith("What an elevation model names") and "--" not in told["message"]
    assert told["arguments"] == {"option": "--dem"}
    report = tmp_path / "report.html"
    run("checkaccuracy", **asked, OUTPUT=str(report))
    assert told["message"] in report.read_text("utf-8") and "--dem" not in report.read_text("utf-8")
    assert {path.name for path in tmp_path.glob("*report*")} | {
        path.name for path in tmp_path.glob(".*")
    } == {"report.html"}


def test_a_report_tells_as_the_windows_do_also_what_holds_of_a_coarser_grid(tmp_path: Path) -> None:
    blank = Notice(
        "notice.grid", {"grid": "20 m", "told": Notice("guide.blank", {"option": "--dem"})}
    ).to_json()
    (told,) = told_in_windows({"notices": [blank]})["notices"]
    report = tmp_path / "report.html"
    report.write_text(blank["message"], "utf-8")
    _reword(report, [told])
    assert report.read_text("utf-8").startswith("In the bands of 20 m: What an elevation model names")


def test_accuracy_is_a_report_and_numbers(run: Any, scene: dict[str, str], tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    found = run(
        "checkaccuracy",
        TARGET=scene["target"],
        GAPS=[scene["mask"]],
        REFERENCES=[scene["other"]],
        QUALITY="fast",
        OUTPUT=str(report),
    )
    assert 0 < found["RMSE"] < 0.2
    assert abs(found["BIAS"]) <= found["RMSE"]
    assert 0.2 < found["COVERAGE"] <= 1
    assert 0.2 < found["EXPECTED_AFTER"] / found["EXPECTED_BEFORE"] < 5
    assert f"{found['EXPECTED_AFTER']:.4f}" in report.read_text("utf-8")
    assert report.read_text("utf-8").lstrip().lower().startswith("<!doctype html")
    assert len(json.loads(found["RESULT_JSON"])["bands"]) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "two dates"]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "Give the raster to fill"),
        ({"TARGET": "target", "GROW": "far"}, "'far' is no distance"),
        ({"TARGET": "target", "GAPS": ["mask"], "GAPS_KIND": "scl;fmask"}, "one for each mask (1)"),
        ({"TARGET": "target", "MODEL": "magic"}, "magic"),
        ({"PRODUCT": "/nowhere/S2A.SAFE"}, "/nowhere/S2A.SAFE"),
    ],
)
def test_failures_are_raised(
    run: Any, scene: dict[str, str], tmp_path: Path, parameters: dict[str, Any], sentence: str
) -> None:
    def path(value: Any) -> Any:
        return [scene[v] for v in value] if isinstance(value, list) else scene.get(value, value)

    output = tmp_path / "filled.tif"
    feedback = Feedback()
    with pytest.raises(QgsProcessingException) as error:
        run("fillgaps", feedback, **{k: path(v) for k, v in parameters.items()}, OUTPUT=str(output))
    assert sentence in " ".join([str(error.value), *feedback.errors])
    assert not output.exists()


def test_a_failure_names_the_layer_and_not_its_temporary_file(run: Any, scene: dict[str, str]) -> None:
    drawn = QgsVectorLayer("Polygon?crs=EPSG:4326", "drawn by hand", "memory")
    QgsProject.instance().addMapLayer(drawn)
    with pytest.raises(QgsProcessingException, match="^drawn by hand has no polygons: draw some"):
        run("fillgaps", TARGET=scene["target"], GAPS=[drawn.id()], OUTPUT="TEMPORARY_OUTPUT")


def test_notices_name_the_layer_and_not_its_temporary_file(run: Any, scene: dict[str, str]) -> None:
    drawn = QgsVectorLayer("Polygon?crs=EPSG:4326", "drawn by hand", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(12, 42, 13, 43)))
    drawn.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(drawn)
    feedback = Feedback()
    gaps = {"GAPS": [drawn.id(), scene["mask"]], "QUALITY": "fast", "OUTPUT": "TEMPORARY_OUTPUT"}
    result = json.loads(run("fillgaps", feedback, TARGET=scene["target"], **gaps)["RESULT_JSON"])
    sentence = "The mask drawn by hand, read as polygons, marks nothing inside the target."
    assert sentence in feedback.told and sentence in [notice["message"] for notice in result["notices"]]


def test_a_cancelled_run_is_no_success(run: Any, scene: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    feedback = Feedback()

    def cancel_when_it_writes() -> None:
        end = time.monotonic() + 120
        while not any(folder.iterdir()) and time.monotonic() < end:
            time.sleep(0.01)
        feedback.cancel()

    watcher = threading.Thread(target=cancel_when_it_writes)
    watcher.start()
    with pytest.raises(QgsProcessingException, match="Cancelled; nothing was written"):
        run(  # in so many steps that it would take minutes
            "fillgaps", feedback, TARGET=scene["target"], GAPS=[scene["mask"]], MODEL="aligndiff",
            SETTINGS="steps=1000; prior=harmonic", OUTPUT=str(folder / "filled.tif"),
        )  # fmt: skip
    watcher.join()
    assert list(folder.iterdir()) == []


def test_thin_cloud_is_told_of_without_gaps(run: Any, scene: dict[str, str], tmp_path: Path) -> None:
    striped = str(tmp_path / "striped.tif")  # with open nodata, of which Fill gaps would speak
    made = gdal.Translate(striped, scene["other"], noData=0)
    made.WriteArray(np.zeros((made.RasterCount, made.RasterYSize // 2, 60), np.uint16), 60, 0)
    del made
    feedback = Feedback()
    result = run("removethincloud", feedback, TARGET=striped, OUTPUT=str(tmp_path / "cleared.tif"))
    assert f"{result['GAP_PERCENT']:.2f} % of the samples were changed. Device: " in " ".join(feedback.told)
    assert not any("open to the edge" in text for text in feedback.told)
    run("fillgaps", feedback, TARGET=striped, MODEL="nearest", OUTPUT=str(tmp_path / "filled.tif"))
    assert any("open to the edge" in text for text in feedback.told)


def test_thin_cloud_is_removed(run: Any, scene: dict[str, str], tmp_path: Path) -> None:
    out = str(tmp_path / "cleared.tif")
    result = run("removethincloud", TARGET=scene["other"], OUTPUT=out)
    before, after = read(scene["other"]), read(out)
    assert result["MODEL_USED"] == "msda-cr" and result["UNFILLED_SAMPLES"] == 0
    assert (before[:3] != after[:3]).mean() > 0.5
    assert np.array_equal(before[3], after[3])  # near infrared: it knows red, green and blue
    with pytest.raises(QgsProcessingException, match="cannot do clear"):
        run("removethincloud", TARGET=scene["other"], MODEL="guided", OUTPUT=out)


def corner(scene: dict[str, str], side: int) -> tuple[Any, str]:
    """A square in the middle of the sample's gap: as a slice, and as an extent."""
    hole = read(scene["mask"]) > 0
    west, down, _, north, _, up = gdal.Open(scene["target"]).GetGeoTransform()
    rows, columns = (int(np.median(at)) // side * side for at in np.nonzero(hole))
    sides = (
        west + columns * down, west + (columns + side) * down, north + (rows + side) * up, north + rows * up
    )  # fmt: skip
    return np.s_[:, rows : rows + side, columns : columns + side], ",".join(map(str, sides))


def test_diffusion_fills_from_the_toolbox(run: Any, scene: dict[str, str], tmp_path: Path) -> None:
    before, hole = read(scene["target"]), read(scene["mask"]) > 0
    part, extent = corner(scene, 40)
    out = str(tmp_path / "filled.tif")
    result = run(
        "fillgaps", TARGET=scene["target"], GAPS=[scene["mask"]], GAPS_KIND="nonzero", GROW="0px", MODEL="de",
        QUALITY="fast", EXTENT=extent, OUTPUT=out,
    )  # fmt: skip
    after = read(out)
    assert result["MODEL_USED"] == "de"
    assert (after[part][:, hole[part[1:]]] > 0).all()
    assert np.array_equal(after[:, ~hole], before[:, ~hole])


def test_what_a_prompt_says_goes_through_the_toolbox(run: Any, scene: dict[str, str], tmp_path: Path) -> None:
    before, hole = read(scene["target"]), read(scene["mask"]) > 0
    part, extent = corner(scene, 40)
    given: dict[str, Any] = {"TARGET": scene["target"], "GAPS": [scene["mask"]], "GAPS_KIND": "nonzero"}
    given |= {"GROW": "0px", "QUALITY": "fast", "MODEL": "aligndiff", "BANDS": "1", "EXTENT": extent}
    filled = {}
    for place in ("Catalonia", "Spitsbergen"):
        out = str(tmp_path / f"{place}.tif")
        result = run("fillgaps", **given, SETTINGS=f"region={place}; samples=1; steps=2", OUTPUT=out)
        assert result["MODEL_USED"] == "aligndiff"
        filled[place] = read(out)
        assert np.array_equal(filled[place][:, ~hole], before[:, ~hole])
    first, second = (image[part][0, hole[part[1:]]] for image in filled.values())
    assert (first > 0).all() and (first != second).any()
    with pytest.raises(QgsProcessingException, match="no field of a prompt"):
        run("fillgaps", **given, SETTINGS="prompt={colour}", OUTPUT=str(tmp_path / "none.tif"))
    assert not (tmp_path / "none.tif").exists()


def test_in_a_model(client: Any, provider: Any, scene: dict[str, str], qgis_new_project: None) -> None:
    """A model of two steps: the mask that one makes is what the other fills."""
    registry = QgsApplication.processingRegistry()
    model = QgsProcessingModelAlgorithm("mask and fill", "tests")
    source = QgsProcessingModelChildParameterSource
    mask = QgsProcessingModelChildAlgorithm("terramend:makegapmask")
    mask.addParameterSources("TARGET", [source.fromStaticValue(scene["target"])])
    mask.addParameterSources("GAPS", [source.fromStaticValue(scene["mask"])])
    mask.setChildId("mask")
    model.addChildAlgorithm(mask)
    fill = QgsProcessingModelChildAlgorithm("terramend:fillgaps")
    fill.setChildId("fill")
    fill.addParameterSources("TARGET", [source.fromStaticValue(scene["target"])])
    fill.addParameterSources("GAPS", [source.fromChildOutput("mask", "OUTPUT")])
    fill.addParameterSources("MODEL", [source.fromStaticValue("harmonic")])
    fill.addParameterSources("QUALITY", [source.fromStaticValue("fast")])
    output = QgsProcessingModelOutput("filled", "filled")
    output.setChildId("fill")
    output.setChildOutputName("OUTPUT")
    fill.setModelOutputs({"filled": output})
    model.addChildAlgorithm(fill)
    assert registry.algorithmById("terramend:fillgaps") is not None
    context = QgsProcessingContext()
    (filled,) = [made.name() for made in model.destinationParameterDefinitions()]  # as this QGIS calls it
    results, ok = model.run({filled: "TEMPORARY_OUTPUT"}, context, QgsProcessingFeedback())
    assert ok and context.layersToLoadOnCompletion() == {}, "nobody asked for layers"
    assert (read(results[filled])[:, read(scene["mask"]) > 0] > 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GAPS", ["{mask}", "/nowhere/mask.tif"]),
        ("GAPS", QgsProperty.fromExpression("array('/nowhere/mask.tif')")),
        ("DEM", "/nowhere/dem.tif"),
        ("AREA", "/nowhere/area.gpkg"),
        ("REFERENCES", ["/nowhere/other.tif"]),
        ("TARGET", "gone"),
    ],
)
def test_a_model_says_which_input_is_missing(
    client: Any, provider: Any, scene: dict[str, str], qgis_new_project: None, name: str, value: Any
) -> None:
    """Processing checks no child of a model: what it cannot open would be left out without a word."""
    gone = QgsRasterLayer("/nowhere/gone.tif", "gone")
    QgsProject.instance().addMapLayer(gone)
    if isinstance(value, list):
        value = [item.format(**scene) for item in value]
    given = {"TARGET": scene["target"], "MODEL": "nearest", name: gone.id() if value == "gone" else value}
    model = QgsProcessingModelAlgorithm("fill", "tests")
    source = QgsProcessingModelChildParameterSource
    fill = QgsProcessingModelChildAlgorithm("terramend:fillgaps")
    fill.setChildId("fill")
    for key, static in given.items():
        fill.addParameterSources(key, [source.fromStaticValue(static)])
    output = QgsProcessingModelOutput("filled", "filled")
    output.setChildId("fill")
    output.setChildOutputName("OUTPUT")
    fill.setModelOutputs({"filled": output})
    model.addChildAlgorithm(fill)
    context, feedback = QgsProcessingContext(), Feedback()
    context.setProject(QgsProject.instance())
    (filled,) = [made.name() for made in model.destinationParameterDefinitions()]
    _, ok = model.run({filled: "TEMPORARY_OUTPUT"}, context, feedback)
    label = provider.algorithm("fillgaps").parameterDefinition(name).description()
    assert not ok
    assert "/nowhere/" in " ".join(feedback.errors) and f"({label}) does not exist" in " ".join(
        feedback.errors
    )


def test_a_model_that_is_exported_to_python_keeps_its_classes(provider: Any) -> None:
    """QGIS 3.22 wrote `'CLASSES': ''`, which it then refused."""
    model = QgsProcessingModelAlgorithm("mask", "tests")
    mask = QgsProcessingModelChildAlgorithm("terramend:makegapmask")
    source = QgsProcessingModelChildParameterSource
    mask.addParameterSources("CLASSES", [source.fromStaticValue(["cloud", "snow"])])
    model.addChildAlgorithm(mask)
    code = model.asPythonCode(QgsProcessing.PythonOutputType.PythonQgsProcessingAlgorithmSubclass, 4)
    assert any(re.search("'CLASSES': .*cloud.*snow", line) for line in code), code


def test_a_batch_of_three(
    client: Any,
    provider: Any,
    scene: dict[str, str],
    qgis_new_project: None,
    tmp_path: Path,
    qgis_iface: Any,
    batch_row: Callable,
) -> None:
    """Three rows in the batch dialog, the second of them wrong: it is reported, the others are done."""
    from terramend.ui import history

    parameters = {
        "TARGET": "",
        "GAPS": [scene["mask"]],
        "MODEL": "nearest",
        "OUTPUT": str(tmp_path / "0.tif"),
    }
    layer = QgsRasterLayer(scene["target"], "target")
    QgsProject.instance().addMapLayer(layer)
    dialog = history.batch_dialog({**parameters, "TARGET": layer.id()}, qgis_iface.mainWindow())
    panel = dialog.mainWidget()
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    for number, grow in ((1, "far"), (2, "1px")):
        panel.addRow()
        for name, value in {**parameters, "TARGET": layer.id(), "GROW": grow}.items():
            column = panel.parameter_to_column[name]
            if name == "OUTPUT":
                panel.tblParameters.cellWidget(number + 1, column).setValue(str(tmp_path / f"{number}.tif"))
            else:
                panel.wrappers[number][column].setParameterValue(value, context)
    done = []  # as the dialog's Run does it, without the task that it leaves to the garbage collector
    for row in range(panel.batchRowCount()):
        chosen, ok = batch_row(panel, row)
        assert ok
        done.append(dialog.algorithm().run(chosen, context, QgsProcessingFeedback())[1])
    assert done == [True, False, True]
    assert [p.name for p in sorted(tmp_path.glob("?.tif"))] == ["0.tif", "2.tif"]
    hole = read(scene["mask"]) > 0
    for name in ("0.tif", "2.tif"):
        assert (read(str(tmp_path / name))[:, hole] > 0).all()
    dialog.deleteLater()


def test_what_a_batch_leaves_empty_is_not_loaded(
    client: Any, provider: Any, scene: dict[str, str], qgis_new_project: None, tmp_path: Path
) -> None:
    """Its dialog asks to load every output; a layer without a file was said to be not correctly generated."""
    project, context = QgsProject.instance(), QgsProcessingContext()
    files = {"OUTPUT": str(tmp_path / "filled.tif"), "STD": "", "PROVENANCE": ""}
    outputs = {name: QgsProcessingOutputLayerDefinition(file, project) for name, file in files.items()}
    chosen = {"TARGET": scene["target"], "GAPS": [scene["mask"]], "MODEL": "nearest", **outputs}
    assert provider.algorithm("fillgaps").run(chosen, context, QgsProcessingFeedback())[1]
    assert list(context.layersToLoadOnCompletion()) == [files["OUTPUT"]]
    Styler.waiting.clear()  # for what nobody loads here


def test_a_command_is_told_of_words_that_are_none(provider: Any) -> None:
    command = provider.algorithm("fillgaps").asPythonCommand({"CLASSES": [0, None]}, QgsProcessingContext())
    assert "'CLASSES':" in command


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"TARGET": None}, "Give the raster to fill, or the product as delivered."),
        ({"PRODUCT": "other"}, "Give the raster to fill or the product as delivered, not both."),
        (
            {"EXTENT": "target", "AREA": "area"},
            "Give an extent or polygons inside which is filled, not both.",
        ),
        ({"CLOUD_THRESHOLD": "40,5"}, "40,5 is no number."),
        ({"SEED": "nan"}, "Random seed: nan is no number."),
        ({"SEED": 1.5}, "Random seed: 1.5 is no whole number."),
        ({"SAR": "points"}, "Radar (Sentinel-1): the layer points is not of the right kind."),
        ({"QUALITY": 1}, "Quality: 1 is none of fast, default, best."),
        ({"CLASSES": "0,1"}, "water, saturated, unclassified."),
        (
            {"GAPS": "/nowhere/m.tif"},
            "/nowhere/m.tif (Gap masks) does not exist or cannot be opened: check the path.",
        ),
        ({"BANDS": "1-3"}, "Bands: give numbers counted from 1, such as 1,2,3."),
        ({"GROW": "far"}, "'far' is no distance such as 3px or 30m."),
        (
            {"OUTPUT": "memory:"},
            "Filled raster: memory: is no file; give the path of one, or TEMPORARY_OUTPUT.",
        ),
        (
            {"STD": "ogr:dbname='a.gpkg' table=\"b\""},
            "is no file; give the path of one, or TEMPORARY_OUTPUT.",
        ),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_runs(
    run: Any, scene: dict[str, str], tmp_path: Path, given: dict[str, str], sentence: str
) -> None:
    """QGIS took the first of two, 0 for a number that it could not read, and `memory:` for a file; of words that
    are none it said `Incorrect parameter value for QUALITY`.
    """
    area = tmp_path / "area.geojson"
    ring = "[[2.8,42.33],[2.81,42.33],[2.81,42.34],[2.8,42.33]]"
    area.write_text('{"type":"Polygon","coordinates":[' + ring + "]}")
    points = QgsVectorLayer("Point", "points", "memory")
    files = {**scene, "area": str(area), "points": points}
    parameters = {"TARGET": scene["target"], "GAPS": [scene["mask"]], "OUTPUT": str(tmp_path / "o.tif")}
    parameters.update({name: files.get(value, value) for name, value in given.items()})
    with pytest.raises(QgsProcessingException, match="Unable to execute algorithm") as error:
        run("fillgaps", **parameters)
    assert str(error.value).endswith(sentence)
    assert not (tmp_path / "o.tif").exists()


def test_a_layer_may_be_given_as_a_path(provider: Any, scene: dict[str, str]) -> None:
    """It was said not to exist. (Of lists QGIS itself takes texts alone.)"""
    algorithm = QgsApplication.processingRegistry().algorithmById("terramend:fillgaps").create()
    algorithm.initAlgorithm({})
    context = QgsProcessingContext()  # owns what it loads
    given = {"TARGET": Path(scene["target"]), "GAPS": [scene["mask"]], "OUTPUT": "o.tif"}
    fine, why = algorithm.checkParameterValues(given, context)
    assert fine, why
    assert algorithm.choices(given, context).target[0].source() == scene["target"]


def test_selected_features_are_not_taken_for_all(provider: Any, scene: dict[str, str]) -> None:
    algorithm = QgsApplication.processingRegistry().algorithmById("terramend:fillgaps").create()
    algorithm.initAlgorithm({})
    polygons = QgsVectorLayer("Polygon?crs=EPSG:4326", "polygons", "memory")
    project, context = QgsProject(), QgsProcessingContext()
    project.addMapLayer(polygons)
    context.setProject(project)
    for selected in (False, True):
        area = QgsProcessingFeatureSourceDefinition(polygons.id(), selected)
        given = {"TARGET": scene["target"], "AREA": area, "OUTPUT": "o.tif"}
        fine, why = algorithm.checkParameterValues(given, context)
        assert fine is not selected, why
        assert not selected or why.startswith("The selected features of a layer cannot be given")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("RADIOMETRY", 1, "Values are: 1 is none of auto, reflectance"),
        ("UNFILLED", "nodate", "What can't be filled: nodate is none of keep, nodata."),
        ("QUALITY", QgsProperty.fromExpression("'be' || 'tter'"), "Quality: better is none of"),
        ("CLASSES", "cloud,smoke", "Classes that are gaps: cloud,smoke is none of cloud"),
        ("CLASSES", ["cloud", "smoke"], "Classes that are gaps: cloud, smoke is none of cloud"),
        ("EXTENT", "/nowhere/extent.tif", "Fill only inside this extent: /nowhere/extent.tif is no extent"),
        ("EXTENT", QgsProperty.fromExpression("'1,2,3'"), "Fill only inside this extent: 1,2,3 is no extent"),
    ],
)  # fmt: skip
def test_what_a_model_gives_is_not_replaced_by_a_default(
    provider: Any, scene: dict[str, str], name: str, value: Any, why: str
) -> None:
    """QGIS's own choices give numbers, which QGIS took for no word at all: other pixels, without a word."""
    algorithm = QgsApplication.processingRegistry().algorithmById("terramend:fillgaps").create()
    algorithm.initAlgorithm({})
    with pytest.raises(QgsProcessingException, match=re.escape(why)):
        algorithm.prepareAlgorithm(
            {"TARGET": scene["target"], "OUTPUT": "o.tif", name: value},
            QgsProcessingContext(),
            QgsProcessingFeedback(),
        )


def test_words_and_extents_come_in_many_ways(provider: Any, scene: dict[str, str]) -> None:
    algorithm = QgsApplication.processingRegistry().algorithmById("terramend:fillgaps").create()
    algorithm.initAlgorithm({})
    words = QgsProperty.fromExpression("array('cloud', 'snow')"), ["cloud", "snow"], "cloud,snow"
    box = "2.8,2.81,42.34,42.35 [EPSG:4326]"
    boxes = box, QgsProperty.fromExpression(f"'{box}'"), QgsRectangle(2.8, 42.34, 2.81, 42.35), scene["other"]
    for classes, extent in itertools.product((*words,), boxes):
        given = {"TARGET": scene["target"], "CLASSES": classes, "EXTENT": extent, "QUALITY": "fast"}
        choices = algorithm.choices(given, QgsProcessingContext())
        assert choices.classes == ("cloud", "snow") and choices.quality == "fast"
        assert round(choices.extent.xMinimum(), 1) == 2.8
    for empty in (NULL, None, "", QgsProperty.fromExpression("NULL")):
        given = {"TARGET": scene["target"], "CLASSES": empty, "EXTENT": empty, "UNFILLED": empty}
        choices = algorithm.choices(given, QgsProcessingContext())
        assert (choices.extent, choices.unfilled) == (None, "keep")


def test_a_number_that_a_model_leaves_empty_is_none(provider: Any, scene: dict[str, str]) -> None:
    """Not 0, from which every pixel of a cloud probability would be a gap."""
    algorithm = QgsApplication.processingRegistry().algorithmById("terramend:makegapmask").create()
    algorithm.initAlgorithm({})
    context = QgsProcessingContext()
    for empty in (NULL, None, "", QgsProperty.fromExpression("NULL")):
        parameters = {"TARGET": scene["target"], "CLOUD_THRESHOLD": empty}
        assert algorithm.choices(parameters, context).cloud_threshold is None
    parameters = {"TARGET": scene["target"], "CLOUD_THRESHOLD": QgsProperty.fromExpression("20 + 5")}
    assert algorithm.choices(parameters, context).cloud_threshold == 25


def test_no_is_no(provider: Any, scene: dict[str, str]) -> None:
    """QGIS took it for yes: `qgis_process ... MISSED=no` filled what the masks missed."""
    algorithm = QgsApplication.processingRegistry().algorithmById("terramend:fillgaps").create()
    algorithm.initAlgorithm({})
    context = QgsProcessingContext()
    for value, found in (
        *((value, False) for value in ("no", "Off", "FALSE", "0", 0, 0.0, False, "", None, NULL)),
        *((value, True) for value in ("yes", "on", "True", "1", 1, 1.0, True)),
        (QgsProperty.fromExpression("'n' || 'o'"), False),
        (QgsProperty.fromExpression("2 > 1"), True),
    ):
        choices = algorithm.choices({"TARGET": scene["target"], "MISSED": value}, context)
        assert (choices.missed, choices.own_mask) == (found, False), value
    given = {"TARGET": scene["target"], "MISSED": "maybe", "OUTPUT": "o.tif"}
    fine, why = algorithm.checkParameterValues(given, context)
    assert not fine and why == "Fill what the masks missed, too: maybe is neither true nor false."


def test_texts_may_be_given_as_lists_dates_and_paths(provider: Any, scene: dict[str, str]) -> None:
    """QGIS took them for nothing, and all bands were filled where two were asked for."""
    algorithm = QgsApplication.processingRegistry().algorithmById("terramend:fillgaps").create()
    algorithm.initAlgorithm({})
    day, context = datetime.date(2020, 1, 13), QgsProcessingContext()
    given = {"TARGET": scene["target"], "GAPS": [scene["mask"], scene["other_mask"]], "BANDS": [1, 2]}
    given |= {"GAPS_KIND": ["nonzero", "scl"], "SUN": (145.2, 41), "DATE": day, "SETTINGS": ["a=1", "b=2"]}
    given |= {"REFERENCES": [scene["other"]] * 3, "REFERENCE_DATES": [QDate(day), None, "2020-01-28"]}
    given |= {"REFERENCES_FROM": Path("some/where"), "CREATION_OPTIONS": ["COG=YES", "A=B"], "GROW": 3}
    choices = algorithm.choices(given, context)
    assert (choices.bands, choices.sun, choices.date) == ((1, 2), (145.2, 41), "2020-01-13")
    assert [mask.kind for mask in choices.gaps] == ["nonzero", "scl"]
    assert [other.date for other in choices.references] == ["2020-01-13", None, "2020-01-28"]
    assert (choices.settings, choices.grow) == ((("a", "1"), ("b", "2")), "3")
    assert (choices.references_from, choices.creation_options) == ("some/where", ("COG=YES", "A=B"))
    for name, wrong in (("SETTINGS", {"a": 1}), ("DATE", [day]), ("BANDS", [[1]])):
        label = algorithm.parameterDefinition(name).description()
        fine, why = algorithm.checkParameterValues({**given, name: wrong, "OUTPUT": "o.tif"}, context)
        assert not fine and why.startswith(f"{label}: ") and "is no text; give it as one." in why


def test_files_of_other_resolutions_are_named(run: Any, backend_python: str, tmp_path: Path) -> None:
    makers = Path(__file__).parents[1] / "backend" / "raster"
    script = "import sys, pathlib, makers; print(makers.make_safe(pathlib.Path(sys.argv[1])))"
    made = subprocess.run(
        [backend_python, "-c", script, tmp_path], cwd=makers, check=True, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    feedback = Feedback()
    run(
        "fillgaps", feedback, PRODUCT=made.stdout.strip(), MODEL="mean", OUTPUT=str(tmp_path / "o.tif"),
        STD=str(tmp_path / "s.tif"),
    )  # fmt: skip
    told = next(text for text in feedback.told if text.startswith("Other resolutions are in "))
    assert all(str(tmp_path / name) in told for name in ("o_20m.tif", "o_60m.tif", "s_20m.tif", "s_60m.tif"))
