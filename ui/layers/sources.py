"""What the backend can open for a QGIS layer: paths, with layer settings honoured.

The backend has its own GDAL and knows nothing of QGIS. So a layer's own CRS or nodata
value becomes an override or a small VRT, scratch polygons become a GeoPackage, services
that draw pictures are refused, and what only QGIS can read is converted by QGIS first.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple, Union

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDataSourceUri,
    QgsFeature,
    QgsGeometry,
    QgsMapLayer,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsReferencedRectangle,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt

from ..tr import tr
from .conversions import Conversion, Export, SourceError

LayerOrPath = Union[QgsMapLayer, str]

BACKEND_DRIVERS = frozenset(
    (
        "AAIGrid", "AIG", "BMP", "DIMAP", "DTED", "EHdr", "ENVI", "ERS", "GIF", "GPKG", "GRIB", "GTiff",
        "HDF5", "HDF5Image", "HFA", "ILWIS", "ISCE", "JP2OpenJPEG", "JPEG", "MBTiles", "MRF", "NITF",
        "netCDF", "PCIDSK", "PDS4", "PNG", "RMF", "RRASTER", "SAFE", "SENTINEL2", "SRTMHGT", "TIL",
        "USGSDEM", "VRT", "WEBP", "XYZ", "Zarr",
    )
)  # fmt: skip
"""Raster drivers that the backend's GDAL has (a test compares); all else goes through QGIS."""

PICTURES = ("wms", "arcgismapserver", "vectortile")
"""Providers whose rasters are drawn pictures, not measurements."""


VECTORS = (".gpkg", ".geojson", ".json", ".shp")
"""Endings of polygon files that the backend reads; others are exported."""


WINDOWS_OWN = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names that Windows gives no file, whatever their ending: they are its devices."""


PART = 35
"""Letters that are kept of both ends of a long layer name."""


def from_here(path: str) -> str:
    """The path of a file; a relative one begins where QGIS stands, which the backend may not."""
    return path if not path or Path(path).is_absolute() else str(Path(path).absolute())


def source_from_here(name: str) -> str:
    """As `from_here`, of a source; what is no file stays as it is: addresses, names that GDAL alone reads."""
    path, bar, layer = name.partition("|")
    there = os.path.exists(path)  # noqa: PTH110 - Path's raises where a folder is closed to us
    return from_here(path) + bar + layer if there else name


def public_source(layer: QgsMapLayer) -> str:
    """What a layer is read from, without passwords. `publicSource` of QGIS 3.44 leaves those of databases."""
    return str(QgsDataSourceUri.removePassword(layer.source())).partition("|credential:")[0][:200]


def day(item: LayerOrPath) -> Optional[str]:
    """The one day, such as 2024-06-30, of a layer's temporal properties; longer ranges name none."""
    if not isinstance(item, QgsRasterLayer) or sip.isdeleted(item):  # whoever holds one hears soon that it is
        return None
    if not item.temporalProperties().isActive():
        return None
    days = set()
    for span in item.temporalProperties().allTemporalRanges(item):
        first, last = span.begin(), span.end()
        days |= {first.date(), (last.addMSecs(-1) if first < last else last).date()}  # midnight ends a day
    return str(days.pop().toString(Qt.DateFormat.ISODate)) or None if len(days) == 1 else None


@dataclass(frozen=True)
class Source:
    """A path for the backend; `crs` and `nodata` where the layer overrides its file."""

    path: str
    crs: Optional[str] = None
    nodata: Optional[float] = None


