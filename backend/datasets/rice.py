"""`rice_rgb_pairs`: cloudy and clear display images (RICE1 thin, RICE2 thick cloud); for research only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .files import reflectance
from .place import Date, Place

FOLDER = "rice_rgb_pairs"


def names(folder: Path) -> list[str]:
    """Set and number, for example `rice1_007`."""
    return sorted(path.name.removesuffix("_clear.png") for path in folder.glob("*_clear.png"))


def files(folder: Path, name: str) -> list[Path]:
    """Two pictures."""
    return [folder / f"{name}_clear.png", folder / f"{name}_cloudy.png"]


def read(folder: Path, name: str) -> Place:
    """Display values / 255. There is no mask: any pixel of the cloudy picture may be changed."""
    clear = reflectance(folder / f"{name}_clear.png", 1 / 255, bands=3)
    cloudy = reflectance(folder / f"{name}_cloudy.png", 1 / 255, bands=3)
    none = np.zeros(clear.shape[1:], bool)
    dates = (Date("clear", clear, none), Date("cloudy", cloudy, ~none))
    return Place(
        FOLDER, name, ("red", "green", "blue"), (660.0, 560.0, 485.0), dates,
        pairs=(("cloudy", "clear"),), scale="display/255",
    )  # fmt: skip
