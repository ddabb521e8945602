"""terramend:makegapmask, one mask from quality bands, probabilities, nodata and polygons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterDestination,
)

from ..choices import ChoiceError, Choices
from ..layers.sources import from_here
from ..request_builder import Built, build
from ..tr import tr
from .base import TerramendAlgorithm


class MakeGapMask(TerramendAlgorithm):
    """Write a mask of what would be filled: 1 gap, 0 not."""

    ID = "makegapmask"
    ICON = "mask"
    HELP_PAGE = "masks.md"

    def displayName(self) -> str:
        """As the toolbox shows it."""
        return tr("Make gap mask")

    def shortDescription(self) -> str:
        """One line."""
        return tr("One gap mask from quality bands, cloud probabilities, nodata and polygons.")

    def shortHelpString(self) -> str:
        """The text beside the parameters."""
        return tr(
            "Writes a raster on the grid of the raster to fill: 1 where a pixel would be filled in any band, "
            "0 elsewhere. Several masks are united and grown. What they missed, cloud and shadow, can be "
            "added; other dates, which serve nothing else here, help to find it. The mask can be looked at, "
            "corrected by hand, and given to Fill gaps as a mask of kind nonzero."
        )

    def tags(self) -> List[str]:
        """Words that find it in the toolbox."""
        return ["cloud", "shadow", "mask", "qa", "scl", "fmask", "buffer"]

    def initAlgorithm(self, configuration: Dict[str, Any]) -> None:
        """The target, its masks, other dates that show what these missed, and the mask to write."""
        self.add_target()
        self.add_gaps()
        self.add_dates()
        self.add(
            QgsProcessingParameterRasterDestination("OUTPUT", tr("Gap mask")),
            tr("A GeoTIFF on the raster's grid: 1 gap, 0 not."),
        )
        self.addOutput(QgsProcessingOutputNumber("GAP_PERCENT", tr("Gaps (% of the footprint)")))

    def choices(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Choices:
        """Other dates serve one end here; given without it they would be left unread."""
        choices = super().choices(parameters, context)
        if (choices.references or choices.references_from) and not choices.missed:
            sentence = tr(
                'Other dates only help to find what the masks missed: tick "{missed}", or give none.'
            )
            raise ChoiceError(sentence.format(missed=self.parameterDefinition("MISSED").description()))
        return choices

    def build(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Built:
        """The request whose gaps are written."""
        output = from_here(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        return build(replace(self.choices(parameters, context), output=output), overwrite=True)

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        """Let the backend read the masks."""
        result = self.ask("mask", context, feedback)
        feedback.pushInfo(
            tr("{share:.2f} % of the footprint are gaps.").format(share=100 * result["gap_fraction"])
        )
        return {"OUTPUT": result["output"], "GAP_PERCENT": 100 * result["gap_fraction"]}