class SourceMaker:
    """Turns layers into sources; what must be written goes into `folder`.

    Args:
        folder: for temporary files, made on first use.

    Attributes:
        conversions: what must be run before the sources are there.
        names: of the layers that temporary files stand for, by path.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.conversions: List[Union[Conversion, Export]] = []
        self.names: Dict[str, str] = {}
        self._count = 0

    def target(self, item: LayerOrPath) -> Source:
        """The source of a raster whose overrides the request itself can carry."""
        return self._raster(item, wrap=False)

    def raster(self, item: LayerOrPath) -> str:
        """The path of any other raster; overrides are wrapped in a VRT."""
        return self._raster(item, wrap=True).path

    def polygons(self, item: LayerOrPath) -> str:
        """The path of a polygon file; scratch, filtered and edited layers are exported.

        Raises:
            SourceError: the layer holds no polygons, or is broken.
        """
        if isinstance(item, str):
            return source_from_here(item)
        _refuse_broken(item)
        if (
            not isinstance(item, QgsVectorLayer)
            or item.geometryType() != QgsWkbTypes.GeometryType.PolygonGeometry
        ):
            raise SourceError(tr("The layer {name} holds no polygons.").format(name=item.name()))
        path, _, options = item.source().partition("|")
        if (
            item.providerType() == "ogr"
            and path.lower().endswith(VECTORS)
            and options.partition("=")[0] in ("", "layername")
            and "|" not in options
            and not item.isEditable()
            and not QgsWkbTypes.isCurvedType(item.wkbType())
            and item.crs() == item.dataProvider().crs()
        ):
            return source_from_here(str(item.source()))
        return self._export(item)

    def rectangle(self, box: QgsReferencedRectangle) -> str:
        """The path of a file that holds a rectangle in its own CRS."""
        layer = QgsVectorLayer("Polygon", "extent", "memory")
        layer.setCrs(box.crs())
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromRect(box))
        layer.dataProvider().addFeature(feature)
        return self._export(layer)

    def is_polygons(self, item: LayerOrPath) -> bool:
        """Whether a mask is a vector layer or file."""
        if isinstance(item, str):
            return item.partition("|")[0].lower().endswith(VECTORS)
        return isinstance(item, QgsVectorLayer)

    def _raster(self, item: LayerOrPath, wrap: bool) -> Source:
        if isinstance(item, str):
            return Source(source_from_here(item))
        if not isinstance(item, QgsRasterLayer):
            raise SourceError(tr("The layer {name} is no raster.").format(name=item.name()))
        if item.providerType() in PICTURES:
            raise SourceError(
                tr(
                    "The layer {name} is a picture from a map service (WMS, WMTS, XYZ) without measured "
                    "values; use the raster file itself."
                ).format(name=item.name())
            )
        _refuse_broken(item)
        nodata = _nodata_override(item)
        if not self._backend_reads(item) or len(nodata) > 1 or any(low != high for low, high in nodata):
            return Source(self._convert(item))
        crs = _crs_override(item)
        ignored = _ignores_nodata(item) and not nodata
        value = nodata[0][0] if nodata else None
        if ignored or (wrap and (crs is not None or value is not None)):
            return Source(self._wrap(item, crs, "none" if value is None and ignored else value))
        return Source(self._file(item), crs, value)

    def _backend_reads(self, layer: QgsRasterLayer) -> bool:
        """Raises `SourceError` where GDAL finds nothing: QGIS would hand out zeros."""
        source = layer.source()
        if layer.providerType() != "gdal" or "authcfg=" in source:
            return False
        parts = QgsProviderRegistry.instance().decodeUri("gdal", source)
        if parts.get("credentialOptions"):  # of a cloud's storage, which only QGIS can open with them
            return False
        options = parts.get("openOptions") or []
        try:
            dataset = gdal.OpenEx(parts["path"] if options else source, gdal.OF_RASTER, open_options=options)
        except RuntimeError:  # where somebody has asked GDAL for exceptions
            dataset = None
        if dataset is None:
            text = tr(
                "The layer {name} cannot be read: {path} is gone or damaged; put it back, or choose "
                "another layer."
            )
            raise SourceError(text.format(name=layer.name(), path=public_source(layer)))
        if options or source.startswith("/vsimem/"):
            return False
        return dataset.GetDriver().ShortName in BACKEND_DRIVERS

    def _file(self, layer: QgsRasterLayer) -> str:
        """What a layer is read from; a mosaic (VRT) that is written out in the layer itself gets a file."""
        source = str(layer.source())
        if not source.lstrip().startswith("<VRTDataset"):
            return source_from_here(source)
        path = self._path(layer, ".vrt")
        Path(path).write_text(source, "utf-8")
        return path

    def _path(self, layer: QgsMapLayer, extension: str) -> str:
        """A new path whose last part keeps the layer's name, which may hold a date."""
        self._count += 1
        folder = Path(self.folder, str(self._count))
        folder.mkdir(parents=True, exist_ok=True)
        stem = "".join(c if c.isalnum() or c in "-_." else "_" for c in layer.name()) or "layer"
        if len(stem) > 2 * PART:  # file systems take 255 bytes, and a letter may be three
            stem = f"{stem[:PART]}_{stem[-PART:]}"
        if WINDOWS_OWN.match(stem):
            stem = f"_{stem}"
        path = str(folder / (stem + extension))
        self.names[path] = layer.name()
        return path

    def _convert(self, layer: QgsRasterLayer) -> str:
        path = self._path(layer, ".tif")
        provider = layer.dataProvider()
        if not provider.xSize() or not provider.ySize():
            raise SourceError(
                tr("The layer {name} has no fixed pixel size; save it as a GeoTIFF first.").format(
                    name=layer.name()
                )
            )
        self.conversions.append(
            Conversion(
                provider.clone(),
                layer.extent(),
                provider.xSize(),
                provider.ySize(),
                layer.crs(),
                path,
                layer.name(),
            )
        )
        return path

    def _wrap(self, layer: QgsRasterLayer, crs: Optional[str], nodata: Union[float, str, None]) -> str:
        path = self._path(layer, ".vrt")
        options = gdal.TranslateOptions(format="VRT", outputSRS=crs, noData=nodata)
        try:
            made = gdal.Translate(path, self._file(layer), options=options)
        except RuntimeError:  # as of `_backend_reads`; QGIS itself does since 3.38
            made = None
        if made is None:
            raise SourceError(
                tr("The layer {name} cannot be read: {path}").format(
                    name=layer.name(), path=public_source(layer)
                )
            )
        return path

    def _export(self, layer: QgsVectorLayer) -> str:
        path = self._path(layer, ".gpkg")
        features = QgsVectorLayerFeatureSource(layer)
        straight = QgsWkbTypes.linearType(layer.wkbType())
        self.conversions.append(Export(features, straight, layer.crs(), path, layer.name()))
        return path


