"""Made-up dates and change: the truth stays, what is seen differs, the rest is as it was."""

from __future__ import annotations

import numpy as np
import pytest
from terramend.backend.evaluation.cases import Sample
from terramend.backend.training import mend_samples, variety
from terramend.models.base import Reference, Tile

SIDE = 64


def given(dates: int = 0, thick: bool = True) -> Sample:
    y, x = np.mgrid[:SIDE, :SIDE]
    truth = np.stack([0.2 + 0.1 * np.sin(x / 6 + b) * np.cos(y / 9) for b in range(3)]).astype(np.float32)
    hidden = (y > 20) & (y < 44) & (x > 20) & (x < 44) if thick else (x + y) % 7 == 0
    image = np.where(hidden, np.float32(np.nan), truth)
    references = tuple(Reference(truth * 1.1, 5 * k, f"d{k}") for k in range(dates))
    gaps = np.broadcast_to(hidden, truth.shape).copy()
    return Sample(Tile(image, gaps, references), truth, hidden, truth, ("a", "b", "c"))


def test_nothing_that_is_scored_changes() -> None:
    for seed in range(30):
        before = given(seed % 3)
        truth = before.truth.copy()
        after = variety.varied(before, np.random.default_rng(seed))
        np.testing.assert_array_equal(after.truth, truth)
        np.testing.assert_array_equal(after.scored, before.scored)
        np.testing.assert_array_equal(after.tile.gaps, before.tile.gaps)
        assert np.isnan(after.tile.image[before.tile.gaps]).all()
        assert np.isfinite(after.tile.image[~before.tile.gaps]).all()


def test_made_up_dates_tell_of_the_truth_and_differ_from_it() -> None:
    told, count = [], set()
    for seed in range(40):
        after = variety.varied(given(), np.random.default_rng(seed))
        count.add(len(after.tile.references))
        for other in after.tile.references:
            seen = np.isfinite(other.image).all(0)
            assert seen.mean() > 0.3
            bands = np.vstack([other.image[:, seen], np.ones(seen.sum())])
            truth = after.truth[0][seen]
            fitted = bands.T @ np.linalg.lstsq(bands.T, truth, rcond=None)[0]
            told.append(1 - np.var(truth - fitted) / np.var(truth))
    assert {0, 1, 2} < count
    assert 0.3 < np.mean(told) < 0.999


def test_change_is_of_regions() -> None:
    before = given(2)
    changed = [
        variety._changed(before.tile.references, (SIDE, SIDE), np.random.default_rng(s)) for s in range(10)
    ]
    shares = [
        float((a.image != b.image).any(0).mean())
        for dates in changed
        for a, b in zip(dates, before.tile.references, strict=True)
    ]
    assert 0.02 < np.mean(shares) < 0.4


def test_a_spoilt_rim_fades_with_distance() -> None:
    hidden = given().scored
    flat = np.full((2, SIDE, SIDE), 0.2, np.float32)
    near = np.zeros((SIDE, SIDE), bool)
    near[18:47, 18:47] = True
    veils = []
    for seed in range(30):
        spoilt = variety._spoilt(flat, hidden, np.random.default_rng(seed)) - flat
        brighter = np.maximum(spoilt[0], 0)
        veils.append((brighter[near & ~hidden].mean(), brighter[~near].mean()))
    close, far = np.mean(veils, 0)
    assert close > 5 * far > 0


def test_stripes_are_no_cloud() -> None:
    assert not variety._thick(given(thick=False).scored) and variety._thick(given().scored)


def test_places_are_held_out_by_name_alone() -> None:
    kept = [mend_samples.is_held_out("s2", f"p{k}") for k in range(400)]
    assert 0.05 < np.mean(kept) < 0.2
    assert kept == [mend_samples.is_held_out("s2", f"p{k}") for k in range(400)]


@pytest.mark.parametrize("name", mend_samples.RESEARCH_ONLY)
def test_what_may_not_be_given_away_is_not_learnt_from(name) -> None:
    from terramend.backend.datasets.gaps import Gap
    from terramend.backend.evaluation.cases import Case, Other, View

    blob = Gap("blob", 1, 0.3)
    cloud = Gap("cloud", source=(name, "p", "d"))
    window = (0, 0, SIDE, SIDE)

    def case(dataset, gap, extra=None):
        views = {"S": View(), "T1": View((Other("d", extra),))}
        return Case("c", dataset, "p", "d", "d", window, gap, "", views)

    assert mend_samples._free(case("s2", blob), "T1")
    assert not mend_samples._free(case(name, blob), "S")
    assert not mend_samples._free(case("s2", cloud), "S")
    assert not mend_samples._free(case("s2", blob, cloud), "T1")
    assert mend_samples._free(case("s2", blob, cloud), "S")
