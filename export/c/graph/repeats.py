"""Equal unfolds: a run of nodes that a graph repeats becomes the body of one loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.c.graph.nodes import (
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
    with_read,
)


@dataclass(frozen=True, eq=False)
class Carried(Node):
    """A vector that each iteration of a repeat takes from the iteration before."""


@dataclass(frozen=True, eq=False)
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
    """Find the parts of a graph that repeat, the longest first."""
    varying: list[Node] = [node for node in graph.nodes if not isinstance(node, Constant)]
    constants: list[Node | Repeat] = [node for node in graph.nodes if isinstance(node, Constant)]
    folder = _Folder(varying, graph.outputs)
    found = folder.find()
    if found is None:
        origins = {node: [node] for node in graph.nodes}
        return Folded(graph.nodes, dict(graph.outputs), origins)
    return _assembled(constants, folder, found, graph)


@dataclass(frozen=True)
class _Run:
    """`count` blocks of `period` nodes from the position `start` on."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        return self.start + self.period * self.count


@dataclass(frozen=True)
class _Blocks:
    """Equal blocks of nodes, which run one after the other.

    Attributes:
        run: The blocks that are contiguous.
        nodes: The nodes of each block.
        initial: By offset of a node that is handed on, its initial value.
    """

    run: _Run
    nodes: list[list[Node]]
    initial: dict[int, Node]


