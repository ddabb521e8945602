"""What errors are in, and how they are told."""

WORDS = {"reflectance": "reflectance", "kilokelvin": "kelvin", "values": "the file's own values"}
"""What people are told, by unit. Temperatures of a raster with optical bands are read in `kilokelvin`;
indices, and temperatures of a raster without, as the file's own `values`."""


def figure(error: float, unit: str, sign: str = "") -> str:
    """An error in a unit as people are told it, the unit being `WORDS[unit]`; `sign` `+`: with its sign."""
    if unit == "kilokelvin":
        return f"{1000 * error:{sign}.2f}"
    return f"{error:{sign}{'.3g' if unit == 'values' else '.4f'}}"  # a file's values may be of any size
