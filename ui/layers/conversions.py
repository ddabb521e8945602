"""Copies that QGIS must write before the backend can read them.

What they need of a layer is taken in the thread that owns it; they run in another, and can be stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeatureRequest,
    QgsFeedback,
    QgsFields,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
    QgsRasterFileWriter,
    QgsRasterPipe,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import Qt

from ..tr import tr
from ..words.messages import ClientError

QGIS_UNKNOWN = -3.4028234663852886e38
"""The lowest float32: no measurement, so nothing is lost by declaring it."""


class SourceError(Exception):
    """A layer that cannot be used; the text says why and what would mend it."""


@dataclass(frozen=True)
class Conversion:
    """A copy that QGIS must make before the backend can read.

    `provider` is a clone of the layer's, so that `run`, which may take long, needs no layer.
    """

    provider: QgsRasterDataProvider
    extent: QgsRectangle
    width: int
    height: int
    crs: QgsCoordinateReferenceSystem
    path: str
    name: str

    def run(self, feedback: QgsFeedback) -> None:
        """Write the GeoTIFF, once. Callable outside the GUI thread; `feedback` can stop it."""
        pipe = QgsRasterPipe()
        if not pipe.set(self.provider):  # the pipe owns it now; the clone of a clone may be empty
            raise SourceError(tr("The layer {name} cannot be read by QGIS.").format(name=self.name))
        writer = QgsRasterFileWriter(self.path)
        newer = hasattr(writer, "setCreationOptions")  # QGIS 3.38 deprecates the other name
        set_options = writer.setCreationOptions if newer else writer.setCreateOptions
        set_options(["COMPRESS=DEFLATE", "TILED=YES", "BIGTIFF=IF_SAFER"])
        stopper = QgsRasterBlockFeedback()
        feedback.canceled.connect(stopper.cancel, Qt.ConnectionType.DirectConnection)
        if not feedback.isCanceled():
            context = QgsCoordinateTransformContext()
            result = writer.writeRaster(
                pipe, self.width, self.height, self.extent, self.crs, context, stopper
            )
        if feedback.isCanceled():
            raise ClientError("run.cancelled")
        if _failed(result):
            raise SourceError(
                tr("QGIS could not convert the layer {name} to a GeoTIFF; save it as one by hand.").format(
                    name=self.name
                )
            )
        _declare_nodata(self.path)


@dataclass(frozen=True)
class Export:
    """Polygons that QGIS must write before the backend can read them; many of them take seconds.

    `features` are those of the layer as it is now, edits that are not saved among them, and need no layer.
    """

    features: QgsVectorLayerFeatureSource
    geometry: QgsWkbTypes.Type
    crs: QgsCoordinateReferenceSystem
    path: str
    name: str

    def run(self, feedback: QgsFeedback) -> None:
        """Write the GeoPackage, as `Conversion.run` writes a raster."""
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = "GPKG"
        writer = QgsVectorFileWriter.create(
            self.path, QgsFields(), self.geometry, self.crs, QgsCoordinateTransformContext(), options
        )
        for feature in self.features.getFeatures(QgsFeatureRequest().setNoAttributes()):
            geometry = feature.geometry()
            if not geometry.isNull():  # the backend knows no curves
                feature.setGeometry(geometry.constGet().segmentize())
            if feedback.isCanceled() or not writer.addFeature(feature):
                break
        why = writer.errorMessage() if _failed(writer.hasError()) else ""
        del writer  # only now is the file whole
        if feedback.isCanceled():
            raise ClientError("run.cancelled")
        if why:
            sentence = tr("The polygons of {name} could not be exported: {why}")
            raise SourceError(sentence.format(name=self.name, why=why))


def _failed(status: Any) -> bool:
    """Whether a writer's status is not its first, which has different names in different QGIS."""
    return bool(getattr(status, "value", status) != 0)


def _declare_nodata(path: str) -> None:
    """Declare the value that QGIS's computed rasters hold where they know nothing."""
    dataset = gdal.Open(path, gdal.GA_Update)
    for number in range(1, dataset.RasterCount + 1):
        band = dataset.GetRasterBand(number)
        if band.DataType in (gdal.GDT_Float32, gdal.GDT_Float64) and band.GetNoDataValue() is None:
            band.SetNoDataValue(QGIS_UNKNOWN)
