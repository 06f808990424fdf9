"""Scales of biases: a product adds its bias in units of (input scale) x (weight scale).

Kernels add the integers of a bias to the sum of products as they are. Two steps of a conversion
break that: for 16-bit activations, the converter stores equal biases once, in the units of the
first product that reads them; and where the scale of an input changes after conversion, for
example for a state, the biases of its readers stay as they were.
"""

from copy import copy

import numpy as np

from export import compat
from export.tflite_file.flatbuffer import (
    Graph,
    Model,
    dtype_of,
    is_constant,
    operation_names,
    pack,
    unpack,
)

# Positions of input, weights and bias among the inputs of an operation.
_BIASED = {
    "FULLY_CONNECTED": (0, 1, 2),
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}
# Biases of products with 8-bit and with 16-bit activations.
_BIAS_DTYPES = ("int32", "int64")
# Relative difference of scales that float32 explains.
_ROUNDING = 1e-6


def match_bias_scales(content: bytes) -> bytes:
    """Give each product of an integer file a bias in its own units.

    A bias that products of several units read becomes one bias for each of them.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        for bias, operators_of_scale in _readers_of_biases(model, graph).items():
            present = _scale(graph.tensors[bias])
            original = copy(graph.tensors[bias])
            is_taken = any(_are_close(present, scale) for scale in operators_of_scale)
            for scale, operators in operators_of_scale.items():
                if _are_close(present, scale):
                    continue
                tensor = _in_units(model, original, np.asarray(scale, "float32"))
                if is_taken:
                    _replace_input(operators, bias, len(graph.tensors))
                    graph.tensors.append(tensor)
                else:
                    graph.tensors[bias], is_taken = tensor, True
    return pack(model)


def _readers_of_biases(model: Model, graph: Graph) -> dict[int, dict[tuple[float, ...], list]]:
    """The operations that read each bias, by its index and by the scale that they need."""
    found: dict[int, dict[tuple[float, ...], list]] = {}
    for name, operator in zip(operation_names(model, graph), graph.operators, strict=True):
        places = _BIASED.get(name, ())
        if not places or len(operator.inputs) <= max(places):
            continue
        indices = [int(operator.inputs[place]) for place in places]
        bias = graph.tensors[indices[-1]]
        if min(indices) < 0 or dtype_of(bias) not in _BIAS_DTYPES or not is_constant(model, bias):
            continue
        of_input, of_weights = (_scale(graph.tensors[index]) for index in indices[:2])
        scale = tuple((of_input * of_weights).tolist())
        found.setdefault(indices[-1], {}).setdefault(scale, []).append(operator)
    return found


def _scale(tensor):
    return np.asarray(tensor.quantization.scale, "float64")


def _are_close(present, wanted):
    return np.shape(present) == np.shape(wanted) and np.allclose(
        present, wanted, rtol=_ROUNDING, atol=0
    )


def _in_units(model, bias, scale):
    """A bias as a tensor of another scale, with a buffer of its own."""
    dtype = dtype_of(bias)
    stored = np.frombuffer(bytes(model.buffers[bias.buffer].data), dtype)
    limits = np.iinfo(dtype)
    integers = np.clip(np.round(stored * (_scale(bias) / scale)), limits.min, limits.max)
    buffer = compat.tflite_schema().BufferT()
    buffer.data = np.frombuffer(integers.astype(dtype).tobytes(), "uint8")
    tensor = copy(bias)
    tensor.buffer = len(model.buffers)
    tensor.quantization = copy(bias.quantization)
    tensor.quantization.scale = scale
    tensor.quantization.zeroPoint = np.zeros(len(scale), "int64")
    model.buffers.append(buffer)
    return tensor


def _replace_input(operators, index, new_index):
    for operator in operators:
        operator.inputs = [new_index if int(i) == index else int(i) for i in operator.inputs]
