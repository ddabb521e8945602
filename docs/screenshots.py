"""Runs inside QGIS (see screenshots.sh): uses the plugin on the sample and saves pictures.

Every picture is of the real thing: the dock before and after a fill that a real backend did, the map
with the before/after line.
"""

import os
import sys
import time
import traceback
from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEvent, QPointF, Qt, QTimer
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtWidgets import QApplication, QDockWidget
from qgis.utils import iface, plugins

SCENES, IMAGES = Path(os.environ["SCENES"]), Path(os.environ["IMAGES"])


def until(condition, seconds=120.0):
    """Let QGIS work until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen in time")
        QApplication.processEvents()
        time.sleep(0.01)


def wait(seconds):
    """Let QGIS work for a while."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def save(widget, name):
    """Save what a widget shows."""
    wait(0.5)
    widget.grab().save(str(IMAGES / f"{name}.png"))


def load(name, title):
    """Add a raster of the sample to the project."""
    layer = QgsRasterLayer(str(SCENES / name), title)
    QgsProject.instance().addMapLayer(layer)
    return layer


def main():
    """All pictures, then quit."""
    sys.excepthook = traceback.print_exception  # QGIS's own would wait for somebody to click
    try:
        pictures()
        (IMAGES / "done.txt").write_text("done")
    except Exception:
        traceback.print_exc()
    finally:
        QgsProject.instance().clear()
        QgsProject.instance().setDirty(False)
        iface.actionExit().trigger()


def pictures():
    """The tour."""
    window = iface.mainWindow()
    window.resize(1400, 900)
    for dock in window.findChildren(QDockWidget):
        if dock.objectName() not in ("Layers", "TerramendDock"):
            dock.hide()
    plugin = plugins["terramend"]
    clear = load("boadella_2020-01-28.tif", "boadella 2020-01-28")
    mask = load("boadella_2020-01-13_cloudmask.tif", "cloud mask 2020-01-13")
    target = load("boadella_2020-01-13.tif", "boadella 2020-01-13")
    for layer in (clear, target):  # natural colours: bands are B02, B03, B04, B08
        renderer = layer.renderer()
        renderer.setRedBand(3), renderer.setGreenBand(2), renderer.setBlueBand(1)
        layer.setDefaultContrastEnhancement()
    for layer in (mask, clear):  # else the other date shows through the holes
        QgsProject.instance().layerTreeRoot().findLayer(layer.id()).setItemVisibilityChecked(False)
    iface.mapCanvas().setExtent(target.extent())
    plugin.actions[0].trigger()
    dock = plugin.dock
    window.resizeDocks([dock], [430], Qt.Orientation.Horizontal)
    dock.form.target.chooser.set_item(target)
    dock.form.gaps.rows[0].chooser.set_item(mask)
    dock.form.references.tick(clear)
    until(lambda: "±" in dock.bar.estimate.text())
    save(window, "dock-before")
    dock.bar.fill.click()
    until(lambda: dock.run is None)
    iface.setActiveLayer(target)
    wait(3)
    save(window, "dock")
    dock.bar.compare.click()
    canvas = iface.mapCanvas()
    until(lambda: dock.comparison.swipe.picture is not None)
    where = QPointF(canvas.width() * 0.5, canvas.height() * 0.5)
    for kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease):
        left = Qt.MouseButton.LeftButton
        QApplication.sendEvent(
            canvas.viewport(), QMouseEvent(kind, where, left, left, Qt.KeyboardModifier.NoModifier)
        )
    save(window, "swipe")
    dock.bar.compare.click()


QTimer.singleShot(1500, main)
