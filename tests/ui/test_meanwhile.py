"""What happens to the layers and choices of a run while it is on, with a real backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    Qgis,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapTool
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QMessageBox, QPushButton
from terramend.ui import outlook
from terramend.ui.runner import Run


@pytest.fixture
def fill(dock: Any, until: Callable, tmp_path: Path) -> Callable[[Callable[[], None]], None]:
    """`fill(meanwhile)`: press Fill, do something, wait for the end."""
    dock.form.output.path.setFilePath(str(tmp_path / "result.tif"))

    def run(meanwhile: Callable[[], None]) -> None:
        QTest.mouseClick(dock.bar.fill, Qt.MouseButton.LeftButton)
        assert dock.run is not None
        meanwhile()
        until(lambda: dock.run is None)

    return run


def group_names() -> list[str]:
    return [group.name() for group in QgsProject.instance().layerTreeRoot().findGroups()]


def test_the_target_is_removed(dock: Any, iface: Any, layers: Any, fill: Callable) -> None:
    fill(lambda: QgsProject.instance().removeMapLayer(layers["target"].id()))
    text, level = iface.said[-1]
    assert level == Qgis.MessageLevel.Success and text.startswith("Filled 22.4 % in "), iface.said
    assert group_names() == ["target, filled"]


def test_the_project_is_cleared(
    dock: Any, iface: Any, fill: Callable, until: Callable, tmp_path: Path
) -> None:
    """No project gets the layers of another, unless they are asked for."""
    until(lambda: "would be filled" in dock.bar.estimate.text())
    fill(QgsProject.instance().clear)
    text, level = iface.said[-1]
    told = f"Its project is no longer open, so no layers were added: {tmp_path / 'result.tif'}. Filled 22.4 %"
    assert level == Qgis.MessageLevel.Success and text.startswith(told)
    until(lambda: dock.bar.estimate.text() == "")  # nothing is chosen now
    assert group_names() == [] and QgsRasterLayer(str(tmp_path / "result.tif")).isValid()
    (message,) = iface.offered
    message.findChild(QPushButton).click()
    assert group_names() == ["target, filled"] and iface.offered == []


def test_the_project_is_closed_and_opened_again(
    dock: Any, iface: Any, layers: Any, fill: Callable, tmp_path: Path
) -> None:
    project, name = QgsProject.instance(), str(tmp_path / "project.qgz")
    assert project.write(name)

    def leave_and_return() -> None:
        project.clear()
        assert project.read(name)

    target = layers["target"].id()
    fill(leave_and_return)
    assert iface.offered == [] and group_names() == ["target, filled"]
    assert dock.comparison.swipe._before == target in project.mapLayers()


@pytest.mark.parametrize("what", ["preview", "gaps"])
def test_what_is_only_looked_at_goes_with_its_project(
    dock: Any, iface: Any, layers: Any, until: Callable, what: str
) -> None:
    iface.mapCanvas().setDestinationCrs(layers["target"].crs())
    iface.mapCanvas().setExtent(layers["target"].extent())
    button = dock.bar.preview if what == "preview" else dock.form.gaps.show_button
    button.click()
    assert dock.run is not None
    QgsProject.instance().clear()
    until(lambda: dock.run is None)
    assert QgsProject.instance().mapLayers() == {} and iface.said == []


def test_mask_and_other_date_are_removed(
    dock: Any, iface: Any, layers: Any, fill: Callable, until: Callable, history_command: Callable
) -> None:
    files = [layers[name].source() for name in ("target", "mask", "other")]
    ids = [layers["mask"].id(), layers["other"].id()]
    fill(lambda: QgsProject.instance().removeMapLayers(ids))
    assert iface.said[-1][0].startswith("Filled 22.4 % in "), iface.said
    assert group_names() == ["target, filled"]
    command = history_command()
    assert 'processing.run("terramend:fillgaps"' in command
    assert all(repr(file) in command for file in files), "ids of layers that are gone repeat nothing"
    assert dock.comparison.swipe._before == layers["target"].id()
    until(lambda: "would be filled" in dock.bar.estimate.text())  # of what is chosen now


def test_another_target_is_chosen(dock: Any, layers: Any, fill: Callable) -> None:
    fill(lambda: dock.form.target.chooser.set_item(layers["other"]))
    assert group_names() == ["target, filled"]
    assert dock.comparison.swipe._before == layers["target"].id()


def test_a_layer_goes_while_the_outlook_is_asked(dock: Any, layers: Any, until: Callable) -> None:
    until(lambda: dock._outlook._run is not None)
    QgsProject.instance().removeMapLayer(layers["mask"].id())
    until(lambda: "would be filled" in dock.bar.estimate.text())
    assert dock.form.gaps.rows[0].choice() is None


def test_what_would_be_filled_follows_what_is_drawn(dock: Any, layers: Any, until: Callable) -> None:
    drawn = QgsVectorLayer(f"Polygon?crs={layers['target'].crs().authid()}", "drawn", "memory")
    QgsProject.instance().addMapLayer(drawn)
    dock.form.gaps.rows[0].chooser.set_item(drawn)
    until(lambda: "has no polygons: draw some" in dock.bar.estimate.text())
    drawn.startEditing()
    feature = QgsFeature()
    box = layers["target"].extent()
    feature.setGeometry(QgsGeometry.fromRect(box.buffered(-box.width() / 3)))
    drawn.addFeature(feature)
    until(lambda: "would be filled" in dock.bar.estimate.text())
    drawn.deleteFeature(feature.id())
    until(lambda: "has no polygons" in dock.bar.estimate.text())
    dock.form.gaps.rows[0].chooser.set_item(layers["mask"])
    until(lambda: dock._outlook._watched and drawn not in dock._outlook._watched)
    before = dock._outlook._asked
    drawn.addFeature(feature)
    assert dock._outlook._asked is before is not None


def test_an_error_names_the_layer_and_not_its_temporary_file(
    dock: Any, iface: Any, layers: Any, until: Callable
) -> None:
    drawn = QgsVectorLayer(f"Polygon?crs={layers['target'].crs().authid()}", "drawn by hand", "memory")
    QgsProject.instance().addMapLayer(drawn)
    dock.form.gaps.rows[0].chooser.set_item(drawn)
    sentence = "drawn by hand has no polygons: draw some, or choose another layer."
    until(lambda: dock.bar.estimate.text() == sentence)
    dock.fill()
    until(lambda: dock.run is None)
    assert iface.said[-1] == (sentence, Qgis.MessageLevel.Critical)


def test_what_would_be_filled_follows_the_map(dock: Any, iface: Any, layers: Any, until: Callable) -> None:
    canvas, box = iface.mapCanvas(), layers["target"].extent()
    canvas.setDestinationCrs(layers["target"].crs())
    canvas.setExtent(box)
    dock.form.output.follow_map()
    until(lambda: "22.4 %" in dock.bar.estimate.text())
    canvas.setExtent(QgsRectangle(100, 10, 101, 11))
    until(lambda: "does not touch the target" in dock.bar.estimate.text())
    dock.form.output.extent.setCurrentIndex(0)
    until(lambda: "22.4 %" in dock.bar.estimate.text())
    asked = dock._outlook._asked
    canvas.setExtent(box)
    assert dock._outlook._asked is asked is not None


def test_a_dock_that_is_closed_asks_nothing_until_it_is_opened(
    dock: Any, until: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: "expected error" in dock.bar.estimate.text())
    asked: list[str] = []

    def run(method: str, *given: Any, **more: Any) -> Run:
        asked.append(method)
        return Run(method, *given, **more)

    monkeypatch.setattr(outlook, "Run", run)
    dock.close()
    dock.form.gaps.grow.setValue(5)
    assert dock._outlook._timer.isActive()
    until(lambda: not dock._outlook._timer.isActive())
    assert asked == [] and dock._outlook._run is None
    dock.show()
    until(lambda: "expected error" in dock.bar.estimate.text())
    assert asked == ["inspect", "expect"]


def test_a_run_of_the_toolbox_does_not_wait_for_the_outlook(
    dock: Any, layers: Any, until: Callable, tmp_path: Path
) -> None:
    import processing

    until(lambda: "</b>" in dock.bar.estimate.text())
    asked = dock._outlook._run  # it tries the fill on hidden pixels now, which may take long
    assert asked is not None and asked._method == "expect"
    parameters = {"TARGET": layers["target"], "MODEL": "mean", "OUTPUT": str(tmp_path / "result.tif")}
    processing.run("terramend:fillgaps", {**parameters, "GAPS": [layers["mask"]]})
    assert asked._cancelled and dock._outlook._run is None
    until(lambda: "expected error" in dock.bar.estimate.text())


@pytest.mark.parametrize("by", ["dock", "list of tasks", "list of tasks, before it began"])
def test_a_conversion_is_cancelled_at_once(
    dock: Any, iface: Any, layers: Any, computed: Callable, fill: Callable, until: Callable, by: str
) -> None:
    """A layer that only QGIS reads, large enough to be copied for many minutes."""
    large = computed(layers["target"], 2, side=100_000)
    QgsProject.instance().addMapLayer(large)
    dock.form.target.chooser.set_item(large)

    def stop() -> None:
        task = dock.run._task
        if by != "list of tasks, before it began":
            until(lambda: any(Path(dock.run.built.folder).rglob("*.tif")))  # it is writing
        dock.cancel() if by == "dock" else task.cancel()
        until(lambda: dock.run is None)

    fill(stop)
    assert iface.said[-1] == ("Cancelled; nothing was written.", Qgis.MessageLevel.Info)


def test_a_notice_is_once_in_the_log(dock: Any, layers: Any, fill: Callable) -> None:
    dock.form.references.tree.topLevelItem(0).setCheckState(0, Qt.CheckState.Unchecked)
    fill(lambda: None)
    assert dock.teller.toPlainText().count("rest on their surroundings alone") == 1


def test_what_is_chosen_while_a_fill_is_on_is_asked_about_behind_it(
    dock: Any, fill: Callable, until: Callable
) -> None:
    fill(lambda: dock.form.gaps.grow.setValue(5))
    assert dock.bar.estimate.text().startswith("Filled 22.4 %")
    until(lambda: "would be filled" in dock.bar.estimate.text())
    assert "22.4 %" not in dock.bar.estimate.text()


def test_gaps_are_not_shown_while_a_run_is_on(dock: Any, fill: Callable) -> None:
    seen: list[bool] = []
    fill(lambda: seen.append(dock.form.gaps.show_button.isEnabled()))
    assert seen == [False] and dock.form.gaps.show_button.isEnabled()


def test_every_file_that_would_be_replaced_is_asked_about(
    dock: Any, iface: Any, fill: Callable, tmp_path: Path, monkeypatch: Any
) -> None:
    asked: list[str] = []
    answer = QMessageBox.StandardButton.No
    monkeypatch.setattr(QMessageBox, "question", lambda *given: asked.append(given[2]) or answer)
    std = tmp_path / "result_std.tif"
    std.write_bytes(b"precious")
    QTest.mouseClick(dock.bar.fill, Qt.MouseButton.LeftButton)
    assert dock.run is None and asked == [f"{std} exists. Replace it?"]
    assert std.read_bytes() == b"precious"
    answer = QMessageBox.StandardButton.Yes
    fill(lambda: None)
    assert QgsRasterLayer(str(std)).isValid()
    old = QgsProject.instance().mapLayersByName("filled, target")[0]
    old.setName("mine")
    fill(lambda: None)
    assert asked[-1].count(str(tmp_path)) == 3
    assert group_names() == ["target, filled"]
    assert dock.comparison.swipe._after == old.id() and not QgsProject.instance().mapLayersByName(
        "filled, target"
    )


def test_without_a_pair_there_is_nothing_to_compare(dock: Any, iface: Any, fill: Callable) -> None:
    before = iface.mapCanvas().mapTool()
    dock.bar.compare.click()
    assert not dock.bar.compare.isChecked() and iface.mapCanvas().mapTool() is before
    assert iface.said[-1][0].startswith("There is nothing to compare")
    fill(lambda: None)
    filled = QgsProject.instance().mapLayersByName("filled, target")[0]
    iface.mapCanvas().setLayers([filled, dock.form.target.items()[0]])
    said = len(iface.said)
    dock.bar.compare.click()
    assert dock.bar.compare.isChecked() and dock.comparison.swipe.isActive()
    dock.bar.compare.click()
    assert not dock.comparison.swipe.isActive() and len(iface.said) == said


def test_the_button_follows_the_maps_tool(dock: Any, iface: Any, layers: Any) -> None:
    """QGIS itself comes back to the last tool that edits nothing, when editing ends."""
    canvas = iface.mapCanvas()
    earlier, other = QgsMapTool(canvas), QgsMapTool(canvas)
    dock.comparison.swipe.compare(layers["target"], layers["other"])
    canvas.setMapTool(earlier)
    dock.bar.compare.click()
    tools: list[Any] = []
    canvas.mapToolSet.connect(lambda tool, _: tools.append(tool))
    canvas.setMapTool(other)
    assert not dock.bar.compare.isChecked() and tools == [other]
    canvas.setMapTool(dock.comparison.swipe)
    assert dock.bar.compare.isChecked()
    dock.bar.compare.click()
    assert not dock.bar.compare.isChecked() and canvas.mapTool() is earlier


def test_both_sides_would_be_the_same_where_the_filled_layer_is_hidden(
    dock: Any, iface: Any, layers: Any, fill: Callable
) -> None:
    fill(lambda: None)
    filled = QgsProject.instance().mapLayersByName("filled, target")[0]
    for shown in ([layers["target"]], [layers["target"], filled]):
        iface.said.clear()
        iface.mapCanvas().setLayers(shown)
        dock.bar.compare.click()
        assert iface.said[-1][0].startswith("The map does not show the filled layer: switch it on")
        dock.bar.compare.click()
