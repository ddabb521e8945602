"""terramend:fillgaps, the main job in the toolbox, in models, in batches and on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Dict, List

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterVectorLayer,
    QgsRasterLayer,
)

from ..layers.results import Styler
from ..layers.sources import from_here
from ..request_builder import Built, build
from ..tr import tr
from ..widgets.layer_chooser import file_name
from ..widgets.output import unfilled_titles
from ..words.inspection import error_words
from ..words.messages import reason_sentence
from .base import TerramendAlgorithm
from .values import items


class FillGaps(TerramendAlgorithm):
    """Fill the gaps of a raster; its outputs are the raster, its uncertainty and its provenance."""

    ID = "fillgaps"
    HELP_PAGE = "fill.md"
    CALL = "fill"

    def displayName(self) -> str:
        """As the toolbox shows it."""
        return tr("Fill gaps")

    def shortDescription(self) -> str:
        """One line."""
        return tr(
            "Fills gaps of clouds, shadows and sensors, with the standard deviation of each filled value."
        )

    def shortHelpString(self) -> str:
        """The text beside the parameters."""
        return tr(
            "Fills the gaps of a satellite raster, guided by other dates of the same place, by an elevation "
            "model and by Sentinel-1 radar.\n\n"
            "Every pixel that was valid stays bit-identical; grid, data type, bands, nodata and metadata are "
            "those of the raster. Beside the filled raster come, if you want them, the standard deviation of "
            "every filled value and its provenance: what it rests on, and how old the main other date is.\n\n"
            "A filled pixel is an estimate, and no evidence that nothing changed."
        )

    def tags(self) -> List[str]:
        """Words that find it in the toolbox."""
        return [
            "cloud",
            "shadow",
            "gap",
            "fill",
            "inpaint",
            "nodata",
            "slc-off",
            "sentinel",
            "landsat",
            "mask",
        ]

    def initAlgorithm(self, configuration: Dict[str, Any]) -> None:
        """All parameters; the rare ones are advanced."""
        self.add_target()
        self.add_gaps()
        self.add_guides()
        self.add_method()
        self.add(
            QgsProcessingParameterExtent("EXTENT", tr("Fill only inside this extent"), optional=True),
            tr("Gaps outside stay as they are."),
            advanced=True,
        )
        polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
        self.add(
            QgsProcessingParameterVectorLayer(
                "AREA", tr("Fill only inside these polygons"), polygons, optional=True
            ),
            tr("Gaps outside stay as they are."),
            advanced=True,
        )
        self.add_choice(
            "UNFILLED",
            tr("What can't be filled"),
            unfilled_titles(),
            tr("What becomes of gaps that could not be filled."),
            default="keep",
        )
        self.add_outputs(tr("Filled raster"))

    def add_outputs(self, label: str, extras: bool = True) -> None:
        """The raster, which is called `label`, its uncertainty and provenance, and figures of the run.

        Args:
            extras: whether the dialog offers to make the two beside it. Scripts get what they name.
        """
        self.add_text(
            "CREATION_OPTIONS",
            tr("GeoTIFF options"),
            tr("Creation options as KEY=VALUE, separated by |; COG=YES: Cloud Optimized GeoTIFF."),
        )
        self.add(
            QgsProcessingParameterRasterDestination("OUTPUT", label),
            tr("A GeoTIFF with the grid, data type, bands and nodata of the raster."),
        )
        beside = (
            (
                "STD",
                tr("Uncertainty"),
                tr("The standard deviation of every estimated value; 0 where the raster is valid."),
            ),
            (
                "PROVENANCE",
                tr("Provenance"),
                tr("The main source of every filled pixel, and the age of its main other date in days."),
            ),
        )
        for name, title, help in beside:
            destination = QgsProcessingParameterRasterDestination
            self.add(destination(name, title, optional=True, createByDefault=extras), help)
        self.addOutput(QgsProcessingOutputNumber("GAP_PERCENT", self.share_label()))
        self.addOutput(QgsProcessingOutputNumber("UNFILLED_SAMPLES", tr("Samples that could not be filled")))
        self.addOutput(
            QgsProcessingOutputNumber(
                "EXPECTED_ERROR", tr("Expected error (reflectance, or the file's own values)")
            )
        )
        self.addOutput(QgsProcessingOutputString("MODEL_USED", tr("Method used")))
        self.addOutput(QgsProcessingOutputString("RESULT_JSON", tr("Full result as JSON")))

    def share_label(self) -> str:
        """What `GAP_PERCENT` is."""
        return tr("Gaps (% of the footprint)")

    def share_sentence(self) -> str:
        """How much was done, with places for `share`, `unfilled` and `device`."""
        return tr("{share:.2f} % of the samples were gaps; {unfilled} could not be filled. Device: {device}.")

    def build(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Built:
        """The request, with the paths of the outputs that were asked for."""
        output, std, provenance = (
            self.parameterAsOutputLayer(parameters, name, context)
            if items(parameters.get(name), context)  # where a batch leaves one empty QGIS would load it, too
            else ""
            for name in ("OUTPUT", "STD", "PROVENANCE")
        )
        choices = replace(
            self.choices(parameters, context),
            output=from_here(output),
            std=from_here(std) or None,
            provenance=from_here(provenance) or None,
        )
        target = choices.target[0]
        self._style_of = target.id() if isinstance(target, QgsRasterLayer) else ""
        self._subject = file_name(target) if isinstance(target, str) else target.name()
        self._roles = {output: "filled", std: "std", provenance: "provenance"}
        return build(choices, overwrite=True, mode=self.CALL)

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        """Let the backend fill."""
        result = self.ask(self.CALL, context, feedback)
        feedback.pushInfo(reason_sentence(result))
        feedback.pushInfo(
            self.share_sentence().format(
                share=100 * result["gap_fraction"],
                unfilled=result["unfilled_samples"],
                device=result["device"],
            )
        )
        further = [path for key in ("outputs", "stds", "provenances") for path in result[key][1:]]
        if further:  # a product of several resolutions; an output of Processing is one file
            feedback.pushInfo(tr("Other resolutions are in {files}.").format(files=", ".join(further)))
        if result["expected_error"] is not None:
            feedback.pushInfo(tr("Expected error: ± {error}.").format(error=error_words(result)))
        return {
            "OUTPUT": result["outputs"][0],
            "STD": result.get("std"),
            "PROVENANCE": result.get("provenance"),
            "GAP_PERCENT": 100 * result["gap_fraction"],
            "UNFILLED_SAMPLES": result["unfilled_samples"],
            "EXPECTED_ERROR": result["expected_error"],
            "MODEL_USED": result["model"],
            "RESULT_JSON": json.dumps(result, sort_keys=True),
        }

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        """Give the layers that QGIS will load the dock's styles, and names that tell a batch's rows apart."""
        labels = {definition.description() for definition in self.destinationParameterDefinitions()}
        filled = next(path for path, role in self._roles.items() if role == "filled")
        for path, role in self._roles.items():
            if path and context.willLoadLayerOnCompletion(path):
                details = context.layerToLoadOnCompletionDetails(path)
                details.setPostProcessor(Styler(role, self._style_of, filled))
                if details.name in labels:  # a model has names of its own
                    details.name = tr("{label}, {name}").format(label=details.name, name=self._subject)
        return {}
