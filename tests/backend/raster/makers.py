"""Small products with the file names and metadata of the real ones."""

import json

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling

UTM = "EPSG:32632"
LEFT, TOP = 600000.0, 5200020.0

MTD_L2A = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>2022-06-14T10:26:01.024Z</PRODUCT_START_TIME>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
    </Product_Info>
    <Product_Image_Characteristics>
      <QUANTIFICATION_VALUES_LIST>
        <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
        <AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>
      </QUANTIFICATION_VALUES_LIST>
      {offsets}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-2A_User_Product>
"""
MTD_L1C = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-1C.xsd">
  <n1:General_Info>
    <Product_Info><PRODUCT_START_TIME>2022-06-14T10:26:01.024Z</PRODUCT_START_TIME></Product_Info>
    <Product_Image_Characteristics>
      <QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
      {offsets}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-1C_User_Product>
"""
MTD_TL = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Tile_Metadata.xsd">
  <n1:General_Info><SENSING_TIME metadataLevel="Standard">2022-06-14T10:32:21.5Z</SENSING_TIME></n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Angles>
      <Mean_Sun_Angle>
        <ZENITH_ANGLE unit="deg">26.5</ZENITH_ANGLE>
        <AZIMUTH_ANGLE unit="deg">147.25</AZIMUTH_ANGLE>
      </Mean_Sun_Angle>
    </Tile_Angles>
  </n1:Geometric_Info>
</n1:Level-2A_Tile_ID>
"""
MSK_CLOUDS = """<?xml version="1.0" encoding="UTF-8"?>
<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" xmlns:gml="http://www.opengis.net/gml/3.2">
  <gml:name>MSK_CLOUDS pixel mask</gml:name>
  <gml:boundedBy><gml:Envelope srsName="urn:ogc:def:crs:EPSG:8.8.1:32632">
    <gml:lowerCorner>600000 5197620</gml:lowerCorner><gml:upperCorner>602400 5200020</gml:upperCorner>
  </gml:Envelope></gml:boundedBy>
  <eop:maskMembers>{members}</eop:maskMembers>
</eop:Mask>
"""
MSK_CLOUD = """<eop:MaskFeature gml:id="OPAQUE.0">
  <eop:maskType codeSpace="urn:gs2:S2PDGS:maskType">OPAQUE</eop:maskType>
  <eop:extentOf><gml:Polygon gml:id="OPAQUE.0_Polygon">
    <gml:exterior><gml:LinearRing><gml:posList srsDimension="2">600100 5199920 600300 5199920 600300 5199820
      600100 5199820 600100 5199920</gml:posList></gml:LinearRing></gml:exterior>
    <gml:interior><gml:LinearRing><gml:posList srsDimension="2">600150 5199880 600170 5199880 600170 5199860
      600150 5199860 600150 5199880</gml:posList></gml:LinearRing></gml:interior>
  </gml:Polygon></eop:extentOf>
