"""`terramend experiment mend`: where the correction of `guided` wins, and how far it is to be followed.

Shares and factors are fitted on places of train that the training left out; val decides where
they hold. The tables go to the run's `config.json`, which `models.mend.trust` reads; what val
says is printed and written beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...models import guided
from ...models.base import Prediction
from ...models.guided.model import of_quality
from ...models.holdout import distance_to_valid
from ...models.mend.inputs import BASE, REFERENCE, SLOTS, frame
from ...models.mend.model import BLOCK, CONFIG, MARGIN, Mend
from ...models.mend.trust import Trust
from ...models.onnx import session
from ..datasets.catalog import ground
from ..errors import TerramendError
from ..evaluation.cases import TRACKS, Case, Sample, fingerprint, load, sample, verify
from ..evaluation.command import RECIPES, data_root
from ..failure import reason
from ..raster.outputs import write_whole, written
from ..training import mend_samples
from ..watch import Watch
from . import mend_gate
from .mend_gate import Outcome
from .options import named

OF_TRACK = {"T1": "one", "T2": "two", "T4": "few", "T4past": "few", "series": "many"}
BATCH = 32
SIDE = BLOCK + 2 * MARGIN
GUIDED = Path(guided.__file__).parent


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Fit, test, decide, write.

    Raises:
        TerramendError: `command.option` for a track that is none; `training.start` where the run has no
            network; `training.samples`.
    """
    tracks = named("--tracks", options.tracks, tuple(track for track in TRACKS if track != "P"), least=1)
    path, settings = options.run / options.network, options.run / CONFIG
    try:
        config = json.loads(settings.read_text("utf-8"))
        folders = [Path(part["folder"]) for part in config["samples"]]
        network = session(path)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise TerramendError(
            "training.start", path=str(options.run), name="mend", why=reason(error)
        ) from None
    correction = Mend(of_quality("best"), network, Trust({}, {}), "")
    stores = [mend_samples.open_store(folder) for folder in folders]
    tested = list(on_val(data_root(options.data, "val"), correction, options.out / "priors", tracks, watch))
    cases = {one.case for one in tested}
    learnt = [one for store in stores for one in held_out(store, correction, cases)]
    tables = mend_gate.decide(learnt, tested)
    write_whole(settings, json.dumps({**config, **tables}, indent=1) + "\n")
    told = "\n\n".join(
        [
            f"places of train that were left out\n{text(learnt, tables)}",
            f"val\n{text(tested, tables)}",
            f"{path}: {milliseconds(correction):.0f} ms for a band of {SIDE} x {SIDE} pixels on one thread",
        ]
    )
    write_whole(options.run / f"{path.stem}.txt", told + "\n")
    sys.stdout.write(told + "\n")
    watch.finish()


def milliseconds(correction: Mend) -> float:
    """Processor time of the network on one band of a block with its margins, the mean of ten runs."""
    inputs = {
        "base": np.zeros((1, BASE, SIDE, SIDE), np.float32),
        "references": np.zeros((1, SLOTS, REFERENCE, SIDE, SIDE), np.float32),
    }
    correction.network.run(None, inputs)
    times, start = 10, time.process_time()
    for _ in range(times):
        correction.network.run(None, inputs)
    return 1000 * (time.process_time() - start) / times


def held_out(store: mend_samples.Store, correction: Mend, cases: set[str]) -> Iterator[Outcome]:
    """Outcomes of the crops of these cases whose places were never learned from, a crop each."""
    random = np.random.default_rng(0)
    chosen = [index for index in np.flatnonzero(store.held_out()) if _case(store, int(index)) in cases]
    for start in range(0, len(chosen), BATCH):
        part = chosen[start : start + BATCH]
        inputs = {"base": store.base[part], "references": store.references[part]}
        said = correction.network.run(None, {name: a.astype(np.float32) for name, a in inputs.items()})[0]
        for index, (shift, log_factor) in zip(part, said, strict=True):
            dataset, place, track, kind = store.origin[index]
            base, target = (a[index].astype(np.float32) for a in (store.base, store.target))
            scored = target[1] > 0
            if scored.sum() < 50:
                continue
            names = (_case(store, int(index)), track, kind, ground(dataset, place))
            distance = np.expm1(3 * base[5])[scored]
            clipped = np.clip(log_factor, -5, 6)[scored]
            yield mend_gate.outcome(
                names, target[0][scored], shift[scored], np.ones_like(distance), clipped, distance, random
            )


