"""Names of a file's inner tensors, which the converter takes from Keras's counters."""

import re
from itertools import count

from export.forms.model_graph import SCOPE
from export.tflite_file.flatbuffer import pack, unpack


def rename_tensors(content: bytes) -> bytes:
    """Return a file whose tensor names are the same whenever the model is built.

    A name such as "lstm.call/lstm_7/while/lstm_cell_9/MatMul" starts with the scope of a layer;
    Keras numbers the other parts. Scopes become the layer's name in files, the other parts lose
    their numbers, and equal names are numbered in the file's order.
    """
    model = unpack(content)
    for graph in model.subgraphs:
        taken: set[str] = set()
        for tensor in graph.tensors:
            name = ";".join(map(_renamed, _text(tensor.name).split(";")))
            candidates = (f"{name}_{number}" if number else name for number in count())
            tensor.name = next(candidate for candidate in candidates if candidate not in taken)
            taken.add(tensor.name)
    return pack(model)


def _text(name):
    return name.decode() if isinstance(name, bytes) else name or ""


def _renamed(name):
    scope, *parts = name.split("/")
    layer, is_layer, _ = scope.partition(SCOPE)
    if is_layer:
        # The next part is the layer's own scope, with the name that Keras gave.
        parts = parts[1:] or parts
    return "/".join([layer if is_layer else _without_number(scope), *map(_without_number, parts)])


def _without_number(part):
    return re.sub(r"_\d+$", "", part)
