"""What QGIS holds of Terramend: a toolbar button, a menu, a dock, a Processing provider.

`qgis_process` gives no interface and calls only `initProcessing`. Everything that is added is
taken away again by `unload`, so that the plugin can be reloaded while QGIS runs.
"""

from __future__ import annotations

from typing import Any, List, Optional

from qgis.core import QgsApplication
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QAction

from .ui import client, guide, settings
from .ui.icon import icon
from .ui.installation import interpreter
from .ui.provider import TerramendProvider
from .ui.tr import tr

MENU = "Terramend"


class TerramendPlugin:
    """The plugin object. `iface` is None where QGIS has no window."""

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: Optional[TerramendProvider] = None
        self.dock: Any = None
        self.dialog: Any = None
        self.guide: Any = None
        self.actions: List[QAction] = []

    def initProcessing(self) -> None:  # noqa: N802 (the name is QGIS's)
        """Register the algorithms."""
        self.provider = TerramendProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:  # noqa: N802 (the name is QGIS's)
        """Add button and menu; dock and dialog are made when they are first wanted."""
        self.initProcessing()
        toggle = self._add_action("Fill", tr("Fill gaps in a raster"))
        toggle.setIcon(icon("terramend"))
        toggle.setCheckable(True)
        toggle.toggled.connect(self.show_dock)
        self.iface.addToolBarIcon(toggle)
        self._add_action("Environment", tr("Backend environment…")).triggered.connect(self.show_environment)
        self.guide = guide.Guide(self.iface.mainWindow())
        show_guide = self._add_action("Guide", tr("User guide"))
        show_guide.triggered.connect(lambda: self.guide.show_page(guide.START))
        QDesktopServices.setUrlHandler(guide.SCHEME, self.guide.show_address)

    def unload(self) -> None:
        """Take everything away and end the backend."""
        for action in self.actions:
            self.iface.removeToolBarIcon(action)
            self.iface.removePluginRasterMenu(MENU, action)
            action.deleteLater()
        self.actions = []
        if self.guide is not None:
            QDesktopServices.unsetUrlHandler(guide.SCHEME)
            sip.delete(self.guide)
            self.guide = None
        if self.dialog is not None:
            self.dialog.abandon()
            sip.delete(self.dialog)
            self.dialog = None
        if self.dock is not None:
            self.dock.close_down()
            self.iface.removeDockWidget(self.dock)
            sip.delete(self.dock)  # at once, with the events on their way to it: they would wake the backend
            self.dock = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        client.close()

    def show_dock(self, shown: bool) -> None:
        """Show or hide the dock; at first use, offer to set up the backend."""
        if self.dock is None:
            if not shown:
                return
            from .ui.dock import TerramendDock

            self.dock = TerramendDock(self.iface)
            self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
            self.dock.visibilityChanged.connect(self._dock_changed)
            wide = max(self.dock.width(), self.dock.sizeHint().width())  # Qt gives a new dock its least
            self.iface.mainWindow().resizeDocks([self.dock], [wide], Qt.Orientation.Horizontal)
        self.dock.setVisible(shown)
        if shown:
            self.dock.raise_()
            if not settings.get("environment/declined") and not interpreter.is_ready():
                self.show_environment()

    def show_environment(self) -> None:
        """Show the dialog that installs, repairs and removes the backend's Python."""
        if self.dialog is None:
            from .ui.environment_dialog import EnvironmentDialog

            self.dialog = EnvironmentDialog(self.iface.mainWindow())
        self.dialog.refresh()
        self.dialog.show()
        self.dialog.raise_()

    def _add_action(self, name: str, text: str) -> QAction:
        """`name`: by which QGIS's customization, shortcuts and tests of windows know it."""
        action = QAction(text, self.iface.mainWindow())
        action.setObjectName(f"Terramend{name}Action")
        self.iface.addPluginToRasterMenu(MENU, action)
        self.actions.append(action)
        return action

    def _dock_changed(self) -> None:
        """Keep the button pressed as long as the dock is open, if only behind another tab."""
        if self.actions:
            self.actions[0].setChecked(not self.dock.isHidden())
