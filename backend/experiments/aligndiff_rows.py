"""Numbers of the AlignDiff experiment: per band, in the hole and in the whole window."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...models.aligndiff.hint import CLIP
from ...models.aligndiff.model import load
from ...models.aligndiff.prompt import band_name
from ...models.base import Floats
from ...models.diffusion.scaling import restored, standardised
from ..datasets.catalog import ground
from ..evaluation import cases, metrics
from ..evaluation.measure import appearance
from ..evaluation.membrane import membrane
from ..evaluation.perceptual import Perceptual
from .runs import Numbers

HOLE = ("psnr", "rmse", "mae", "ssim")


@dataclass(frozen=True)
class Looks:
    """LPIPS of fills; it is slow, so what the truths look like is kept from row to row."""

    perceptual: Perceptual
    known: dict[tuple[str, int], Callable[[Floats], float]] = field(default_factory=dict)

    def apart(self, case: cases.Case, sample: cases.Sample, filled: Floats) -> float:
        """LPIPS of a filled case."""
        key = (case.name, len(sample.truth))
        if key not in self.known:
            self.known[key] = appearance(self.perceptual, sample)
        return self.known[key](filled)


def measured(
    fill: Callable[[cases.Sample], Any],
    show: Callable[[cases.Case], cases.Sample],
    chosen: Sequence[cases.Case],
    looks: Looks | None,
) -> Numbers:
    """Every number of one method on every case; where it is silent a membrane closes the rest.

    `place`, `kind` and `share` say which case. Bands of a number are `psnr.NIR`, the mean over bands is
    `psnr`; `full.psnr` counts the known pixels too.
    """
    rows = []
    for case in chosen:
        sample = show(case)
        mean, _ = fill(sample)
        picture = np.where(sample.tile.gaps, mean, sample.tile.image)
        closed = membrane(picture, np.asarray(~np.isfinite(picture).all(0)))
        row: dict[str, Any] = {"place": ground(case.dataset, case.place), "kind": case.gap.kind}
        row |= {"share": float(sample.scored.mean()), **numbers_of(closed, sample)}
        if looks is not None and case.gap.kind == "cloud":
            row["lpips"] = looks.apart(case, sample, closed)
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, math.nan) for row in rows] for name in names}


def numbers_of(filled: Floats, sample: cases.Sample) -> dict[str, Any]:
    """Numbers of one filled window; ranges are those of reflectance, brightness is its mean,
    `off` how far that is from the truth's.
    """
    scored, truth = sample.scored, sample.truth
    out: dict[str, Any] = {}
    picture = np.where(scored, filled, truth)
    share = float(np.mean(scored))
    for band, name in enumerate(band_names(sample)):
        error = filled[band][scored] - truth[band][scored]
        out[f"rmse.{name}"], out[f"mae.{name}"] = metrics.rmse(error), metrics.mae(error)
        out[f"psnr.{name}"] = metrics.psnr(error)
        out[f"ssim.{name}"] = metrics.ssim(picture[band : band + 1], truth[band : band + 1], scored)
    for metric in HOLE:
        out[metric] = float(np.mean([v for k, v in out.items() if k.startswith(f"{metric}.")]))
    out["full.rmse"] = metrics.rmse(filled[:, scored] - truth[:, scored]) * math.sqrt(share)
    out["full.psnr"] = min(-20 * math.log10(max(out["full.rmse"], 1e-12)), 100.0)
    out["full.ssim"] = metrics.ssim(picture, truth, np.asarray(np.isfinite(truth).all(0)))
    out["sam"] = metrics.sam(filled[:, scored], truth[:, scored])
    out["brightness"] = float(filled[:, scored].mean(dtype=np.float64))
    out["brightness of the truth"] = float(truth[:, scored].mean(dtype=np.float64))
    out["off"] = abs(out["brightness"] - out["brightness of the truth"])
    return out


def band_names(sample: cases.Sample) -> list[str]:
    """Names as in the paper's tables."""
    waves = sample.tile.wavelengths or (math.nan,) * len(sample.bands)
    return [band_name(name, wave) for name, wave in zip(sample.bands, waves, strict=True)]


def roundtrip(run: Path, recipe: cases.Recipe, root: Path) -> dict[str, float]:
    """RMSE in reflectance of the autoencoder alone, per band, over clear targets of reflectance.

    What is observed never passes through it: this is what it would cost.
    """
    networks, _ = load(run)
    squares: dict[str, list[float]] = {}
    places = {(c.dataset, c.place, c.target): c for c in recipe.cases if c.gap.kind == "cloud"}
    for dataset, name, target in list(places)[:: max(1, len(places) // 12)]:
        place = cases.place_at(root, dataset, name)
        image = place.date(target).image[:, :512, :512]
        height, width = (n // networks.multiple * networks.multiple for n in image.shape[1:])
        image = image[:, :height, :width]
        if min(height, width) == 0 or not np.isfinite(image).all() or place.scale != "reflectance":
            continue
        mean, spread = image.mean((1, 2), dtype=np.float64), image.std((1, 2), dtype=np.float64)
        scaled = np.clip(standardised(image, mean, np.maximum(spread, 1e-3)), -CLIP, CLIP)
        again = networks.decode(networks.encode(scaled[:, None]))[:, 0]
        back = restored(again, mean, np.maximum(spread, 1e-3))
        for band, (b, w) in enumerate(zip(place.bands, place.wavelengths, strict=True)):
            squares.setdefault(band_name(b, w), []).append(metrics.rmse(back[band] - image[band]))
    return {name: float(np.mean(values)) for name, values in squares.items()}
