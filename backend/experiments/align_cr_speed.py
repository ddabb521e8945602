"""What Align-CR and its rivals cost, and what ONNX, its own DeformConv and eight bits change."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ...models.onnx import session
from ...models.rivals.network import RADAR
from ..training import radar, radar_bank
from ..training.recipe import load_config
from .cost import SIDE, cost

STAND_IN = "dsen2-cr (paper)"
"""A network of plain convolutions: ratios to it carry over from one machine to another."""
REPORTED = {
    "align-cr (paper)": 13.2,
    STAND_IN: 14.8,
    "glf-cr (paper)": 15.3,
    "align-cr without alignment (paper)": 9.4,
}
"""Seconds of the released networks, measured before on two quiet cores, 256 x 256."""


@dataclass(frozen=True)
class Speed:
    """Seconds of one image; millions of parameters and 10^9 multiply-adds where torch ran it; and the
    root mean square difference to the network in torch, in reflectance, where that is asked.
    """

    name: str
    seconds: float
    parameters: float | None = None
    gmac: float | None = None
    differs: float | None = None


def speeds(size: str, run: Path | None, data: Path) -> list[Speed]:
    """Torch seconds of every network, published and `size`; ONNX seconds of Align-CR `size` or of a run."""
    found = []
    for layout in dict.fromkeys(("paper", size)):
        for kind in RADAR:
            switches = ({}, {"align": False}) if kind == "align-cr" else ({},)
            for switch in switches:
                config = load_config(kind, layout)["network"] | switch
                net = radar.built(config).eval()
                image = torch.rand(1, net.inputs, SIDE, SIDE)
                name = f"{kind}{' without alignment' if switch else ''} ({layout})"
                made = cost(net, partial(net, image), repeat=1 if layout == "paper" else 3)
                found.append(Speed(name, made.seconds, made.parameters, made.gmac))
                del net
    return found + _exported(size, run, data)


def _exported(size: str, run: Path | None, data: Path) -> list[Speed]:
    net = radar.load(run) if run is not None else radar.built(load_config("align-cr", size)["network"]).eval()
    bank = radar_bank.shared(data / "train", ("planet_cr",))
    drawn = bank.draw(1, 0, 6, SIDE, radar_bank.Shares())["given"]
    given = radar.fitted(net, torch.from_numpy(drawn)).numpy()
    with torch.no_grad():
        expected = net(torch.from_numpy(given[:1])).numpy()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, native in (("GridSample", False), ("DeformConv", True)):
            path = Path(folder) / f"{name}.onnx"
            radar.write(net, path, native)
            found.append(_timed(f"align-cr ({size}), ONNX with {name}", path, given, expected))
        eight = Path(folder) / "eight.onnx"
        quantised(Path(folder) / "GridSample.onnx", eight, given)
        found.append(_timed(f"align-cr ({size}), ONNX, eight bits", eight, given, expected))
    return found


def _timed(name: str, path: Path, given: np.ndarray, expected: np.ndarray) -> Speed:
    network = session(path)
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        (made,) = network.run(None, {"image": given[:1]})
        seconds.append(time.perf_counter() - began)
    apart = float(np.sqrt(np.mean((made - expected) ** 2, dtype=np.float64)))
    return Speed(name, sorted(seconds)[1], differs=apart)


def quantised(source: Path, path: Path, given: np.ndarray) -> None:
    """Eight bits for weights and activations of the convolutions, scaled by what `given` makes of them."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out `given` one by one."""

        def __init__(self) -> None:
            self.rows: Iterator[np.ndarray] = iter(given)

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self.rows, None)
            return None if row is None else {"image": row[None]}

    quantize_static(
        str(source), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        op_types_to_quantize=["Conv"], activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
