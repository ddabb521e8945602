"""The membrane that peers and the scoring share: Laplace's equation in the gap, exactly solved.

Kept apart from `models` on purpose: the evaluation must not change with the method it judges.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from ...models.base import Flags, Floats


def membrane(image: Floats, unknown: Flags) -> Floats:
    """(B, H, W) with `unknown` (H, W) samples replaced by the harmonic surface through the others.

    Five-point Laplacian, edges of the window reflect (no flow). All bands share one
    factorisation. With nothing known the result is zero.
    """
    filled = image.astype(np.float32, copy=True)
    count = int(unknown.sum())
    if not count:
        return filled
    if unknown.all():
        filled[...] = 0
        return filled
    number = np.full(unknown.shape, -1)
    number[unknown] = np.arange(count)
    right = np.zeros((count, len(image)))
    degree = np.zeros(count)
    rows, columns = [], []
    for axis in (0, 1):
        for shift in (1, -1):
            here, there = _pairs(unknown.shape, axis, shift)
            inside = unknown[here]
            degree += np.bincount(number[here][inside], minlength=count)
            both = inside & unknown[there]
            rows.append(number[here][both])
            columns.append(number[there][both])
            rim = inside & ~unknown[there]
            np.add.at(right, number[here][rim], image[(slice(None), *there)][:, rim].T)
    off = sparse.coo_matrix(
        (np.full(sum(map(len, rows)), -1.0), (np.concatenate(rows), np.concatenate(columns))), (count, count)
    )
    matrix = (off + sparse.diags(degree)).tocsc()
    solved = linalg.splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(right)
    filled[:, unknown] = solved.T
    return filled


def _pairs(shape: tuple[int, ...], axis: int, shift: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    whole = [slice(None), slice(None)]
    here, there = list(whole), list(whole)
    first, last = slice(0, shape[axis] - 1), slice(1, shape[axis])
    here[axis], there[axis] = (first, last) if shift > 0 else (last, first)
    return tuple(here), tuple(there)
