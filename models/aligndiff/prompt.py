"""Semantic alignment: where, when and which band, as the text and the numbers that the model is told.

    <AlignDiff> Region, Band                 one date alone (the paper's task 1)
    <AlignDiff> Region, Date, Day, Band      among other dates (task 2)

The paper does not say what Day is; here it is the day of the year, next to the date in full. Names
of regions mean nothing for places never seen, so the model also gets numbers (`numbers`), which
stay near each other for near places and seasons.
"""

from __future__ import annotations

import datetime
import math
import re
import string

import numpy as np

from ..base import About, Floats, Tile
from .prompt_regions import region

Named = tuple[str, float]
"""A band: description, and nanometres or NaN."""

TOKEN = "<AlignDiff>"  # noqa: S105 # nosec B105 - a word of the prompt
"""The word that stands for this model in every prompt."""
SPACE = TOKEN + " {region}, {band}"
TIME = TOKEN + " {region}, {date}, {day}, {band}"
"""Templates of task 1 and 2; `--set prompt=` takes another one with the same fields."""
FIELDS = ("region", "date", "day", "band")
UNKNOWN = "unknown"
OCTAVES = 4
"""Sines and cosines at once, twice, four and eight times an angle."""
NUMBERS = 3 * 2 * OCTAVES + 2
"""Length of `numbers`."""

BANDS = (
    ("Coastal", 400, 455), ("Blue", 455, 520), ("Green", 520, 600), ("Red", 600, 690),
    ("Red edge", 690, 800), ("NIR", 800, 900), ("Water vapour", 900, 1000), ("Cirrus", 1340, 1420),
    ("SWIR1", 1500, 1800), ("SWIR2", 2000, 2400), ("Thermal", 8000, 13000),
)  # fmt: skip
"""Names of bands and the nanometres from and up to which their centres lie."""
_WORDS = (
    ("Coastal", r"coastal|aerosol"), ("Red edge", r"red[ _-]?edge|re\d?"), ("SWIR1", r"swir[ _-]?1\d?"),
    ("SWIR2", r"swir[ _-]?2\d?"), ("NIR", r"(b?nir|near[ _-]infra[ _-]?red)\d?"), ("Blue", r"blue"),
    ("Green", r"green"), ("Red", r"red"), ("Panchromatic", r"pan(chromatic)?"), ("Cirrus", r"cirrus"),
    ("Thermal", r"thermal|tirs?\d?|lwir\d*"),
)  # fmt: skip


def prompts(tile: Tile, template: str = "", place: str = "") -> tuple[str, ...]:
    """The prompt of each band of a tile, in order.

    Args:
        template: with any of the fields {region}, {date}, {day}, {band}; empty: the one of the task,
            which is the second where the tile has other dates.
        place: name of the region; empty: the country that holds the scene's centre.

    Raises:
        ValueError: a template that no prompt can be made of.
    """
    bands = named_bands(tile.about.bands, tile.wavelengths, len(tile.image))
    return of_scene(tile.about, bands, template or (TIME if tile.references else SPACE), place)


def of_scene(about: About, bands: list[Named], template: str, place: str = "") -> tuple[str, ...]:
    """Prompts of bands (description, nanometres or NaN) of a scene; as `prompts`."""
    check(template)
    words = {
        "region": place or (region(*about.centre) if about.centre else UNKNOWN),
        "date": about.date.isoformat() if about.date else UNKNOWN,
        "day": str(about.date.timetuple().tm_yday) if about.date else UNKNOWN,
    }
    return tuple(template.format(**words, band=band_name(*band)) for band in bands)


def check(template: str) -> None:
    """Raise ValueError, with the reason, for a template that is none."""
    try:
        found = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(f"{template!r} is no template: {error}") from None
    for name in found:
        if name not in FIELDS:
            known = ", ".join("{" + field + "}" for field in FIELDS)
            raise ValueError(f"{{{name}}} is no field of a prompt; there are {known}")
    try:
        template.format(**dict.fromkeys(FIELDS, ""))
    except (ValueError, LookupError) as error:  # what stands behind a field's name: {day:d}, {band!z}
        raise ValueError(f"{template!r} is no template: {error}") from None


def band_name(description: str, wavelength: float = math.nan) -> str:
    """The common name of a band: by its centre in nanometres, else by a word of its description."""
    for name, first, last in BANDS:
        if first <= wavelength < last:
            return name
    for name, words in _WORDS:
        if re.search(rf"(?<![a-z])({words})(?![a-z0-9])", description.lower()):
            return name
    return description.strip() or UNKNOWN


def numbers(about: About) -> Floats:
    """(NUMBERS,) float32: sines and cosines of latitude, longitude and day of the year, then two flags.

    The flags say whether place and date are known; what is not known is zero. Longitude and day go
    round: 180 W is 180 E, and the year's end is next to its beginning.
    """
    out = np.zeros(NUMBERS, np.float32)
    angles = [0.0, 0.0, 0.0]
    if about.centre:
        angles[:2] = (math.radians(degrees) for degrees in about.centre)
    if about.date:
        angles[2] = 2 * math.pi * (about.date.timetuple().tm_yday - 1) / _days(about.date)
    waves = np.array(angles)[:, None] * 2.0 ** np.arange(OCTAVES)
    known = np.array([about.centre is not None] * 2 + [about.date is not None])[:, None]
    out[:-2] = (np.concatenate([np.sin(waves), np.cos(waves)], 1) * known).ravel()
    out[-2:] = about.centre is not None, about.date is not None
    return out


def named_bands(names: tuple[str, ...], wavelengths: tuple[float, ...], count: int) -> list[Named]:
    """`count` bands as (description, nanometres), with what is not told empty."""
    return [
        (names[i] if i < len(names) else "", wavelengths[i] if i < len(wavelengths) else math.nan)
        for i in range(count)
    ]


def _days(date: datetime.date) -> int:
    return datetime.date(date.year, 12, 31).timetuple().tm_yday
