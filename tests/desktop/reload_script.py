"""Runs inside a real QGIS desktop: load, use, reload and unload the plugin; say what was left.

The answer goes as JSON to the file that RELOAD_ANSWER names; RELOAD_SCENE is a raster.
"""

import gc
import json
import os
import sys
import threading
import traceback
from pathlib import Path

import qgis.utils
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QEvent, QTimer
from qgis.PyQt.QtWidgets import QAction, QApplication, QDialog, QDockWidget
from qgis.utils import iface

answer = {"rounds": []}


def settle(turns=20):
    for _ in range(turns):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, int(QEvent.Type.DeferredDelete))
    gc.collect()


def left():
    window = iface.mainWindow()
    mine = [w for kind in (QDockWidget, QDialog) for w in window.findChildren(kind)]
    names = [
        w.objectName() or w.windowTitle() for w in mine if "Terramend" in w.objectName() + w.windowTitle()
    ]
    menu = [a.text() for a in iface.rasterMenu().actions() if "Terramend" in a.text()]
    actions = [a.text() for a in window.findChildren(QAction) if a.text() == "Fill gaps in a raster"]
    provider = QgsApplication.processingRegistry().providerById("terramend")
    threads = [t.name for t in threading.enumerate() if t.name.startswith("terramend")]
    # QGIS itself forgets modules, but not the packages above them, which hold no code of ours.
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "terramend"}
    modules = [name for name, module in ours.items() if not hasattr(module, "__path__")]
    return {
        "widgets": names, "menu": menu, "actions": actions, "provider": provider is not None,
        "threads": threads, "modules": modules,
    }  # fmt: skip


def use():
    plugin = qgis.utils.plugins["terramend"]
    plugin.actions[0].trigger()
    plugin.show_environment()
    settle()
    backend = sys.modules["terramend.ui.client"].client()
    backend.call_blocking("doctor", {})
    wide = plugin.dock.width() > plugin.dock.minimumSizeHint().width() + 50
    return {"visible": plugin.dock.isVisible(), "wide": wide, "pid": backend.pid, **left()}


def draw_after_swiping():
    pair = [QgsRasterLayer(os.environ["RELOAD_SCENE"], name) for name in ("before", "after")]
    drawn = QgsVectorLayer("Polygon?crs=EPSG:32631", "drawn", "memory")
    QgsProject.instance().addMapLayers([*pair, drawn])
    iface.setActiveLayer(drawn)
    swipe = qgis.utils.plugins["terramend"].dock.comparison.swipe
    swipe.compare(*pair)
    swipe.begin()
    assert iface.mapCanvas().mapTool() is swipe
    drawn.startEditing()
    settle()
    iface.actionAddFeature().trigger()
    return drawn


def main():
    try:
        assert qgis.utils.loadPlugin("terramend") and qgis.utils.startPlugin("terramend")
        for _ in range(3):
            answer["rounds"].append(use())
            qgis.utils.reloadPlugin("terramend")
        answer["last"] = use()
        drawn = draw_after_swiping()
        qgis.utils.unloadPlugin("terramend")
        settle()
        answer["tools"] = [type(iface.mapCanvas().mapTool()).__name__]
        drawn.rollBack()  # QGIS goes back to the last tool that edits nothing
        settle()
        answer["tools"].append(type(iface.mapCanvas().mapTool()).__name__)
        for thread in threading.enumerate():
            if thread.name.startswith("terramend"):
                thread.join(60)  # what has nothing left to do may need a moment to go
        answer["left"] = left()
    except Exception:
        answer["error"] = traceback.format_exc()
    Path(os.environ["RELOAD_ANSWER"]).write_text(json.dumps(answer), "utf-8")
    QgsProject.instance().clear()
    QgsProject.instance().setDirty(False)
    iface.actionExit().trigger()


QTimer.singleShot(1500, main)
