"""Number formats: vectors that share one, and the fractions that readers of a node use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from export.c.arithmetic.integer_operations import SIGMOID_FRACTION
from export.c.graph.nodes import Elementwise, Node, read_by


@dataclass(frozen=True)
class Ties:
    """Vectors that share a format, since they are copied to each other: by node, all of them."""

    groups: dict[Node, list[Node]]

    @staticmethod
    def of(pairs: Sequence[tuple[Node, Node]]) -> Ties:
        """Return the groups of vectors that pairs tie together."""
        groups: dict[Node, list[Node]] = {}
        for a, b in pairs:
            merged = [*groups.get(a, [a]), *(n for n in groups.get(b, [b]))]
            merged = list(dict.fromkeys(merged))
            for node in merged:
                groups[node] = merged
        return Ties(groups)

    def of_node(self, node: Node) -> list[Node]:
        """Return the nodes whose format a node shares, with itself."""
        return self.groups.get(node, [node])


def fraction_hints(nodes: Sequence[Node], stored: Mapping[Node, int]) -> dict[Node, int | None]:
    """Return by node the fraction that all of its readers use, or None.

    Args:
        nodes: All nodes in topological order.
        stored: By node with a vector of 16 bits, its fraction.
    """
    wishes: dict[Node, set[int | None]] = {node: {f} for node, f in stored.items()}

    def wish(node, fraction):
        wishes.setdefault(node, set()).add(fraction)

    def hint_of(node):
        fractions = wishes.get(node, {None})
        return next(iter(fractions)) if len(fractions) == 1 else None

    for node in reversed(nodes):
        hint = hint_of(node)
        for reference in read_by(node):
            wish(reference.node, _wished(node, hint))
    return {node: hint_of(node) for node in nodes}


def _wished(node: Node, hint: int | None) -> int | None:
    """The fraction that a node wants its arguments to have."""
    if not isinstance(node, Elementwise):
        return None
    if node.operation in ("sigmoid", "tanh"):
        return SIGMOID_FRACTION + (node.operation == "tanh")
    if node.operation in ("add", "sub", "max", "min", "select"):
        return hint
    return hint + 1 if node.operation == "mul" and hint is not None else None
