"""One row: run a method on a sample, with its time, and score it; memory is measured by `cost`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...models.aligndiff.prompt import named_bands
from ...models.base import Floats
from . import metrics
from .cases import Sample
from .membrane import membrane
from .methods import Filled
from .perceptual import Perceptual
from .pictures import Colour

MOSTLY_UNFILLED = 0.95
"""A method that leaves more of a gap than this does not apply to the case: what would be scored
is the membrane that closes the rest."""

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def _memory(field: str) -> float:
    """A field of Linux's process status in MB, NaN elsewhere."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    except (OSError, StopIteration):
        return float("nan")
    return int(line.split()[1]) / 1024


def watched(call: Callable[[], Filled]) -> tuple[Filled, float, float]:
    """Result, processor seconds, and MB that the process grew at its peak (NaN where it cannot be told).

    Processor time, because a run shares its cores; on one thread it is the time that an idle
    core takes.
    """
    try:
        _CLEAR.write_text("5")  # resets the peak of the resident size
        reset = True
    except OSError:
        reset = False
    before = _memory("VmRSS")
    start = time.process_time()
    result = call()
    seconds = time.process_time() - start
    return result, seconds, max(_memory("VmHWM") - before, 0.0) if reset else float("nan")


def appearance(perceptual: Perceptual, sample: Sample) -> Callable[[Floats], float]:
    """LPIPS of a filled (B, H, W): of red, green and blue, stretched as the truth's 2 to 98 %."""
    colour, scored = Colour(sample), sample.scored
    truth = perceptual.features(colour(sample.truth))

    def apart(filled: Floats) -> float:
        picture = np.where(scored, filled, sample.truth)
        return perceptual.apart(perceptual.features(colour(picture)), truth, scored)

    return apart


def row(
    run: Callable[[Sample], Filled], sample: Sample, lpips: Callable[[Floats], float] | None = None
) -> dict[str, Any]:
    """Numbers of one method on one sample; `note` instead of numbers if it does not apply.

    With `lpips` (see `appearance`), LPIPS too.

    Whatever the method raises is kept as the note: one peer that fails on one case must not
    cost the others' rows.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            (mean, std), seconds, _ = watched(lambda: run(sample))
        except Exception as error:
            return {"note": f"{type(error).__name__}: {error}"}
    gaps = sample.tile.gaps
    picture = np.where(gaps, mean, sample.tile.image)
    left = np.asarray(~np.isfinite(picture).all(0))
    unfilled = float(left[sample.scored].mean())
    if unfilled > MOSTLY_UNFILLED:
        return {"note": "does not fill this gap", "seconds": seconds, "unfilled": unfilled}
    closed = membrane(picture, left)
    numbers = metrics.score(closed, sample.truth, sample.scored, sample.tile.wavelengths, std, sample.change)
    bands = named_bands(sample.bands, sample.tile.wavelengths, len(mean))
    if lpips is not None:
        numbers["lpips"] = lpips(closed)
    return {
        "seconds": seconds,
        "unfilled": unfilled,
        "mpx": sample.scored.size / 1e6,
        "share": float(sample.scored.mean()),
        "samples": int(sample.scored.sum()) * len(mean),
        "bands": [(name or f"band {number}", wave) for number, (name, wave) in enumerate(bands, 1)],
        **numbers,
    }
