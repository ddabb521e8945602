"""The report of the experiment `schedules`: tables, finding and curves, CSV and JSON beside them."""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...models.diffusion import schedules
from ..raster.outputs import write_whole, written
from ..training import pictures
from .report import image, page, table

STEPS = 500
"""Of the schedules whose curves are drawn."""
LOSS_CAPTION = "training loss; not comparable between schedules, which weigh noise levels differently"


def write(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Tables, curves and the finding of the noise-schedule experiment, printed and written."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "rows.json", json.dumps(rows, indent=1))
    metrics = [key for key in rows[0] if key not in ("schedule", "seed", "folder", "error")]
    levels = list(rows[0]["error"])
    flat = [{**{k: r[k] for k in ("schedule", "seed", *metrics)}, **r["error"]} for r in rows]
    with written(out / "rows.csv") as part, part.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.DictWriter(sink, list(flat[0]))
        writer.writeheader()
        writer.writerows(flat)
    columns = [*metrics, *levels]
    names = [name for name in schedules.NAMES if any(r["schedule"] == name for r in rows)]
    per = {n: {c: [float(f[c]) for f in flat if f["schedule"] == n] for c in columns} for n in names}
    body = [[n, *(_spread(per[n][c]) for c in columns)] for n in names]
    head = ["schedule", *metrics, *(f"x0 RMSE at log-SNR {level}" for level in levels)]
    findings = [finding(per, column, label) for column, label in zip(columns, head[1:], strict=True)]
    curves(out / "curves.png")
    pictures.losses(
        {f"{r['schedule']}, seed {r['seed']}": Path(r["folder"]) / "loss.csv" for r in rows}, out / "loss.png"
    )
    parts = [
        f"<p>{len(rows)} runs: the same data, budget and seeds for each schedule. "
        "Mean over seeds, and after +- the standard deviation; lower is better everywhere.</p>",
        table(head, body),
        "<h2>Finding</h2>",
        *(f"<p>{html.escape(f)}</p>" for f in findings),
        image(out / "curves.png", "alpha-bar and log-SNR over time"),
        image(out / "loss.png", LOSS_CAPTION),
    ]
    for row in rows:
        parts.append(
            image(Path(row["folder"]) / "samples.png", f"samples, {row['schedule']}, seed {row['seed']}")
        )
    page("Noise schedules of DDPM on satellite patches", parts, out / "report.html")
    for line in [head, *body]:
        print(" | ".join(str(cell) for cell in line))
    print("\n".join(findings))


def _spread(values: Sequence[float]) -> str:
    """Mean, and standard deviation over seeds where there are several."""
    return f"{np.mean(values):.4f}" + (f" +- {np.std(values, ddof=1):.4f}" if len(values) > 1 else "")


def finding(per: Mapping[str, Mapping[str, Sequence[float]]], column: str, label: str) -> str:
    """Whether the best schedule's lead over the second exceeds the spread over seeds; one seed has none."""
    ranked = sorted(per, key=lambda name: float(np.mean(per[name][column])))
    if len(ranked) < 2:
        return f"{label}: only {ranked[0]} was run."
    first, second = (np.asarray(per[name][column]) for name in ranked[:2])
    gap = second.mean() - first.mean()
    told = f"{label}: {' < '.join(ranked)}; the lead of {ranked[0]} ({gap:.4f})"
    if min(len(first), len(second)) < 2:
        return f"{told} may be chance: one seed has no spread to compare it with."
    noise = np.sqrt(first.var(ddof=1) + second.var(ddof=1))
    return f"{told} is {'clear of' if gap > 2 * noise else 'within'} twice the spread over seeds."


def curves(path: Path) -> None:
    """alpha-bar and log-SNR of the three schedules, of `STEPS` steps each."""
    from matplotlib.figure import Figure

    figure = Figure((9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in schedules.NAMES:
        made = schedules.make(name, STEPS)
        left.plot(np.arange(1, STEPS + 1), made.bar, label=name)
        right.plot(np.arange(1, STEPS + 1), made.log_snr, label=name)
    left.set(xlabel="t", ylabel="alpha-bar")
    right.set(xlabel="t", ylabel="log-SNR")
    left.legend()
    pictures.chart(figure, path)
