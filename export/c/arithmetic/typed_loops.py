"""From loops over real numbers to loops over integers or floats."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from export.c.arithmetic.expressions import (
    Assignment,
    Copy,
    Program,
    Statement,
    TypedLoop,
    TypedRepeat,
    Vector,
)
from export.c.arithmetic.floating_point import FloatingPoint
from export.c.arithmetic.formats import Ties, fraction_hints
from export.c.arithmetic.loop_expressions import LoopExpressions, Numbers
from export.c.arithmetic.rescaling import fraction_of
from export.c.arithmetic.unread import without_unread
from export.c.code.equations import equations
from export.c.code.identifiers import Names
from export.c.graph.loops import Loop, Plan, RepeatedLoops, is_identity
from export.c.graph.nodes import Concatenation, Constant, Node, Product, Reference, read_by
from export.c.graph.ranges import Range
from export.c.graph.repeats import Carry, Result
from export.forms.names import NEXT

INT16_BITS, INT32_BITS = 15, 28
# Room of a 16-bit vector above its calibrated range.
MARGIN = 1.25


def typed_program(
    plan: Plan,
    numbers: Numbers,
    ranges: Mapping[Node, Range],
    states: Sequence[str],
    recipe: str,
) -> Program:
    """Return a plan with number formats.

    Args:
        plan: The loops.
        numbers: The arithmetic.
        ranges: By node, its least and greatest value on the calibration data.
        states: Names of the inputs that are states; an output `next_` has the next value of each
            that changes.
        recipe: Name of the recipe.
    """
    return _Typing(plan, numbers, ranges, states).program(recipe)


class _Typing:
    def __init__(self, plan: Plan, numbers: Numbers, ranges, states):
        self._plan, self._numbers, self._ranges = plan, numbers, ranges
        self._states = set(states)
        self._names = Names()
        self._vectors: dict[Node, Vector] = {}
        self._locals: list[Vector] = []
        self._repeats = [item.repeat for item in plan.items if isinstance(item, RepeatedLoops)]
        self._stored = set(plan.stored)
        pairs = [(carry.variable, carry.initial) for r in self._repeats for carry in r.carries]
        pairs += [(carry.variable, carry.following) for r in self._repeats for carry in r.carries]
        pairs += [(result, result.source) for r in self._repeats for result in r.results]
        self._inputs = {node.name: node for node in plan.inputs}
        following = {n: plan.outputs[NEXT + n].node for n in states if NEXT + n in plan.outputs}
        self._ties = Ties.of(
            pairs
            + [
                (self._inputs[name], node)
                for name, node in following.items()
                if not isinstance(node, Constant)
            ]
        )
        self._readers: dict[Node, list[Node]] = defaultdict(list)
        for node in self._all_nodes():
            for reference in read_by(node):
                self._readers[reference.node].append(node)
        self._outputs: dict[str, Vector] = {}
        self._narrow = self._vectors_of_16_bits()
        self._hints = {} if isinstance(numbers, FloatingPoint) else self._fraction_hints()

    def _all_nodes(self) -> list[Node]:
        nodes: dict[Node, None] = {}

        def visit(node):
            if node in nodes:
                return
            for reference in read_by(node):
                visit(reference.node)
            if isinstance(node, Result):
                visit(node.source)
            nodes[node] = None

        for repeat in self._repeats:
            for carry in repeat.carries:
                visit(carry.initial)
                visit(carry.following)
        for node in [*self._plan.stored, *(ref.node for ref in self._plan.outputs.values())]:
            visit(node)
        return list(nodes)

    # Formats

    def _vectors_of_16_bits(self) -> set[Node]:
        """Nodes whose vector has 16 bits: those that products read, states and outputs."""
        read = {n.source.node for n in self._all_nodes() if isinstance(n, Product)}
        read |= set(self._inputs.values())
        read |= {reference.node for reference in self._plan.outputs.values()}
        return {node for start in read for node in self._ties.of_node(start)}

    def _fraction_hints(self) -> dict[Node, int | None]:
        stored = {n: self._format(n, "").fraction for n in self._stored & self._narrow}
        return fraction_hints(self._all_nodes(), stored)

    def _format(self, node: Node, name: str) -> Vector:
        """A vector with the format of a node and of those that it is copied to."""
        if isinstance(self._numbers, FloatingPoint):
            return Vector(name, node.size, "float32")
        largest = max(self._ranges[n].largest for n in self._ties.of_node(node))
        narrow = node in self._narrow
        bits = INT16_BITS if narrow else INT32_BITS
        fraction = fraction_of(largest * MARGIN, bits)
        fraction = min(fraction, 2 * INT16_BITS)
        limit = 1 << bits if narrow else (1 << 30)
        return Vector(name, node.size, "int16" if narrow else "int32", fraction, -limit, limit - 1)

    def _add_local(self, vector: Vector) -> Vector:
        self._locals.append(vector)
        return vector

    # Statements

    def program(self, recipe: str) -> Program:
        """The typed program."""
        inputs, states = {}, {}
        # Before the names of local vectors, so that the interface has those of the model.
        named = {name: self._names.unique(name) for name in self._inputs}
        self._output_names = {
            name: self._names.unique(name)
            for name in self._plan.outputs
            if name.removeprefix(NEXT) not in self._states
        }
        for name, node in self._inputs.items():
            vector = self._format(node, named[name])
            self._vectors[node] = vector
            (states if name in self._states else inputs)[name] = vector
        statements: list[Statement] = []
        for item in self._plan.items:
            if isinstance(item, Loop):
                statements.append(self._loop(item))
            else:
                statements += self._repeat(item)
        outputs, final = self._final(states)
        program = Program(recipe, inputs, states, outputs, self._locals, [*statements, *final])
        return without_unread(program)

    def _repeat(self, item: RepeatedLoops) -> list[Statement]:
        before: list[Statement] = []
        after: list[TypedLoop | Copy] = []
        for carry in item.repeat.carries:
            if self._is_in_place(carry):
                self._vectors[carry.variable] = self._vectors[carry.initial]
                continue
            name = self._names.unique(f"{carry.initial.name}_now")
            vector = self._add_local(self._format(carry.variable, name))
            self._vectors[carry.variable] = vector
            before.append(self._copied(carry.initial, vector))
        body: list[TypedLoop | Copy] = [self._loop(loop) for loop in item.loops]
        for carry in item.repeat.carries:
            after.append(Copy(self._vectors[carry.variable], self._vectors[carry.following]))
        for result in item.repeat.results:
            carried = [c for c in item.repeat.carries if c.following is result.source]
            # After the last iteration both vectors are equal.
            source = carried[0].variable if carried else result.source
            self._vectors[result] = self._vectors[source]
        return [*before, TypedRepeat(item.repeat.count, [*body, *after])]

    def _is_in_place(self, carry: Carry) -> bool:
        """Whether iterations can hand on a state in its own vector: nothing else needs it."""
        name = carry.initial.name
        if carry.initial is not self._inputs.get(name) or NEXT + name not in self._plan.outputs:
            return False
        following = self._plan.outputs[NEXT + name]
        is_result = (
            isinstance(following.node, Result)
            and following.node.source is carry.following
            and is_identity(following.index, carry.initial.size)
        )
        returned = any(ref.node is carry.initial for ref in self._plan.outputs.values())
        starts = [c for r in self._repeats for c in r.carries if c.initial is carry.initial]
        return is_result and not returned and len(starts) == 1 and not self._readers[carry.initial]

    def _output_of(self, node: Node) -> str | None:
        """The name of the data output that alone reads a node, and all of it in order."""
        names = [n for n, reference in self._plan.outputs.items() if reference.node is node]
        if len(names) != 1 or self._readers[node] or len(self._ties.of_node(node)) > 1:
            return None
        name = names[0]
        if name.removeprefix(NEXT) in self._states and name.startswith(NEXT):
            return None
        return name if is_identity(self._plan.outputs[name].index, node.size) else None

    def _copied(self, node: Node, vector: Vector) -> TypedLoop | Copy:
        return self._written(Reference(node, np.arange(node.size)), vector)

    def _final(self, states) -> tuple[dict[str, Vector], list[TypedLoop | Copy]]:
        """The data outputs, and the statements that write them and then the next states."""
        outputs, final, last = {}, [], []
        for name, reference in self._plan.outputs.items():
            state = states.get(name.removeprefix(NEXT)) if name.startswith(NEXT) else None
            if name in self._outputs:
                outputs[name] = self._outputs[name]
            elif state is None:
                outputs[name] = self._output(name, reference)
                final.append(self._written(reference, outputs[name]))
            elif self._vectors.get(reference.node) is state and is_identity(
                reference.index, state.size
            ):
                continue  # in place
            elif reference.node not in self._inputs.values():
                last.append(self._written(reference, state))
            else:
                # States are overwritten one after the other.
                waiting = dataclasses.replace(state, name=self._names.unique(f"new_{state.name}"))
                final.append(self._written(reference, self._add_local(waiting)))
                last.append(Copy(state, waiting))
        return outputs, [*final, *last]

    def _output(self, name: str, reference: Reference) -> Vector:
        like = self._vectors.get(reference.node)
        if like is None or like.dtype == "int32":
            like = self._format(reference.node, "")
        chosen = self._output_names[name]
        return dataclasses.replace(like, name=chosen, size=reference.index.size)

    def _written(self, reference: Reference, vector: Vector) -> TypedLoop | Copy:
        source = self._vectors.get(reference.node)
        if (
            source is not None
            and is_identity(reference.index, source.size)
            and _same_format(source, vector)
        ):
            return Copy(vector, source)
        if isinstance(reference.node, Constant):
            value = reference.node.values[reference.index]
        else:
            value = self._numbers.load(self._vectors[reference.node], reference.index)
        expression = self._numbers.stored(value, vector)
        size = reference.index.size
        return TypedLoop(size, [Assignment(vector, np.arange(size), expression)], ())

    def _loop(self, loop: Loop) -> TypedLoop:
        visitor = LoopExpressions(
            self._numbers, self._vectors, self._hints, self._ranges, self._stored
        )
        assignments = []
        for store in loop.stores:
            value = visitor.value(store)
            target = store.target
            if target not in self._vectors:
                output = self._output_of(target)
                name = self._output_names[output] if output else self._names.unique(target.name)
                if output is not None:
                    self._vectors[target] = self._outputs[output] = self._format(target, name)
                elif self._needs_format(target):
                    self._vectors[target] = self._add_local(self._format(target, name))
                else:
                    vector, value = self._numbers.local_vector(name, target.size, value)
                    self._vectors[target] = self._add_local(vector)
            vector = self._vectors[target]
            visitor.computed(store, value)
            expression = self._numbers.stored(value, vector)
            assignments.append(Assignment(vector, store.places, expression))
        return TypedLoop(loop.size, assignments, equations(loop, self._vectors))

    def _needs_format(self, node: Node) -> bool:
        tied = len(self._ties.of_node(node)) > 1
        return node in self._narrow or tied or isinstance(node, Concatenation)


def _same_format(a: Vector, b: Vector) -> bool:
    return (a.dtype, a.fraction, a.size) == (b.dtype, b.fraction, b.size)
