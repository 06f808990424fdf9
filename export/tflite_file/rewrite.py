"""Rewrites a converted file: one scale per state, narrower ranges, shared constants."""

import numpy as np

from export.tflite_file.flatbuffer import (
    Signature,
    Tensor,
    operation_names,
    pack,
    read_signature,
    unpack,
)
from export.tflite_file.narrow_ranges import narrow_ranges, share_scale


def states_with_two_scales(signature: Signature) -> list[Tensor]:
    """Return the outputs of the states whose input has another scale, by more than rounding."""
    return [
        next_state
        for state, next_state in signature.states
        if not np.isclose(state.scale, next_state.scale, rtol=1e-3, atol=0)
        or abs(state.zero_point - next_state.zero_point) > 1
    ]


def share_state_scales(content: bytes) -> bytes:
    """Give each state the same scale as input and as output, so that feeding it back is a copy.

    If the operation that computes the output supports any scale, the output takes the input's.
    If the two differ only by rounding, the input takes the output's. Other states are unchanged.
    """
    signature = read_signature(content)
    different = {tensor.name for tensor in states_with_two_scales(signature)}
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
    """Store equal constants and equal quantization tables once; unfolds of a step repeat them."""
    model = unpack(content)
    first_copy, buffers, new_index = {}, [], []
    for index, buffer in enumerate(model.buffers):
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
