"""What Align-CR and its rivals cost, and what ONNX, its own DeformConv and eight bits change."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ...models.onnx import session
from ...models.rivals.network import RADAR
from ..training import quantize, radar, radar_bank, removers
from ..training.recipe import load_config
from .cost import SIDE, cost, threads

STAND_IN = "dsen2-cr (paper)"
"""A network of plain convolutions: ratios to it carry over from one machine to another."""
REPORTED = {
    "align-cr (paper)": 13.2,
    STAND_IN: 14.8,
    "glf-cr (paper)": 15.3,
    "align-cr without alignment (paper)": 9.4,
}
"""Seconds of the released networks, measured before on two quiet cores, 256 x 256."""
CALIBRATION = 16
"""Samples that say the scales of eight bits; as many others are measured on."""


@dataclass(frozen=True)
class Speed:
    """Seconds of one image; millions of parameters and 10^9 multiply-adds where torch ran it; and the
    root mean square difference to the network in torch, in reflectance, where that is asked.

    `processor`: seconds of all threads, which other work on the machine does not lengthen.
    """

    name: str
    seconds: float
    processor: float
    parameters: float | None = None
    gmac: float | None = None
    differs: float | None = None


def speeds(size: str, run: Path | None, data: Path) -> list[Speed]:
    """Torch seconds of every network, published and `size`; ONNX seconds of Align-CR `size` or of a run."""
    found = []
    with threads():
        for layout in dict.fromkeys(("paper", size)):
            for kind in RADAR:
                switches = ({}, {"align": False}) if kind == "align-cr" else ({},)
                for switch in switches:
                    config = load_config(kind, layout)["network"] | switch
                    net = removers.built(config, RADAR).eval()
                    image = torch.rand(1, net.inputs, SIDE, SIDE)
                    name = f"{kind}{' without alignment' if switch else ''} ({layout})"
                    made = cost(net, partial(net, image), repeat=1 if layout == "paper" else 3)
                    found.append(Speed(name, made.seconds, made.processor, made.parameters, made.gmac))
                    del net
    return found + _exported(size, run, data)


def _exported(size: str, run: Path | None, data: Path) -> list[Speed]:
    net = (
        radar.load(run)
        if run is not None
        else removers.built(load_config("align-cr", size)["network"], RADAR).eval()
    )
    bank = radar_bank.shared(data / "train", ("planet_cr",))
    drawn = bank.draw(1, 0, 2 * CALIBRATION, SIDE, radar_bank.Shares())["given"]
    given = radar.fitted(net, torch.from_numpy(drawn)).numpy()
    seen, given = given[:CALIBRATION, None], given[CALIBRATION:, None]
    with torch.no_grad():
        expected = np.stack([net(torch.from_numpy(image)).numpy() for image in given])
    found = []
    with tempfile.TemporaryDirectory() as folder:
        paths = {word: Path(folder) / f"{word}.onnx" for word in ("GridSample", "DeformConv", "eight bits")}
        radar.write(net, paths["GridSample"])
        radar.write(net, paths["DeformConv"], native=True)
        quantize.int8(paths["GridSample"], ({"image": image} for image in seen), paths["eight bits"])
        for word, path in paths.items():
            found.append(_timed(f"align-cr ({size}), ONNX, {word}", path, given, expected))
    return found


def _timed(name: str, path: Path, given: np.ndarray, expected: np.ndarray) -> Speed:
    network = session(path)
    network.run(None, {"image": given[0]})
    seconds, processor, errors = [], [], []
    for image, said in zip(given, expected, strict=True):
        began, worked = time.perf_counter(), time.process_time()
        (made,) = network.run(None, {"image": image})
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - worked)
        errors.append(np.mean((made - said) ** 2, dtype=np.float64))
    middle = len(given) // 2
    apart = float(np.sqrt(np.mean(errors)))
    return Speed(name, sorted(seconds)[middle], sorted(processor)[middle], differs=apart)
