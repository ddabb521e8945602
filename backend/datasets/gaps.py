"""Gap shapes: real clouds laid over a window, large blobs, SLC-off stripes, scattered pixels.

A gap is a recipe (`Gap`), not pixels: kind, seed and, for real clouds, the mask it is cut from.
The same recipe gives the same bits on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ...models.base import Flags

KINDS = ("cloud", "blob", "stripes", "random")
"""Kinds that hide known pixels; reported apart, never averaged."""
GROW = 2
"""Pixels that cloud masks are grown by, as analysts do; see the defaults of the mask kinds."""


@dataclass(frozen=True)
class Gap:
    """How to make a gap.

    Attributes:
        kind: one of `KINDS`, or `own` (the date's own mask) or `whole` (every pixel).
        seed: for blob, stripes and random. fraction: share of the window wanted there.
        source: dataset, place and date whose mask gives a cloud's shape.
        row, column: first pixel of the cut in the turned and zoomed mask.
        turn: 0 to 7, quarter turns, + 4 mirrored. zoom: pixels a mask pixel is wide.
    """

    kind: str
    seed: int = 0
    fraction: float = 0.0
    source: tuple[str, str, str] | None = None
    row: int = 0
    column: int = 0
    turn: int = 0
    zoom: int = 1


def grown(mask: Flags, pixels: int = GROW) -> Flags:
    """The mask with a rim of `pixels` (Euclidean) around it."""
    if not pixels or not mask.any():
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def laid(mask: Flags, gap: Gap, shape: tuple[int, int]) -> Flags:
    """A real mask turned, zoomed, cut to `shape` and grown."""
    turned = np.rot90(mask, gap.turn % 4)
    if gap.turn >= 4:
        turned = turned[:, ::-1]
    large = turned.repeat(gap.zoom, 0).repeat(gap.zoom, 1)
    return grown(large[gap.row : gap.row + shape[0], gap.column : gap.column + shape[1]])


def blob(shape: tuple[int, int], fraction: float, seed: int) -> Flags:
    """One connected region of about `fraction` of the window, its outline a random Fourier series."""
    rng = np.random.default_rng(seed)
    height, width = shape
    order = np.arange(1, 6)
    size, phase = rng.normal(0, 0.25 / order), rng.uniform(0, 2 * np.pi, 5)
    middle = rng.uniform(0.35, 0.65, 2) * (height, width)
    y, x = np.mgrid[:height, :width] - middle[:, None, None]
    angle, distance = np.arctan2(y, x), np.hypot(y, x)
    outline = 1 + (size[:, None, None] * np.cos(order[:, None, None] * angle + phase[:, None, None])).sum(0)
    reach = distance / np.maximum(outline, 0.3)
    return np.asarray(reach <= np.quantile(reach, fraction))


def stripes(shape: tuple[int, int], seed: int) -> Flags:
    """Wedges as Landsat 7 leaves since its scan line corrector failed.

    At 30 m the wedges repeat every 33 lines, lean by about 9 degrees and widen from nothing
    at the middle of the swath to some 14 lines at its edge; `seed` places the window in it.
    """
    rng = np.random.default_rng(seed)
    height, width = shape
    y, x = np.mgrid[:height, :width]
    lean = np.tan(np.radians(rng.uniform(7, 11))) * rng.choice((-1, 1))
    start, slope = rng.uniform(3, 9), rng.uniform(0.0, 0.03)
    thickness = np.clip(start + slope * x, 0, 14)
    return np.asarray((y + lean * x + rng.uniform(0, 33)) % 33 < thickness)


def scattered(shape: tuple[int, int], fraction: float, seed: int) -> Flags:
    """Single pixels drawn independently."""
    return np.asarray(np.random.default_rng(seed).random(shape) < fraction)


def make(gap: Gap, shape: tuple[int, int], mask: Flags | None = None) -> Flags:
    """(H, W) bool of a gap; `mask` is the source's mask for clouds, the date's own for `own`."""
    if gap.kind == "blob":
        return blob(shape, gap.fraction, gap.seed)
    if gap.kind == "stripes":
        return stripes(shape, gap.seed)
    if gap.kind == "random":
        return scattered(shape, gap.fraction, gap.seed)
    if gap.kind == "whole":
        return np.ones(shape, bool)
    if mask is None:
        raise ValueError(f"a gap of kind {gap.kind} needs a mask")
    return grown(mask) if gap.kind == "own" else laid(mask, gap, shape)
