"""terramend:checkaccuracy, how good a fill would be on this very scene."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any, Dict, List, Mapping

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
)

from ...backend.errors import NOTICES
from ..layers.sources import from_here
from ..request_builder import UNWRITTEN, Built, build
from ..tr import tr
from ..words.inspection import error_words
from ..words.messages import reason_sentence
from .base import TerramendAlgorithm


class CheckAccuracy(TerramendAlgorithm):
    """Hide cloud-shaped parts of the valid pixels, fill them, and compare."""

    ID = "checkaccuracy"
    ICON = "accuracy"
    HELP_PAGE = "accuracy.md"

    def displayName(self) -> str:
        """As the toolbox shows it."""
        return tr("Check accuracy here")

    def shortDescription(self) -> str:
        """One line."""
        return tr("Estimates the accuracy of a fill from hidden, cloud-shaped parts of the scene.")

    def shortHelpString(self) -> str:
        """The text beside the parameters."""
        return tr(
            "How good would a fill of this scene be? Parts of its valid pixels are hidden under the shapes "
            "of its own gaps (of drawn clouds where none fit), filled with the same method and inputs, and "
            "compared with what was hidden.\n\n"
            "Reported for every band: bias and root mean square error in reflectance (or the file's own "
            "values), and how often the truth lies inside the interval that the uncertainty promises; the "
            "error of NDVI where the bands for it are there; and the error to expect in the real gaps, "
            "before and after this check. The raster itself is not changed."
        )

    def tags(self) -> List[str]:
        """Words that find it in the toolbox."""
        return ["accuracy", "validation", "rmse", "bias", "uncertainty", "cloud", "gap"]

    def initAlgorithm(self, configuration: Dict[str, Any]) -> None:
        """Inputs and method as of a fill; a report instead of rasters."""
        self.add_target()
        self.add_gaps()
        self.add_guides()
        self.add_method()
        self.add(
            QgsProcessingParameterFileDestination("OUTPUT", tr("Report"), tr("HTML files (*.html)")),
            tr("HTML report: figures of every band, pictures of the hidden and the filled pixels."),
        )
        self.addOutput(QgsProcessingOutputNumber("RMSE", tr("Root mean square error")))
        self.addOutput(QgsProcessingOutputNumber("BIAS", tr("Bias")))
        self.addOutput(QgsProcessingOutputNumber("COVERAGE", tr("Share of truth inside the 90 % interval")))
        self.addOutput(
            QgsProcessingOutputNumber(
                "EXPECTED_BEFORE", tr("Expected error in the gaps, as the method states it")
            )
        )
        self.addOutput(
            QgsProcessingOutputNumber(
                "EXPECTED_AFTER", tr("Expected error in the gaps, corrected by this check")
            )
        )
        self.addOutput(QgsProcessingOutputString("RESULT_JSON", tr("Full result as JSON")))

    def build(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> Built:
        """The request of the fill that is checked; its own output is never written."""
        self._report = from_here(self.parameterAsFileOutput(parameters, "OUTPUT", context))
        return build(replace(self.choices(parameters, context), output=UNWRITTEN), overwrite=True)

    def processAlgorithm(
        self, parameters: Dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        """Let the backend hide, fill and compare."""
        result = self.ask("accuracy", context, feedback, html=self._report)
        _reword(Path(self._report), result["notices"])
        feedback.pushInfo(reason_sentence(result))
        if result["expected_after"] is not None:
            feedback.pushInfo(
                tr(
                    "Expected error in the gaps: ± {before} as the method states it, ± {after} after "
                    "this check."
                ).format(
                    before=error_words(result, "expected_before"),
                    after=error_words(result, "expected_after"),
                )
            )
        return {
            "OUTPUT": self._report,
            "RMSE": result["rmse"],
            "BIAS": result["bias"],
            "COVERAGE": result["coverage"],
            "EXPECTED_BEFORE": result["expected_before"],
            "EXPECTED_AFTER": result["expected_after"],
            "RESULT_JSON": json.dumps(result, sort_keys=True),
        }


def _reword(report: Path, notices: List[Mapping[str, Any]]) -> None:
    """Let a report say its notices as the windows do: the backend names the command line's options."""
    text = report.read_text("utf-8")
    for notice in notices:
        said = {k: v["message"] if isinstance(v, dict) else v for k, v in notice["arguments"].items()}
        told = NOTICES[notice["code"]].format(**said)
        text = text.replace(escape(told), escape(notice["message"]))
    part = report.with_name(f".{report.name}.part")
    part.write_text(text, "utf-8")
    part.replace(report)
