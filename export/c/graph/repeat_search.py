"""Search for runs of nodes that a graph repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from export.c.graph.nodes import (
    Concatenation,
    Constant,
    Elementwise,
    Input,
    Node,
    Product,
    Reduction,
    Reference,
    read_by,
)


@dataclass(frozen=True)
class Run:
    """`count` blocks of `period` nodes from the position `start` on."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        """The position behind its last node."""
        return self.start + self.period * self.count

    def overlaps(self, other: Run) -> bool:
        """Whether two runs have a node in common."""
        return self.start < other.stop and other.start < self.stop


@dataclass(frozen=True)
class Blocks:
    """Equal blocks of nodes, which run one after the other.

    Attributes:
        run: The blocks that are contiguous.
        nodes: The nodes of each block.
        initial: By offset of a node that is handed on, its initial value.
    """

    run: Run
    nodes: list[list[Node]]
    initial: dict[int, Node]


class Search:
    """Finds the runs of a graph.

    Args:
        nodes: The nodes in topological order, without constants.
        outputs: The elements that each output returns.
    """

    def __init__(self, nodes: list[Node], outputs: Mapping[str, Reference]):
        self.nodes = nodes
        self.outputs = outputs
        self._position = {node: index for index, node in enumerate(nodes)}
        kinds: dict[tuple, int] = {}
        self._kinds = [kinds.setdefault(signature(node), len(kinds)) for node in nodes]

    def find(self) -> list[Run]:
        """Return runs that do not overlap, in order; the longest are chosen first."""
        candidates = sorted(
            self._candidates(), key=lambda run: (-(run.count - 1) * run.period, run.period)
        )
        chosen: list[Run] = []
        for run in candidates:
            if any(run.overlaps(other) for other in chosen) or self.carries(run) is None:
                continue
            chosen.append(self._best_start(run, candidates, chosen))
        return sorted(chosen, key=lambda run: run.start)

    def _candidates(self) -> Iterator[Run]:
        """Runs of nodes of the same kinds."""
        count = len(self.nodes)
        for period in range(2, count // 2 + 1):
            equal = [self._kinds[i] == self._kinds[i + period] for i in range(count - period)]
            start = 0
            while start < len(equal):
                length = next(
                    (n for n, same in enumerate(equal[start:]) if not same), len(equal) - start
                )
                repeats = length // period + 1
                slack = length - (repeats - 1) * period
                if repeats > 1:
                    yield from (Run(start + s, period, repeats) for s in range(slack + 1))
                # One block less can start in more places.
                if repeats > 2:
                    later = range(slack + 1, slack + period + 1)
                    yield from (Run(start + s, period, repeats - 1) for s in later)
                start += length + 1

    def _best_start(self, run: Run, candidates: list[Run], chosen: list[Run]) -> Run:
        """The run of the same size, nearby, that hands on the fewest vectors."""
        found = []
        for other in candidates:
            same = (other.period, other.count) == (run.period, run.count)
            if not same or abs(other.start - run.start) > run.period:
                continue
            carries = self.carries(other)
            if carries is not None and not any(other.overlaps(taken) for taken in chosen):
                found.append((len(carries), other.start, other))
        return min(found, key=lambda entry: entry[:2])[2]

    def carries(self, run: Run) -> dict[int, Node] | None:
        """By offset of a node that is handed on, its initial value; None if blocks differ."""
        initial: dict[int, Node] = {}
        for offset in range(run.period):
            blocks = [self.nodes[run.start + b * run.period + offset] for b in range(run.count)]
            for references in zip(*(read_by(node) for node in blocks), strict=True):
                link = self._link(run, [reference.node for reference in references])
                if link is None:
                    return None
                for place, first in link.items():
                    if initial.setdefault(place, first) is not first:
                        return None
        return initial if initial and self._reads_last(run) else None

    def _link(self, run: Run, nodes: list[Node]) -> dict[int, Node] | None:
        """The initial value of an argument that blocks hand on; empty for other arguments.

        None if the blocks read it in different ways.
        """
        if isinstance(nodes[0], Constant):
            return {}  # part of the signature
        places = [self._place(run, node) for node in nodes]
        last = places[-1]
        if last is None:
            return {} if len(set(nodes)) == 1 else None
        if places == [(block, last[1]) for block in range(run.count)]:
            return {}  # computed in the same iteration
        before = [(block, last[1]) for block in range(run.count - 1)]
        if places[0] is not None or places[1:] != before:
            return None
        same_size = nodes[0].size == self.nodes[run.start + last[1]].size
        return {last[1]: nodes[0]} if same_size else None

    def extended(self, run: Run) -> Blocks:
        """A run with the blocks in front of it that are mixed with other nodes."""
        initial = self.carries(run)
        assert initial
        contiguous = self.nodes[run.start : run.stop]
        period = run.period
        blocks = [contiguous[i : i + period] for i in range(0, len(contiguous), period)]
        while True:
            earlier = self._block_before(blocks, initial)
            if earlier is None:
                return Blocks(run, blocks, initial)
            block, initial = earlier
            blocks.insert(0, block)

    def _block_before(self, blocks, initial) -> tuple[list[Node], dict[int, Node]] | None:
        """The block that computes the initial values in the same way, and its initial values."""
        first = blocks[0]
        comparison = _Comparison(first, initial)
        if not all(comparison.matches(first[offset], node) for offset, node in initial.items()):
            return None
        block = [comparison.equal[node] for node in first if node in comparison.equal]
        found = comparison.initial
        if len(block) < len(first) or found.keys() != initial.keys():
            return None
        if any(found[offset].size != node.size for offset, node in initial.items()):
            return None
        own, inside = set(block), set(first)
        readers = {n for n in self.nodes if any(ref.node in own for ref in read_by(n))}
        returned = {reference.node for reference in self.outputs.values()}
        if own & (inside | returned) or not readers <= own | inside:
            return None
        return block, found

    def _place(self, run: Run, node: Node) -> tuple[int, int] | None:
        position = self._position.get(node, -1) - run.start
        inside = 0 <= position < run.period * run.count
        return divmod(position, run.period) if inside else None

    def _reads_last(self, run: Run) -> bool:
        """Whether all that comes after a run reads its last block only."""
        early = set(self.nodes[run.start : run.stop - run.period])
        later = [ref for node in self.nodes[run.stop :] for ref in read_by(node)]
        return not any(ref.node in early for ref in [*later, *self.outputs.values()])


class _Comparison:
    """Compares a block with nodes in front of it.

    Attributes:
        equal: By node of the block, the node that is computed in the same way.
        initial: By offset, what the other nodes read in the place of the initial values.
    """

    def __init__(self, block: list[Node], initial: Mapping[int, Node]):
        self._block = set(block)
        self._offsets = {node: offset for offset, node in initial.items()}
        self.equal: dict[Node, Node] = {}
        self.initial: dict[int, Node] = {}

    def matches(self, node: Node, other: Node) -> bool:
        """Whether a node of the block and another one are computed in the same way."""
        if node in self.equal:
            return self.equal[node] is other
        if signature(node) != signature(other):
            return False
        self.equal[node] = other
        pairs = zip(read_by(node), read_by(other), strict=True)
        return all(self._reads_same(mine.node, its.node) for mine, its in pairs)

    def _reads_same(self, mine: Node, its: Node) -> bool:
        if isinstance(mine, Constant):
            return True  # part of the signature
        if mine in self._block:
            return self.matches(mine, its)
        if mine in self._offsets:
            return self.initial.setdefault(self._offsets[mine], its) is its
        return mine is its


def signature(node: Node) -> tuple:
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
