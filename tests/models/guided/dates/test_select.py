"""Which dates are of use."""

import numpy as np
import pytest
from terramend.models.base import Reference
from terramend.models.guided.dates.select import score, select

from ..scenes import blobs, hide, texture


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


def scored(target, valid, gap, reference):
    """`score` by NumPy's own correlations."""
    clear = np.isfinite(reference).all(0)
    common = valid & clear
    found = np.abs(np.corrcoef(target[:, common], reference[:, common])[: len(target), len(target) :])
    alike = len(target) == len(reference)
    strengths = [row[band] if alike else max(row) for band, row in enumerate(found)]
    share = (clear & gap).sum() / gap.sum() if gap.any() else clear.mean()
    return np.mean(strengths) * share**0.25


@pytest.mark.parametrize("bands", [[0, 1], [1, 0], [0], [2, 1, 0]])
@pytest.mark.parametrize("gaps", [True, False])
def test_a_score_is_how_bands_correlate_times_the_root_of_the_share_that_is_clear(bands, gaps):
    """One to one where there are as many bands, else the best for each; a negative of the scene tells as much."""
    shape = (300, 310)
    truth = texture(shape, 1)
    gap = blobs(shape, 2, 0.3) & gaps
    reference = (0.9 - truth + 0.5 * texture(shape, 3))[bands]
    reference[:, blobs(shape, 4, 0.4)] = np.nan
    target = hide(truth[:2], gap)[0]
    assert score(target, ~gap, gap, reference) == pytest.approx(
        scored(target, ~gap, gap, reference), rel=1e-4
    )


def test_the_best_are_taken_and_of_equals_the_first_in_the_scenes_order():
    truth = texture((60, 60), 1)
    gap = blobs((60, 60), 2, 0.3)
    image, _ = hide(truth, gap)
    worse, same = (Reference((truth + k * texture((60, 60), 5)).astype(np.float32)) for k in (0.5, 0.1))
    assert select(image, ~gap, gap, (worse, same, same, same), 3) == (1, 2, 3)
    assert select(image, ~gap, gap, (worse, same, same, same)) == (1, 2, 3, 0)


def test_a_dozen_pixels_in_common_prove_something_and_fewer_nothing():
    truth = texture((60, 60), 1)
    gap = np.zeros((60, 60), bool)
    gap[30:] = True
    image, _ = hide(truth, gap)
    few, enough = (np.where(np.cumsum(~gap).reshape(gap.shape) > n, np.nan, truth) for n in (11, 12))
    few[:, gap] = enough[:, gap] = truth[:, gap]
    references = tuple(Reference(made.astype(np.float32)) for made in (few, enough))
    assert select(image, ~gap, gap, references) == (1,)
