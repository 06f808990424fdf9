"""Rewrites a converted file: one scale per state, narrower ranges, shared constants."""

from copy import copy

import numpy as np

from export import compat
from export.tflite_file.flatbuffer import (
    MINIMUM_RUNTIME,
    Signature,
    Tensor,
    dtype_of,
    is_constant,
    minimum_runtime_version,
    operation_names,
    pack,
    read_signature,
    unpack,
)
from export.tflite_file.narrow_ranges import narrow_ranges, share_scale

# The version that takes integers of all types as its input.
QUANTIZE_VERSION = 2

# Runtimes divide by scales, and abort where the quotient is out of range.
SMALLEST_SCALE = 1e-12


def states_with_two_scales(signature: Signature) -> list[tuple[Tensor, Tensor]]:
    """Return input and output of the states whose scales differ by more than rounding."""
    return [
        (state, next_state)
        for state, next_state in signature.states
        if not np.isclose(state.scale, next_state.scale, rtol=1e-3, atol=0)
        or abs(state.zero_point - next_state.zero_point) > 1
    ]


def share_state_scales(content: bytes) -> bytes:
    """Give each state the same scale as input and as output, so that feeding it back is a copy.

    If the operation that computes the output supports any scale, the output takes the input's.
    If the two differ only by rounding, the input takes the output's. Other states are unchanged;
    see `requantize_states`.
    """
    signature = read_signature(content)
    different = {tensor.name for _, tensor in states_with_two_scales(signature)}
    model = unpack(content)
    (graph,) = model.subgraphs
    names = operation_names(model, graph)
    for state, next_state in signature.states:
        input_index, output_index = graph.inputs[state.position], graph.outputs[next_state.position]
        if next_state.name not in different:
            source = graph.tensors[output_index].quantization
            target = graph.tensors[input_index].quantization
            target.scale, target.zeroPoint = source.scale, source.zeroPoint
        else:
            share_scale(graph, names, input_index, output_index)
    return pack(model)


def requantize_states(content: bytes) -> bytes:
    """Append a QUANTIZE operation to each state whose output has another scale than its input."""
    different = states_with_two_scales(read_signature(content))
    if not different:
        return content
    schema = compat.tflite_schema()
    model = unpack(content)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    entries = {entry.name.decode(): entry for entry in signature.outputs}
    outputs = [int(index) for index in graph.outputs]
    for state, next_state in different:
        source = int(entries[next_state.name].tensorIndex)
        tensor = copy(graph.tensors[source])
        tensor.name = f"{next_state.name}_requantized".encode()
        # The first buffer is the empty one.
        tensor.buffer = 0
        tensor.quantization = copy(graph.tensors[graph.inputs[state.position]].quantization)
        operator = schema.OperatorT()
        operator.opcodeIndex = _quantize_code(model, schema)
        operator.inputs, operator.outputs = [source], [len(graph.tensors)]
        # The tensor can be an output twice, or the output of another state.
        outputs[outputs.index(source)] = len(graph.tensors)
        entries[next_state.name].tensorIndex = len(graph.tensors)
        graph.tensors.append(tensor)
        graph.operators.append(operator)
    graph.outputs = outputs
    return pack(model)


def _quantize_code(model, schema):
    """Index of the operation QUANTIZE in the model's table, to which it is added if missing."""
    wanted = schema.BuiltinOperator.QUANTIZE
    codes = [code.builtinCode for code in model.operatorCodes]
    if wanted not in codes:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = wanted
        code.version = QUANTIZE_VERSION
        model.operatorCodes.append(code)
        codes.append(wanted)
    return codes.index(wanted)


