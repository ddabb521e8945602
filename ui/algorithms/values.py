"""What stands in a parameter: a text, an id, a path, an expression, or several of them."""

from __future__ import annotations

import math
from typing import Any, List, Optional

from qgis.core import (
    NULL,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterDefinition,
    QgsProperty,
)

from ..choices import ChoiceError
from ..tr import tr


def items(value: Any, context: QgsProcessingContext) -> List[Any]:
    """Layers, ids, paths and texts in a parameter's value, one by one."""
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink
    elif isinstance(value, QgsProcessingFeatureSourceDefinition):
        value = value.source
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
        ChoiceError: it is no number, such as 40,5.
    """
    for item in items(value, context):
        try:
            value = float(item)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            sentence = tr("{label}: {value} is no number.")
            raise ChoiceError(sentence.format(label=definition.description(), value=item))
        return value
    return None


def not_found(item: Any, label: str, context: QgsProcessingContext) -> str:
    """What is said of a value, of whatever type, that is no layer of the wanted kind."""
    if isinstance(item, QgsMapLayer):
        return tr("{label}: the layer {name} is not of the right kind.").format(label=label, name=item.name())
    known = context.project().mapLayer(str(item)) if context.project() else None
    sentence = tr("{path} ({label}) does not exist or cannot be opened: check the path.")
    return sentence.format(path=known.publicSource() if known is not None else item, label=label)
