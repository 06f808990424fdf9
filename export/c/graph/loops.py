"""Loops: which vectors are stored, and which expressions one loop over neurons computes.

A node is stored if several loops read it, if a product or a reduction reads all of it, or if it is
a state or an output. All other nodes become part of the expressions that read them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

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
from export.c.graph.repeats import Carried, Folded, Repeat, Result

# Share of nonzero weights below which a product lists them with their columns.
SPARSE = 0.3


@dataclass(frozen=True, eq=False)
class Store:
    """`value` is stored at the places (size,) of the vector of `target`."""

    target: Node
    value: Reference
    places: np.ndarray


@dataclass(frozen=True)
class Loop:
    """Stores that one loop over `size` neurons computes, in topological order."""

    size: int
    stores: Sequence[Store]


@dataclass(frozen=True)
class RepeatedLoops:
    """Loops that run `repeat.count` times."""

    repeat: Repeat
    loops: Sequence[Loop]


@dataclass(frozen=True)
class Plan:
    """All loops of a step.

    Attributes:
        items: In the order in which they run.
        stored: The nodes with a vector of their own, without inputs.
        outputs: The elements that each output returns; their nodes are stored or inputs.
        inputs: The inputs and states of the step.
    """

    items: Sequence[Loop | RepeatedLoops]
    stored: Sequence[Node]
    outputs: dict[str, Reference]
    inputs: Sequence[Input]


def plan_loops(folded: Folded) -> Plan:
    """Arrange a graph in loops."""
    items: list[Loop | RepeatedLoops] = []
    stored: list[Node] = []
    wanted = {reference.node for reference in folded.outputs.values()}
    segments = _segments(folded.items)
    # What a later segment reads must be stored by an earlier one.
    for index, segment in enumerate(segments):
        later = [n for s in segments[index + 1 :] for n in _nodes(s)]
        read = wanted | {ref.node for node in later for ref in read_by(node)}
        for following in segments[index + 1 :]:
            if isinstance(following, Repeat):
                read |= {carry.initial for carry in following.carries}
        if isinstance(segment, Repeat):
            ends = {carry.following for carry in segment.carries}
            ends |= {result.source for result in segment.results}
            loops, own = _arrange(segment.body, ends | read)
            items.append(RepeatedLoops(segment, loops))
        else:
            loops, own = _arrange(segment, read)
            items += loops
        stored += own
    inputs = [node for node in folded.items if isinstance(node, Input)]
    return Plan(items, stored, folded.outputs, inputs)


def _segments(items: Sequence[Node | Repeat]) -> list[list[Node] | Repeat]:
    segments: list[list[Node] | Repeat] = []
    for item in items:
        if isinstance(item, Repeat):
            segments.append(item)
        elif segments and isinstance(segments[-1], list):
            segments[-1].append(item)
        else:
            segments.append([item])
    return segments


def _nodes(segment: list[Node] | Repeat) -> Iterable[Node]:
    return segment.body if isinstance(segment, Repeat) else segment


def is_computed(node: Node) -> bool:
    """Whether a loop computes a node."""
    return not isinstance(node, (Input, Constant, Carried, Result))


def is_identity(index: np.ndarray, size: int) -> bool:
    """Whether an index reads a whole vector of `size` numbers in order."""
    return index.shape == (size,) and bool(np.array_equal(index, np.arange(size)))


def is_dense(product: Product) -> bool:
    """Whether a product is computed row by row: one position, and few zeros."""
    return len(product.source.index) == 1 and not is_sparse(product)


def is_sparse(product: Product) -> bool:
    """Whether a product lists its nonzero weights."""
    return bool(np.count_nonzero(product.weights) < SPARSE * product.weights.size)


def _arrange(nodes: Sequence[Node], wanted: set[Node]) -> tuple[list[Loop], list[Node]]:
    """Loops that compute nodes, and the nodes that they store."""
    computed = [node for node in nodes if is_computed(node)]
    stored = {node for node in computed if node in wanted or isinstance(node, Concatenation)}
    while True:
        ordered = [node for node in computed if node in stored]
        uses = _Uses(computed, ordered, stored)
        missing = uses.to_store()
        if not missing:
            levels = _levels(uses, ordered)
            missing = _last(uses.in_several_loops(levels), computed)
        if not missing:
            return _grouped(uses, ordered, levels), ordered
        stored |= missing


def _last(missing: set[Node], nodes: Sequence[Node]) -> set[Node]:
    """The nodes that something else reads than the other missing nodes, or all if none is."""
    last = {ref.node for n in nodes if n not in missing for ref in read_by(n)} & missing
    return last or missing


@dataclass
class _Read:
    """What the expression of a store reads.

    Attributes:
        inlined: The nodes that are part of it, with the elements that it needs.
        loads: Elements of stored vectors.
        vectors: Stored vectors that a product or a reduction reads.
    """

    inlined: dict[tuple[Node, bytes], int] = field(default_factory=dict)
    loads: list[Reference] = field(default_factory=list)
    vectors: list[Node] = field(default_factory=list)


class _Uses:
    """What each store reads, given the nodes that are stored."""

    def __init__(self, nodes: Sequence[Node], ordered: Sequence[Node], stored: set[Node]):
        self._stored, self._nodes, self._inside = stored, nodes, set(nodes)
        self._wide: set[Node] = set()
        self.stores: dict[Node, list[Store]] = {node: stores_of(node) for node in ordered}
        self.reads: dict[Store, _Read] = {}
        for node, stores in self.stores.items():
            for store in stores:
                self.reads[store] = _Read()
                value = store.value
                if value.node is node:
                    self._read(self.reads[store], node, value.index)
                else:
                    self._visit(self.reads[store], value.node, value.index)

    def to_store(self) -> set[Node]:
        """Nodes that would be computed more often than they have elements."""
        # The same elements in several stores are computed once if these share a loop.
        distinct: dict[tuple[Node, bytes], int] = {}
        for read in self.reads.values():
            distinct |= read.inlined
        counts: dict[Node, int] = defaultdict(int)
        for (node, _), count in distinct.items():
            counts[node] += count
        wide = {node for node, count in counts.items() if count > node.size}
        vectors = {node for read in self.reads.values() for node in read.vectors}
        vectors &= self._inside
        return (_last(wide, list(self._nodes)) | vectors | self._wide) - self._stored

    def in_several_loops(self, levels: dict[Store, int]) -> set[Node]:
        """Nodes that several loops would compute."""
        loops: dict[tuple[Node, bytes], set[tuple[int, int]]] = defaultdict(set)
        for store, read in self.reads.items():
            for key in read.inlined:
                loops[key].add((levels[store], len(store.places)))
        return {node for (node, _), where in loops.items() if len(where) > 1}

    def _visit(self, read: _Read, node: Node, index: np.ndarray):
        if isinstance(node, Constant):
            return
        if node in self._stored or node not in self._inside:
            read.loads.append(Reference(node, index))
            return
        key = (node, index.tobytes())
        if key in read.inlined:
            return
        read.inlined[key] = index.size
        self._read(read, node, index)

    def _read(self, read: _Read, node: Node, index: np.ndarray):
        if isinstance(node, Elementwise):
            for argument in node.arguments:
                self._visit(read, argument.node, argument.index[index])
        elif index.ndim > 1:
            # A sum within a sum has its own loop.
            self._wide.add(node)
        elif isinstance(node, Product):
            read.vectors.append(node.source.node)
        elif isinstance(node, Reduction):
            self._visit(read, node.argument.node, node.argument.index[index])
        else:
            raise TypeError(f"{node!r} has no expression.")


def stores_of(node: Node) -> list[Store]:
    """Return the stores that fill a node's vector."""
    if isinstance(node, Concatenation):
        return [
            Store(node, part, places) for part, places in zip(node.parts, node.places, strict=True)
        ]
    everything = np.arange(node.size)
    return [Store(node, Reference(node, everything), everything)]


