"""Where the correction is followed: quadratic forms, fits and the decision, on made-up outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from terramend.backend.experiments import mend_gate
from terramend.models.mend.trust import hats

COUNT = 4000


def made(case="one", kind="cloud", place="a", slope=1.0, far=None, factor=1.0, seed=0) -> mend_gate.Outcome:
    """A case whose error is `slope` of the shift (`far` of it beyond 5 pixels) and some noise."""
    random = np.random.default_rng(seed)
    distance = np.exp(random.uniform(0, 4, COUNT)).astype(np.float32)
    shift = random.normal(0, 0.05, COUNT)
    part = np.where(distance > 5, slope if far is None else far, slope)
    # The network knows how noisy a place is; the prior does not.
    noisy = np.exp(random.normal(0, 0.8, COUNT))
    error = part * shift + random.normal(0, 0.02, COUNT) * np.sqrt(1 + noisy**2)
    prior = 0.05 * np.exp(random.normal(0, 0.1, COUNT))
    log_factor = 2 * np.log(np.sqrt(0.02**2 + (0.02 * noisy) ** 2) / prior / factor)
    names = (case, "T1", kind, place)
    return mend_gate.outcome(names, error, shift, prior, log_factor, distance, random)


def test_a_gain_is_that_of_the_corrected_errors() -> None:
    one = made(slope=0.6)
    shares = np.array([0.2, 0.9, 0.4, 1.0])
    random = np.random.default_rng(1)
    distance, shift = np.exp(random.uniform(0, 4, 500)), random.normal(0, 1, 500)
    error = random.normal(0, 1, 500)
    small = mend_gate.outcome(
        ("one", "T1", "cloud", "a"), error, shift, np.ones(500), np.zeros(500), distance, random
    )
    left = error - shares @ hats(distance) * shift
    expected = 10 * np.log10((error**2).mean() / (left**2).mean())
    assert small.gain(shares) == pytest.approx(expected, abs=1e-6)
    assert one.gain(np.zeros(4)) == 0


def test_shares_are_those_that_fit() -> None:
    shares = mend_gate.fitted_shares([made(slope=0.6, seed=s) for s in range(4)])
    np.testing.assert_allclose(shares, 0.6, atol=0.16)  # a half or three quarters
    assert (mend_gate.fitted_shares([made(slope=3.0)]) == 1).all()
    assert (mend_gate.fitted_shares([made(slope=-3.0)]) == 0).all()


def test_factors_bring_ninety_per_cent() -> None:
    found = [made(factor=2.0, seed=s) for s in range(4)]
    factors = mend_gate.fitted_factors(found, np.ones(4))
    np.testing.assert_allclose(factors, 2.0, rtol=0.1)
    told = mend_gate.summary(found, np.ones(4), factors)
    assert told["hit90"] == pytest.approx(0.9, abs=0.02)


def test_what_harms_a_kind_of_gap_is_left_out() -> None:
    good = [made(place=p, seed=s) for s, p in enumerate("abc")]
    np.testing.assert_array_equal(mend_gate.gated(good, np.ones(4)), np.ones(4))
    bad_far = [made(place=p, far=-1.0, seed=s) for s, p in enumerate("abc")]
    shares = mend_gate.gated(bad_far, np.ones(4))
    assert shares[0] == 1 and shares[3] == 0
    harmful = [made(kind="blob", place=p, slope=-1.0, seed=s) for s, p in enumerate("abc")]
    assert not mend_gate.gated(good + harmful, np.ones(4)).any()


def test_what_gains_next_to_nothing_is_left_out() -> None:
    tiny = [made(place=p, seed=s) for s, p in enumerate("abc")]
    assert not mend_gate.gated(tiny, np.full(4, 1e-4)).any()


def test_one_place_must_gain_in_each_of_its_cases() -> None:
    mixed = [made(seed=0), made(slope=-0.5, seed=1), made(seed=2), made(seed=3)]
    assert not mend_gate.gated(mixed, np.ones(4)).any()
    assert mend_gate.gated([made(seed=s) for s in range(3)], np.ones(4)).all()


def test_tables_hold_what_was_both_learnt_and_tested() -> None:
    learnt = [made(case=c, seed=s) for s, c in enumerate(("one", "one", "two"))]
    tested = [
        made(case=c, place=p, seed=9 + s)
        for s, (c, p) in enumerate((("one", "a"), ("one", "b"), ("few", "a")))
    ]
    tables = mend_gate.decide(learnt, tested)
    assert set(tables["mean"]) == set(tables["std"]) == {"one"}
    assert all(0.9 <= share <= 1 for share in tables["mean"]["one"])


def test_what_is_fitted_is_fitted_on_places_of_train_alone() -> None:
    learnt = [made(slope=0.6, factor=2.0, seed=s) for s in range(3)]
    tested = [made(place=p, slope=1.0, factor=1.0, seed=9 + s) for s, p in enumerate("abc")]
    fitted = mend_gate.decide(learnt, tested)["fitted"]["one"]
    assert max(fitted["mean"]) < 0.8  # val would have all of it
    np.testing.assert_allclose(fitted["std"], 2.0, rtol=0.15)


def test_many_cases_of_a_place_count_as_one() -> None:
    little, much = made(place="a", slope=0.2), made(place="b", slope=1.0, seed=1)
    both = mend_gate.fitted_shares([little, much])
    np.testing.assert_array_equal(mend_gate.fitted_shares([little] * 6 + [much]), both)
    assert (both > mend_gate.fitted_shares([little])).any()


def test_a_deviation_that_is_too_wide_is_not_believed() -> None:
    found = [made(place=p, seed=s) for s, p in enumerate("abc")]
    factors = mend_gate.fitted_factors(found, np.ones(4))
    assert mend_gate.believed(found, np.ones(4), factors)
    assert not mend_gate.believed(found, np.ones(4), 6 * factors)  # ranks errors as well, and CRPS is worse