</eop:MaskFeature>"""
NATIVE = {
    "B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10, "B8A": 20,
    "B09": 60, "B10": 60, "B11": 20, "B12": 20,
}  # fmt: skip


def write(path, image, size=10.0, crs=UTM, left=LEFT, top=TOP, driver="GTiff", overviews=(), **options):
    """Write (B, h, w) or (h, w) north up; returns the path as text."""
    image = image if image.ndim == 3 else image[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptions = options.pop("descriptions", None)
    tags = options.pop("tags", {})
    scales, offsets = options.pop("scales", None), options.pop("offsets", None)
    transform = options.pop("transform", Affine(size, 0, left, 0, -size, top))
    profile = {"driver": driver, "count": image.shape[0], "height": image.shape[1], "width": image.shape[2]}
    if driver == "JP2OpenJPEG":
        options |= {"QUALITY": "100", "REVERSIBLE": "YES"}
    with rasterio.open(
        path, "w", dtype=image.dtype, crs=crs, transform=transform, **profile, **options
    ) as file:
        file.write(image)
        if descriptions:
            file.descriptions = descriptions
        if scales:
            file.scales, file.offsets = scales, offsets
        if tags:
            file.update_tags(**tags)
        if overviews:
            file.build_overviews(list(overviews), Resampling.average)
    return str(path)


def numbers(band, size, side=240):
    """What `make_safe` stores in a band: known and different for each."""
    pixels = int(side // size) * 10
    rng = np.random.default_rng(int.from_bytes(band.encode(), "big"))
    return rng.integers(1001, 9000, (pixels, pixels)).astype(np.uint16)


def make_safe(folder, level="2A", baseline="04.00", side=240, cloudy=True):
    """A .SAFE folder whose tile is `side` x 10 m wide (a multiple of 60 m)."""
    number = baseline.replace(".", "")
    name = f"S2A_MSIL{level}_20220614T102601_N{number}_R108_T32TPT_20220614T164902.SAFE"
    product = folder / name
    tile = product / "GRANULE" / f"L{level}_T32TPT_A036458_20220614T103221"
    late = baseline >= "04.00"
    offsets = ""
    if late:
        tag, parent = (
            ("BOA_ADD_OFFSET", "BOA_ADD_OFFSET_VALUES_LIST") if level == "2A"
            else ("RADIO_ADD_OFFSET", "Radiometric_Offset_List")
        )  # fmt: skip
        rows = "".join(f'<{tag} band_id="{i}">-1000</{tag}>' for i in range(13))
        offsets = f"<{parent}>{rows}</{parent}>"
    product.mkdir(parents=True)
    text = (MTD_L2A if level == "2A" else MTD_L1C).format(offsets=offsets, baseline=baseline)
    (product / f"MTD_MSIL{level}.xml").write_text(text)
    tile.mkdir(parents=True)
    (tile / "MTD_TL.xml").write_text(MTD_TL)
    stem = "T32TPT_20220614T102601"
    for band, metres in NATIVE.items():
        if level == "1C":
            write(
                tile / "IMG_DATA" / f"{stem}_{band}.jp2",
                numbers(band, metres, side),
                metres,
                driver="JP2OpenJPEG",
            )
            continue
        if band == "B10":
            continue
        for size in (10, 20, 60):
            if size >= metres and (size, band) != (60, "B08"):
                image = numbers(band, size, side)
                file = tile / "IMG_DATA" / f"R{size}m" / f"{stem}_{band}_{size}m.jp2"
                write(file, image, size, driver="JP2OpenJPEG")
    if level == "2A":
        scl = np.full((int(side // 20) * 10,) * 2, 4, np.uint8)
        scl[:20, :20] = 9
        write(tile / "IMG_DATA" / "R20m" / f"{stem}_SCL_20m.jp2", scl, 20, driver="JP2OpenJPEG")
        write(
            tile / "IMG_DATA" / "R10m" / f"{stem}_AOT_10m.jp2", numbers("AOT", 10, side), driver="JP2OpenJPEG"
        )
        write(
            tile / "IMG_DATA" / "R10m" / f"{stem}_TCI_10m.jp2",
            np.ones((3, 60, 60), np.uint8),
            driver="JP2OpenJPEG",
        )
    if level == "1C" and not late:
        (tile / "QI_DATA").mkdir()
        text = MSK_CLOUDS.format(members=MSK_CLOUD if cloudy else "")
        (tile / "QI_DATA" / "MSK_CLOUDS_B00.gml").write_text(text)
    if late:
        classi = np.zeros((3, 4 * 10, 4 * 10), np.uint8)
        classi[0, :3, :3] = 1
        write(tile / "QI_DATA" / "MSK_CLASSI_B00.jp2", classi, 60, driver="JP2OpenJPEG")
    return product


LANDSAT_ID = "LC08_L2SP_192030_20200715_20200913_02_T1"

MTL_C2 = {
    "LANDSAT_METADATA_FILE": {
        "PRODUCT_CONTENTS": {"LANDSAT_PRODUCT_ID": LANDSAT_ID, "PROCESSING_LEVEL": "L2SP"},
        "IMAGE_ATTRIBUTES": {
            "SPACECRAFT_ID": "LANDSAT_8", "SENSOR_ID": "OLI_TIRS", "DATE_ACQUIRED": "2020-07-15",
            "SUN_AZIMUTH": "139.5", "SUN_ELEVATION": "30.0",
        },
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {
            **{f"REFLECTANCE_MULT_BAND_{b}": "2.75e-05" for b in range(1, 8)},
            **{f"REFLECTANCE_ADD_BAND_{b}": "-0.2" for b in range(1, 8)},
        },
        "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS": {
            "TEMPERATURE_MULT_BAND_ST_B10": "0.00341802", "TEMPERATURE_ADD_BAND_ST_B10": "149.0",
        },
        "LEVEL1_RADIOMETRIC_RESCALING": {
            **{f"REFLECTANCE_MULT_BAND_{b}": "2.0000E-05" for b in range(1, 10)},
            **{f"REFLECTANCE_ADD_BAND_{b}": "-0.100000" for b in range(1, 10)},
        },
    }
}  # fmt: skip


def mtl_text(tree, form):
    """The metadata tree as txt, json or xml."""
    ((root, groups),) = tree.items()
    if form == "json":
        return json.dumps(tree, indent=2)
    if form == "xml":
        inner = "".join(
            f"<{g}>" + "".join(f"<{k}>{v}</{k}>" for k, v in values.items()) + f"</{g}>"
            for g, values in groups.items()
        )
        return f'<?xml version="1.0" encoding="UTF-8"?><{root}>{inner}</{root}>'
    lines = [f"GROUP = {root}"]
    for group, values in groups.items():
        lines += [
            f"  GROUP = {group}",
            *(f'    {k} = "{v}"' for k, v in values.items()),
            f"  END_GROUP = {group}",
        ]
    return "\n".join([*lines, f"END_GROUP = {root}", "END"])


def make_landsat_c2(folder, form="txt", side=40):
    """A Collection 2 Level 2 folder of Landsat 8."""
    product = folder / LANDSAT_ID
    rng = np.random.default_rng(8)
    for band in range(1, 8):
        image = rng.integers(7500, 20000, (side, side)).astype(np.uint16)
        image[:2] = 0
        write(product / f"{LANDSAT_ID}_SR_B{band}.TIF", image, 30, nodata=0)
    kelvin = rng.integers(40000, 48000, (side, side)).astype(np.uint16)
    write(product / f"{LANDSAT_ID}_ST_B10.TIF", kelvin, 30, nodata=0)
    quality = np.full((side, side), 21824, np.uint16)  # clear
    quality[5:9, 5:9] = 22280  # cloud, high confidence
    write(product / f"{LANDSAT_ID}_QA_PIXEL.TIF", quality, 30, nodata=1)
    write(product / f"{LANDSAT_ID}_QA_RADSAT.TIF", np.zeros((side, side), np.uint16), 30)
    write(product / f"{LANDSAT_ID}_SR_QA_AEROSOL.TIF", np.ones((side, side), np.uint8), 30, nodata=1)
    write(product / f"{LANDSAT_ID}_ST_EMIS.TIF", np.ones((side, side), np.int16), 30)
    if form:
        (product / f"{LANDSAT_ID}_MTL.{form}").write_text(mtl_text(MTL_C2, form))
    return product


def make_landsat_c1_l1(folder, side=40):
    """A Collection 1 Level 1 folder of Landsat 8, with the panchromatic band."""
    name = "LC08_L1TP_192030_20180710_20180717_01_T1"
    product = folder / name
    rng = np.random.default_rng(7)
    for band in (*range(1, 8), 9, 10, 11):
        write(product / f"{name}_B{band}.TIF", rng.integers(5000, 30000, (side, side)).astype(np.uint16), 30)
    pan = rng.integers(5000, 30000, (2 * side, 2 * side)).astype(np.uint16)
    write(product / f"{name}_B8.TIF", pan, 15)
    write(product / f"{name}_BQA.TIF", np.full((side, side), 2720, np.uint16), 30)
    tree = {
        "L1_METADATA_FILE": {
            "PRODUCT_METADATA": {"SPACECRAFT_ID": "LANDSAT_8", "DATE_ACQUIRED": "2018-07-10"},
            "IMAGE_ATTRIBUTES": {"SUN_AZIMUTH": "140.0", "SUN_ELEVATION": "30.0"},
            "RADIOMETRIC_RESCALING": {
                **{f"REFLECTANCE_MULT_BAND_{b}": "2.0000E-05" for b in range(1, 10)},
                **{f"REFLECTANCE_ADD_BAND_{b}": "-0.100000" for b in range(1, 10)},
                **{f"RADIANCE_MULT_BAND_{b}": "3.3420E-04" for b in (10, 11)},
                **{f"RADIANCE_ADD_BAND_{b}": "0.10000" for b in (10, 11)},
            },
        }
    }
    (product / f"{name}_MTL.txt").write_text(mtl_text(tree, "txt"))
    return product