def _levels(uses: _Uses, ordered: Sequence[Node]) -> dict[Store, int]:
    """The level of each store: loops of one level read what lower levels have stored."""
    levels: dict[Store, int] = {}
    readers: dict[Node, list[tuple[Store, bool]]] = defaultdict(list)
    inside = set(ordered)
    for node in ordered:
        for store in uses.stores[node]:
            level = 0
            read = uses.reads[store]
            needs = [(ref.node, _is_same_loop(ref, store, uses)) for ref in read.loads]
            needs += [(vector, False) for vector in read.vectors]
            for needed, same in needs:
                if needed not in inside or needed is node:
                    continue
                readers[needed].append((store, same))
                below = max(levels[s] for s in uses.stores[needed])
                level = max(level, below if same else below + 1)
            levels[store] = level
    # As late as possible, so that fewer vectors wait for their reader.
    for node in reversed(ordered):
        if readers[node]:
            latest = min(levels[s] if same else levels[s] - 1 for s, same in readers[node])
            for store in uses.stores[node]:
                levels[store] = max(levels[store], latest)
    return levels


def _is_same_loop(reference: Reference, store: Store, uses: _Uses) -> bool:
    """Whether a store needs of a vector only the element that its own neuron computes."""
    size = len(store.places)
    stores = uses.stores.get(reference.node, ())
    return (
        len(stores) == 1
        and reference.node.size == size
        and not isinstance(reference.node, Concatenation)
        and is_identity(reference.index, size)
    )


def _grouped(uses: _Uses, ordered, levels) -> list[Loop]:
    groups: dict[tuple[int, int], list[Store]] = defaultdict(list)
    for node in ordered:
        for store in uses.stores[node]:
            groups[levels[store], len(store.places)].append(store)
    return [Loop(size, stores) for (_, size), stores in sorted(groups.items(), key=lambda g: g[0])]
