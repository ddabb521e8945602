"""What errors are in, and how they are told."""

WORDS = {"reflectance": "reflectance", "kilokelvin": "kilokelvin", "values": "the file's own values"}
"""By unit. Temperatures of a raster with optical bands are read in `kilokelvin`; indices, and temperatures
of a raster without, as the file's own `values`."""


def digits(unit: str) -> str:
    """Format of an error in a unit: values of a file may be of any size."""
    return ".3g" if unit == "values" else ".4f"
