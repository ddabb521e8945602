"""Where `mend` is to be followed: its correction and its deviation as numbers a case, and the decision.

The squared error is a quadratic form of the shares at the distance nodes, so one run of the
network tells the error of every table of shares.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.mend.trust import CASES, NODES, hats
from ..evaluation import metrics
from ..evaluation.bootstrap import by_place, interval

Array = NDArray[np.floating]

KEPT = 3000
"""Samples of a case that are kept to judge deviations by."""
UNTOUCHED = 0.01
"""dB below which a correction is none."""
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Outcome:
    """What prior and network made of a case.

    Attributes:
        case: of `trust.CASES`. track, kind, place: of the evaluation.
        square: (4, 4), cross: (4,), total: mean squares of shift x node, of its product with the
            error, and of the error, all in reflectance; see `gain`.
        error, shift, prior, log_factor, distance: (n,) of at most `KEPT` samples; error is truth
            minus prior, `prior` its deviation.
    """

    case: str
    track: str
    kind: str
    place: str
    square: Array
    cross: Array
    total: float
    error: Array
    shift: Array
    prior: Array
    log_factor: Array
    distance: Array

    def gain(self, shares: Array) -> float:
        """What these shares at the nodes bring over the prior, in dB."""
        after = self.total - 2 * float(shares @ self.cross) + float(shares @ self.square @ shares)
        return 10 * math.log10(max(self.total, 1e-12) / max(after, 1e-12))

    def left(self, shares: Array) -> Array:
        """Errors of the kept samples with these shares."""
        return np.asarray(self.error - shares @ hats(self.distance) * self.shift)


def outcome(
    names: tuple[str, str, str, str],
    error: Array,
    shift: Array,
    prior: Array,
    log_factor: Array,
    distance: Array,
    random: np.random.Generator,
) -> Outcome:
    """An outcome of the scored samples of a case, (n,) each; see `Outcome`."""
    moved = hats(distance).astype(np.float64) * shift
    square, cross = moved @ moved.T / len(error), moved @ error.astype(np.float64) / len(error)
    total = float(np.mean(np.square(error, dtype=np.float64)))
    some = random.choice(len(error), min(KEPT, len(error)), replace=False)
    return Outcome(
        *names, square, cross, total, error[some], shift[some], prior[some], log_factor[some], distance[some]
    )


def fitted_shares(found: Sequence[Outcome]) -> Array:
    """(4,) of quarters from 0 to 1: the highest mean gain by place; of equals the largest."""
    places = [one.place for one in found]
    weight = np.array([1 / places.count(place) for place in places])
    total = np.array([one.total for one in found])
    cross, square = np.stack([one.cross for one in found]), np.stack([one.square for one in found])
    tried = np.array(list(itertools.product(QUARTERS, repeat=len(NODES))))
    after = total - 2 * tried @ cross.T + np.einsum("ti,nij,tj->tn", tried, square, tried)
    gain = -(np.log(np.maximum(after, 1e-12) / total) * weight).sum(1)
    return np.asarray(tried[int(np.argmax(gain + 1e-9 * tried.sum(1)))])


def fitted_factors(found: Sequence[Outcome], shares: Array) -> Array:
    """(4,) factors that make 90 % intervals cover 90 % near each node, every case weighing the same."""
    ratios, nodes = [], []
    for one in found:
        said = one.prior * np.exp(0.5 * one.log_factor)
        ratios.append(np.abs(one.left(shares)) / said)
        nodes.append(hats(one.distance).argmax(0))
    ratio, node = np.concatenate(ratios), np.concatenate(nodes)
    pooled = float(np.quantile(ratio, 0.9)) / 1.645
    out = np.full(len(NODES), pooled)
    for k in range(len(NODES)):
        near = ratio[node == k]
        trust = len(near) / (len(near) + 3000)
        if len(near):
            out[k] = trust * float(np.quantile(near, 0.9)) / 1.645 + (1 - trust) * pooled
    return out


def cells(found: Iterable[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    """Outcomes by track and kind."""
    made: dict[tuple[str, str], list[Outcome]] = {}
    for one in found:
        made.setdefault((one.track, one.kind), []).append(one)
    return made


def gains(found: Sequence[Outcome], shares: Array) -> tuple[float, float, float]:
    """Mean gain in dB by place, and its 95 % interval."""
    values, places = [one.gain(shares) for one in found], [one.place for one in found]
    return by_place(values, places), *interval(values, places)


def gated(found: Sequence[Outcome], shares: Array) -> Array:
    """The shares, or 0, at each node: the best choice that harms no track and kind of the case.

    It must leave every cell alone (`UNTOUCHED`) or gain with the whole interval above zero, and
    gain so somewhere. A cell of one place shows no interval, so it must be left alone or gain in
    each of its cases.
    """
    best, chosen = 0.0, np.zeros_like(shares)
    for on in itertools.product((0, 1), repeat=len(shares)):
        tried, total, won = shares * on, 0.0, False
        for cell in cells(found).values():
            mean, low, _ = gains(cell, tried)
            if math.isnan(low):
                low = min(one.gain(tried) for one in cell)
            touched = abs(mean) > UNTOUCHED
            if touched and low <= 0:
                break
            total, won = total + mean, won or touched
        else:
            if won and total > best:
                best, chosen = total, tried
    return chosen


def judged(one: Outcome, shares: Array, factors: Array | None) -> dict[str, float]:
    """Rank correlation, CRPS, 90 % hits and width of a case; without factors the prior's own."""
    if factors is None:
        error, std = one.error, one.prior
    else:
        error = one.left(shares)
        std = one.prior * np.exp(0.5 * one.log_factor) * (factors @ hats(one.distance))
    error, std = error.astype(np.float64), std.astype(np.float64)
    return {
        "rank": metrics.rank_correlation(std, error),
        "crps": metrics.crps(error, std),
        "hit90": metrics.coverage(error, std, 0.9),
        "width90": 2 * 1.645 * float(std.mean()),
    }


