"""What Terramend's algorithms ask for: parameters that several of them share, in the analyst's words."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ...backend.request import CLASSES, DEFAULT_CLASSES
from ..tr import tr
from ..widgets.mask_kind import kind_titles
from ..widgets.method import device_titles, quality_titles
from ..widgets.target import radiometry_titles
from ..words.methods import METHODS
from .suggestions import suggest


def method_titles(mode: str) -> Dict[str, str]:
    """Methods that can do `mode`, as people know them."""
    titles = {"auto": tr("Choose by itself")}
    for method in METHODS:
        if mode in method.modes:
            told = tr("{method} (experimental)") if method.group == "experimental" else "{method}"
            titles[method.name] = told.format(method=tr(method.title))
    return titles


class SeveralWords(QgsProcessingParameterEnum):
    """Several of fixed words. Their list goes into commands and exported models as text; 3.22 loses it."""

    def valueAsPythonString(self, value: Any, context: QgsProcessingContext) -> str:
        """Called by Processing. None: the default, as for an empty list."""
        if isinstance(value, (list, tuple)):
            value = ",".join(map(str, value)) or None
        return str(super().valueAsPythonString(value, context))


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
        """Add an optional text parameter; `titles` makes it a combo box of words that takes others too."""
        parameter = QgsProcessingParameterString(
            name, label, defaultValue=options.get("default", ""), optional=True
        )
        if "titles" in options:
            parameter.setMetadata(suggest(options["titles"], typed=True))
        self.add(parameter, help, options.get("advanced", True))

    def add_path(self, name: str, label: str, help: str, advanced: bool = True) -> None:
        """Add an optional parameter that is a file or a folder."""
        parameter = QgsProcessingParameterFile(name, label, optional=True)
        parameter.setFileFilter("")  # else "*.*" is asked of folders too, whose names have no dot
        self.add(parameter, help, advanced)

    def add_choice(
        self, name: str, label: str, titles: Mapping[str, str], help: str, default: str, advanced: bool = True
    ) -> None:
        """Add a choice of one among fixed words, which the dialogs show by their titles."""
        parameter = QgsProcessingParameterEnum(
            name, label, options=list(titles), defaultValue=default, usesStaticStrings=True
        )
        parameter.setMetadata(suggest(titles, typed=False))
        words = ", ".join(f"{word} ({title})" for word, title in titles.items())
        self.add(parameter, tr("{help} In scripts: {words}.").format(help=help, words=words), advanced)

    def add_target(self, label: str = "") -> None:
        """The raster, as a layer or as a product; `label`: what it is called."""
        self.add(
            QgsProcessingParameterRasterLayer("TARGET", label or tr("Raster to fill"), optional=True),
            tr("Raster with any number of bands. Either it or a product as delivered must be given."),
        )
        self.add_path(
            "PRODUCT",
            tr("Or a product as delivered"),
            tr(
                "In place of a raster: a Sentinel-2 .SAFE folder, zip or MTD file, or a Landsat folder, tar "
                "or MTL file."
            ),
            advanced=False,
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
            titles=kind_titles(),
            advanced=False,
        )
        self.add(
            QgsProcessingParameterBoolean("OWN_MASK", tr("The raster's own mask counts too"), False),
            tr("Fills what the quality band found beside the raster marks, too, where masks are given."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean("MISSED", tr("Fill what the masks missed, too"), False),
            tr(
                "Cloud and shadow that the scene shows beside the gaps, or shadow elsewhere that has their "
                "shape; found best with another date."
            ),
            advanced=True,
        )
        self.add(
            SeveralWords(
                "CLASSES",
                tr("Classes that are gaps"),
                options=list(CLASSES),
                allowMultiple=True,
                defaultValue=list(DEFAULT_CLASSES),
                optional=True,
                usesStaticStrings=True,
            ),
            tr("Classes that are filled, for masks with classes. In scripts such as cloud,shadow."),
        )
        self.add_text(
            "GROW",
            tr("Widen by"),
            tr(
                "How far every gap is widened, such as 3px or 60m, against haze and blur at cloud edges. "
                "Empty: by what suits the kind of mask."
            ),
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

    def add_dates(self) -> None:
        """Other dates, and their masks."""
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
            titles={**kind_titles(), "none": tr("clear everywhere")},
        )
        self.add_text(
            "REFERENCE_DATES",
            tr("Acquisition dates of the other dates"),
            tr(
                "Dates such as 2024-06-20;2024-07-15, in the same order. Empty: from the layers' temporal "
                "properties, tags and file names."
            ),
        )
        self.add_path(
            "REFERENCES_FROM",
            tr("Folder or JSON list of other dates"),
            tr("All scenes of a folder, or a JSON list, in place of or beside the layers above."),
        )
        self.add(
            QgsProcessingParameterBoolean("REFERENCES_CLEAR", tr("Folder's unmasked dates are clear"), False),
            tr("Dates without a mask are clear wherever they hold values: clouds are nodata already."),
            advanced=True,
        )

    def add_guides(self) -> None:
        """Other dates, terrain and radar."""
        self.add_dates()
        self.add(
            QgsProcessingParameterRasterLayer("DEM", tr("Elevation (DEM)"), optional=True),
            tr(
                "Digital elevation model with heights in metres, or in feet if its unit says so, on any "
                "grid and in any coordinate system."
            ),
        )
        self.add_radar()
        self.add_text(
            "SUN",
            tr("Sun (azimuth,elevation)"),
            tr("Solar angles over the raster in degrees, such as 145.2,41.7. Empty: from its metadata."),
        )
        self.add_text(
            "DATE",
            tr("Date of the raster"),
            tr("Date such as 2024-06-30. Empty: from the layer's temporal properties, tags or file name."),
        )

    def add_radar(self) -> None:
        """Radar alone."""
        self.add(
            QgsProcessingParameterRasterLayer("SAR", tr("Radar (Sentinel-1)"), optional=True),
            tr("VV and VH backscatter in dB or linear power, on any grid and in any coordinate system."),
        )

    def add_method(self, mode: str = "fill") -> None:
        """The method and how it runs; methods that can do `mode` are offered."""
        methods = method_titles(mode)
        self.add_text(
            "MODEL",
            tr("Method"),
            tr(
                "Reconstruction method; auto chooses by inputs and trials on hidden pixels. In scripts: "
                "{words}."
            ).format(words=", ".join(methods)),
            default="auto",
            titles=methods,
            advanced=False,
        )
        self.add_choice(
            "QUALITY",
            tr("Quality"),
            quality_titles(),
            tr("Speed against accuracy."),
            default="default",
            advanced=False,
        )
        self.add_choice(
            "RADIOMETRY",
            tr("Values are"),
            radiometry_titles(),
            tr("How stored values become reflectance."),
            default="auto",
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
        self.add_choice("DEVICE", tr("Runs on"), device_titles(), help, default="auto")
