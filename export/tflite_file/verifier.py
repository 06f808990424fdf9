"""Verifies a .tflite file before any runtime reads it.

Runtimes trust their files: a wrong index, size or scale reads or writes foreign memory, or aborts
the process. The check takes what exported files have, and refuses the rest.
"""

import functools
from typing import Any

from export.tflite_file import flatbuffer
from export.tflite_file.graph_checks import require_graph, require_no_recursion
from export.tflite_file.operator_checks import require_operator
from export.tflite_file.own_files import is_own
from export.tflite_file.structure import FileError, require_structure
from export.tflite_file.tensor_checks import require_tensors

SCHEMA_VERSION = 3


@functools.lru_cache(maxsize=16)
def require_sound(content: bytes) -> None:
    """Raise a FileError if a runtime could fail on a file in another way than by an error.

    Raises:
        FileError: An offset, an index, a size, a shape, a type or a quantization is wrong.
    """
    require_structure(content)
    try:
        _require_model(flatbuffer.parsed(content))
        flatbuffer.minimum_runtime_version(content)
    except FileError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # A part is missing or has a form that no check above expects.
        raise FileError(f"a part is missing or wrong ({type(error).__name__})") from error


def require_readable(content: bytes) -> None:
    """Raise a FileError if a file is neither of this process nor sound."""
    if not is_own(content):
        require_sound(content)


def _require_model(model: Any) -> None:
    if model.version != SCHEMA_VERSION:
        raise FileError(f"its schema has the version {model.version}, not {SCHEMA_VERSION}")
    for parts, name in (
        (model.subgraphs, "subgraphs"),
        (model.buffers, "buffers"),
        (model.signatureDefs, "signatures"),
    ):
        if parts is None or not len(parts):
            raise FileError(f"it has no {name}")
    if model.buffers[0].data is not None and len(model.buffers[0].data):
        raise FileError("its first buffer is not empty")
    for entry in model.metadata or []:
        if not 0 <= entry.buffer < len(model.buffers):
            raise FileError(f"metadata refers to buffer {entry.buffer} of {len(model.buffers)}")
    require_tensors(model)
    for graph in model.subgraphs:
        for operator in list(graph.operators or []):
            if not 0 <= operator.opcodeIndex < len(model.operatorCodes or []):
                raise FileError(f"an operation has the unknown code {operator.opcodeIndex}")
    for index, graph in enumerate(model.subgraphs):
        require_graph(model, index)
        names = flatbuffer.operation_names(model, graph)
        for name, operator in zip(names, graph.operators or [], strict=True):
            require_operator(model, graph, name, operator)
    require_no_recursion(model)
    _require_signatures(model)


def _require_signatures(model: Any) -> None:
    keys = [entry.signatureKey for entry in model.signatureDefs]
    if len(set(keys)) < len(keys):
        raise FileError("two signatures have the same name")
    for signature in model.signatureDefs:
        key = signature.signatureKey.decode()
        if not 0 <= signature.subgraphIndex < len(model.subgraphs):
            raise FileError(f"signature {key!r} refers to a missing subgraph")
        graph = model.subgraphs[signature.subgraphIndex]
        for entries, indices, kind in (
            (signature.inputs, graph.inputs, "inputs"),
            (signature.outputs, graph.outputs, "outputs"),
        ):
            names = [entry.name.decode() for entry in entries or []]
            if len(set(names)) < len(names) or not all(n and n.isprintable() for n in names):
                raise FileError(f"names of {kind} of signature {key!r} repeat or are no text")
            named = {int(entry.tensorIndex) for entry in entries or []}
            listed = [] if indices is None else [int(index) for index in indices]
            if not names or named != set(listed) or len(names) != len(listed):
                raise FileError(f"the {kind} of signature {key!r} are not those of its subgraph")
            if any(graph.tensors[index].shape is None for index in named):
                raise FileError(f"an entry of the {kind} of signature {key!r} has no shape")
