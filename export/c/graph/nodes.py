"""The step of a model as a graph of nodes, each a vector of numbers.

Views such as slices, transpositions and gathers are no nodes: a reference names the elements that
it reads, so any rearrangement is an array of indices.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ERF = np.vectorize(math.erf, otypes=[float])


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


# By name of an elementwise operation, its function.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "abs": np.abs,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "softplus": _softplus,
    "erf": ERF,
    "sin": np.sin,
    "cos": np.cos,
    "floor": np.floor,
    "round": np.round,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "is_finite": np.isfinite,
    "is_nan": np.isnan,
    "select": np.where,
}
# Results are 0 or 1.
TRUTHS = frozenset("less less_equal equal and or not is_finite is_nan".split())


@dataclass(frozen=True, eq=False, repr=False)
class Node:
    """A vector that is computed in each step.

    Attributes:
        size: Number of elements.
        name: Name of the operation that it comes from.
        layer: Name of the layer that it comes from, or an empty string.
    """

    size: int
    name: str
    layer: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.size})"


@dataclass(frozen=True, eq=False)
class Reference:
    """Elements of a node: those at `index`, which has any shape."""

    node: Node
    index: np.ndarray

    def at(self, index: np.ndarray) -> Reference:
        """Return the elements of this reference at an index."""
        return Reference(self.node, self.index[index])


@dataclass(frozen=True, eq=False, repr=False)
class Input(Node):
    """An input or a state at the start of the step."""


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Node):
    """Constant numbers, `values` (size,)."""

    values: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Elementwise(Node):
    """`operation`, a key of `FUNCTIONS`, on each element of `arguments`."""

    operation: str
    arguments: tuple[Reference, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Product(Node):
    """weights @ source for each position: source.index is (positions, columns).

    The result holds all rows of the first position, then those of the second.
    """

    source: Reference
    weights: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Reduction(Node):
    """The sum or maximum of each row of `argument`, whose index is (size, columns)."""

    operation: str
    argument: Reference


@dataclass(frozen=True, eq=False, repr=False)
class Concatenation(Node):
    """Parts, each stored at the positions `places` of the result."""

    parts: tuple[Reference, ...]
    places: tuple[np.ndarray, ...]


REDUCTIONS = {"add": np.sum, "max": np.max}


def read_by(node: Node) -> tuple[Reference, ...]:
    """Return what a node reads."""
    if isinstance(node, Elementwise):
        return node.arguments
    if isinstance(node, Product):
        return (node.source,)
    if isinstance(node, Reduction):
        return (node.argument,)
    if isinstance(node, Concatenation):
        return node.parts
    return ()


def with_read(node: Node, references: Sequence[Reference]) -> Node:
    """Return a copy of a node that reads other references, in the order of `read_by`."""
    if isinstance(node, Elementwise):
        return dataclasses.replace(node, arguments=tuple(references))
    if isinstance(node, Product):
        return dataclasses.replace(node, source=references[0])
    if isinstance(node, Reduction):
        return dataclasses.replace(node, argument=references[0])
    if isinstance(node, Concatenation):
        return dataclasses.replace(node, parts=tuple(references))
    return node


@dataclass(frozen=True)
class Graph:
    """The nodes of a step in topological order, and the elements that each output returns."""

    nodes: Sequence[Node]
    outputs: Mapping[str, Reference]


def evaluate(nodes: Sequence[Node], inputs: Mapping[str, np.ndarray]) -> dict[Node, np.ndarray]:
    """Evaluate nodes in 64-bit floats for a batch of inputs, each (batch, size).

    Returns:
        By node, (batch, size).
    """
    batch = len(next(iter(inputs.values())))
    values: dict[Node, np.ndarray] = {}

    def read(reference):
        return values[reference.node][:, reference.index]

    for node in nodes:
        if isinstance(node, Input):
            value = np.asarray(inputs[node.name], "float64").reshape(batch, -1)
        elif isinstance(node, Constant):
            value = np.broadcast_to(node.values, (batch, node.size))
        elif isinstance(node, Elementwise):
            with np.errstate(all="ignore"):
                function = FUNCTIONS[node.operation]
                arguments = [read(argument) for argument in node.arguments]
                value = np.asarray(function(*arguments), "float64")
        elif isinstance(node, Product):
            value = (read(node.source) @ node.weights.T.astype("float64")).reshape(batch, -1)
        elif isinstance(node, Reduction):
            value = REDUCTIONS[node.operation](read(node.argument), axis=-1)
        elif isinstance(node, Concatenation):
            value = np.zeros((batch, node.size))
            for part, places in zip(node.parts, node.places, strict=True):
                value[:, places] = read(part)
        else:
            raise TypeError(f"Unknown node {node!r}.")
        values[node] = value
    return values
