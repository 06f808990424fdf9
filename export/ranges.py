"""Ranges of an int8 file, narrowed to what matters.

- The converter matches measured ranges to tensors by name, and where it has given two
  tensors one name a matrix product gets the range of the sum that it goes into: each
  range is narrowed to what the file itself visits on the calibration samples.
- Gates visit ranges far into the flat parts of LOGISTIC and TANH. Beyond the limits
  below their int8 output does not change any more: the range ends there, at no loss.
"""

import numpy as np

# Where the output comes within half a step of its end: the steps are 1/256 and 1/128.
LIMITS = {"LOGISTIC": np.log(511), "TANH": np.log(511) / 2}
# Operations that hand their numbers on, so input and outputs share one scale.
_PASSING = {"RESHAPE", "SPLIT", "SLICE", "STRIDED_SLICE", "SQUEEZE", "EXPAND_DIMS"}
# Operations whose kernels give out any scale that is asked of them.
_RESCALING = {"ADD", "SUB", "MUL", "FULLY_CONNECTED"}


def narrow_ranges(graph, operation_names, visited: dict[int, tuple[int, int]]) -> None:
    """Narrow the ranges of tensors, in place.

    Args:
        graph: A subgraph of an int8 file, as the schema's object.
        operation_names: The name of each of its operations, in order.
        visited: Least and greatest number seen in each tensor, by its index.
    """
    operations = list(zip(operation_names, graph.operators, strict=True))
    free = [int(op.outputs[0]) for name, op in operations if name in _RESCALING]
    free = [index for index in free if index not in graph.outputs]
    for index in free:
        low, high = (_real(graph.tensors[index], number) for number in visited[index])
        _narrow(graph, operations, index, low, high)
    # Backwards, so that what reads a tensor is narrowed before the tensor itself.
    for index in reversed(free):
        limit = _limit(graph, operations, index)
        _narrow(graph, operations, index, -limit, limit)


def visited_numbers(interpreter, inputs: list[list[np.ndarray]]) -> dict[int, tuple[int, int]]:
    """Least and greatest number in each tensor while an interpreter runs all inputs.

    Args:
        interpreter: An allocated TFLite interpreter that preserves all tensors.
        inputs: Numbers for its inputs in order, run by run.
    """
    positions = [detail["index"] for detail in interpreter.get_input_details()]
    tensors = [d["index"] for d in interpreter.get_tensor_details() if d["dtype"] == np.int8]
    visited = dict.fromkeys(tensors, (127, -128))
    for values in inputs:
        for index, value in zip(positions, values, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        for index in tensors:
            numbers, (least, greatest) = interpreter.get_tensor(index), visited[index]
            visited[index] = (min(least, int(numbers.min())), max(greatest, int(numbers.max())))
    return visited


def _limit(graph, operations, index):
    """The magnitude beyond which no reader of a tensor tells values apart."""
    if index in graph.outputs:
        return np.inf
    limit = 0.0
    for name, operator in operations:
        if index not in operator.inputs:
            continue
        if name in LIMITS:
            found = LIMITS[name]
        elif name in _PASSING:
            found = max(_limit(graph, operations, output) for output in operator.outputs)
        elif name == "ADD":
            # What lies beyond the sum's limit by more than the other term stays beyond it.
            (other,) = [i for i in operator.inputs if i != index] or [index]
            low, high = _range(graph.tensors[other])
            found = _limit(graph, operations, operator.outputs[0]) + max(-low, high)
        else:
            return np.inf
        limit = max(limit, found)
    return limit or np.inf


def _real(tensor, number):
    quantization = tensor.quantization
    return (number - quantization.zeroPoint[0]) * quantization.scale[0]


def _range(tensor):
    return _real(tensor, -128), _real(tensor, 127)


def _narrow(graph, operations, index, low, high):
    """End a tensor's range at low and high where it goes on beyond them; 0 stays within."""
    now_low, now_high = _range(graph.tensors[index])
    low, high = min(max(low, now_low), 0.0), max(min(high, now_high), 0.0)
    if high > low and (low, high) != (now_low, now_high):
        _set_range(graph, operations, index, low, high)


def _set_range(graph, operations, index, low, high):
    scale = (high - low) / 255
    quantization = graph.tensors[index].quantization
    quantization.scale = [float(scale)]
    quantization.zeroPoint = [int(np.clip(np.round(-128 - low / scale), -128, 127))]
    for name, operator in operations:
        if name in _PASSING and index in operator.inputs:
            for output in operator.outputs:
                _set_range(graph, operations, output, low, high)
