"""The expressions of one loop, from nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from export.c.arithmetic.expressions import Expression, Rows, Vector
from export.c.arithmetic.fixed_point import FixedPoint
from export.c.arithmetic.floating_point import FloatingPoint
from export.c.graph.loops import Store, is_computed, is_dense, is_sparse
from export.c.graph.nodes import Constant, Elementwise, Node, Product, Reduction
from export.c.graph.ranges import Range

Numbers: TypeAlias = "FixedPoint | FloatingPoint"
_REDUCTIONS = {"add": np.sum, "max": np.max}


class LoopExpressions:
    """Builds the expressions of one loop; equal elements of a node are one expression.

    Args:
        numbers: The arithmetic.
        vectors: By node, its vector in memory.
        hints: By node, the fraction that its readers use, or None.
        ranges: By node, its least and greatest values on the calibration data.
        stored: The nodes that have a vector.
    """

    def __init__(
        self,
        numbers: Numbers,
        vectors: Mapping[Node, Vector],
        hints: Mapping[Node, int | None],
        ranges: Mapping[Node, Range],
        stored: set[Node],
    ):
        self._numbers, self._vectors = numbers, vectors
        self._hints, self._ranges, self._stored = hints, ranges, stored
        self._known: dict[tuple, Expression | np.ndarray] = {}
        self._rows: dict[bytes, Rows] = {}

    def value(self, store: Store):
        """The value of a store."""
        node, index = store.value.node, store.value.index
        if node is store.target:
            return self._build(node, index, None)
        return self._visit(node, index, None)

    def computed(self, store: Store, value) -> None:
        """Let later expressions of the loop read a stored value from a register."""
        if store.value.node is store.target:
            self._known[self._key(store.target, store.value.index, None)] = value

    @staticmethod
    def _key(node, index, rows):
        return node, index.tobytes(), index.shape, rows

    def _visit(self, node: Node, index: np.ndarray, rows: Rows | None):
        if isinstance(node, Constant):
            return node.values[index]
        key = self._key(node, index, rows)
        if key not in self._known:
            if node in self._stored or not is_computed(node):
                self._known[key] = self._numbers.load(self._vectors[node], index)
            else:
                self._known[key] = self._build(node, index, rows)
        return self._known[key]

    def _build(self, node: Node, index: np.ndarray, rows: Rows | None):
        hint = self._hints.get(node)
        if isinstance(node, Elementwise):
            arguments = [self._visit(ref.node, ref.index[index], rows) for ref in node.arguments]
            result = self._elementwise(node, index, arguments, hint)
        elif isinstance(node, Product):
            result = self._product(node, index, hint)
        elif isinstance(node, Reduction):
            elements = node.argument.index[index]
            inner = self._regular(*elements.shape)
            argument = self._visit(node.argument.node, elements.ravel(), inner)
            if not isinstance(argument, Expression):
                return _REDUCTIONS[node.operation](argument.reshape(elements.shape), axis=1)
            result = self._numbers.reduce(node.operation, argument, inner, self._range(node, index))
        else:
            raise TypeError(f"{node!r} has no expression.")
        return result

    def _elementwise(self, node: Elementwise, index: np.ndarray, arguments, hint):
        ranges = [self._range(ref.node, ref.index[index]) for ref in node.arguments]
        own = self._range(node, index)
        try:
            return self._numbers.elementwise(node.operation, arguments, hint, own, ranges)
        except ValueError as error:
            where = f"Layer {node.layer!r}" if node.layer else f"Operation {node.name!r}"
            raise ValueError(f"{where}: {error}") from error

    def _range(self, node: Node, index: np.ndarray) -> tuple[float, float]:
        return self._ranges[node].at(index) if node in self._ranges else (0.0, 0.0)

    def _product(self, node: Product, index: np.ndarray, hint):
        count = len(node.weights)
        position, row = np.divmod(index, count)
        vector = self._vectors[node.source.node]
        columns = node.source.index
        if is_dense(node):
            weights, first = _over_vector(node.weights[row], columns[0])
            return self._numbers.dot(weights, vector, first, hint)
        weights = node.weights[row]
        if is_sparse(node):
            kept = weights != 0
            kept[:, 0] |= ~kept.any(axis=1)
            offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
            rows = self._interned(offsets)
            return self._numbers.sparse_dot(
                weights[kept], vector, rows, columns[position][kept], hint
            )
        rows = self._regular(*weights.shape)
        elements = columns[position].ravel()
        return self._numbers.sparse_dot(weights.ravel(), vector, rows, elements, hint)

    def _regular(self, count: int, columns: int) -> Rows:
        return self._interned(np.arange(count + 1) * columns)

    def _interned(self, offsets: np.ndarray) -> Rows:
        """Rows, the same object for equal ones, so that sums over them share a loop."""
        return self._rows.setdefault(offsets.tobytes(), Rows(offsets))


def _over_vector(weights: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, int]:
    """Weights for consecutive elements of a vector, and the first of these elements."""
    first = int(columns.min())
    if np.array_equal(columns, first + np.arange(len(columns))):
        return weights, first
    ordered = np.zeros((len(weights), int(columns.max()) - first + 1))
    for position, column in enumerate(columns - first):
        ordered[:, column] += weights[:, position]
    return ordered, first
