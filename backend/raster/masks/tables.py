"""What mask values mean: the bit and class tables of the sensors, as their documents give them.

A `Layout` says for each class which values mark it. Growth is in pixels of the mask
itself, so that it means the same on any grid: 0 where the producer has already dilated
its clouds or where a person drew the mask, more where rims are known to be missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Field:
    """Values of a bit field that count. `width` 0: the whole value, not a bit field."""

    values: tuple[int, ...]
    first: int = 0
    width: int = 0
    band: int = 1


def bit(number: int, band: int = 1) -> Field:
    """The bit is set."""
    return Field((1,), number, 1, band)


def level(first: int, *values: int, width: int = 2) -> Field:
    """The bits from `first` on hold one of `values` (0 unknown, 1 low, 2 medium, 3 high)."""
    return Field(values, first, width)


def code(*values: int, band: int = 1) -> Field:
    """The whole value is one of `values`."""
    return Field(values, band=band)


@dataclass(frozen=True)
class Layout:
    """How the values of one kind of mask mark classes.

    Attributes:
        kind: the kind of `request.MASK_KINDS` that it belongs to.
        classes: class name to the fields that mark it (any of them is enough).
        fill: fields that mark pixels without observation.
        growth: default growth in pixels of the mask.
        source: the document that gives the table.
    """

    kind: str
    classes: Mapping[str, tuple[Field, ...]]
    fill: tuple[Field, ...] = ()
    growth: float = 0
    source: str = field(default="", compare=False)


# Landsat. Medium confidence counts as cloud: a hole costs less than a cloud taken as ground.
QA_PIXEL = Layout(
    "qa_pixel",
    {
        "cloud": (bit(3), bit(1), level(8, 2, 3)),  # bit 1 is cloud dilated by CFMask
        "shadow": (bit(4), level(10, 3)),
        "cirrus": (bit(2), level(14, 3)),
        "snow": (bit(5), level(12, 3)),
        "water": (bit(7),),
    },
    fill=(bit(0),),
    growth=1,
    source="USGS LSDS-1619, Landsat 8-9 Collection 2 Level 2 guide, table of QA_PIXEL; LSDS-1618 for 4-7",
)
PIXEL_QA_C1 = Layout(
    "qa_pixel",
    {
        "cloud": (bit(5), level(6, 2, 3)),
        "shadow": (bit(3),),
        "cirrus": (level(8, 3),),
        "snow": (bit(4),),
        "water": (bit(2),),
    },
    fill=(bit(0),),
    growth=2,
    source="USGS LSDS-1368, Landsat 8 Collection 1 surface reflectance (LaSRC) guide, pixel_qa; LSDS-1370",
)
BQA_C1 = Layout(
    "bqa",
    {
        "cloud": (bit(4), level(5, 2, 3)),
        "shadow": (level(7, 3),),
        "cirrus": (level(11, 3),),
        "snow": (level(9, 3),),
        "saturated": (level(2, 1, 2, 3),),
    },
    fill=(bit(0),),
    growth=3,
    source="USGS LSDS-1656, Landsat 8 Collection 1 Level 1 data format, quality band",
)
BQA_PRE = Layout(
    "bqa",
    {
        "cloud": (level(14, 2, 3),),
        "cirrus": (level(12, 3),),
        "snow": (level(10, 3),),
        "water": (level(4, 3),),
    },
    fill=(bit(0), bit(1)),  # designated fill, dropped frame
    growth=3,
    source="USGS Landsat 8 pre-collection quality band",
)

# Sentinel-2
SCL = Layout(
    "scl",
    {
        "cloud": (code(8, 9),),  # medium and high probability
        "shadow": (code(3),),
        "cirrus": (code(10),),
        "snow": (code(11),),
        "water": (code(6),),
        "saturated": (code(1),),
        "unclassified": (code(7),),
    },
    fill=(code(0),),
    growth=3,
    source="ESA Sentinel-2 Level-2A products, scene classification (Sen2Cor)",
)
QA60 = Layout(
    "qa60",
    {"cloud": (bit(10),), "cirrus": (bit(11),)},
    growth=1,
    source="Earth Engine catalog, COPERNICUS/S2, QA60",
)
MSK_CLASSI = Layout(
    "qa60",
    {"cloud": (code(1, band=1),), "cirrus": (code(1, band=2),), "snow": (code(1, band=3),)},
    growth=1,
    source="ESA Sentinel-2 product specification from baseline 04.00, MSK_CLASSI (60 m)",
)
CLM = Layout(
    "clm",
    {"cloud": (code(1),)},
    fill=(code(255),),
    growth=2,
    source="Sentinel Hub, Sentinel-2 cloud masks by s2cloudless, CLM",
)
MAJA_CLM = Layout(
    "maja",
    {"cloud": (bit(1),), "shadow": (bit(5), bit(6)), "cirrus": (bit(4), bit(7))},
    growth=0,  # MAJA has dilated its clouds
    source="CNES/CESBIO MAJA, Sentinel-2 format, CLM",
)
MAJA_CLM_VENUS = Layout(
    "maja",
    {"cloud": (bit(1),), "shadow": (bit(2), bit(3)), "cirrus": (bit(6), bit(7))},
    growth=0,
    source="CNES/CESBIO, MUSCATE Venµs L2A format, CLM_XS: in another order than of Sentinel-2",
)
MAJA_MG2 = Layout(
    "maja",
    {"cloud": (bit(1),), "shadow": (bit(3),), "snow": (bit(2),), "water": (bit(0),)},
    growth=0,
    source="CNES/CESBIO MAJA, Sentinel-2 format, MG2",
)

# Fmask
FMASK = Layout(
    "fmask",
    {"cloud": (code(4),), "shadow": (code(2),), "snow": (code(3),), "water": (code(1),)},
    fill=(code(255),),
    growth=1,  # it has dilated by 3 pixels
    source="GERSL Fmask 3 and 4, read me",
)
PYTHON_FMASK = Layout(
    "fmask",
    {"cloud": (code(2),), "shadow": (code(3),), "snow": (code(4),), "water": (code(5),)},
    fill=(code(0),),
    growth=1,
    source="python-fmask documentation, output codes",
)
HLS_FMASK = Layout(
    "hls_fmask",
    {
        "cloud": (bit(1), bit(2)),  # bit 2: adjacent to cloud or shadow
        "shadow": (bit(3),),
        "cirrus": (bit(0),),
        "snow": (bit(4),),
        "water": (bit(5),),
    },
    fill=(code(255),),
    growth=0,
    source="NASA HLS v2.0 user guide, Fmask (version 1.4 has the same bits)",
)

# Others
UDM2 = Layout(
    "udm2",
    {
        "cloud": (code(1, band=6), code(1, band=5)),  # cloud, heavy haze
        "shadow": (code(1, band=3),),
        "cirrus": (code(1, band=4),),  # light haze
        "snow": (code(1, band=2),),
    },
    fill=(bit(0, band=8),),  # black fill
    growth=3,
    source="Planet, usable data masks, UDM2",
)
MODIS_STATE = Layout(
    "modis_state",
    {
        "cloud": (level(0, 1, 2), bit(10), bit(13)),  # cloudy, mixed; internal test; beside a cloud
        "shadow": (bit(2),),
        "cirrus": (level(8, 2, 3),),
        "snow": (bit(12), bit(15)),
        "water": (level(3, 0, 3, 5, 6, 7, width=3),),
    },
    fill=(code(65535),),
    growth=0,
    source="MOD09 user guide, 1 km state QA; the 500 m state of MOD09A1 is the same",
)

LAYOUTS: Mapping[str, tuple[Layout, ...]] = {
    "qa_pixel": (QA_PIXEL, PIXEL_QA_C1),
    "bqa": (BQA_C1, BQA_PRE),
    "scl": (SCL,),
    "fmask": (FMASK, PYTHON_FMASK),
    "hls_fmask": (HLS_FMASK,),
    "clm": (CLM,),
    "qa60": (QA60, MSK_CLASSI),
    "udm2": (UDM2,),
    "maja": (MAJA_CLM, MAJA_CLM_VENUS, MAJA_MG2),
    "modis_state": (MODIS_STATE,),
}
"""Layouts of the kinds that have classes; which of several holds, `detect` finds."""

PLAIN_KINDS = ("nonzero", "zero", "nodata", "value", "polygons")
"""Kinds without classes: what they mark is a gap. Default growth 0."""

CLOUD_PROBABILITY_GROWTH = 3.0
"""Pixels: probabilities fall off at cloud rims before the haze does."""
CLOUD_PROBABILITY_THRESHOLD = 40.0
"""Percent from which a cloud probability is a gap (the value that s2cloudless recommends)."""
