"""`terramend experiment schedules`: linear, cosine and sigmoid noise, same seed, data and budget.

Rows are cached by the hashes of their configuration and code, and an unfinished row goes on where it
stopped. Losses of different schedules weigh noise levels differently, so the runs are
compared at common log-SNR, and by what they draw.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.diffusion import sampler, schedules
from ..raster.outputs import write_whole
from ..request import canonical_json
from ..training import ddpm, noising, pictures
from ..training.loop import train
from ..training.names import changes_of
from ..training.recipe import finish, load_config, made
from ..watch import Watch
from . import inception, schedules_report, statistics
from .runs import version

LEVELS = (-6.0, -3.0, 0.0, 3.0, 6.0)
"""Log-SNR at which the denoising error is read."""
SAMPLES = 64


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Train what is missing, measure what is new, write the report."""
    rows = []
    for seed in range(options.seeds):
        for name in schedules.NAMES:
            chosen = {**changes_of(options), "diffusion.noise": name, "training.seed": str(seed)}
            rows.append(_row(load_config("ddpm", options.config, chosen), options, watch))
    schedules_report.write(rows, options.out)
    watch.finish()


def _row(config: dict[str, Any], options: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Train and measure one configuration, or read what an earlier run measured."""
    key = hashlib.sha256(canonical_json(config).encode()).hexdigest()[:12]
    name, seed = config["diffusion"]["noise"], config["training"]["seed"]
    folder = options.out / f"{name}-{seed}-{key}"
    measured, code = folder / "metrics.json", version("ddpm", "diffusion", recipes=("ddpm", "noising"))
    numbers = _kept(measured, code)
    if numbers is None:
        watch.notice("experiment.trains", path=str(folder))
        run = made("ddpm", config, options.data / "train", watch)
        average = train(run.model, run.batch, run.loss, run.schedule, folder, watch, options.device)
        finish(run, average, folder)
        numbers = measure(average, config, options.data / "val", folder, watch)
        write_whole(measured, json.dumps({"code": code, "numbers": numbers}))
    return {"schedule": name, "seed": seed, "folder": str(folder), **numbers}


def _kept(path: Path, code: str) -> dict[str, Any] | None:
    """What `measure` found by this code in an earlier run; None where none is, or a crash spoiled it."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return dict(found["numbers"]) if found["code"] == code else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def measure(
    model: torch.nn.Module, config: dict[str, Any], data: Path, folder: Path, watch: Watch
) -> dict[str, Any]:
    """Denoising error per log-SNR, and distances of samples to real patches the model never saw."""
    real = ddpm.crops(config, data, watch)(99, 0, SAMPLES)
    parts = []
    watch.stage("measure", SAMPLES // 16)
    for seed in range(100, 100 + SAMPLES // 16):
        parts.append(ddpm.draw(model, config, 16, config["size"], 50, seed))
        watch.advance()
    samples = np.concatenate(parts)
    pictures.grid(np.clip((samples[:16] + 1) / 2, 0, 1), folder / "samples.png")
    distances = {
        "histogram": statistics.histogram_distance(real, samples),
        "spectrum": statistics.spectrum_distance(real, samples),
    }
    seen, drawn = inception.features(real), inception.features(samples)
    if seen is not None and drawn is not None:
        distances["fid"] = statistics.frechet_distance(seen, drawn)
        distances["kid"] = statistics.kernel_distance(seen, drawn)
    return {"error": denoising_error(model, config, real), **distances}


def denoising_error(
    model: torch.nn.Module, config: dict[str, Any], real: NDArray[np.float32]
) -> dict[str, float]:
    """RMSE of the predicted x0 (display units, -1..1) at the times nearest to each of `LEVELS`."""
    schedule = noising.forward(config, "diffusion.noise")
    drawn = np.random.default_rng(7).standard_normal(real.shape).astype(np.float32)
    errors = {}
    for level in LEVELS:
        t = int(np.argmin(np.abs(schedule.log_snr - level))) + 1
        x = sampler.forward(schedule, real, drawn, t)
        with torch.no_grad():
            output = model(torch.from_numpy(x), torch.full((len(x),), t)).numpy()
        clean = sampler.to_clean(schedule, x, output, t, config["diffusion"]["predicts"])
        errors[f"{level:g}"] = float(np.sqrt(np.mean((np.clip(clean, -1, 1) - real) ** 2)))
    return errors
