"""Which unobserved pixels a raster's observed ones enclose: by connection, or by the convex hull.

Both work on strips in order, so that a scene of any size needs the memory of one strip.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ....models.base import Flags


def hull_columns(
    first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right border of the convex hull of observed pixel centres, per row.

    Args:
        first, last: first and last observed column of each row; last < first where none is.

    Returns:
        Columns (fractional) per row; left > right in rows outside the hull.
    """
    rows = np.flatnonzero(last >= first)
    left, right = np.full(first.size, np.inf), np.full(first.size, -np.inf)
    if not rows.size:
        return left, right
    within = np.arange(rows[0], rows[-1] + 1)
    lower = _lower_hull(rows, first[rows])
    upper = _lower_hull(rows, -last[rows])
    # A millionth of a pixel of slack, so that rounding excludes no corner of the hull.
    left[within] = np.interp(within, rows[lower], first[rows][lower]) - 1e-6
    right[within] = np.interp(within, rows[upper], last[rows][upper]) + 1e-6
    return left, right


def _lower_hull(x: NDArray[np.int64], y: NDArray[np.int64]) -> list[int]:
    """Indices of the points of the lower convex hull (Andrew's monotone chain); x ascends."""
    chain: list[int] = []
    for i in range(x.size):
        while len(chain) > 1:
            a, b = chain[-2], chain[-1]
            if (x[b] - x[a]) * (y[i] - y[a]) > (y[b] - y[a]) * (x[i] - x[a]):
                break
            chain.pop()
        chain.append(i)
    return chain


class Enclosure:
    """Connected unobserved pixels (by edges) across strips: which of them reach the raster's edge."""

    def __init__(self) -> None:
        self._parent: list[int] = [0]  # node 0: outside
        self._base: list[int] = []
        self._bottom: NDArray[np.int64] | None = None

    def add(self, unobserved: Flags) -> None:
        """Take the next strip."""
        self._base.append(len(self._parent) - 1)
        count, labels = _components(unobserved)
        self._parent.extend(range(len(self._parent), len(self._parent) + count - 1))
        if count == 1:
            self._bottom = np.zeros(unobserved.shape[1], np.int64)
            return
        base = self._base[-1]
        edges = [labels[:, 0], labels[:, -1]]
        top = np.where(labels[0], labels[0].astype(np.int64) + base, 0)
        if self._bottom is None:
            edges.append(labels[0])
        else:
            both = (top > 0) & (self._bottom > 0)
            for pair in np.unique(np.stack([top[both], self._bottom[both]]), axis=1).T.tolist():
                self._unite(*pair)
        for label in np.unique(np.concatenate(edges)).tolist():
            if label:
                self._unite(label + base, 0)
        self._bottom = np.where(labels[-1], labels[-1].astype(np.int64) + base, 0)

    def outside(self) -> Callable[[int, Flags], Flags]:
        """After the last strip: a function of a strip's number and pixels that marks the outside."""
        if self._bottom is not None:
            for node in np.unique(self._bottom).tolist():
                if node:
                    self._unite(node, 0)
        reaches = np.array([self._root(node) == 0 for node in range(len(self._parent))])

        def is_outside(number: int, unobserved: Flags) -> Flags:
            count, labels = _components(unobserved)
            table = np.zeros(count, bool)
            base = self._base[number]
            table[1:] = reaches[base + 1 : base + count]
            return table[labels]

        return is_outside

    def _root(self, node: int) -> int:
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def _unite(self, one: int, other: int) -> None:
        a, b = self._root(one), self._root(other)
        self._parent[max(a, b)] = min(a, b)


def _components(flags: Flags) -> tuple[int, NDArray[np.int32]]:
    """Number of labels (with 0, the background) and labels of 4-connected flagged pixels."""
    if not flags.any():
        return 1, np.zeros(flags.shape, np.int32)
    count, labels = cv2.connectedComponents(flags.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    return count, labels.astype(np.int32, copy=False)
