"""Equations of loops, as comments for readers of the code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from export.c.arithmetic.expressions import Vector
from export.c.graph.loops import Loop, is_identity
from export.c.graph.nodes import (
    Constant,
    Elementwise,
    Node,
    Product,
    Reduction,
    Reference,
)

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<", "less_equal": "<="}
MOST_CHARACTERS = 300


def equations(loop: Loop, vectors: Mapping[Node, Vector]) -> tuple[str, ...]:
    """Return the layers of a loop, and the equation of each vector that it stores."""
    layers = dict.fromkeys(s.target.layer for s in loop.stores if s.target.layer)
    lines = [f"{', '.join(layers)}:"] if layers else []
    for store in loop.stores:
        target = vectors[store.target]
        value = store.value
        text = (
            _definition(value.node, vectors)
            if value.node is store.target
            else _text(value, vectors)
        )
        if len(text) > MOST_CHARACTERS:
            text = f"{text[:MOST_CHARACTERS]}..."
        lines.append(f"{target.name} = {text}")
    return tuple(lines)


def _text(reference: Reference, vectors) -> str:
    node = reference.node
    if isinstance(node, Constant):
        values = np.unique(node.values[reference.index])
        return f"{values[0]:.6g}" if len(values) == 1 else "c"
    if node in vectors:
        name = vectors[node].name
        whole = is_identity(reference.index, node.size) or reference.index.ndim > 1
        return name if whole else f"{name}[...]"
    return _definition(node, vectors)


def _definition(node: Node, vectors) -> str:
    if isinstance(node, Elementwise):
        arguments = [_text(argument, vectors) for argument in node.arguments]
        if node.operation in _SIGNS:
            return f"({f' {_SIGNS[node.operation]} '.join(arguments)})"
        return f"{node.operation}({', '.join(arguments)})"
    if isinstance(node, Product):
        return f"W {_text(node.source, vectors)}"
    if isinstance(node, Reduction):
        name = "sum" if node.operation == "add" else "max"
        return f"{name}({_text(node.argument, vectors)})"
    return node.name
