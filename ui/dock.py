"""The dock: choices above, what would be filled and the buttons below, and the way between."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, Optional

from qgis.core import (
    Qgis,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsReferencedRectangle,
)
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import (
    QDockWidget,
    QMessageBox,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from . import history, project_state
from .choices import ChoiceError, Choices, to_parameters
from .client import ClientError, client
from .layers.comparison import Comparison
from .layers.conversions import SourceError
from .layers.results import Preview, add_results, earlier_results, remove_results, show_gap_mask
from .outlook import Outlook
from .request_builder import REFUSALS, Built, build, dated
from .runner import Run
from .teller import Teller
from .tr import tr
from .widgets.form import ChoicesForm
from .widgets.more_button import MoreButton
from .widgets.narrow import SPACING
from .widgets.output import in_temporary_file
from .widgets.run_bar import RunBar
from .widgets.scroll import FormScrollArea
from .words import inspection


class TerramendDock(QDockWidget):
    """What the analyst works with.

    Args:
        iface: of QGIS; gives the canvas, the message bar and the active layer.
    """

    def __init__(self, iface: Any) -> None:
        super().__init__(tr("Terramend"))
        self.setObjectName("TerramendDock")
        self._iface = iface
        self.form = ChoicesForm(iface.mapCanvas())
        self.bar = RunBar()
        self.more = MoreButton()
        self.teller = Teller(iface.messageBar())
        self.comparison = Comparison(iface, self.bar.compare, self.teller)
        self.run: Optional[Run] = None
        self.result: Optional[Dict[str, Any]] = None
        self.batch: Optional[QWidget] = None
        self._preview = Preview()
        self._visits = project_state.Visits()
        self._closed = False
        self._outlook = Outlook(self.form, self.bar, self.teller.note, self.isHidden)
        self._lay_out()
        self._connect()
        self._restore()
        self._ask_backend()

    def showEvent(self, event: QShowEvent) -> None:
        """The dock opens, at first or again: for the raster that is selected, where none is chosen."""
        super().showEvent(event)
        self.form.target.suggest(self._iface.activeLayer())
        self._outlook.again()  # closed, it asked nothing

    # --- layout and wiring ---

    def _lay_out(self) -> None:
        scroll = FormScrollArea(self.form)
        self.bar.add_button(self.more)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(4, 2, 4, 4)
        column.setSpacing(SPACING)
        column.addWidget(scroll, 1)
        column.addWidget(self.teller)
        column.addWidget(self.bar)
        content.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setWidget(content)

    def _connect(self) -> None:
        self.form.changed.connect(self._changed)
        self.form.lost.connect(self._lost)
        self.form.gaps.show_asked.connect(self.show_gaps)
        self.form.method.network.said.connect(self.teller.say)
        self.form.method.network.installed.connect(self._ask_again)
        self.bar.preview_asked.connect(self.preview)
        self.bar.fill_asked.connect(self.fill)
        self.bar.cancel_asked.connect(self.cancel)
        self.bar.batch_asked.connect(self.open_batch)
        self.more.load_asked.connect(self.load_from_active_layer)
        self.more.log_asked.connect(self.teller.setVisible)
        self.more.experimental_asked.connect(self._ask_backend)
        self.more.start_over_asked.connect(self.start_over)
        client().status_changed.connect(self.bar.device.setText)
        client().started.connect(self._ask_again)
        client().run_begins.connect(self._give_way)
        QgsProject.instance().cleared.connect(self._project_left)
        QgsProject.instance().readProject.connect(self._restore)
        QgsProject.instance().writeProject.connect(self._remember)

    def close_down(self) -> None:
        """Leave nothing behind: called when the plugin is unloaded."""
        self._closed = True
        self._outlook.close()
        self.form.method.network.close_down()
        if self.run is not None:
            self.run.abandon()
        self.comparison.close_down()
        self.teller.close_down()

    def _ask_backend(self) -> None:
        """Device line and methods, as the backend tells them."""
        self.bar.device.setText(client().status)
        self._ask_methods()

    def _ask_methods(self) -> None:
        """What this backend can do; another one, started later, may do more."""
        client().call("models", {}, on_result=self._show_methods)

    def _ask_again(self) -> None:
        """A backend has started: it may know more, and answer what the last one could not."""
        self._ask_methods()
        self._outlook.again()

    def _give_way(self) -> None:
        """A run of the toolbox begins."""
        if not self._closed:
            self._outlook.give_way()

    def _show_methods(self, found: Mapping[str, Any]) -> None:
        if not self._closed:
            self.form.method.show_methods(found["models"], found["weights"])

    # --- choices ---

    def _changed(self) -> None:
        if not self._closed:
            self._outlook.changed()

    def _lost(self, names: List[str]) -> None:
        text = tr("Removed, and so no longer chosen: {names}")
        self.teller.warn(text.format(names=", ".join(names)))

    def _choices(self, saved: bool = False) -> Optional[Choices]:
        """What is chosen; None, and the user is told, where it cannot be read, or not `saved` as it is."""
        try:
            if saved:
                self.form.output.check_path()
            return self.form.choices()
        except ChoiceError as error:
            self.teller.warn(str(error))
            return None

    def _restore(self, *_: Any) -> None:
        choices = project_state.load(QgsProject.instance())
        if choices is not None:
            self._show_choices(choices)
            if project_state.follows_map(QgsProject.instance()):
                self.form.output.follow_map()

    def _show_choices(self, choices: Choices) -> None:
        """Show remembered choices; say where their method is none that is offered."""
        self.form.show_choices(choices)
        if self.form.remembered().model != choices.model:
            text = tr("{name} is not offered: another method is chosen. “More” offers experimental ones.")
            self.teller.warn(text.format(name=choices.model))

    def _remember(self, *_: Any) -> None:
        """The project is being saved; only now, so that looking around does not change it."""
        self._choices()  # says what cannot be read
        project_state.save(self.form.remembered(), QgsProject.instance(), self.form.output.follows_map())

    def _project_left(self) -> None:
        """Another project begins, or is about to be read."""
        self._visits.count += 1
        self.start_over()

    def start_over(self) -> None:
        """Forget all choices."""
        if not self._closed:
            self.form.start_over()

    def load_from_active_layer(self) -> None:
        """Take over the settings that made the active layer."""
        layer = self._iface.activeLayer()
        if not isinstance(layer, QgsRasterLayer):
            self.teller.warn(tr("Choose a raster that Terramend filled in the layer list first."))
            return
        try:
            choices, losses = project_state.from_layer(layer, QgsProject.instance())
        except SourceError as error:
            self.teller.warn(str(error))
            return
        extras = self.form.output.values()
        self._show_choices(replace(choices, std=extras["std"], provenance=extras["provenance"]))
        self.teller.say(
            tr("Settings of {name} are loaded.").format(name=layer.name()), Qgis.MessageLevel.Success
        )
        for sentence in losses:
            self.teller.warn(sentence)

    # --- runs ---

    def show_gaps(self) -> None:
        """Show the gaps as a red layer."""
        choices = self._choices()
        if choices is None:
            return
        path = QgsProcessingUtils.generateTempFilename("gaps.tif")
        choices = replace(choices, output=path, std=None, provenance=None)
        subject = self.form.target.subject()

        def done(result: Mapping[str, Any]) -> None:
            self._preview.replace([show_gap_mask(path, subject.name, QgsProject.instance())])
            self.teller.say(inspection.mask_made(result), Qgis.MessageLevel.Success)

        self._start("mask", choices, done)

    def fill(self) -> None:
        """Fill, and load the results."""
        choices = self._choices(saved=True)
        if choices is None:
            return
        choices = in_temporary_file(choices)
        there = [path for path in (choices.output, choices.std, choices.provenance) if path]
        there = [path for path in there if os.path.exists(path)]  # noqa: PTH110 - as in `check_path`
        if there and not self._may_replace(there):
            return
        subject = self.form.target.subject()
        remember = history.entry(to_parameters(dated(choices)))  # now: layers may go while the run is on

        def load(result: Mapping[str, Any]) -> None:
            title = tr("{name}, filled").format(name=subject.name)
            replaced = earlier_results(result, subject, QgsProject.instance())
            layers = add_results(result, subject, title, QgsProject.instance())
            before = subject.layer()
            if before is not None:
                self.comparison.swipe.compare(before, layers[0])
            remove_results(replaced, QgsProject.instance())

        def told(result: Dict[str, Any]) -> str:
            self.result = result
            remember()
            return inspection.outcome(result)

        def done(result: Dict[str, Any]) -> None:
            load(result)
            self._preview.forget()
            self._outlook.settle(choices, inspection.outcome(result), result.get("notices", ()))
            self.teller.say(told(result), Qgis.MessageLevel.Success)

        def elsewhere(result: Dict[str, Any]) -> None:
            text = tr("Its project is no longer open, so no layers were added: {path}. {outcome}")
            text = text.format(outcome=told(result), path=result["outputs"][0])
            self.teller.offer(text, tr("Add layers here"), lambda: load(result))

        self._start("fill", choices, done, elsewhere=elsewhere, overwrite=bool(there))

    def preview(self) -> None:
        """Fill what the map shows into a temporary layer."""
        choices = self._choices()
        if choices is None:
            return
        path = QgsProcessingUtils.generateTempFilename("preview.tif")
        extent = self.form.output.visible_extent()  # none: the whole scene
        visible = replace(choices, output=path, std=None, provenance=None, extent=extent)
        subject = self.form.target.subject()

        def done(result: Dict[str, Any]) -> None:
            title = tr("{name}, preview (not saved)").format(name=subject.name)
            self._preview.replace(add_results(result, subject, title, QgsProject.instance()))
            text = tr("Preview: {outcome}").format(outcome=inspection.outcome(result))
            self.teller.say(text, Qgis.MessageLevel.Success)

        def beside() -> None:
            """What is no layer cannot be zoomed to; of the masks, what is chosen by now counts."""
            now = self._choices()
            if now is not None:
                now = replace(now, output=path, std=None, provenance=None, extent=None)
                self._start("preview", now, done)

        apart = None if subject.layer_id else beside
        self._start("preview", visible, done, apart)

    def cancel(self) -> None:
        """Stop the run; nothing of it stays."""
        if self.run is not None:
            self.bar.stage.setText(tr("Cancelling…"))
            self.run.cancel()

    def open_batch(self) -> None:
        """Open Processing's batch dialog with these choices."""
        choices = self._choices(saved=True)
        if choices is None:
            return
        try:
            parameters = to_parameters(in_temporary_file(choices))
            self.batch = history.batch_dialog(parameters, self._iface.mainWindow())
        except history.NoBatchDialogError as error:
            self.teller.warn(str(error))
            return
        history.show_batch(self.batch)

    def _start(
        self,
        method: str,
        choices: Choices,
        done: Callable[[Dict[str, Any]], None],
        apart: Optional[Callable[[], None]] = None,
        elsewhere: Optional[Callable[[Dict[str, Any]], None]] = None,
        overwrite: bool = False,
    ) -> None:
        """Run.

        `apart` is called instead of an error where the map shows no part of the target, `elsewhere`
        instead of `done` where another project is open at the end.
        """
        if self.run is not None:
            return
        if not choices.target:
            self.teller.warn(tr("Choose the raster to fill first."))
            return
        try:
            built: Built = build(choices, overwrite=overwrite)
        except REFUSALS as error:
            self.teller.warn(str(error))
            return
        name = self.form.target.subject().name
        self.teller.note(tr("{method} started").format(method=method))
        here = self._visits.same(QgsProject.instance())

        def finish(result: Dict[str, Any]) -> None:
            self._end()
            if here():
                done(result)
            elif elsewhere is not None:
                elsewhere(result)

        def fail(error: Exception) -> None:
            self._end()
            text, cancelled = str(error), isinstance(error, ClientError) and error.cancelled
            if getattr(error, "code", "") == "extent.apart" and isinstance(
                choices.extent, QgsReferencedRectangle
            ):
                if apart is not None and here():
                    apart()
                    return
                text = tr("The map shows no part of {name}: move the map there, or fill the whole scene.")
                text = text.format(name=name)
            self.teller.say(text, Qgis.MessageLevel.Info if cancelled else Qgis.MessageLevel.Critical)
            if isinstance(error, ClientError) and error.log:
                self.teller.note(error.log)

        self._outlook.rest()
        self._set_running(True)
        self.run = Run(
            method,
            built,
            on_result=finish,
            on_error=fail,
            on_progress=self.bar.show_progress,
            on_log=self.teller.note,
            title=tr("Terramend: filling {name}").format(name=name) if method == "fill" else "",
        )

    def _end(self) -> None:
        self.run = None
        self._set_running(False)
        self._outlook.wake()

    def _set_running(self, running: bool) -> None:
        self.bar.set_running(running)
        self.form.gaps.show_button.setEnabled(not running)

    def _may_replace(self, paths: List[str]) -> bool:
        question = tr("{path} exists. Replace it?").format(path=paths[0])
        if len(paths) > 1:
            question = tr("These files exist. Replace them?") + "\n\n" + "\n".join(paths)
        question = inspection.literal(question)
        return QMessageBox.question(self, "Terramend", question) == QMessageBox.StandardButton.Yes
