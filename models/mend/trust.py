"""How far `mend` is followed: what the gate found on cases it was never trained on, as data.

A scene is one of `CASES` by what there is to lean on; within it the answer depends on the
distance to valid pixels alone, which stands for the kind of gap (scattered pixels and stripes
are near, clouds and blobs far) and changes smoothly, so that nothing jumps inside a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base import Floats, Tile

CASES = ("space", "terrain", "radar", "one", "two", "few", "many")
"""Nothing but the scene, a DEM, radar, or so many references of use (few: to five)."""
NODES = (1.0, 3.0, 8.0, 20.0)
"""Pixels from valid data at which the tables hold; between them the logarithm is interpolated."""


@dataclass(frozen=True)
class Trust:
    """Tables of `CASES` by `NODES`.

    Attributes:
        mean: share (0 to 1) of the correction that is added.
        std: factor on the deviation that the network says; a case without an entry keeps
            the prior's.
    """

    mean: Mapping[str, tuple[float, ...]]
    std: Mapping[str, tuple[float, ...]]

    def silent(self, case: str) -> bool:
        """Whether the network has nothing to say in this case."""
        return case not in self.std and not any(self.mean.get(case, ()))


def read(config: Mapping[str, Any]) -> Trust:
    """The tables in the `config.json` of a run that `terramend experiment mend` has tested.

    Raises:
        ValueError: it was not tested, or for other cases or distances.
    """
    if "nodes" not in config:
        raise ValueError("the network was not tested yet: run terramend experiment mend --run FOLDER")
    mean, std = (
        {case: tuple(map(float, row)) for case, row in config[key].items()} for key in ("mean", "std")
    )
    fits = all(case in CASES and len(row) == len(NODES) for case, row in [*mean.items(), *std.items()])
    if tuple(config["nodes"]) != NODES or not fits:
        raise ValueError("the network was tested by another version: run terramend experiment mend again")
    return Trust(mean, std)


def hats(distance: Floats) -> Floats:
    """(4, ...) weights of the nodes at distances in pixels; they sum to 1."""
    place = np.interp(np.log(np.maximum(distance, 1e-3)), np.log(NODES), np.arange(len(NODES)))
    nodes = np.arange(len(NODES)).reshape(-1, *(1,) * distance.ndim)
    return np.maximum(1 - np.abs(place - nodes), 0).astype(np.float32)


def case_of(tile: Tile, usable: int) -> str:
    """Which of `CASES` a scene is; `usable`: references that overlap its valid pixels."""
    if usable:
        return "one" if usable == 1 else "two" if usable == 2 else "few" if usable <= 5 else "many"
    if tile.terrain is not None and np.isfinite(tile.terrain[0]).any():
        return "terrain"
    return "radar" if tile.sar is not None and np.isfinite(tile.sar).any() else "space"