def _case(store: mend_samples.Store, index: int) -> str:
    """Of `trust.CASES`, for a stored crop; made-up dates turn a track without into one with."""
    track, base = store.origin[index][2], store.base[index]
    known = int(store.references[index][:, 1].any((1, 2)).sum())
    if known:
        return OF_TRACK.get(track) or {1: "one", 2: "two"}.get(known, "few")
    if track in OF_TRACK:
        return "space"
    return "terrain" if base[10].any() else "radar" if base[13].any() else "space"


def on_val(
    root: Path, correction: Mend, folder: Path, tracks: Sequence[str], watch: Watch
) -> Iterator[Outcome]:
    """Outcomes of the stored val cases; the prior's predictions are kept in `folder`, by its code."""
    recipe = load(RECIPES / "val.json")
    verify(recipe, root)
    todo = [(case, track) for case in recipe.cases for track in case.tracks if track in tracks]
    folder = folder / fingerprint(sorted(GUIDED.rglob("*.py")))[:12]
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    watch.stage("evaluate", len(todo))
    for case, track in todo:
        given = sample(case, track, root)
        prior = _prior(correction, given, folder / f"{_name(case, track)}.npz")
        known = frame(given.tile)
        shift, log_factor, spread = correction.said(given.tile, prior, known)
        error = given.truth - prior.mean
        scored = given.scored & np.isfinite(error) & np.isfinite(shift)
        watch.advance()
        if not scored.any():
            continue
        distance = distance_to_valid(np.asarray(~given.tile.valid.all(0)))
        far = np.broadcast_to(distance, error.shape)[scored]
        planes = (error[scored], (shift * spread)[scored], spread[scored], log_factor[scored], far)
        names = (known.case, track, case.gap.kind, ground(case.dataset, case.place))
        yield mend_gate.outcome(names, *planes, random)


def _name(case: Case, track: str) -> str:
    return hashlib.sha256(f"{case.name} {track}".encode()).hexdigest()[:24]


def _prior(correction: Mend, given: Sample, path: Path) -> Prediction:
    """The prior's prediction, read where an earlier run left it."""
    if path.exists():
        with np.load(path) as stored:
            return Prediction(**stored)
    made = correction.prior.predict(given.tile, correction.prior.prepare(given.tile))
    with written(path) as part, part.open("wb") as sink:
        np.savez(sink, mean=made.mean, std=made.std, source=made.source, reference=made.reference)
    return made


def text(found: Sequence[Outcome], tables: dict[str, Any]) -> str:
    """A line a track and kind: what mean and deviation bring as fitted, and what of it is followed."""
    lines = [
        f"{'track':8s} {'kind':8s} {'cases':>5s} {'places':>6s} {'correction, dB':>22s}"
        f" {'rank':>4s} {'mend':>4s} {'c90':>4s} {'mend':>4s} {'CRPS':>7s} {'mend':>7s}  followed"
    ]
    for (track, kind), cell in sorted(mend_gate.cells(found).items(), key=_order):
        cases = [one.case for one in cell]
        case = max(set(cases), key=cases.count)
        if case not in tables["fitted"]:
            continue
        fitted = {name: np.array(row) for name, row in tables["fitted"][case].items()}
        mean, low, high = mend_gate.gains(cell, fitted["mean"])
        shares = np.array(tables["mean"].get(case, [0.0] * 4))
        before = mend_gate.summary(cell, shares, None)
        after = mend_gate.summary(cell, shares, fitted["std"])
        told = [name for name in ("mean", "std") if case in tables[name]]
        lines.append(
            f"{track:8s} {kind:8s} {len(cell):5d} {len({one.place for one in cell}):6d}"
            f" {f'{mean:+.2f} [{low:+.2f}, {high:+.2f}]':>22s} {before['rank']:4.2f} {after['rank']:4.2f}"
            f" {before['hit90']:4.0%} {after['hit90']:4.0%} {before['crps']:7.4f} {after['crps']:7.4f}"
            f"  {' '.join(told) or '-'}"
        )
    return "\n".join(lines)


def _order(item: tuple[tuple[str, str], list[Outcome]]) -> tuple[int, str]:
    (track, kind), _ = item
    return TRACKS.index(track), kind