def _refuse_broken(layer: QgsMapLayer) -> None:
    if not layer.isValid():
        sentence = tr(
            "The layer {name} is broken: QGIS cannot open {path}; repair its data source, or choose "
            "another layer."
        )
        raise SourceError(sentence.format(name=layer.name(), path=public_source(layer)))


def _crs_override(layer: QgsRasterLayer) -> Optional[str]:
    """The layer's CRS as an authority code or WKT where it differs from the file's."""
    crs = layer.crs()
    if not crs.isValid() or crs == layer.dataProvider().crs():
        return None
    if crs.authid() and not crs.authid().startswith("USER:"):
        return str(crs.authid())
    return str(crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED_GDAL))


def _nodata_override(layer: QgsRasterLayer) -> List[Tuple[float, float]]:
    """Ranges that the layer treats as nodata where its properties add some, else nothing."""
    provider = layer.dataProvider()
    added, stored = [], []
    for band in range(1, layer.bandCount() + 1):
        added += [(item.min(), item.max()) for item in provider.userNoDataValues(band)]
        if provider.sourceHasNoDataValue(band) and provider.useSourceNoDataValue(band):
            value = provider.sourceNoDataValue(band)
            stored.append((value, value))
    return sorted(set(added + stored)) if added else []


def _ignores_nodata(layer: QgsRasterLayer) -> bool:
    """Whether the file's own nodata value was switched off in the layer's properties."""
    provider = layer.dataProvider()
    return any(
        provider.sourceHasNoDataValue(band) and not provider.useSourceNoDataValue(band)
        for band in range(1, layer.bandCount() + 1)
    )
