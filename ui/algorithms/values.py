"""What stands in a parameter: a text, an id, a path, an expression, or several of them."""

from __future__ import annotations

import datetime
import math
import os
from typing import Any, List, Optional

from qgis.core import (
    NULL,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterNumber,
    QgsProperty,
)
from qgis.PyQt.QtCore import QDate, QDateTime, Qt

from ..choices import ChoiceError
from ..layers.sources import public_source
from ..tr import tr

BETWEEN = {
    "BANDS": ",", "SUN": ",", "GAPS_KIND": ";", "REFERENCE_GAPS_KIND": ";", "REFERENCE_DATES": ";",
    "SETTINGS": ";", "CREATION_OPTIONS": "|",
}  # fmt: skip
"""Text parameters that hold several parts, and what stands between these. Scripts may give a list."""
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def items(value: Any, context: QgsProcessingContext) -> List[Any]:
    """Layers, ids, paths and texts in a parameter's value, one by one.

    Raises:
        ChoiceError: the selected features of a layer are meant; QGIS would take them all.
    """
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink
    elif isinstance(value, QgsProcessingFeatureSourceDefinition):
        if value.selectedFeaturesOnly:
            raise ChoiceError(
                tr("The selected features of a layer cannot be given: save them as a layer, and give that.")
            )
        value = value.source
    elif isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, QgsProperty):
        value, _ = value.value(context.expressionContext())
    if isinstance(value, (list, tuple)):
        return [item for part in value for item in items(part, context)]
    return [] if value is None or value == NULL or value == "" else [value]


def number(
    definition: QgsProcessingParameterDefinition, value: Any, context: QgsProcessingContext
) -> Optional[float]:
    """A number parameter's value, None where it has none. QGIS takes 0 for what is no number.

    Raises:
        ChoiceError: it is no number, such as 40,5, or not whole where it must be.
    """
    for item in items(value, context):
        try:
            value = float(item)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            sentence = tr("{label}: {value} is no number.")
        elif definition.dataType() == QgsProcessingParameterNumber.Type.Integer and not value.is_integer():
            sentence = tr("{label}: {value} is no whole number.")
        else:
            return value
        raise ChoiceError(sentence.format(label=definition.description(), value=item))
    return None


def truth(definition: QgsProcessingParameterDefinition, value: Any, context: QgsProcessingContext) -> bool:
    """A yes-or-no parameter's value. QGIS takes every text but 0 and false for yes, so `no` too.

    Raises:
        ChoiceError: it is neither yes nor no.
    """
    for item in items(value, context):
        if isinstance(item, (int, float)):
            return bool(item)
        word = str(item).strip().lower()
        if word not in YES + NO:
            sentence = tr("{label}: {value} is neither true nor false.")
            raise ChoiceError(sentence.format(label=definition.description(), value=item))
        return word in YES
    return False


def words(definition: QgsProcessingParameterDefinition, value: Any, context: QgsProcessingContext) -> Any:
    """The words in a choice of fixed ones: None, one or several. For others QGIS takes its default.

    Raises:
        ChoiceError: it is none of them, such as the number that QGIS's own choices give in a model.
    """
    given = items(value, context)
    chosen = given if len(given) > 1 else next(iter(given), None)
    if given and not definition.checkValueIsAcceptable(chosen, context):
        label, told, known = definition.description(), ", ".join(map(str, given)), definition.options()
        sentence = tr("{label}: {value} is none of {words}.")
        raise ChoiceError(sentence.format(label=label, value=told, words=", ".join(known)))
    return chosen


def text(definition: QgsProcessingParameterDefinition, value: Any, context: QgsProcessingContext) -> str:
    """A text or file parameter's value, empty where it has none. QGIS takes nothing for what is no text.

    Raises:
        ChoiceError: it is neither a text, number, date or path, nor a list of them where a list is meant.
    """
    if isinstance(value, QgsProperty):
        value, _ = value.value(context.expressionContext())
    between = BETWEEN.get(definition.name(), "")
    parts = value if between and isinstance(value, (list, tuple)) else [value]
    told = []
    for part in parts:
        if part is None or part == NULL:
            told.append("")
        elif isinstance(part, (str, int, float, os.PathLike)):
            told.append(str(part))
        elif isinstance(part, datetime.date):
            told.append(part.isoformat()[: len("2024-06-30")])
        elif isinstance(part, (QDate, QDateTime)):
            told.append(part.toString(Qt.DateFormat.ISODate)[: len("2024-06-30")])
        else:
            sentence = tr("{label}: {value} is no text; give it as one.")
            raise ChoiceError(sentence.format(label=definition.description(), value=part))
    return between.join(told)


def not_found(item: Any, label: str, context: QgsProcessingContext) -> str:
    """What is said of a value, of whatever type, that is no layer of the wanted kind."""
    if isinstance(item, QgsMapLayer):
        return tr("{label}: the layer {name} is not of the right kind.").format(label=label, name=item.name())
    known = context.project().mapLayer(str(item)) if context.project() else None
    sentence = tr("{path} ({label}) does not exist or cannot be opened: check the path.")
    return sentence.format(path=public_source(known) if known is not None else item, label=label)
