"""Methods as the plugin names them before a backend has been asked; a test compares both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from ..tr import tr


@dataclass(frozen=True)
class Method:
    """A row of the backend's registry, as far as a list needs it."""

    name: str
    title: str
    group: str
    modes: Tuple[str, ...] = ("fill",)


METHODS: Tuple[Method, ...] = (
    Method("guided", "Guided regression", "guided"),
    Method("harmonic", "Harmonic surface", "space"),
    Method("linear", "Linear surface", "space"),
    Method("idw", "Inverse distance (GDAL)", "space"),
    Method("nearest", "Nearest pixel", "space"),
    Method("mean", "Scene mean", "space"),
    Method("copy", "Nearest clear date", "time"),
    Method("time-linear", "Linear in time", "time"),
    Method("msda-cr", "MSDA-CR", "network", ("clear",)),
    Method("align-cr", "Align-CR", "network", ("fill", "clear")),
    Method("de", "Diffusion Enhancement", "experimental", ("fill", "clear")),
    Method("ddpm", "Land from noise (DDPM)", "experimental"),
    Method("aligndiff", "AlignDiff", "experimental"),
)


def group_title(group: str) -> str:
    """What a group of methods is called in lists."""
    return {
        "guided": tr("Guided by other dates, terrain or radar"),
        "space": tr("From the surroundings alone"),
        "time": tr("From other dates alone"),
        "network": tr("Learned"),
        "experimental": tr("Experimental"),
    }.get(group, group)