def repair_zero_scales(content: bytes) -> bytes:
    """Give tensors of zeros a scale: the converter's 0, or nearly 0, crashes the runtimes.

    Constants get the scale of the result. Activations that are 0 on all calibration data get a
    range of [-1, 1].
    """
    model = unpack(content)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            table = tensor.quantization
            if table is None or table.scale is None or is_constant(model, tensor):
                continue
            if table.scale[0] < SMALLEST_SCALE:
                table.scale = [np.float32(1 / np.iinfo(dtype_of(tensor)).max)]
        for operator in graph.operators:
            result = graph.tensors[operator.outputs[0]].quantization
            for index in operator.inputs:
                table = graph.tensors[index].quantization
                if index < 0 or table is None or table.scale is None or result is None:
                    continue
                if not np.any(table.scale) and is_constant(model, graph.tensors[index]):
                    table.scale = [result.scale[0]] * len(table.scale)
    return pack(model)


def raise_minimum_runtime(content: bytes, version: str) -> bytes:
    """Raise the earliest runtime version that a file states in its metadata, if it is lower."""
    stated = minimum_runtime_version(content)
    if stated and _numbers(stated) >= _numbers(version):
        return content
    schema = compat.tflite_schema()
    model = unpack(content)
    entries = {entry.name: entry for entry in model.metadata or []}
    entry = entries.get(MINIMUM_RUNTIME.encode())
    if entry is None:
        entry = schema.MetadataT()
        entry.name = MINIMUM_RUNTIME
        model.metadata = [*(model.metadata or []), entry]
    buffer = schema.BufferT()
    # The converter pads the text to 16 bytes.
    buffer.data = np.frombuffer(version.encode().ljust(16, b"\0"), "uint8")
    entry.buffer = len(model.buffers)
    model.buffers.append(buffer)
    return pack(model)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def select_by_version_2(content: bytes) -> bytes:
    """Replace SELECT, which TFLite Micro lacks, by SELECT_V2, which does the same and more."""
    schema = compat.tflite_schema()
    model = unpack(content)
    wanted = schema.BuiltinOperator.SELECT_V2
    for graph in model.subgraphs:
        for name, operator in zip(operation_names(model, graph), graph.operators, strict=True):
            if name == "SELECT":
                operator.builtinOptionsType = schema.BuiltinOptions.SelectV2Options
                operator.builtinOptions = schema.SelectV2OptionsT()
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.SELECT:
            code.builtinCode, code.deprecatedBuiltinCode = wanted, wanted
    return pack(model)


def narrow_file(content: bytes, observed: dict[int, tuple[int, int]]) -> bytes:
    """Narrow the ranges of an int8 file; see `narrow_ranges`.

    Args:
        content: The file.
        observed: Least and greatest integer observed in each of its tensors, by index.
    """
    model = unpack(content)
    (graph,) = model.subgraphs
    narrow_ranges(graph, operation_names(model, graph), observed)
    return pack(model)


def share_constants(content: bytes) -> bytes:
    """Store equal constants and equal quantization tables once; unfolds of a step repeat them.

    Buffers that nothing reads are dropped.
    """
    model = unpack(content)
    read = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    read |= {entry.buffer for entry in model.metadata or []}
    first_copy, buffers, new_index = {}, [], []
    for index, buffer in enumerate(model.buffers):
        if index and index not in read:
            new_index.append(0)
            continue
        data = None if buffer.data is None else bytes(buffer.data)
        # Buffer 0 marks tensors without constants; empty buffers are not shared.
        if index and data and data in first_copy:
            new_index.append(first_copy[data])
            continue
        new_index.append(len(buffers))
        if data:
            first_copy[data] = len(buffers)
        buffers.append(buffer)
    model.buffers = buffers
    tables = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = new_index[tensor.buffer]
            if tensor.quantization is not None:
                table = _SharedTable(tensor.quantization)
                tensor.quantization = tables.setdefault(table.key, table)
    for entry in model.metadata or []:
        entry.buffer = new_index[entry.buffer]
    return pack(model)


class _SharedTable:
    """A quantization table that is written once, however many tensors refer to it."""

    def __init__(self, table):
        self.key = repr([np.asarray(v).tolist() for v in vars(table).values()])
        self._table, self._offset = table, None

    def Pack(self, builder):  # noqa: N802 - the schema calls this method
        if self._offset is None:
            self._offset = self._table.Pack(builder)
        return self._offset
