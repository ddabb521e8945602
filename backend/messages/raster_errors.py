"""Errors of rasters, masks and polygons that were given: the same table as `errors`, to which it is added.

Standard library only, Python 3.9: what imports `errors` imports this.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Mapping

from .exit_statuses import INPUT

RASTERS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        # rasters and products
        "dem.mask": (
            INPUT,
            "{path} holds two values only, as a mask does and no elevation: give an elevation model in its "
            "place, or it as --gaps. If it is a flat shore, leave it out: it can guide nothing.",
        ),
        "dem.optical": (
            INPUT,
            "{path} is an optical image, no elevation: give an elevation model in its place, "
            "or it as --reference.",
        ),
        "guide.apart": (
            INPUT,
            "{path} ({option}) does not overlap the raster to fill: choose one of the same place, "
            "or check its CRS.",
        ),
        "pair.crs": (
            INPUT,
            "{name} ({width} x {height}) and the raster to fill ({target_width} x {target_height}) have no "
            "common CRS, and only rasters of one size can be paired pixel to pixel: assign the CRS, "
            "or cut them alike.",
        ),
        "product.apart": (
            INPUT,
            "{path} and {first} are not of the same place or CRS: fill them one by one.",
        ),
        "product.archive": (INPUT, "{path} cannot be opened as an archive ({why}): download it again."),
        "product.dates": (
            INPUT,
            "{path} holds files from {first} to {last}: one date is taken at a time; name the files of one, "
            "or a folder of other dates by --references.",
        ),
        "product.empty": (INPUT, "{path} holds no {what}: check that it is complete."),
        "product.file": (INPUT, "{file} in {path} cannot be read ({why}): download the product again."),
        "product.granules": (
            INPUT,
            "{path} holds {count} granules: name the folder of one of them under GRANULE.",
        ),
        "product.large": (
            INPUT,
            "{path} holds more than {count} files: name the folder of the product itself.",
        ),
        "product.scenes": (INPUT, "{path} holds {count} scenes: put each in a folder of its own."),
        "product.sun": (
            INPUT,
            "{name} needs the sun's elevation to become reflectance: give it with its metadata file (MTL), "
            "or write the sun into its tags SUN_AZIMUTH and SUN_ELEVATION, in degrees.",
        ),
        "product.twice": (INPUT, "{path} stands twice among the files of one date: name it once."),
        "radiometry.sun": (
            INPUT,
            "{name} needs the sun's elevation to become reflectance: give it with --sun AZIMUTH,ELEVATION.",
        ),
        "raster.block": (
            INPUT,
            "{path} is stored in blocks of {width} x {height} pixels, too large for the memory: check that "
            "it is whole, or convert it to a tiled GeoTIFF.",
        ),
        "raster.choose": (INPUT, "{path} holds several rasters: name one of them ({names})."),
        "raster.complex": (
            INPUT,
            "{path} holds complex numbers, as radar products before detection do: use an intensity image.",
        ),
        "raster.gcps": (
            INPUT,
            "{path} is placed by control points or RPCs only: warp it to a map projection first "
            "(QGIS: Raster > Projections > Warp).",
        ),
        "raster.missing": (INPUT, "{path} does not exist: check the path."),
        "raster.name": (
            INPUT,
            "{path}, or a name in it (of a file, of a CRS), is not in UTF-8: check that it is whole, "
            "or give it another name.",
        ),
        "raster.placed": (
            INPUT,
            "{path} gives its pixels no place or no size (its transform is not finite or has no inverse): "
            "mend its georeference, for instance with gdal_edit -a_ullr.",
        ),
        "raster.service": (
            INPUT,
            "{path} is a map service (WMS, WMTS, WCS or XYZ tiles), which sends pictures and no measured "
            "values: use the raster product itself.",
        ),
        "raster.special": (
            INPUT,
            "{path} is a pipe or a device: save what it gives as a file, and name that.",
        ),
        "raster.unreadable": (
            INPUT,
            "{path} cannot be read as a raster ({why}): check that it is whole, or convert it to a GeoTIFF.",
        ),
        "reference.apart": (
            INPUT,
            "The reference {path} does not overlap the raster to fill: choose one of the same place, "
            "or check its CRS.",
        ),
        "reference.bands": (
            INPUT,
            "The reference {path} is no image, it holds masks or classes only: give the image of that date, "
            "and its mask with --reference-gaps.",
        ),
        "reference.mask": (
            INPUT,
            "The reference {path} has no mask of its clouds: put one beside it, name one with "
            "--reference-gaps, or say with --reference-gaps-kind none that it is clear.",
        ),
        "references.clouds": (
            INPUT,
            "Of the dates in {path} none can be used, for masks of their clouds are missing, as of {name}: "
            "put one beside each (a_SCL.tif beside a.tif), or say with --references-clear that those without "
            "a mask are clear.",
        ),
        "references.json": (
            INPUT,
            "{path} is no list of references ({why}): it holds paths, or objects such as "
            '{{"path": "b.tif", "date": "2024-05-12", "masks": [{{"path": "b_scl.tif", "kind": "scl"}}]}}.',
        ),
        "references.missing": (
            INPUT,
            "{path} is neither a folder nor a JSON file of references: check the path.",
        ),
        "references.none": (
            INPUT,
            "In {path} is no raster that could be a reference: choose another folder.",
        ),
        "sar.optical": (
            INPUT,
            "{path} is an optical image, no radar: give Sentinel-1 backscatter in its place, "
            "or it as --reference.",
        ),
        # files
        "file.access": (INPUT, "{path} cannot be used: {why}; check that it exists and that you may use it."),
        "file.read": (
            INPUT,
            "A raster could not be read to its end ({why}): it may be damaged or cut off; get it again, "
            "or do without it.",
        ),
        "input.changed": (
            INPUT,
            "{path} was changed while it was read, so nothing was written: run this again once nothing "
            "writes to it any more.",
        ),
        # gap masks, polygons, extent
        "extent.apart": (
            INPUT,
            "The extent {extent} does not touch the target: check its coordinates and CRS.",
        ),
        "extent.text": (
            INPUT,
            "The extent {extent} is neither W,S,E,N in the target's CRS nor a file of polygons "
            "(.gpkg, .geojson, .shp).",
        ),
        "grow.far": (
            INPUT,
            "--grow {grow} is {pixels} pixels here, above {largest}: choose a smaller growth.",
        ),
        "grow.metres": (
            INPUT,
            "--grow {grow} is in metres, but the raster does not say how large a pixel is: "
            "give it in pixels, as in 3px.",
        ),
        "mask.ambiguous": (
            INPUT,
            "What the mask {path} means cannot be told from its name, and {why}: "
            "say its kind with {option}, for instance scl, fmask, qa_pixel or value=1.",
        ),
        "mask.apart": (
            INPUT,
            "The mask {path} lies elsewhere and does not overlap the raster: check that both show the same "
            "place and that their CRS is right.",
        ),
        "mask.bands": (
            INPUT,
            "The kind {kind} needs {needed} bands, and the mask {path} has {found}: "
            "give the whole file or another kind.",
        ),
        "mask.size": (
            INPUT,
            "The mask {path} has {width} x {height} pixels and the raster "
            "{partner_width} x {partner_height}, and one of them has no CRS: assign it, "
            "or give a mask of the same size.",
        ),
        "mask.value": (
            INPUT,
            "The mask kind {kind} is not of the form value=V or value=V,V: give the numbers that mark gaps.",
        ),
        "polygons.format": (
            INPUT,
            "{path} is no GeoPackage, GeoJSON or Shapefile: save the polygons as one of these.",
        ),
        "polygons.layer": (
            INPUT,
            "The layer of {path} is not clear: name one as FILE.gpkg|layername=NAME (it has {layers}).",
        ),
        "polygons.none": (INPUT, "{path} has no polygons: draw some, or choose another layer."),
        "polygons.place": (
            INPUT,
            "The polygons in {path} have coordinates that {crs} cannot have: check their CRS (GeoJSON "
            "without one is read as longitude and latitude).",
        ),
        "polygons.unreadable": (
            INPUT,
            "The polygons in {path} cannot be read ({why}): save them again as GeoPackage.",
        ),
    }
)
