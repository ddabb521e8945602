"""Ridge regression from sums of products: the one place where a penalty joins them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ridge_weights(
    gram: NDArray[np.floating], cross: NDArray[np.floating], penalty: float | NDArray[np.floating]
) -> NDArray[np.floating]:
    """(..., P, B) weights that minimise squared residuals + penalty x squared weight.

    Args:
        gram: (..., P, P) sums of products of features with each other. cross: (..., P, B) with what they
            are to predict, or (P,) of one.
        penalty: of a weight, in the units of `gram`: one for all, or (P,), 0 where a feature is free.

    Raises:
        LinAlgError: features depend on each other, and nothing is penalised.
    """
    left = gram.copy()
    diagonal = np.arange(left.shape[-1])
    left[..., diagonal, diagonal] += penalty
    return np.linalg.solve(left, cross)
