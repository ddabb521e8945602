"""Which dates are of use."""

import numpy as np
from terramend.models.base import Reference
from terramend.models.guided.select import select

from .scenes import blobs, hide, texture


def test_select_ranks_by_correlation_and_clear_share():
    truth = texture((60, 60), 1)
    gap = blobs((60, 60), 2, 0.3)
    image, _ = hide(truth, gap)
    random = np.random.default_rng(3)
    good = truth + 0.01 * random.standard_normal(truth.shape)
    cloudy = truth.copy()
    cloudy[:, gap] = np.nan
    bad = texture((60, 60), 9)
    references = tuple(Reference(np.asarray(r, np.float32)) for r in (bad, cloudy, good))
    chosen = select(image, ~gap, gap, references)
    assert chosen[0] == 2 and 1 not in chosen