def summary(found: Sequence[Outcome], shares: Array, factors: Array | None) -> dict[str, float]:
    """`judged` by place; hits pooled over cases."""
    rows = [judged(one, shares, factors) for one in found]
    places = [one.place for one in found]
    told = {}
    for name in rows[0]:
        pairs = [
            (row[name], place) for row, place in zip(rows, places, strict=True) if math.isfinite(row[name])
        ]
        told[name] = by_place(*zip(*pairs, strict=True)) if pairs else math.nan
    told["hit90"] = float(np.mean([row["hit90"] for row in rows]))
    return told


def believed(found: Sequence[Outcome], shares: Array, factors: Array) -> bool:
    """Whether the deviation tells more than the prior's.

    The rank correlation with the error must be higher with its whole interval, and CRPS no worse.
    """
    higher, sharper, places = [], [], []
    for one in found:
        ours, prior = judged(one, shares, factors), judged(one, shares, None)
        if math.isfinite(ours["rank"]) and math.isfinite(prior["rank"]):
            higher.append(ours["rank"] - prior["rank"])
            sharper.append(math.log(prior["crps"] / ours["crps"]))
            places.append(one.place)
    return len(set(places)) > 1 and interval(higher, places)[0] > 0 and by_place(sharper, places) >= 0


def decide(learnt: Sequence[Outcome], tested: Sequence[Outcome]) -> dict[str, Any]:
    """The tables of `trust.Trust`: fitted on `learnt` (places of train), let through by `tested` (val).

    A case that was not learnt or not tested is not in them. `fitted` holds what was tried.
    """
    mean, std, fitted = {}, {}, {}
    for case in CASES:
        ours, theirs = ([one for one in found if one.case == case] for found in (learnt, tested))
        if not ours or not theirs:
            continue
        whole = fitted_shares(ours)
        shares = gated(theirs, whole)
        factors = fitted_factors(ours, shares)
        fitted[case] = {"mean": _rounded(whole), "std": _rounded(factors)}
        if shares.any():
            mean[case] = _rounded(shares)
        if believed(theirs, shares, factors):
            std[case] = _rounded(factors)
    return {"nodes": list(NODES), "mean": mean, "std": std, "fitted": fitted}


def _rounded(row: Array) -> list[float]:
    return [round(float(value), 3) for value in row]
