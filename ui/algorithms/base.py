"""What Terramend's algorithms share: identity, inputs, and the call to the backend."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsReferencedRectangle,
)
from qgis.PyQt.QtGui import QIcon

from ...backend.request import DEFAULT_CLASSES
from ..choices import ChoiceError, Choices, from_values
from ..client import ClientError, client
from ..guide import address
from ..icon import icon
from ..installation.interpreter import chosen_interpreter
from ..layers.conversions import SourceError
from ..request_builder import REFUSALS, UNWRITTEN, Built, build
from ..tr import tr
from ..words.messages import told_in_windows
from .parameters import AlgorithmWithParameters
from .values import items, not_found, number, text, truth, words

FAILURES = (*REFUSALS, ClientError)
"""Errors whose text is a sentence for the user."""


class TerramendAlgorithm(AlgorithmWithParameters):
    """Identity from class attributes, inputs as parameters, errors as exceptions."""

    ID = ""
    ICON = "terramend"
    HELP_PAGE = ""

    def createInstance(self) -> QgsProcessingAlgorithm:
        """A fresh copy, as Processing wants for every run."""
        return type(self)()

    def name(self) -> str:
        """Part of the id after `terramend:`."""
        return self.ID

    def group(self) -> str:
        """All stand at the provider's top."""
        return ""

    def groupId(self) -> str:
        """See `group`."""
        return ""

    def icon(self) -> QIcon:
        """The algorithm's icon."""
        return icon(self.ICON)

    def helpUrl(self) -> str:
        """The page of the user guide, which Processing's Help opens."""
        return address(self.HELP_PAGE)

    def canExecute(self) -> Tuple[bool, str]:
        """Called by Processing before it opens a window: without a backend nobody need fill it in."""
        try:
            chosen_interpreter()
        except ClientError as error:
            return False, str(error)
        return True, ""

    def checkParameterValues(
        self, parameters: Dict[str, Any], context: QgsProcessingContext
    ) -> Tuple[bool, str]:
        """Called by Processing before a run: what `prepareAlgorithm` would refuse reaches only the log.

        QGIS is asked last: of a wrong value it says no more than its parameter's name.
        """
        try:
            build(replace(self.choices(parameters, context), output=UNWRITTEN)).remove()
        except REFUSALS as error:
            return False, str(error)
        return super().checkParameterValues(parameters, context)

    def choices(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Choices:
        """The choices behind evaluated parameters; those that the algorithm lacks keep their default."""
        values: Dict[str, Any] = {"CLASSES": list(DEFAULT_CLASSES)}
        for definition in self.parameterDefinitions():
            if not definition.isDestination():
                values[definition.name()] = self._value(definition, parameters, context)
                continue
            for item in items(parameters.get(definition.name()), context):
                if re.match(r"\w\w+:", str(item)):  # memory:, ogr:, GPKG:, but not C:
                    sentence = tr("{label}: {path} is no file; give the path of one, or TEMPORARY_OUTPUT.")
                    raise ChoiceError(sentence.format(label=definition.description(), path=item))
        choices = from_values(values)
        if not choices.target:
            raise ChoiceError(tr("Give the raster to fill, or the product as delivered."))
        return choices

    def _value(
        self,
        definition: QgsProcessingParameterDefinition,
        parameters: Dict[str, Any],
        context: QgsProcessingContext,
    ) -> Any:
        name, kind = definition.name(), definition.type()
        if kind == "multilayer":
            return self._layers(definition, parameters, context)
        if kind in ("raster", "vector"):
            return next(iter(self._layers(definition, parameters, context)), None)
        if kind == "boolean":
            return truth(definition, parameters.get(name, definition.defaultValue()), context)
        if kind == "number":
            return number(definition, parameters.get(name, definition.defaultValue()), context)
        if kind == "extent":
            box = self.parameterAsExtent(parameters, name, context)
            crs = self.parameterAsExtentCrs(parameters, name, context)
            given = items(parameters.get(name), context)
            if given and box.isNull():  # a model asks for no check, and the whole scene would be filled
                sentence = tr("{label}: {value} is no extent, and no layer that has one.")
                raise ChoiceError(sentence.format(label=definition.description(), value=given[0]))
            return QgsReferencedRectangle(box, crs) if given else None
        if kind == "enum":
            parameters = {name: words(definition, parameters.get(name), context)}
            if definition.allowMultiple():
                return self.parameterAsEnumStrings(parameters, name, context)
            return self.parameterAsEnumString(parameters, name, context)
        return text(definition, parameters.get(name, definition.defaultValue()), context)

    def _layers(
        self,
        definition: QgsProcessingParameterDefinition,
        parameters: Dict[str, Any],
        context: QgsProcessingContext,
    ) -> List[QgsMapLayer]:
        """The layers that a parameter names. A model asks for no check: what is missing would be left out.

        Raises:
            SourceError: one of them cannot be opened.
        """
        name, layers = definition.name(), []
        for item in items(parameters.get(name), context):
            if definition.type() == "multilayer":
                found = self.parameterAsLayerList({name: [item]}, name, context)
            elif definition.type() == "raster":
                found = [self.parameterAsRasterLayer({name: item}, name, context)]
            else:
                found = [self.parameterAsVectorLayer({name: item}, name, context)]
            if not found or found[0] is None:
                raise SourceError(not_found(item, definition.description(), context))
            layers += found
        return layers

    def prepareAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Build the request, in the thread that owns the layers."""
        try:
            self._built: Optional[Built] = self.build(parameters, context)
        except FAILURES as error:
            raise QgsProcessingException(str(error)) from None
        self._to_load = context.layersToLoadOnCompletion()
        return True

    def build(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Built:
        """The request of these parameters."""
        return build(self.choices(parameters, context), overwrite=True)

    def ask(
        self, method: str, context: QgsProcessingContext, feedback: QgsProcessingFeedback, **more: Any
    ) -> Mapping[str, Any]:
        """Call the backend with the request that `prepareAlgorithm` built.

        Args:
            context: that of `processAlgorithm`. Run in a task, it is another than the one that was
                told in `prepareAlgorithm` which outputs to load, and takes its place at the end.

        Raises:
            QgsProcessingException: with the sentence; also when the user cancelled.
        """
        for path, details in self._to_load.items():
            if not context.willLoadLayerOnCompletion(path):
                context.addLayerToLoadOnCompletion(path, details)
        built = self._built
        if built is None:  # prepareAlgorithm has not run: Processing itself forbids it
            raise QgsProcessingException(tr("The algorithm was not prepared."))
        try:
            built.convert(feedback)
            params = {"request": built.request, **more}
            result = client().call_blocking(method, params, feedback, built.names)
        except FAILURES as error:
            raise QgsProcessingException(str(error)) from None
        finally:
            built.remove()
        return told_in_windows(result)