class _Folder:
    def __init__(self, nodes: list[Node], outputs):
        self.nodes = nodes
        self.position = {node: index for index, node in enumerate(nodes)}
        self.signatures = [_signature(node) for node in nodes]
        self.outputs = outputs

    def find(self) -> list[_Run] | None:
        """Runs that do not overlap, the longest first; None if there are none."""
        candidates = []
        count = len(self.nodes)
        for period in range(2, count // 2 + 1):
            equal = [
                self.signatures[i] == self.signatures[i + period] for i in range(count - period)
            ]
            start = 0
            while start < len(equal):
                length = 0
                while start + length < len(equal) and equal[start + length]:
                    length += 1
                repeats = length // period + 1
                if repeats > 1:
                    slack = length - (repeats - 1) * period
                    candidates += [_Run(start + s, period, repeats) for s in range(slack + 1)]
                    # One block less can start in more places.
                    if repeats > 2:
                        candidates += [
                            _Run(start + s, period, repeats - 1)
                            for s in range(slack + 1, slack + period + 1)
                        ]
                start += length + 1
        candidates.sort(key=lambda run: (-(run.count - 1) * run.period, run.period))
        chosen: list[_Run] = []
        best: tuple[int, int] | None = None
        for run in candidates:
            size = (run.count - 1) * run.period
            if best is not None and (size, run.period) != best:
                continue
            if any(run.start < other.stop and other.start < run.stop for other in chosen):
                continue
            carried = self.carries(run)
            if carried is None:
                continue
            alternatives = [
                (len(links), other.start, other)
                for other in candidates
                if (other.period, other.count) == (run.period, run.count)
                and abs(other.start - run.start) <= run.period
                and not any(other.start < c.stop and c.start < other.stop for c in chosen)
                and (links := self.carries(other)) is not None
            ]
            chosen.append(min(alternatives, key=lambda entry: entry[:2])[2])
        return sorted(chosen, key=lambda run: run.start) or None

    def carries(self, run: _Run) -> dict[int, Node] | None:
        """By offset of a node that is handed on, its initial value; None if blocks differ."""
        initial: dict[int, Node] = {}
        for offset in range(run.period):
            blocks = [self.nodes[run.start + b * run.period + offset] for b in range(run.count)]
            for references in zip(*(read_by(node) for node in blocks), strict=True):
                nodes = [reference.node for reference in references]
                if isinstance(nodes[0], Constant):
                    continue  # part of the signature
                places = [self._place(run, node) for node in nodes]
                if len({place for place in places if place is None}) and len(set(nodes)) == 1:
                    continue  # the same in each iteration
                wanted = [
                    (block, places[-1][1] if places[-1] else -1) for block in range(run.count)
                ]
                if places == wanted:
                    continue  # computed in the same iteration
                last = places[-1]
                if last is None or last[0] != run.count - 2:
                    return None
                if places[1:] != [(block, last[1]) for block in range(run.count - 1)]:
                    return None
                first = nodes[0]
                if places[0] is not None or initial.setdefault(last[1], first) is not first:
                    return None
                if first.size != self.nodes[run.start + last[1]].size:
                    return None
        return initial if initial and self._reads_last(run) else None

    def extended(self, run: _Run) -> _Blocks:
        """A run with the blocks in front of it that are mixed with other nodes."""
        initial = self.carries(run)
        assert initial
        contiguous = self.nodes[run.start : run.stop]
        period = run.period
        blocks = [contiguous[i : i + period] for i in range(0, len(contiguous), period)]
        while True:
            earlier = self._block_before(blocks, initial)
            if earlier is None:
                return _Blocks(run, blocks, initial)
            block, initial = earlier
            blocks.insert(0, block)

    def _block_before(self, blocks, initial) -> tuple[list[Node], dict[int, Node]] | None:
        """The block that computes the initial values in the same way, and its initial values."""
        first = blocks[0]
        inside = set(first)
        handed_on = {node: offset for offset, node in initial.items()}
        equal: dict[Node, Node] = {}
        found: dict[int, Node] = {}

        def matches(node, other):
            if node in equal:
                return equal[node] is other
            if _signature(node) != _signature(other):
                return False
            equal[node] = other
            for mine, its in zip(read_by(node), read_by(other), strict=True):
                if isinstance(mine.node, Constant):
                    continue
                if mine.node in inside:
                    if not matches(mine.node, its.node):
                        return False
                elif mine.node in handed_on:
                    if found.setdefault(handed_on[mine.node], its.node) is not its.node:
                        return False
                elif mine.node is not its.node:
                    return False
            return True

        if not all(matches(first[offset], node) for offset, node in initial.items()):
            return None
        block = [equal.get(node) for node in first]
        if None in block or found.keys() != initial.keys():
            return None
        own = set(block)
        if any(found[offset].size != node.size for offset, node in initial.items()):
            return None
        readers = [n for n in self.nodes if any(ref.node in own for ref in read_by(n))]
        allowed = own | inside
        returned = {reference.node for reference in self.outputs.values()}
        if own & inside or own & returned or any(node not in allowed for node in readers):
            return None
        return [node for node in block if node is not None], found

    def _place(self, run: _Run, node: Node) -> tuple[int, int] | None:
        position = self.position.get(node, -1) - run.start
        inside = 0 <= position < run.period * run.count
        return divmod(position, run.period) if inside else None

    def _reads_last(self, run: _Run) -> bool:
        """Whether all that comes after a run reads its last block only."""
        early = set(self.nodes[run.start : run.stop - run.period])
        later = [ref for node in self.nodes[run.stop :] for ref in read_by(node)]
        return not any(ref.node in early for ref in [*later, *self.outputs.values()])


def _signature(node: Node) -> tuple:
    """What equal nodes of different blocks have in common; nodes that are read are not part."""
    if isinstance(node, Input):
        return ("input", node.name)
    parts: list[object] = [type(node), node.size]
    if isinstance(node, (Elementwise, Reduction)):
        parts.append(node.operation)
    if isinstance(node, Product):
        parts += [node.weights.shape, node.weights.tobytes()]
    if isinstance(node, Concatenation):
        parts += [place.tobytes() for place in node.places]
    for reference in read_by(node):
        parts += [reference.index.shape, reference.index.tobytes()]
        if isinstance(reference.node, Constant):
            parts.append(reference.node.values[reference.index].tobytes())
    return tuple(parts)


def _assembled(constants, folder: _Folder, runs: list[_Run], graph: Graph) -> Folded:
    origins: dict[Node, list[Node]] = {node: [node] for node in graph.nodes}
    replaced: dict[Node, Node] = {}
    items: list[Node | Repeat] = list(constants)
    repeats = [folder.extended(run) for run in runs]
    moved = {node for blocks in repeats for block in blocks.nodes for node in block}
    position = 0
    for blocks in repeats:
        before = folder.nodes[position : blocks.run.start]
        items += [_with_nodes(n, replaced, origins) for n in before if n not in moved]
        hoisted, repeat = _repeat(folder, blocks, replaced, origins)
        items += [*hoisted, repeat]
        position = blocks.run.stop
    items += [_with_nodes(node, replaced, origins) for node in folder.nodes[position:]]
    outputs = {
        name: Reference(replaced.get(reference.node, reference.node), reference.index)
        for name, reference in graph.outputs.items()
    }
    return Folded(items, outputs, origins)


def _with_nodes(node: Node, replaced: dict[Node, Node], origins: dict[Node, list[Node]]) -> Node:
    """A node that reads the nodes that others have been replaced by."""
    if not any(reference.node in replaced for reference in read_by(node)):
        return node

    def new(reference):
        return Reference(replaced.get(reference.node, reference.node), reference.index)

    copy = with_read(node, [new(reference) for reference in read_by(node)])
    replaced[node] = copy
    origins[copy] = origins.get(node, [node])
    return copy


def _repeat(folder: _Folder, blocks: _Blocks, replaced, origins) -> tuple[list[Node], Repeat]:
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
        origins[variable] = [initial, *(block[offset] for block in blocks.nodes)]
    body, hoisted = [], []
    varying: set[Node] = {variable for variable, _ in variables.values()}
    for offset, node in enumerate(second):
        copy = _with_nodes(node, copies, {})
        copies[node] = copy
        origins[copy] = [block[offset] for block in blocks.nodes]
        if any(reference.node in varying for reference in read_by(copy)):
            varying.add(copy)
            body.append(copy)
        else:
            hoisted.append(copy)
    results = []
    read = {ref.node for node in folder.nodes[blocks.run.stop :] for ref in read_by(node)}
    read |= {reference.node for reference in folder.outputs.values()}
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


def count_of(items: Sequence[Node | Repeat]) -> int:
    """Return the number of nodes in items, each body once."""
    return int(np.sum([len(i.body) if isinstance(i, Repeat) else 1 for i in items]))
