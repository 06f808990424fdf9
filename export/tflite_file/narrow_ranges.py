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
# Operations whose kernels take any scale; others ask for that of their output.
_TAKING = {*_RESCALING, *LIMITS, "DIV", "BATCH_MATMUL", "SUM", "MEAN", "ABS", "QUANTIZE"}


def narrow_ranges(graph, operation_names, visited: dict[int, tuple[int, int]]) -> None:
    """Narrow the ranges of tensors, in place.

    Args:
        graph: A subgraph of an int8 file, as the schema's object.
        operation_names: The name of each of its operations, in order.
        visited: Least and greatest number seen in each tensor, by its index.
    """
    operations = list(zip(operation_names, graph.operators, strict=True))
    made = [int(operator.outputs[0]) for _, operator in operations]
    free = [index for index in made if index not in graph.outputs and _is_free(operations, index)]
    for index in free:
        low, high = (_real(graph.tensors[index], number) for number in visited[index])
        _narrow(graph, operations, index, low, high)
    # Backwards, so that what reads a tensor is narrowed before the tensor itself.
    for index in reversed(free):
        limit = _limit(graph, operations, index)
        _narrow(graph, operations, index, -limit, limit)


def share_scale(graph, operation_names, source: int, target: int) -> bool:
    """Give a tensor another's scale, if what makes it and what reads it take any.

    Returns:
        Whether it has been done.
    """
    operations = list(zip(operation_names, graph.operators, strict=True))
    if not _is_free(operations, target):
        return False
    given = graph.tensors[source].quantization
    _set_scale(graph, operations, target, given.scale[0], given.zeroPoint[0])
    return True


def visited_numbers(interpreter, inputs: list[list[np.ndarray]]) -> dict[int, tuple[int, int]]:
    """Least and greatest number in each tensor while an interpreter runs all inputs.

    Args:
        interpreter: An allocated TFLite interpreter that preserves all tensors.
        inputs: Numbers for its inputs in order, run by run.
    """
    positions = [detail["index"] for detail in interpreter.get_input_details()]
    dtypes = {d["index"]: d["dtype"] for d in interpreter.get_tensor_details()}
    tensors = [index for index, dtype in dtypes.items() if dtype in (np.int8, np.int16)]
    limits = {index: np.iinfo(dtypes[index]) for index in tensors}
    visited = {index: (int(limits[index].max), int(limits[index].min)) for index in tensors}
    for values in inputs:
        for index, value in zip(positions, values, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        for index in tensors:
            numbers, (least, greatest) = interpreter.get_tensor(index), visited[index]
            visited[index] = (min(least, int(numbers.min())), max(greatest, int(numbers.max())))
    return visited


def _is_free(operations, index):
    """Whether a tensor's scale can be changed without a word to its neighbours."""
    makers = [name for name, operator in operations if index in operator.outputs]
    return set(makers) <= _RESCALING and makers != [] and _is_taken(operations, index)


def _is_taken(operations, index):
    readers = [(name, operator) for name, operator in operations if index in operator.inputs]
    return all(
        all(_is_taken(operations, output) for output in operator.outputs)
        if name in _PASSING
        else name in _TAKING
        for name, operator in readers
    )


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
    zero_point = int(np.clip(np.round(-128 - low / scale), -128, 127))
    _set_scale(graph, operations, index, float(scale), zero_point)


def _set_scale(graph, operations, index, scale, zero_point):
    """Set a tensor's scale, and that of the tensors that its numbers are handed on to."""
    quantization = graph.tensors[index].quantization
    quantization.scale, quantization.zeroPoint = [scale], [zero_point]
    for name, operator in operations:
        if name in _PASSING and index in operator.inputs:
            for output in operator.outputs:
                _set_scale(graph, operations, output, scale, zero_point)
