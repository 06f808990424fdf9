"""Equal unfolds: a run of nodes that a graph repeats becomes the body of one loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.c.graph.nodes import (
    Constant,
    Graph,
    Input,
    Node,
    Product,
    Reference,
    read_by,
    with_read,
)
from export.c.graph.repeat_search import Blocks, Run, Search, signature
from export.forms.names import NEXT


@dataclass(frozen=True, eq=False, repr=False)
class Carried(Node):
    """A vector that each iteration of a repeat takes from the iteration before."""


@dataclass(frozen=True, eq=False, repr=False)
class Result(Node):
    """A vector that the last iteration of a repeat has computed: `source`, a node of its body."""

    source: Node


@dataclass(frozen=True)
class Carry:
    """A vector that iterations hand on.

    Attributes:
        variable: What the body reads.
        initial: What the first iteration reads.
        following: What an iteration computes for the next one.
    """

    variable: Carried
    initial: Node
    following: Node


@dataclass(frozen=True)
class Repeat:
    """A body of nodes that runs `count` times.

    Attributes:
        count: Number of iterations.
        body: Nodes in topological order, without those that are the same in each iteration.
        carries: The vectors that iterations hand on.
        results: The vectors that are read after the last iteration.
    """

    count: int
    body: Sequence[Node]
    carries: Sequence[Carry]
    results: Sequence[Result]


@dataclass(frozen=True)
class Folded:
    """A graph whose repeated parts are loops.

    Attributes:
        items: Nodes and repeats in topological order.
        outputs: The elements that each output returns.
        origins: By node, the nodes of the original graph that it stands for.
    """

    items: Sequence[Node | Repeat]
    outputs: dict[str, Reference]
    origins: dict[Node, list[Node]]


def fold_repeats(graph: Graph) -> Folded:
    """Find the parts of a graph that repeat; the longest are chosen first."""
    origins: dict[Node, list[Node]] = {node: [node] for node in graph.nodes}
    constants: list[Node | Repeat] = [node for node in graph.nodes if isinstance(node, Constant)]
    replaced: dict[Node, Node] = {}
    early, late = _by_states(graph)
    # What depends on inputs only stands between the nodes of the first unfold.
    nodes = _merged(early, replaced, origins)
    nodes += [_with_nodes(node, replaced, origins) for node in late]
    outputs = {name: _of(replaced, reference) for name, reference in graph.outputs.items()}
    search = Search(nodes, outputs)
    found = search.find()
    if not found:
        return Folded([*constants, *nodes], outputs, origins)
    return _assembled(constants, search, found, origins)


def _of(replaced: dict[Node, Node], reference: Reference) -> Reference:
    return Reference(replaced.get(reference.node, reference.node), reference.index)


def _merged(nodes: list[Node], replaced: dict[Node, Node], origins) -> list[Node]:
    """The nodes without products that compute the same as an earlier one."""
    known: dict[tuple, Node] = {}
    merged = []
    for node in nodes:
        copy = _with_nodes(node, replaced, origins)
        if isinstance(copy, Product):
            first = known.setdefault((signature(copy), copy.source.node), copy)
            if first is not copy:
                replaced[node] = first
                continue
        merged.append(copy)
    return merged


def _by_states(graph: Graph) -> tuple[list[Node], list[Node]]:
    """The nodes that do not depend on states, and those that do, without constants."""
    states = {name.removeprefix(NEXT) for name in graph.outputs if name.startswith(NEXT)}
    late: set[Node] = set()
    nodes = [node for node in graph.nodes if not isinstance(node, Constant)]
    for node in nodes:
        is_state = isinstance(node, Input) and node.name in states
        if is_state or any(reference.node in late for reference in read_by(node)):
            late.add(node)
    return [n for n in nodes if n not in late], [n for n in nodes if n in late]


def _assembled(constants, search: Search, runs: list[Run], origins) -> Folded:
    replaced: dict[Node, Node] = {}
    items: list[Node | Repeat] = list(constants)
    repeats = [search.extended(run) for run in runs]
    moved = {node for blocks in repeats for block in blocks.nodes for node in block}
    position = 0
    for blocks in repeats:
        before = search.nodes[position : blocks.run.start]
        items += [_with_nodes(n, replaced, origins) for n in before if n not in moved]
        hoisted, repeat = _repeat(search, blocks, replaced, origins)
        items += [*hoisted, repeat]
        position = blocks.run.stop
    items += [_with_nodes(node, replaced, origins) for node in search.nodes[position:]]
    outputs = {name: _of(replaced, reference) for name, reference in search.outputs.items()}
    return Folded(items, outputs, origins)


def _with_nodes(node: Node, replaced: dict[Node, Node], origins: dict[Node, list[Node]]) -> Node:
    """A node that reads the nodes that others have been replaced by."""
    if not any(reference.node in replaced for reference in read_by(node)):
        return node
    copy = with_read(node, [_of(replaced, reference) for reference in read_by(node)])
    replaced[node] = copy
    origins[copy] = origins.get(node, [node])
    return copy


def _repeat(search: Search, blocks: Blocks, replaced, origins) -> tuple[list[Node], Repeat]:
    """Blocks as a repeat, and the nodes of its body that are the same in each iteration."""
    first, second = blocks.nodes[:2]
    copies: dict[Node, Node] = dict(replaced)
    variables: dict[int, tuple[Carried, Node]] = {}
    for offset, initial in blocks.initial.items():
        node = first[offset]
        variable = Carried(node.size, f"{node.name}_carried", node.layer)
        variables[offset] = (variable, replaced.get(initial, initial))
        # The second block reads the first one's nodes where the first one reads initial values.
        copies[node] = variable
        origins[variable] = _all_origins(
            [initial, *(block[offset] for block in blocks.nodes)], origins
        )
    body, hoisted = [], []
    varying: set[Node] = {variable for variable, _ in variables.values()}
    for offset, node in enumerate(second):
        copy = _with_nodes(node, copies, {})
        copies[node] = copy
        origins[copy] = _all_origins([block[offset] for block in blocks.nodes], origins)
        if any(reference.node in varying for reference in read_by(copy)):
            varying.add(copy)
            body.append(copy)
        else:
            hoisted.append(copy)
    results = []
    read = {ref.node for node in search.nodes[blocks.run.stop :] for ref in read_by(node)}
    read |= {reference.node for reference in search.outputs.values()}
    for offset, node in enumerate(blocks.nodes[-1]):
        if node not in read:
            continue
        source = copies[second[offset]]
        replaced[node] = source
        if source in varying:
            result = Result(node.size, node.name, node.layer, source)
            results.append(result)
            replaced[node] = result
            origins[result] = origins[source]
    carries = [
        Carry(variable, initial, copies[second[offset]])
        for offset, (variable, initial) in variables.items()
    ]
    return hoisted, Repeat(len(blocks.nodes), body, carries, results)


def _all_origins(nodes: list[Node], origins: dict[Node, list[Node]]) -> list[Node]:
    return [origin for node in nodes for origin in origins[node]]
