"""What Terramend's algorithms share: identity, inputs, and the call to the backend."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsReferencedRectangle,
)
from qgis.PyQt.QtGui import QIcon

from ...backend.request import CLASSES, DEFAULT_CLASSES, DEVICES, MASK_KINDS, QUALITIES, RADIOMETRIES
from ..choices import ChoiceError, Choices, from_values
from ..client import ClientError, client
from ..icon import icon
from ..messages import told_in_windows
from ..methods import METHODS
from ..request_builder import REFUSALS, UNWRITTEN, Built, build
from ..sources import SourceError
from ..tr import tr
from .suggestions import suggest
from .values import items, not_found, number

FAILURES = (*REFUSALS, ClientError)
"""Errors whose text is a sentence for the user."""

KINDS = ["value=1" if kind == "value" else kind for kind in MASK_KINDS if kind not in ("none", "polygons")]
"""Of masks that are rasters, as they are suggested."""


class TerramendAlgorithm(QgsProcessingAlgorithm):
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
        """The page of the user guide that travels with the plugin."""
        page = Path(__file__).parents[2] / "docs" / self.HELP_PAGE
        return page.as_uri() if page.is_file() else ""

    def asPythonCommand(self, parameters: Dict[str, Any], context: QgsProcessingContext) -> str:
        """The call that repeats a run. A list of fixed words goes as text: QGIS 3.22 loses it."""
        given = dict(parameters)
        for definition in self.parameterDefinitions():
            words = given.get(definition.name())
            if definition.type() == "enum" and isinstance(words, (list, tuple)):
                # None: the default, as for an empty list.
                given[definition.name()] = ",".join(map(str, words)) or None
        return str(super().asPythonCommand(given, context))

    # --- parameters ---

    def add(self, parameter: QgsProcessingParameterDefinition, help: str, advanced: bool = False) -> None:
        """Add a parameter with its help text."""
        parameter.setHelp(help)
        if advanced:
            flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
            parameter.setFlags(parameter.flags() | flag)
        self.addParameter(parameter)

    def add_text(self, name: str, label: str, help: str, **options: Any) -> None:
        """Add an optional text parameter; `values` makes it a combo box that takes other texts too."""
        parameter = QgsProcessingParameterString(
            name, label, defaultValue=options.get("default", ""), optional=True
        )
        if "values" in options:
            parameter.setMetadata(suggest(options["values"]))
        self.add(parameter, help, options.get("advanced", True))

    def add_path(self, name: str, label: str, help: str) -> None:
        """Add an optional parameter that is a file or a folder."""
        parameter = QgsProcessingParameterFile(name, label, optional=True)
        parameter.setFileFilter("")  # else "*.*" is asked of folders too, whose names have no dot
        self.add(parameter, help, advanced=True)

    def add_choice(self, name: str, label: str, values: Tuple[str, ...], help: str, **options: Any) -> None:
        """Add a choice among fixed words."""
        parameter = QgsProcessingParameterEnum(
            name,
            label,
            options=list(values),
            allowMultiple=options.get("multiple", False),
            defaultValue=options.get("default", values[0]),
            optional=options.get("multiple", False),
            usesStaticStrings=True,
        )
        self.add(parameter, help, options.get("advanced", False))

    def add_target(self, label: str = "") -> None:
        """The raster, as a layer or as a product; `label`: what it is called."""
        self.add(
            QgsProcessingParameterRasterLayer("TARGET", label or tr("Raster to fill"), optional=True),
            tr("Raster with any number of bands; or give a product as delivered (advanced)."),
        )
        self.add_path(
            "PRODUCT",
            tr("Product as delivered"),
            tr(
                "In place of a raster: a Sentinel-2 .SAFE folder, zip or MTD file, or a Landsat folder, tar "
                "or MTL file."
            ),
        )
        rasters = QgsProcessing.SourceType.TypeRaster
        self.add(
            QgsProcessingParameterMultipleLayers("MORE_BANDS", tr("Further bands"), rasters, optional=True),
            tr("More single-band layers of the same scene, where each band is a file of its own."),
            advanced=True,
        )

    def add_gaps(self) -> None:
        """Masks, and how they are read."""
        anything = QgsProcessing.SourceType.TypeMapLayer
        self.add(
            QgsProcessingParameterMultipleLayers("GAPS", tr("Gap masks"), anything, optional=True),
            tr(
                "Cloud masks, quality bands or polygons; their union is filled. Empty: the quality band "
                "found beside the raster, else its nodata."
            ),
        )
        self.add_text(
            "GAPS_KIND",
            tr("Kind of gap masks"),
            tr(
                "How the values are read: auto, nonzero, zero, value=V, or a sensor's table (qa_pixel, scl, "
                "...). Several masks of different kinds: one for each, separated by semicolons."
            ),
            default="auto",
            values=KINDS,
            advanced=False,
        )
        self.add_choice(
            "CLASSES",
            tr("Classes that are gaps"),
            CLASSES,
            tr("Classes that are filled, for masks with classes."),
            multiple=True,
            default=list(DEFAULT_CLASSES),
        )
        self.add_text(
            "GROW",
            tr("Buffer around the gaps"),
            tr("Distance by which masks grow, such as 3px or 60m. Empty: the default of the kind of mask."),
            advanced=False,
        )
        self.add(
            QgsProcessingParameterNumber(
                "CLOUD_THRESHOLD",
                tr("Cloud probability from which a pixel is a gap (%)"),
                QgsProcessingParameterNumber.Type.Double,
                optional=True,
                minValue=0,
                maxValue=100,
            ),
            tr("For masks of cloud probability. Empty: 40."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean("FILL_SWATH_EDGES", tr("Fill stripes open to the edge too"), False),
            tr("Treats nodata inside the convex hull of the valid pixels as gaps (Landsat 7 SLC-off)."),
            advanced=True,
        )

    def add_guides(self) -> None:
        """Other dates, terrain and radar."""
        rasters = QgsProcessing.SourceType.TypeRaster
        self.add(
            QgsProcessingParameterMultipleLayers("REFERENCES", tr("Other dates"), rasters, optional=True),
            tr("Rasters of the same place on other dates: the most useful input."),
        )
        self.add(
            QgsProcessingParameterMultipleLayers(
                "REFERENCE_GAPS", tr("Gap masks of the other dates"), rasters, optional=True
            ),
            tr(
                "One for each date, in the same order; the raster itself where its mask lies beside it. "
                "Empty: all masks are found beside the rasters."
            ),
        )
        self.add_text(
            "REFERENCE_GAPS_KIND",
            tr("Kind of the other dates' masks"),
            tr("How the values are read, as for the gap masks; none: the date is clear everywhere."),
            default="auto",
            values=[*KINDS, "none"],
        )
        self.add_text(
            "REFERENCE_DATES",
            tr("Acquisition dates of the other dates"),
            tr("Dates such as 2024-06-20;2024-07-15, in the same order. Empty: from tags and file names."),
        )
        self.add_path(
            "REFERENCES_FROM",
            tr("Folder or JSON list of other dates"),
            tr("All scenes of a folder, or a JSON list, in place of or beside the layers above."),
        )
        self.add(
            QgsProcessingParameterBoolean(
                "REFERENCES_CLEAR", tr("The folder's dates without a mask are clear"), False
            ),
            tr("Dates without a mask are clear wherever they hold values: clouds are nodata already."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterRasterLayer("DEM", tr("Elevation model"), optional=True),
            tr("Digital elevation model with heights in metres, on any grid and in any coordinate system."),
        )
        self.add_radar()
        self.add_text(
            "SUN",
            tr("Sun azimuth and elevation"),
            tr("Solar angles over the raster in degrees, such as 145.2,41.7. Empty: from its metadata."),
        )
        self.add_text(
            "DATE",
            tr("Acquisition date of the raster"),
            tr("Date such as 2024-06-30. Empty: from tags or file name."),
        )

    def add_radar(self) -> None:
        """Radar alone."""
        self.add(
            QgsProcessingParameterRasterLayer("SAR", tr("Sentinel-1 radar"), optional=True),
            tr("VV and VH backscatter in dB or linear power, on any grid and in any coordinate system."),
        )

    def add_method(self, mode: str = "fill") -> None:
        """The method and how it runs; methods that can do `mode` are offered."""
        self.add_text(
            "MODEL",
            tr("Method"),
            tr("Reconstruction method; auto chooses by inputs and trials on hidden pixels."),
            default="auto",
            values=["auto", *(method.name for method in METHODS if mode in method.modes)],
            advanced=False,
        )
        self.add_choice(
            "QUALITY",
            tr("Quality"),
            QUALITIES,
            tr("Speed against accuracy: fast, default or best."),
            default="default",
        )
        self.add_choice(
            "RADIOMETRY",
            tr("Radiometry"),
            RADIOMETRIES,
            tr("Conversion of stored values to reflectance."),
            advanced=True,
        )
        self.add_text(
            "BANDS",
            tr("Bands to fill"),
            tr("Band numbers, counted from 1, such as 1,2,3. Empty: all that can be filled."),
        )
        self.add_text(
            "SETTINGS",
            tr("Settings of the method"),
            tr("Options of the method as KEY=VALUE, separated by semicolons."),
        )
        self.add(
            QgsProcessingParameterNumber(
                "SEED", tr("Random seed"), QgsProcessingParameterNumber.Type.Integer, 0, minValue=0
            ),
            tr(
                "Seed of the random numbers of diffusion methods (de, ddpm, aligndiff), and of the "
                "clouds that an accuracy check draws where the scene's own gaps do not fit. All other "
                "methods, guided among them, give the same pixels for every seed."
            ),
            advanced=True,
        )
        help = tr("Processor for networks, and for guided with other dates.")
        self.add_choice("DEVICE", tr("Device"), DEVICES, help, advanced=True)

    # --- running ---

    def checkParameterValues(
        self, parameters: Dict[str, Any], context: QgsProcessingContext
    ) -> Tuple[bool, str]:
        """Called by Processing before a run: what `prepareAlgorithm` would refuse reaches only the log."""
        fine, why = super().checkParameterValues(parameters, context)
        if fine:
            try:
                build(replace(self.choices(parameters, context), output=UNWRITTEN)).remove()
            except REFUSALS as error:
                return False, str(error)
        return fine, why

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
            return self.parameterAsBoolean(parameters, name, context)
        if kind == "number":
            return number(definition, parameters.get(name, definition.defaultValue()), context)
        if kind == "extent":
            box = self.parameterAsExtent(parameters, name, context)
            crs = self.parameterAsExtentCrs(parameters, name, context)
            return None if box.isNull() else QgsReferencedRectangle(box, crs)
        if kind == "enum":
            if definition.allowMultiple():
                return self.parameterAsEnumStrings(parameters, name, context)
            return self.parameterAsEnumString(parameters, name, context)
        return self.parameterAsString(parameters, name, context)

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
            result = client().call_blocking(method, {"request": built.request, **more}, feedback)
        except FAILURES as error:
            raise QgsProcessingException(str(error)) from None
        finally:
            built.remove()
        return told_in_windows(result)
