"""Builder: creates the nodes of a graph, and simplifies constants while it does."""

from __future__ import annotations

import dataclasses

import numpy as np

from export.c.graph.nodes import (
    FUNCTIONS,
    Concatenation,
    Constant,
    Elementwise,
    Graph,
    Input,
    Node,
    Product,
    Reduction,
    Reference,
    read_by,
)

_SHIFT = 32
_MASK = (1 << _SHIFT) - 1
# More sources than this become one vector before a product.
MOST_SOURCES = 4


class Builder:
    """Creates nodes from tensors of codes: an element's code names its node and its index.

    Code 0 stands for the number 0.
    """

    def __init__(self):
        self._nodes: list[Node] = []
        self._name, self._layer = "", ""
        self._concatenations: dict[bytes, Node] = {}
        self._add(Constant(1, "zero", "", np.zeros(1)))

    def scope(self, name: str, layer: str) -> None:
        """Set the name and the layer of the nodes that follow."""
        self._name, self._layer = name.rsplit("/", 1)[-1], layer

    def graph(self, outputs: dict[str, Reference]) -> Graph:
        """Return the nodes that outputs depend on, and the inputs."""
        needed = {reference.node for reference in outputs.values()}
        for node in reversed(self._nodes):
            if node in needed:
                needed.update(reference.node for reference in read_by(node))
        nodes = [n for n in self._nodes if n in needed or isinstance(n, Input)]
        return Graph(nodes, outputs)

    def input(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Create an input and return its codes."""
        return self._add(Input(int(np.prod(shape)), name, "")).reshape(shape)

    def number(self, value: float) -> np.ndarray:
        """Return the code of a constant number."""
        return self.constant(np.asarray(value), "number")

    def constant(self, values: np.ndarray, name: str) -> np.ndarray:
        """Create constants and return their codes."""
        node = Constant(values.size, name.rsplit("/", 1)[-1], "", values.ravel().astype(float))
        return self._add(node).reshape(values.shape)

    def _joined(self, codes: np.ndarray) -> np.ndarray:
        """The codes of the same elements in one node; each different element is stored once."""
        if len(np.unique(self._owners(codes))) == 1:
            return codes
        different, first, places = np.unique(codes, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.argsort(order)
        joined = self._codes(self.reference(different[order]))
        return joined[rank[places]].reshape(codes.shape)

    def reference(self, codes: np.ndarray) -> Reference:
        """Return elements as a reference to one node, which is made if they have several."""
        owners = self._owners(codes)
        numbers = np.unique(owners)
        if len(numbers) == 1:
            return Reference(self._nodes[numbers[0]], _index(codes))
        flat, key = codes.ravel(), codes.tobytes()
        if key not in self._concatenations:
            places = [np.flatnonzero(owners.ravel() == number) for number in numbers]
            parts = tuple(self.reference(flat[place]) for place in places)
            name, self._name = self._name, "joined"
            self._add(Concatenation(flat.size, "joined", self._layer, parts, tuple(places)))
            self._name = name
            self._concatenations[key] = self._nodes[-1]
        return Reference(self._concatenations[key], np.arange(flat.size).reshape(codes.shape))

    def elementwise(self, operation: str, *arguments: np.ndarray) -> np.ndarray:
        """Create an elementwise operation on tensors that broadcast."""
        arguments = tuple(np.broadcast_arrays(*map(self._joined, arguments)))
        shape = arguments[0].shape
        references = [self.reference(codes.ravel()) for codes in arguments]
        values = [_constant_values(reference) for reference in references]
        if all(value is not None for value in values):
            with np.errstate(all="ignore"):
                result = np.asarray(FUNCTIONS[operation](*values), float)
            return self.constant(result, self._name).reshape(shape)
        if operation == "add" and all(value is None for value in values):
            sums = [_with_addend(reference) for reference in references]
            if all(parts is not None for parts in sums):
                # (x + a) + (y + b) = (x + y) + (a + b)
                (x, a), (y, b) = (parts for parts in sums if parts is not None)
                joined = self.elementwise("add", self._codes(x), self._codes(y))
                return self._with_constant("add", self.reference(joined), a + b).reshape(shape)
        simple = self._simplified(operation, references, values)
        if simple is not None:
            return simple.reshape(shape)
        size = int(np.prod(shape))
        node = Elementwise(size, self._name, self._layer, operation, tuple(references))
        return self._add(node).reshape(shape)

    def product(self, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Create weights (rows, columns) @ source for each row of codes (positions, columns)."""
        owners = self._owners(codes)
        numbers = np.unique(owners)
        columns = [np.flatnonzero((owners == number).any(axis=0)) for number in numbers]
        separate = sum(map(len, columns)) == codes.shape[1] and len(numbers) <= MOST_SOURCES
        blocks = columns if separate else [np.arange(codes.shape[1])]
        codes = codes if separate else self._joined(codes)
        total = None
        for block in blocks:
            source = self.reference(codes[:, block])
            constant = _constant_values(source)
            if constant is not None and not constant.any():
                continue
            size = codes.shape[0] * len(weights)
            node = Product(size, self._name, self._layer, source, weights[:, block])
            term = self._add(node).reshape(codes.shape[0], len(weights))
            total = term if total is None else self.elementwise("add", total, term)
        return self.number(0.0) if total is None else total

    def reduction(self, operation: str, codes: np.ndarray) -> np.ndarray:
        """Create the sum or maximum over the last axis."""
        if codes.shape[-1] == 1:
            return codes[..., 0]
        rows = codes.reshape(-1, codes.shape[-1])
        argument = self.reference(rows)
        node = Reduction(len(rows), self._name, self._layer, operation, argument)
        return self._add(node).reshape(codes.shape[:-1])

    def _add(self, node: Node) -> np.ndarray:
        self._nodes.append(node)
        return ((len(self._nodes) - 1) << _SHIFT) + 1 + np.arange(node.size, dtype="int64")

    def _owners(self, codes):
        return codes >> _SHIFT

    def _codes(self, reference: Reference) -> np.ndarray:
        number = self._nodes.index(reference.node)
        return (number << _SHIFT) + 1 + reference.index

    def _simplified(self, operation, references, values):
        """Codes of a simpler form of an operation with one constant argument, or None."""
        if operation == "div" and values[1] is not None and np.all(values[1] != 0):
            return self._with_constant("mul", references[0], 1 / values[1])
        if operation == "sub" and values[1] is not None:
            return self._with_constant("add", references[0], -values[1])
        if operation in ("add", "mul") and (values[0] is None) != (values[1] is None):
            position = 0 if values[0] is None else 1
            return self._with_constant(operation, references[position], values[1 - position])
        return None

    def _with_constant(self, operation, reference, constant):
        """Codes of x + c or x * c; (x + a) + c becomes x + (a + c)."""
        neutral = 0.0 if operation == "add" else 1.0
        if np.all(constant == neutral):
            return self._codes(reference)
        if operation == "mul" and not np.any(constant):
            return np.zeros(reference.index.shape, "int64") + 1
        inner = reference.node
        earlier = None
        if isinstance(inner, Elementwise) and inner.operation in ("add", "mul"):
            earlier = _constant_values(inner.arguments[1])
        if earlier is not None and isinstance(inner, Elementwise):
            if inner.operation == operation:
                combined = FUNCTIONS[operation](earlier[reference.index], constant)
                return self._with_constant(
                    operation, inner.arguments[0].at(reference.index), combined
                )
            if operation == "mul":
                # (x + a) c = x c + a c rounds a c once.
                argument = inner.arguments[0].at(reference.index)
                scaled = self._with_constant("mul", argument, constant)
                product = earlier[reference.index] * constant
                return self._with_constant("add", self.reference(scaled), product)
        if operation == "mul":
            scaled = self._scaled_products(reference, constant)
            if scaled is not None:
                return scaled
        codes = self.constant(constant, self._name)
        arguments = (reference, self.reference(codes.ravel()))
        size = reference.index.size
        return self._add(Elementwise(size, self._name, self._layer, operation, arguments))

    def _scaled_products(self, reference: Reference, factors: np.ndarray) -> np.ndarray | None:
        """Codes of a product, or of a sum of two, whose weights are multiplied by factors."""
        node = reference.node
        whole = reference.index.shape == (node.size,)
        if not whole or not np.array_equal(reference.index, np.arange(node.size)):
            return None
        if isinstance(node, Product) and len(node.source.index) == 1:
            weights = node.weights * factors[:, np.newaxis]
            return self._add(dataclasses.replace(node, weights=weights))
        if isinstance(node, Elementwise) and node.operation == "add":
            parts = [self._scaled_products(part, factors) for part in node.arguments]
            if all(part is not None for part in parts):
                return self.elementwise("add", *(part for part in parts if part is not None))
        return None


def _with_addend(reference: Reference) -> tuple[Reference, np.ndarray] | None:
    """A sum with a constant as its other part and the constant, or None."""
    node = reference.node
    if not isinstance(node, Elementwise) or node.operation != "add":
        return None
    constant = _constant_values(node.arguments[1])
    if constant is None:
        return None
    return node.arguments[0].at(reference.index), constant[reference.index]


def _index(codes: np.ndarray) -> np.ndarray:
    return np.maximum((codes & _MASK) - 1, 0)


def _constant_values(reference: Reference) -> np.ndarray | None:
    if isinstance(reference.node, Constant):
        return reference.node.values[reference.index]
    return None
