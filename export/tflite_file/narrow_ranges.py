"""Narrows the ranges of an int8 file's tensors, for finer scales.

- The converter matches calibrated ranges to tensors by name. If two tensors have one name, a
  matrix product gets the range of the sum that it feeds. Each range is narrowed to the values
  that the file itself reaches on the calibration samples.
- Inputs of gates reach far into saturation. Beyond the limits below, the int8 output of LOGISTIC
  and TANH is constant, so the range can end there without loss.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Where the output is within half a step of its end; the steps are 1/256 and 1/128.
LIMITS = {"LOGISTIC": np.log(511), "TANH": np.log(511) / 2}
# Operations that copy values, so that input and outputs share one scale.
_COPYING = {"RESHAPE", "SPLIT", "SLICE", "STRIDED_SLICE", "SQUEEZE", "EXPAND_DIMS"}
# Operations whose kernels support any output scale.
_RESCALING = {"ADD", "SUB", "MUL", "FULLY_CONNECTED"}
# Operations whose kernels support any input scale; others require that of their output.
_ANY_INPUT_SCALE = {*_RESCALING, *LIMITS, "DIV", "BATCH_MATMUL", "SUM", "MEAN", "ABS", "QUANTIZE"}


def narrow_ranges(
    graph: Any, operation_names: Sequence[str], observed: dict[int, tuple[int, int]]
) -> None:
    """Narrow the ranges of tensors in place.

    Args:
        graph: A subgraph of an int8 file, as an object of the schema.
        operation_names: Name of each of its operations, in order.
        observed: Least and greatest integer observed in each tensor, by index.
    """
    operations = list(zip(operation_names, graph.operators, strict=True))
    computed = [int(operator.outputs[0]) for _, operator in operations]
    # Counts and comparisons have no scale, and are not observed.
    inner = [i for i in computed if i in observed and i not in graph.outputs]
    free = [i for i in inner if _has_free_scale(operations, i)]
    for index in free:
        low, high = (_real(graph.tensors[index], integer) for integer in observed[index])
        _narrow(graph, operations, index, low, high)
    # In reverse order, so that a tensor's readers are narrowed before the tensor itself.
    for index in reversed(free):
        limit = _limit(graph, operations, index)
        _narrow(graph, operations, index, -limit, limit)


def share_scale(graph: Any, operation_names: Sequence[str], source: int, target: int) -> bool:
    """Give tensor `target` the scale of tensor `source`, if its neighbours support any scale.

    Returns:
        Whether the scale was changed.
    """
    operations = list(zip(operation_names, graph.operators, strict=True))
    if not _has_free_scale(operations, target):
        return False
    quantization = graph.tensors[source].quantization
    _set_scale(graph, operations, target, quantization.scale[0], quantization.zeroPoint[0])
    return True


def real_range(tensor: Any) -> tuple[float, float]:
    """Return the least and greatest real value of an int8 tensor of the schema."""
    return _real(tensor, -128), _real(tensor, 127)


def _has_free_scale(operations, index):
    """Whether a tensor's scale can change without requantizing adjacent operations."""
    producers = {name for name, operator in operations if index in operator.outputs}
    return bool(producers) and producers <= _RESCALING and _readers_rescale(operations, index)


def _readers_rescale(operations, index):
    readers = [(name, operator) for name, operator in operations if index in operator.inputs]
    return all(
        all(_readers_rescale(operations, output) for output in operator.outputs)
        if name in _COPYING
        else name in _ANY_INPUT_SCALE
        for name, operator in readers
    )


def _limit(graph, operations, index):
    """The magnitude beyond which the outputs of all readers of a tensor are constant."""
    if index in graph.outputs:
        return np.inf
    limit = 0.0
    for name, operator in operations:
        if index not in operator.inputs:
            continue
        if name in LIMITS:
            of_reader = LIMITS[name]
        elif name in _COPYING:
            of_reader = max(_limit(graph, operations, output) for output in operator.outputs)
        elif name == "ADD":
            # Values beyond the sum's limit by the other term's range stay beyond it.
            (other,) = [i for i in operator.inputs if i != index] or [index]
            low, high = real_range(graph.tensors[other])
            of_reader = _limit(graph, operations, operator.outputs[0]) + max(-low, high)
        else:
            return np.inf
        limit = max(limit, of_reader)
    return limit or np.inf


def _real(tensor, integer):
    quantization = tensor.quantization
    return (integer - quantization.zeroPoint[0]) * quantization.scale[0]


def _narrow(graph, operations, index, low, high):
    """Clip a tensor's range to [low, high], extended to include 0."""
    present_low, present_high = real_range(graph.tensors[index])
    low, high = min(max(low, present_low), 0.0), max(min(high, present_high), 0.0)
    if high > low and (low, high) != (present_low, present_high):
        scale = (high - low) / 255
        zero_point = int(np.clip(np.round(-128 - low / scale), -128, 127))
        _set_scale(graph, operations, index, float(scale), zero_point)


def _set_scale(graph, operations, index, scale, zero_point):
    """Set the scale of a tensor and of its copies."""
    quantization = graph.tensors[index].quantization
    quantization.scale, quantization.zeroPoint = [scale], [zero_point]
    for name, operator in operations:
        if name in _COPYING and index in operator.inputs:
            for output in operator.outputs:
                _set_scale(graph, operations, output, scale, zero_point)
