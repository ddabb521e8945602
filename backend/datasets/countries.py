"""The table of countries that prompts name places by, made from Natural Earth.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python -m terramend.backend.datasets.countries package/countries-50m.json

World Atlas (Mike Bostock, ISC licence) is Natural Earth 4.1's 1:50m admin 0 countries as TopoJSON;
Natural Earth is in the public domain. What is kept: names and rings, corners on a grid of `STEP`
degrees, as differences.
"""

from __future__ import annotations

import json
import sys
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

STEP = 0.1
OUT = Path(__file__).parents[2] / "models/aligndiff/countries.json"
FULL = {
    "Antigua and Barb.": "Antigua and Barbuda",
    "Ashmore and Cartier Is.": "Ashmore and Cartier Islands",
    "Bosnia and Herz.": "Bosnia and Herzegovina",
    "Br. Indian Ocean Ter.": "British Indian Ocean Territory",
    "British Virgin Is.": "British Virgin Islands",
    "Cayman Is.": "Cayman Islands",
    "Central African Rep.": "Central African Republic",
    "Cook Is.": "Cook Islands",
    "Curaçao": "Curacao",
    "Côte d'Ivoire": "Ivory Coast",
    "Dem. Rep. Congo": "Democratic Republic of the Congo",
    "Dominican Rep.": "Dominican Republic",
    "Eq. Guinea": "Equatorial Guinea",
    "Faeroe Is.": "Faroe Islands",
    "Falkland Is.": "Falkland Islands",
    "Fr. Polynesia": "French Polynesia",
    "Fr. S. Antarctic Lands": "French Southern and Antarctic Lands",
    "Heard I. and McDonald Is.": "Heard Island",
    "Indian Ocean Ter.": "Indian Ocean Territories",
    "Macedonia": "North Macedonia",
    "Marshall Is.": "Marshall Islands",
    "N. Cyprus": "Northern Cyprus",
    "N. Mariana Is.": "Northern Mariana Islands",
    "Pitcairn Is.": "Pitcairn Islands",
    "S. Geo. and the Is.": "South Georgia",
    "S. Sudan": "South Sudan",
    "Solomon Is.": "Solomon Islands",
    "St-Barthélemy": "Saint Barthelemy",
    "St-Martin": "Saint Martin",
    "St. Kitts and Nevis": "Saint Kitts and Nevis",
    "St. Pierre and Miquelon": "Saint Pierre and Miquelon",
    "St. Vin. and Gren.": "Saint Vincent and the Grenadines",
    "São Tomé and Principe": "Sao Tome and Principe",
    "Turks and Caicos Is.": "Turks and Caicos Islands",
    "U.S. Virgin Is.": "United States Virgin Islands",
    "United States of America": "United States",
    "W. Sahara": "Western Sahara",
    "Wallis and Futuna Is.": "Wallis and Futuna",
    "eSwatini": "Eswatini",
    "Åland": "Aland",
}
"""Abbreviated names, and those whose letters a small vocabulary has not, in full."""


def table(topology: dict[str, Any]) -> dict[str, list[list[int]]]:
    """Name of each country to its rings: x, y of the first corner in steps, then differences.

    Outer and inner rings stand side by side: a point inside an odd number of rings lies in the country.
    """
    (a, b), (c, d) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs: list[list[tuple[int, int]]] = []
    for arc in topology["arcs"]:
        places = zip(*(accumulate(column) for column in zip(*arc, strict=True)), strict=True)
        arcs.append([(round((x * a + c) / STEP), round((y * b + d) / STEP)) for x, y in places])
    countries: dict[str, list[list[int]]] = {}
    for shape in topology["objects"]["countries"]["geometries"]:
        name = shape["properties"]["name"]
        polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
        rings = countries.setdefault(FULL.get(name, name), [])
        for ring in (ring for polygon in polygons for ring in polygon):
            corners: list[tuple[int, int]] = []
            for index in ring:
                corners += arcs[index] if index >= 0 else arcs[~index][::-1]
            corners = [corner for before, corner in pairwise([(10**6, 0), *corners]) if corner != before]
            flat = [*corners[0], *(n for (x, y), (u, v) in pairwise(corners) for n in (u - x, v - y))]
            rings.append(flat[:-2] if corners[-1] == corners[0] and len(corners) > 1 else flat)
    return {name: _areas(countries[name]) for name in sorted(countries)}


def _areas(rings: list[list[int]]) -> list[list[int]]:
    """The rings that are more than a line after rounding; of a country without any, its first one."""
    return [ring for ring in rings if len(ring) > 4] or rings[:1]


def main() -> None:
    """Write the table that the package carries."""
    topology = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    found = {
        "source": "Natural Earth 4.1, 1:50m admin 0 countries, from World Atlas 2.0.2 (ISC)",
        "licence": "public domain",
        "step": STEP,
        "countries": table(topology),
    }
    OUT.write_text(json.dumps(found, separators=(",", ":"), ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
