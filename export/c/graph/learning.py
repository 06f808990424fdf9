"""The two halves of a step that learns: learning from a target, and the prediction after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from export.c.graph.nodes import Graph, Input, Node, Reference, read_by, with_read
from export.forms.names import NEXT


def learning_graph(graph: Graph, learned: Sequence[str], inputs: Sequence[str]) -> Graph:
    """Return the part of a step that learns: from states and targets to learned states.

    Args:
        graph: The step.
        learned: Names of the states that hold what is learned.
        inputs: Names of the inputs that are no targets.

    Raises:
        ValueError: What is learned depends on these inputs.
    """
    outputs = {NEXT + name: graph.outputs[NEXT + name] for name in learned}
    return _needed(graph, outputs, inputs)


def prediction_graph(graph: Graph, learned: Sequence[str], targets: Sequence[str]) -> Graph:
    """Return the part of a step after learning: it reads what was learned from its states.

    Args:
        graph: The step.
        learned: Names of the states that hold what is learned.
        targets: Names of the inputs that hold the truth of past predictions.

    Raises:
        ValueError: The prediction depends on the targets.
    """
    inputs = {node.name: node for node in graph.nodes if isinstance(node, Input)}
    replaced: dict[Node, Node] = {}
    for name in learned:
        following = graph.outputs[NEXT + name]
        size = inputs[name].size
        if np.array_equal(following.index, np.arange(size)) and following.node.size == size:
            replaced[following.node] = inputs[name]
    copies: dict[Node, Node] = dict(replaced)
    nodes: list[Node] = []
    for node in graph.nodes:
        copy = node
        if node not in replaced and any(ref.node in copies for ref in read_by(node)):
            copy = with_read(node, [_of(copies, ref) for ref in read_by(node)])
            copies[node] = copy
        nodes.append(copy)
    outputs = {
        name: _of(copies, reference)
        for name, reference in graph.outputs.items()
        if name.removeprefix(NEXT) not in learned
    }
    return _needed(dataclasses.replace(graph, nodes=nodes), outputs, targets)


def _of(copies: dict[Node, Node], reference: Reference) -> Reference:
    return Reference(copies.get(reference.node, reference.node), reference.index)


def _needed(graph: Graph, outputs: dict[str, Reference], without: Sequence[str]) -> Graph:
    """A graph of the nodes that outputs depend on, which must not depend on some inputs."""
    needed = {reference.node for reference in outputs.values()}
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(reference.node for reference in read_by(node))
    for node in needed:
        if isinstance(node, Input) and node.name in without:
            raise ValueError(
                f"Input {node.name!r} is read by learning and by the prediction at once, which C "
                "does in two functions. Use a delay of at least 1."
            )
    inputs = {n for n in graph.nodes if isinstance(n, Input) and n.name not in without}
    return Graph([node for node in graph.nodes if node in needed or node in inputs], outputs)
