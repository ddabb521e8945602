"""What Terramend's algorithms ask for: parameters that several of them share, in the analyst's words."""

from __future__ import annotations

from typing import Any, Tuple

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ...backend.request import CLASSES, DEFAULT_CLASSES, DEVICES, MASK_KINDS, QUALITIES, RADIOMETRIES
from ..methods import METHODS
from ..tr import tr
from .suggestions import suggest

KINDS = ["value=1" if kind == "value" else kind for kind in MASK_KINDS if kind not in ("none", "polygons")]
"""Of masks that are rasters, as they are suggested."""


class AlgorithmWithParameters(QgsProcessingAlgorithm):
    """Adds parameters, each with its help, in groups that belong together."""

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
