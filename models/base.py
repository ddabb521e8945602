"""The contract between scenes and reconstructors: arrays in, arrays out.

Values are reflectance in the target's radiometry (0..1, float32). NaN means *not
observed*: a gap, a pixel outside the footprint, a place that a DEM or a radar scene does
not cover. So nobody can use a hidden value by accident.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import IntEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


class Source(IntEnum):
    """Provenance of a pixel: what its value rests on most."""

    VALID = 0
    REFERENCE = 1
    SURROUNDINGS = 2
    GENERATED = 3
    GUIDE = 4  # terrain or SAR
    ALTERED = 5  # clear mode
    UNFILLED = 254
    OUTSIDE = 255


@dataclass(frozen=True)
class Reference:
    """Another date on the tile's grid.

    Attributes:
        image: (K, H, W) float32 reflectance, NaN where that date was not observed.
        days: its date minus the target's, in days (negative: before); None if unknown.
        name: for messages and provenance.
        alike: whether its first bands show what the target's show, in their order.
        own: whether it is no other date, but bands of the target itself that tell of others.
    """

    image: Floats
    days: int | None = None
    name: str = ""
    alike: bool = True
    own: bool = False


@dataclass(frozen=True)
class About:
    """What is known of a scene besides its pixels; the same in each of its tiles.

    Attributes:
        centre: latitude and longitude of its middle in degrees (WGS 84), or None.
        date: of the acquisition, or None.
        bands: what the bands of `Tile.image` are called, in order; or empty.
    """

    centre: tuple[float, float] | None = None
    date: datetime.date | None = None
    bands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tile:
    """A window of a scene (or the whole scene at reduced size: an overview).

    Attributes:
        image: (B, H, W) float32 reflectance, NaN where not observed (gaps and outside).
            In `clear` mode the clouded values are there and `gaps` marks all to change.
        gaps: (B, H, W) bool, the samples to predict.
        references: other dates, in the scene's order.
        terrain: (3, H, W) float32: elevation (m), slope (rad), illumination (cosine of
            the solar incidence angle; all NaN when the sun is not known), or None.
        sar: (2, H, W) float32: VV, VH backscatter in dB, or None.
        pixel_size: metres a tile pixel is high and wide.
        row, column: position of the tile's first pixel in the scene, in scene pixels.
        step: scene pixels per tile pixel (1 for tiles, >= 1 for overviews).
        wavelengths: nanometres per band of `image`, NaN where unknown; or empty.
        about: where, when and which bands, for models that are told so.
        detail: of an overview with a step above 1, windows of the scene at full size, all of one size.
    """

    image: Floats
    gaps: Flags
    references: tuple[Reference, ...] = ()
    terrain: Floats | None = None
    sar: Floats | None = None
    pixel_size: tuple[float, float] = (10.0, 10.0)
    row: int = 0
    column: int = 0
    step: int = 1
    wavelengths: tuple[float, ...] = ()
    about: About = About()
    detail: tuple[Tile, ...] = ()

    @property
    def valid(self) -> Flags:
        """(B, H, W) bool: samples that were observed and stay as they are."""
        return np.isfinite(self.image) & ~self.gaps

    @property
    def clouded(self) -> bool:
        """Whether samples to change were observed, as under thin cloud, rather than missing."""
        return bool(np.isfinite(self.image[self.gaps]).any())

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the tile's first pixel, in pixels of the tile's own size."""
        return self.row // self.step, self.column // self.step

    def mapped(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Tile:
        """The tile with all its planes (n, H, W) changed alike; `detail` stays as it is."""
        return replace(
            self,
            image=change(self.image),
            gaps=change(self.gaps),
            references=tuple(replace(r, image=change(r.image)) for r in self.references),
            terrain=None if self.terrain is None else change(self.terrain),
            sar=None if self.sar is None else change(self.sar),
        )

    def hiding(self, mask: Flags) -> Tile:
        """The tile as if the samples of a mask, (H, W) or (B, H, W), were gaps too; `detail` stays."""
        return replace(self, image=np.where(mask, np.float32(np.nan), self.image), gaps=self.gaps | mask)

    def cut(self, rows: slice, columns: slice) -> Tile:
        """The window of these of its pixels, copied; `detail` stays that of the whole."""
        return replace(
            self.mapped(lambda planes: planes[:, rows, columns].copy()),
            row=self.row + rows.start * self.step,
            column=self.column + columns.start * self.step,
        )


@dataclass(frozen=True)
class Prediction:
    """What a reconstructor says about a tile; only samples in `gaps` are read.

    Attributes:
        mean: (B, H, W) float32 reflectance, NaN where it could not fill.
        std: (B, H, W) float32 standard deviation in reflectance, NaN where unknown.
        source: (H, W) uint8 of `Source`, what rests behind the pixel most.
        reference: (H, W) int16 index of the main reference in `Tile.references`, -1: none.
    """

    mean: Floats
    std: Floats
    source: NDArray[np.uint8]
    reference: NDArray[np.int16]


def sources(gaps: Flags, mean: Floats, source: Source) -> NDArray[np.uint8]:
    """(H, W) uint8: `source` in gaps (of any band) where any mean is finite, `UNFILLED` in the others."""
    filled = np.where(np.isfinite(mean).any(0), source, Source.UNFILLED)
    return np.where(gaps.any(0), filled, Source.VALID).astype(np.uint8)


class Reconstructor(Protocol):
    """A method. Made by its registry row from settings; holds no scene data itself.

    What it has of these attributes is read too: `context`, pixels around a tile that it must see (its row's
    otherwise); `modes` that its weights can do; `wavelengths`, nanometres of the bands that it reads together
    (where a scene lacks one it predicts nothing); `provider` of ONNX Runtime, or else `device`, and
    `weights_sha256` for the record. Further abilities have protocols of their own, below. A state may have
    `findings`. What takes long calls `threads.proceed` between its steps.
    """

    def prepare(self, overview: Tile) -> Any:
        """See the whole scene at a bounded size; return a frozen state (may be None).

        Computed in fixed order in float64 where sums matter, so that the same scene
        gives the same state on any number of workers.
        """

    def predict(self, tile: Tile, state: Any) -> Prediction:
        """Predict the tile's gaps. Pure: the same tile and state give the same bytes."""


@runtime_checkable
class Movable(Protocol):
    """A method that can predict from references elsewhere, with the same numbers to float32 rounding."""

    def on(self, torch_device: str | None) -> Reconstructor:
        """The same, predicting on a torch device; None: where it computes without torch."""


@runtime_checkable
class Ordered(Protocol):
    """A method whose network knows certain bands, and goes by their number where a raster names none."""

    def order(self, mode: str, count: int) -> tuple[float, ...]:
        """Nanometres that `count` unnamed bands are taken for, in their order; empty: they are not."""


@dataclass(frozen=True)
class SamplerStep:
    """One step of a sampler on a window, for people to look at.

    Attributes:
        band: index in the tile, -1 where all bands go together. step: 0, 1, ...
        row, column: of the window's corner, in pixels of the scene.
        weight: (H, W) share of the reference, 0..1. image: (C, H, W) as shown, 0..1.
    """

    band: int
    step: int
    row: int
    column: int
    weight: Floats
    image: Floats


@runtime_checkable
class Observable(Protocol):
    """A reconstructor that tells what it sees on its way."""

    def observed(self, tell: Callable[[SamplerStep], None]) -> Reconstructor:
        """The same, calling `tell` at every step, in any thread."""


@dataclass(frozen=True)
class Findings:
    """What a method found amiss in a scene and put right before it learnt, for the user to know.

    Attributes:
        offsets: rows and columns in scene pixels by which each reference lies off; empty where none is read.
        haze, shadow: how many pixels from the gaps there is cloud or haze, and shadow, that the mask left and
            of which nothing is learnt; 0 for none. cast: whether there is such shadow anywhere.
        line: weight (0..1) of a line in time between the other dates, where little was observed to learn
            from; 0 where enough was.
        logarithms: whether values spread so far that they were filled on a logarithmic scale.
    """

    offsets: tuple[tuple[int, int], ...] = ()
    haze: int = 0
    shadow: int = 0
    cast: bool = False
    line: float = 0.0
    logarithms: bool = False


def findings(state: Any) -> Findings:
    """What a state tells as its `findings`; a method over another passes on those of the other's state."""
    found: Findings = getattr(state, "findings", Findings())
    return found


def digest(state: Any) -> str:
    """SHA-256 (hex) of a state made of dataclasses, tuples, mappings, arrays and scalars."""
    sha = hashlib.sha256()

    def feed(value: Any) -> None:
        if isinstance(value, np.ndarray):
            sha.update(f"{value.dtype.str}{value.shape}".encode())
            sha.update(np.ascontiguousarray(value).tobytes())
        elif is_dataclass(value) and not isinstance(value, type):
            sha.update(type(value).__name__.encode())
            for field in fields(value):
                sha.update(field.name.encode())
                feed(getattr(value, field.name))
        elif isinstance(value, Mapping):
            for key in sorted(value):
                sha.update(str(key).encode())
                feed(value[key])
        elif isinstance(value, (tuple, list)):
            sha.update(f"({len(value)}".encode())
            for item in value:
                feed(item)
        else:
            sha.update(repr(value).encode())

    feed(state)
    return sha.hexdigest()
