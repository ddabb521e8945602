"""Every reconstructor as one declarative row; nothing heavy is imported until it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from .base import Reconstructor


@dataclass(frozen=True)
class Row:
    """A reconstructor as the doors and the dock see it.

    Attributes:
        name: what `--model` takes.
        title, summary: for people, one line each.
        group: `guided`, `space`, `time`, `network` or `experimental`.
        factory: `module:callable` inside `models`; called with the settings.
        modes: of `fill`, `clear`.
        needs, wants: of `references`, `terrain`, `sar`, `prior`; needs are enforced.
        context: pixels around a tile's core that the method must see.
        options: names that `--set` takes, with one line of help each.
        requires: extra importable modules (for example `torch`).
    """

    name: str
    title: str
    summary: str
    group: str
    factory: str
    modes: tuple[str, ...] = ("fill",)
    needs: frozenset[str] = frozenset()
    wants: frozenset[str] = frozenset()
    context: int = 32
    options: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()

    def create(
        self, quality: str = "default", seed: int = 0, settings: Mapping[str, str] | None = None
    ) -> Reconstructor:
        """Import the module and make the reconstructor.

        Raises:
            KeyError: a setting that `options` does not name.
        """
        settings = settings or {}
        for key in settings:
            if key not in self.options:
                raise KeyError(key)
        module, _, attribute = self.factory.partition(":")
        made = getattr(importlib.import_module("." + module, __package__), attribute)
        return made(quality=quality, seed=seed, **settings)  # type: ignore[no-any-return]


ROWS: tuple[Row, ...] = (
    Row(
        "guided",
        "Guided regression",
        "Local regression on other dates, terrain or radar, corrected from the rim; else space alone.",
        "guided",
        "guided.model:create",
        wants=frozenset({"references", "terrain", "sar"}),
        context=64,
    ),
    Row(
        "harmonic",
        "Harmonic surface",
        "Laplace's equation: the smoothest surface through the gap's rim.",
        "space",
        "classical.space:create_harmonic",
    ),
    Row(
        "linear",
        "Linear surface",
        "Flat triangles between the pixels of the gap's rim.",
        "space",
        "classical.space:create_linear",
    ),
    Row(
        "idw",
        "Inverse distance (GDAL)",
        "GDAL's fillnodata: inverse distance weights of rim pixels in eight directions.",
        "space",
        "classical.space:create_idw",
    ),
    Row(
        "nearest",
        "Nearest pixel",
        "The value of the nearest valid pixel.",
        "space",
        "classical.space:create_nearest",
    ),
    Row(
        "mean",
        "Scene mean",
        "The mean of the band: a floor.",
        "space",
        "classical.space:create_mean",
        context=0,
    ),
    Row(
        "copy",
        "Nearest clear date",
        "The value of the nearest date that is clear at the pixel.",
        "time",
        "classical.time:create_copy",
        needs=frozenset({"references"}),
        context=0,
    ),
    Row(
        "time-linear",
        "Linear in time",
        "A line between the nearest clear dates before and after, pixel by pixel.",
        "time",
        "classical.time:create_time_linear",
        needs=frozenset({"references"}),
        context=0,
    ),
)


def find(name: str) -> Row | None:
    """The row called `name`, or None."""
    return next((row for row in ROWS if row.name == name), None)
