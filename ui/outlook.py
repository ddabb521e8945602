"""What would be filled, and how well: asked of the backend whenever the choices have come to rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple

from qgis.core import QgsMapLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QTimer

from .choices import ChoiceError, Choices
from .layers.conversions import Conversion
from .layers.sources import LayerOrPath
from .request_builder import REFUSALS, UNWRITTEN, Built, build, dated
from .runner import Run
from .tr import tr
from .widgets.form import ChoicesForm
from .widgets.run_bar import RunBar
from .words import inspection
from .words.messages import ClientError, notice_sentence, progress_sentence
from .words.short_form import short_form

PAUSE = 600
"""Milliseconds without a change before the backend is asked."""

NEWS = ("layerModified", "dataChanged", "dataSourceChanged", "crsChanged", "subsetStringChanged")
"""Signals of a layer after which its answer is another; no kind of layer has them all."""


class Outlook:
    """Keeps the line above the buttons true; it rests while a run is on.

    Args:
        form: where the choices are made, and what was found is shown.
        bar: has the line. note: takes sentences for the log.
        hidden: whether nobody can see the line; then nothing is asked, as a look takes all cores.
    """

    def __init__(
        self, form: ChoicesForm, bar: RunBar, note: Callable[[str], None], hidden: Callable[[], bool]
    ) -> None:
        self._form, self._bar, self._note, self._hidden = form, bar, note, hidden
        self._run: Optional[Run] = None
        self._asked: Optional[Choices] = None  # the choices that the line speaks of
        self._target: Tuple[LayerOrPath, ...] = ()  # of which facts and masks are shown
        self._told: List[Mapping[str, Any]] = []  # notices of the last look
        self._watched: List[QgsMapLayer] = []  # what is chosen may be edited
        self._resting = False
        self._timer = QTimer(form)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE)
        self._timer.timeout.connect(self.ask)

    def changed(self) -> None:
        """A choice may have changed; layers come and go without changing one."""
        if self._asked is not None and self._essence() == self._asked:
            return
        self._drop()  # its layers may be gone when it answers
        if self._form.target.items() != self._target:
            self._forget_target()
        if not self._resting:
            self._bar.show_estimate("")
            self._bar.show_notices([])
        self._timer.start()

    def again(self) -> None:
        """Ask, unless it is known: another backend may answer what the last one could not."""
        if self._asked is None:
            self._timer.start()

    def give_way(self) -> None:
        """Somebody else's run begins: the question is asked again behind it."""
        if self._run is not None:
            self._drop()
            self._timer.start()

    def rest(self) -> None:
        """A run begins, and must not wait for an answer."""
        self._resting = True
        self._timer.stop()
        self._drop()

    def wake(self) -> None:
        """The run is over."""
        self._resting = False
        self.again()

    def settle(self, choices: Choices, sentence: str, notices: Sequence[Mapping[str, Any]]) -> None:
        """The line says this until one of these choices is changed, as may have happened meanwhile.

        Of the run's notices those come first that no look could tell.
        """
        self._bar.show_estimate(inspection.plain(sentence))
        self._bar.show_notices(sorted(notices, key=self._told.__contains__))
        if _essence(choices) == self._essence():
            self._timer.stop()
            self._asked = _essence(choices)

    def close(self) -> None:
        """Ask nothing any more, and hear nothing."""
        self._timer.stop()
        if self._run is not None:
            self._run.abandon()
        self._run = self._asked = None
        self._watch([])

    def ask(self) -> None:
        """Ask the backend what would be filled; the newest question counts."""
        self._drop()
        self._asked = None
        if self._resting or self._hidden():
            return
        try:
            choices = self._form.choices()
            self._watch(_layers(choices))
            if not choices.target:
                self._refuse("")
                return
            built = build(_essence(choices))
        except REFUSALS as error:
            self._refuse(str(error))
            return
        if any(isinstance(conversion, Conversion) for conversion in built.conversions):
            built.remove()
            self._refuse(
                tr("QGIS must convert a layer first; what would be filled is known when you press Fill.")
            )
            return
        looks = tr("Looking at what would be filled…")
        self._bar.show_estimate(looks)
        self._asked = _essence(choices)

        def show(found: Mapping[str, Any]) -> None:
            if self._run is run:
                self._run = None
                self._show(found, choices, built)

        def fail(error: Exception) -> None:
            if self._run is run:
                self._run = self._asked = None
                if not (isinstance(error, ClientError) and error.cancelled):
                    self._refuse(str(error), getattr(error, "arguments", {}))
                    self._note(str(error))

        def tell(progress: Mapping[str, Any]) -> None:
            if self._run is run and progress.get("total"):  # files come one by one, from afar slowly
                self._bar.show_estimate(f"{looks}<br>{progress_sentence(progress)}")

        run = self._run = Run("inspect", built, on_result=show, on_error=fail, on_progress=tell)

    def _watch(self, layers: List[QgsMapLayer]) -> None:
        """Hear when these layers are edited, and no others."""
        for layer in self._watched:
            if not sip.isdeleted(layer):
                layer.repaintRequested.disconnect(self.changed)
                for signal in _news(layer):
                    signal.disconnect(self._edited)
        self._watched = list({layer.id(): layer for layer in layers}.values())
        for layer in self._watched:
            for signal in _news(layer):
                signal.connect(self._edited)
            layer.repaintRequested.connect(self.changed)  # so is told that its day is another

    def _edited(self, *_: Any) -> None:
        """A polygon was drawn, say: what is known is no longer true."""
        self._asked = None
        self.changed()

    def _drop(self) -> None:
        """Do not wait for the answer to what was asked."""
        if self._run is not None:
            self._run.cancel()
            self._run = self._asked = None

    def _essence(self) -> Optional[Choices]:
        """What is chosen now, None where it cannot be read."""
        try:
            return _essence(self._form.choices())
        except ChoiceError:
            return None

    def _refuse(self, sentence: str, arguments: Optional[Mapping[str, Any]] = None) -> None:
        """Nothing is known, for this reason; `arguments` are those of the sentence."""
        short = short_form(sentence, arguments or {})
        self._bar.show_estimate(inspection.plain(short), "" if short == sentence else sentence)
        self._bar.show_notices([])
        self._forget_target()
        self._form.references.folder.forget()

    def _forget_target(self) -> None:
        """What is known of a raster holds of no other."""
        self._target = ()
        self._form.target.show_facts("")
        self._form.gaps.show_found([])

    def _show(self, found: Mapping[str, Any], choices: Choices, built: Built) -> None:
        self._bar.show_estimate(inspection.estimate(found))
        self._target = choices.target
        self._form.target.show_facts(inspection.facts(found), found["radiometry"])
        self._form.gaps.show_found(found["masks"])
        dates = {facts["path"]: facts for facts in found.get("references", [])}
        asked = built.request.get("references", [])  # what is at its default is not in it
        named = [reference["path"] for reference in asked]
        self._form.references.show_found([dates.get(path) for path in named])
        further = [facts for path, facts in dates.items() if path not in named]
        self._form.references.folder.show_found(further, found.get("left_out", []))
        self._form.method.options.show_prompts(found.get("prompts", []))
        self._told = found["notices"]
        self._bar.show_notices(self._told)
        for notice in self._told:
            self._note(notice_sentence(notice))
        if found["gap_fraction"]:
            self._expect(found, choices)

    def _expect(self, found: Mapping[str, Any], choices: Choices) -> None:
        """Try the fill in a few places of the scene, to say how well it would do."""
        try:
            built = build(_essence(choices))
        except REFUSALS:  # told by the inspection
            return

        def done(result: Mapping[str, Any]) -> None:
            if self._run is run:
                self._run = None
                self._bar.show_estimate(inspection.estimate(found, result))

        def fail(error: Exception) -> None:
            if self._run is run:
                self._run = None

        run = self._run = Run("expect", built, on_result=done, on_error=fail)


def _news(layer: QgsMapLayer) -> List[Any]:
    return [getattr(layer, name) for name in NEWS if hasattr(layer, name)]


def _layers(choices: Choices) -> List[QgsMapLayer]:
    """All layers that are chosen, in whatever role."""
    references = choices.references
    masks = [*choices.gaps, *(reference.mask for reference in references if reference.mask)]
    items = [*choices.target, *(reference.source for reference in references)]
    items += [*(mask.source for mask in masks), choices.dem, choices.sar, choices.extent]
    return [item for item in items if isinstance(item, QgsMapLayer)]


def _essence(choices: Choices) -> Choices:
    """The choices without the outputs: a look writes none, and where they lie changes nothing.

    Their dates are those that count, which a layer's properties may change.
    """
    return replace(dated(choices), output=UNWRITTEN, std=None, provenance=None)
