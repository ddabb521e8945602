"""Networks and weights in half precision: ONNX and safetensors rounded alike."""

from __future__ import annotations

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from safetensors import SafetensorError

SMALL = 64
"""Constants of at most so many values stay as they are: shapes, scales."""
DAMAGED = (ValueError, TypeError, AttributeError, DecodeError, SafetensorError, onnx.checker.ValidationError)
"""What readers raise for files of a run that are cut off, or hold something else."""


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network with its large float constants in half precision, cast back where it begins."""
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        return model  # of 8 bits already; its scales must stay constants
    made = onnx.ModelProto()
    made.CopyFrom(model)
    casts = []
    for constant in made.graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype == np.float32 and values.size > SMALL:
            name = constant.name
            constant.CopyFrom(numpy_helper.from_array(half(values), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *made.graph.node]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    onnx.checker.check_model(made)
    return made


def half(values: np.ndarray) -> np.ndarray:
    """The array in half precision, where it is large and of single precision."""
    small = values.dtype != np.float32 or values.size <= SMALL
    return values if small else values.astype(np.float16)
