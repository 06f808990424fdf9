"""Checks of a file's subgraphs: indices, the order of operations, and calls of subgraphs."""

from collections.abc import Iterator
from typing import Any

from export.tflite_file import flatbuffer
from export.tflite_file.structure import FileError
from export.tflite_file.tensor_checks import name_of, shape_of

OPTIONAL = -1


def require_graph(model: Any, number: int) -> None:
    """Raise a FileError if an index of a subgraph is out of range or its order is wrong.

    Each tensor is a constant, an input, or written by one operation before others read it.
    """
    graph = model.subgraphs[number]
    tensors = list(graph.tensors or [])
    inputs, outputs = _indices(graph.inputs), _indices(graph.outputs)
    _require_range(inputs, tensors, 0)
    _require_range(outputs, tensors, 0)
    constants = {i for i, tensor in enumerate(tensors) if flatbuffer.is_constant(model, tensor)}
    if len(set(inputs)) < len(inputs) or constants & set(inputs):
        raise FileError(f"an input of subgraph {number} is a constant or repeats")
    known = {*inputs, *constants}
    for operator in list(graph.operators or []):
        read, written = _indices(operator.inputs), _indices(operator.outputs)
        _require_range(read, tensors, OPTIONAL)
        _require_range(written, tensors, 0)
        for index in read:
            if index != OPTIONAL and index not in known and not _is_empty(tensors[index]):
                raise FileError(f"tensor {name_of(tensors[index])} is read before it is computed")
        for index in written:
            if index in known:
                raise FileError(f"tensor {name_of(tensors[index])} is computed twice or constant")
            known.add(index)
    missing = set(outputs) - known
    if missing:
        raise FileError(f"output {name_of(tensors[missing.pop()])} is never computed")


def require_no_recursion(model: Any) -> None:
    """Raise a FileError if a subgraph runs itself, directly or through others."""
    calls = {
        number: [called for _, called in called_subgraphs(model, graph)]
        for number, graph in enumerate(model.subgraphs)
    }
    finished: set[int] = set()

    def visit(number: int, callers: tuple[int, ...]) -> None:
        if number in callers:
            raise FileError(f"subgraph {number} runs itself")
        if number not in finished:
            for called in calls[number]:
                visit(called, (*callers, number))
            finished.add(number)

    for number in calls:
        visit(number, ())


def called_subgraphs(model: Any, graph: Any) -> Iterator[tuple[Any, int]]:
    """Yield each operation that runs a subgraph, with the subgraph's index."""
    names = flatbuffer.operation_names(model, graph)
    for name, operator in zip(names, graph.operators or [], strict=True):
        options = operator.builtinOptions
        if name == "WHILE":
            called = (options.condSubgraphIndex, options.bodySubgraphIndex)
        elif name == "IF":
            called = (options.thenSubgraphIndex, options.elseSubgraphIndex)
        else:
            continue
        for index in called:
            if not 0 <= index < len(model.subgraphs):
                raise FileError(f"{name} runs the missing subgraph {index}")
            yield operator, index


def _indices(values: Any) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def _require_range(indices: list[int], tensors: list[Any], least: int) -> None:
    for index in indices:
        if not least <= index < len(tensors):
            raise FileError(f"tensor {index} of {len(tensors)} does not exist")


def _is_empty(tensor: Any) -> bool:
    """Whether a tensor has no elements, so that it needs no values."""
    return 0 in shape_of(tensor)
