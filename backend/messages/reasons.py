"""Why a method was chosen: sentences, and names of what they compare: a part of the table of `notices`.

Standard library only, Python 3.9: what imports `notices` imports this.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Mapping

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "reason.asked": "{title} was asked for.",
        "reason.clear": "{title} removes thin cloud.",
        "reason.classes": "Each gap of a map of classes takes the most frequent class around it.",
        "reason.date": "One other date of this place can show what lies in the gaps.",
        "reason.dates": "{count} other dates of this place can show what lies in the gaps.",
        "reason.guides": (
            "There is no other date, so terrain and radar guide the fill where they explain the image."
        ),
        "reason.terrain": (
            "There is no other date, so the terrain guides the fill where it explains the image."
        ),
        "reason.sar": "There is no other date, so radar guides the fill where it explains the image.",
        "reason.surroundings": (
            "There is no other date and no terrain, so only the surroundings can be used: "
            "expect smooth fills."
        ),
        "reason.untried": "Filling first tries that on hidden pixels of this scene.",
        "reason.two": (
            "On hidden pixels of this scene the error in {unit} is {error} with {way} and "
            "{error_2} with {way_2}."
        ),
        "reason.three": (
            "On hidden pixels of this scene the error in {unit} is {error} with {way}, "
            "{error_2} with {way_2} and {error_3} with {way_3}."
        ),
        "reason.close": "The errors are too close to change that.",
        "reason.left": (
            "On hidden pixels of this scene {way_2} fill with an error of {error_2}, clearly below the "
            "{error} with {way}, which is therefore left out."
        ),
        "reason.logarithms": (
            "The values spread over orders of magnitude, so they are filled on a logarithmic scale."
        ),
        "unit.reflectance": "reflectance",
        "unit.kilokelvin": "kelvin",
        "unit.values": "the file's own values",
        "way.date": "the other date",
        "way.dates": "{count} other dates",
        "way.terrain": "the terrain",
        "way.terrain-alone": "the terrain alone",
        "way.sar": "the radar",
        "way.sar-alone": "the radar alone",
        "way.guides": "the terrain and radar",
        "way.guides-alone": "the terrain and radar alone",
        "way.surroundings": "the surroundings alone",
    }
)
"""code: sentence (`reason.`) or what stands in one (`unit.`, `way.`)."""
