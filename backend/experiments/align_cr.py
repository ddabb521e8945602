"""`terramend experiment align-cr`: whether radar helps under cloud, and alignment besides.

Align-CR, itself without radar, itself without alignment (several seeds each), its rivals (one seed),
all on the same samples and the same number of them; and methods without learning. What is trained is
small and short: the rows compare parts of a network, not the paper's tables.
"""

from __future__ import annotations

import argparse
import functools
from typing import Any

from ...models.weights import fingerprint
from ..training import radar, segmenter
from ..training.recipe import load_config
from ..watch import Watch
from . import align_cr_report
from .align_cr_speed import Speed, speeds
from .options import named
from .radar_cases import Case, cases
from .radar_rows import Method, classical, measured, network, turned
from .runs import Numbers, cached, trained, version

SWITCHES: dict[str, dict[str, Any]] = {
    "Align-CR": {},
    "Align-CR without alignment": {"align": False},
    "Align-CR without radar": {"sar": 0},
}
RIVALS = ("mcgan", "sar-opt-cgan", "dsen2-cr", "glf-cr")
PARTS = ("tables", "speed")


def main(options: argparse.Namespace, watch: Watch) -> None:
    """Train what is missing, measure what is new, write the report.

    Raises:
        TerramendError: a part or network that is none, or data without cases.
    """
    parts = named("--parts", options.parts, PARTS, least=1)
    rivals = named("--rivals", options.rivals, RIVALS)
    rows: dict[str, list[Numbers]] = {}
    truth: Numbers = {}
    chosen: list[Case] = []
    if "tables" in parts:
        chosen = cases(options.data, options.scenes)
        rows, truth = _tables(options, rivals, chosen, watch)
    found: list[Speed] = []
    if "speed" in parts:
        watch.stage("speed")
        found = speeds(options.config, options.run, options.data)
    align_cr_report.write(rows, truth, found, _samples(options, rivals), options.out)
    watch.finish()


def _tables(
    options: argparse.Namespace, rivals: tuple[str, ...], chosen: list[Case], watch: Watch
) -> tuple[dict[str, list[Numbers]], Numbers]:
    """Name of each row and its numbers, one a seed; and those of the clear images themselves."""
    longer = radar.load(options.run) if options.run is not None else None
    config = load_config("segmenter", options.config)  # the judge, not a row: always trained in full
    run = trained("segmenter", config, options, watch)
    judge, bands = segmenter.load(run), int(config["network"]["bands"])
    methods = classical()
    for seed in range(options.seeds):
        for name, switch in SWITCHES.items():
            methods.append(_row("align-cr", name, switch, seed, options, watch))
    methods += [_row(name, name, {}, 0, options, watch) for name in rivals]
    if longer is not None:
        steps = load_config("align-cr", str(options.run / "config.json"))["training"]["steps"]
        key = [fingerprint(options.run, radar.NETWORK), steps]
        name = align_cr_report.LONGER.format(steps=steps)
        methods.append(network(name, longer, key))
        methods.append(turned(name + align_cr_report.TURNED, methods[-1]))
        methods.append(network(name + align_cr_report.WITHHELD, longer, key, blind=True))
    names = [case.key for case in chosen]
    rows: dict[str, list[Numbers]] = {}
    code = version("align_cr", "rivals", recipes=("radar", "segmenter"))  # the judge sees all rows
    watch.stage("rows", len(methods) + 1)
    for method in [*methods, Method("cloud-free", ["clear"], lambda case, _: case.clear)]:
        key = [method.key, names, run.name, code]
        numbers = cached(options.out / "rows", key, functools.partial(measured, method, chosen, judge, bands))
        rows.setdefault(method.name, []).append(numbers)
        watch.advance()
    (truth,) = rows.pop("cloud-free")
    shown = [m for m in methods if m.seed == 0]
    align_cr_report.picture([case for case in chosen if not case.made], shown, options.out / "pictures.png")
    return rows, truth


def _row(
    kind: str, name: str, switch: dict[str, Any], seed: int, options: argparse.Namespace, watch: Watch
) -> Method:
    """A network trained for the table."""
    config = _shortened(load_config(kind, options.config, {"training.seed": str(seed)}), options)
    part = config["network"] | switch
    part["inputs"] -= config["network"].get("sar", 0) - part.get("sar", 0)
    if part.get("sar") == 0:
        part.pop("radar_gain", None)
    config["network"] = part
    label = "-".join(["seed", *(f"{key}={value}" for key, value in switch.items())])
    run = trained(kind, config, options, watch, label)
    return network(name, radar.load(run), run.name, seed)


def _shortened(config: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The configuration with all steps times the budget."""
    schedule = config["training"]
    schedule["steps"] = max(1, round(schedule["steps"] * options.budget))
    schedule["warmup"] = min(schedule["warmup"], schedule["steps"] // 10)
    if "halve" in schedule:
        schedule["halve"] = [max(1, round(step * options.budget)) for step in schedule["halve"]]
    return config


def _samples(options: argparse.Namespace, rivals: tuple[str, ...]) -> str:
    """How many samples the rows that were trained have seen, in words: published schedules differ."""
    seen = {}
    for name in ("align-cr", *rivals):
        schedule = _shortened(load_config(name, options.config), options)["training"]
        seen[name] = schedule["steps"] * schedule["batch"] * schedule.get("accumulate", 1)
    if len(set(seen.values())) == 1:
        return f"Every row that was trained for it saw {seen['align-cr']} samples."
    return f"Samples seen: {', '.join(f'{name} {count}' for name, count in seen.items())}."
