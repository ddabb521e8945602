"""Networks in 8 bits: static quantization of convolutions, per channel, calibrated on real inputs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
from onnxruntime.quantization import quantize_static as _quantize
from onnxruntime.quantization.shape_inference import quant_pre_process

Inputs = dict[str, NDArray[np.float32]]


class _Reader(CalibrationDataReader):  # untyped there
    def __init__(self, inputs: Iterable[Inputs]) -> None:
        self.left: Iterator[Inputs] = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self.left, None)


def int8(network: Path, inputs: Iterable[Inputs], out: Path) -> None:
    """Write `network` with 8 bit convolutions to `out`.

    Scales come from the values that the network meets on `inputs`, so they must be many and
    of every kind. Weights keep to 7 bits: processors without 8 bit dot products overflow beyond.
    """
    prepared = out.with_suffix(".part.onnx")
    logging.getLogger().setLevel(logging.ERROR)  # it advises what was just done
    quant_pre_process(str(network), str(prepared), skip_symbolic_shape=True)
    _quantize(
        str(prepared),
        str(out),
        _Reader(inputs),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )
    prepared.unlink()
