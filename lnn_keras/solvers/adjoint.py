"""Gradients of a solution in memory that does not grow with the number of steps.

The cotangent is propagated backwards through one step after the other. Each step needs the state
before it, which is recomputed from the nearest of at most 16 snapshots. The gradients are
those of backpropagation up to rounding, and equally stable. Integrating the state backwards in
time (Chen et al., 2018) would need no snapshots, but diverges where states decay.

References: Griewank, Achieving logarithmic growth of temporal and spatial complexity in
reverse automatic differentiation, 1992; Stumm and Walther, New algorithms for optimal online
checkpointing, 2010.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lnn_keras.autodiff.differentiable import evaluate
from lnn_keras.autodiff.jvp import jvp
from lnn_keras.autodiff.vjp import vjp
from lnn_keras.tensors import Tensor, ops

SNAPSHOTS = 16
# Distance of a new snapshot from the one before, in eighths of the distance to the state needed.
# With 3, 16 snapshots serve 1,000 steps, each of which is recomputed about four times.
STRIDE = 3


def solve_with_snapshots(
    method: Any, field: Callable, h: Tensor, elapsed: Tensor, arguments: list[Tensor]
) -> Tensor:
    """Solve over `elapsed`, with derivatives for h, elapsed and the arguments.

    Args:
        method: `FixedSteps` or `Dopri5`.
        field: Pure function of the arguments that returns `increments`.
        h: State at the start (batch, size).
        elapsed: Tensor (batch, 1).
        arguments: Floating-point tensors: everything that the equation depends on.

    Returns:
        The state at the end.
    """
    start = method.start(field(arguments), h, elapsed)

    def iterate(progress, arguments):
        return list(method.iterate(field(arguments), progress))

    iterations = _Iterations(iterate, method.unfinished, method.limit, len(start))
    return method.finish(evaluate(iterations, [*start, *arguments]))


@dataclass(frozen=True)
class _Iterations:
    """The progress at the end as a function of the progress at the start and the arguments.

    Args:
        iterate: Function (progress, arguments) -> progress after one more step.
        unfinished: Function of a progress.
        limit: The greatest number of iterations.
        size: Number of tensors of the progress.
        groups: Number of groups of tensors, each with a progress and arguments: one, and as many
            again for each tangent.
    """

    iterate: Callable
    unfinished: Callable
    limit: int
    size: int
    groups: int = 1

    def forward(self, tensors: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Run all iterations: the progress at the end, and the number of iterations."""
        start, arguments = self._separate(tensors)
        count, *end = ops.while_loop(
            lambda count, *progress: self.unfinished(progress),
            lambda count, *progress: (count + 1, *self.iterate(progress, arguments)),
            (0, *start),
            maximum_iterations=self.limit,
        )
        # Only floating-point tensors have tangents. The number is exact up to 2^24.
        return end, ops.cast(count, "float32")

    def backward(
        self, tensors: list[Tensor], kept: Tensor, cotangents: list[Tensor]
    ) -> list[Tensor]:
        """Propagate the cotangents of the end to the start and to the arguments."""
        start, arguments = self._separate(tensors)
        count = ops.cast(kept, "int32")
        of_start, of_arguments = _backpropagate(
            self.iterate, start, arguments, count, cotangents, self.limit
        )
        return self._join(of_start, of_arguments)

    def tangent(self) -> "_Iterations":
        """The same iterations with the tangents of the progress, by the chain rule."""
        size = self.size * self.groups

        def iterate(progress, arguments):
            count = len(arguments) // 2
            values, of_values = jvp(
                lambda *tensors: self.iterate(tensors[:size], tensors[size:]),
                [*progress[:size], *arguments[:count]],
                [*progress[size:], *arguments[count:]],
            )
            return [*values, *of_values]

        def unfinished(progress):
            return self.unfinished(progress[:size])

        return replace(self, iterate=iterate, unfinished=unfinished, groups=2 * self.groups)

    def _separate(self, tensors):
        """The progress of all groups, and the arguments of all groups."""
        length = len(tensors) // self.groups
        groups = [tensors[i : i + length] for i in range(0, len(tensors), length)]
        start = [tensor for group in groups for tensor in group[: self.size]]
        return start, [tensor for group in groups for tensor in group[self.size :]]

    def _join(self, start, arguments):
        """Undo `_separate`."""
        count = len(arguments) // self.groups
        return [
            tensor
            for i in range(self.groups)
            for tensor in (
                *start[i * self.size : (i + 1) * self.size],
                *arguments[i * count : (i + 1) * count],
            )
        ]


def _backpropagate(iterate, start, arguments, count, cotangents, limit):
    """Propagate the cotangents of the end to the start and to the arguments."""
    slots, size = min(SNAPSHOTS, limit), len(start)

    def snapshot_needed(index, top, positions, *snapshots):
        return ops.take(positions, top) < index

    def add_snapshot(index, top, positions, *snapshots):
        """Add a snapshot between the last one and the state before step number `index`."""
        position = ops.take(positions, top)
        gap = index - position
        # The last slot must hold exactly the state that is needed.
        stride = ops.where(top + 2 < slots, (STRIDE * gap + 7) // 8, gap)
        progress = ops.fori_loop(
            0, stride, lambda _, progress: iterate(progress, arguments), _read(snapshots, top)
        )
        top = top + 1
        positions = _write([positions], top, [position + stride])[0]
        return (index, top, positions, *_write(snapshots, top, progress))

    def step_back(index, top, positions, *rest):
        snapshots, cotangents, gradients = rest[:size], rest[size : 2 * size], rest[2 * size :]
        index = index - 1
        _, top, positions, *snapshots = ops.while_loop(
            snapshot_needed, add_snapshot, (index, top, positions, *snapshots)
        )
        pulled_back = vjp(
            lambda *tensors: iterate(tensors[:size], tensors[size:]),
            [*_read(snapshots, top), *arguments],
            cotangents,
        )
        cotangents, parts = pulled_back[:size], pulled_back[size:]
        gradients = [total + part for total, part in zip(gradients, parts, strict=True)]
        top = ops.maximum(top - 1, 0)
        return (index, top, positions, *snapshots, *cotangents, *gradients)

    positions = ops.zeros((slots,), dtype="int32")
    # `ops.stack` of equal tensors meets an error in TensorFlow's graph optimizer, within a scan.
    snapshots = [ops.repeat(ops.expand_dims(tensor, 0), slots, axis=0) for tensor in start]
    gradients = [ops.zeros_like(tensor) for tensor in arguments]
    state = ops.while_loop(
        lambda index, *_: index > 0,
        step_back,
        (count, 0, positions, *snapshots, *cotangents, *gradients),
    )
    return state[3 + size : 3 + 2 * size], state[3 + 2 * size :]


def _read(snapshots, slot):
    return [ops.take(snapshot, slot, axis=0) for snapshot in snapshots]


def _write(snapshots, slot, values):
    return [
        ops.slice_update(
            snapshot, (slot, *[0] * (len(snapshot.shape) - 1)), ops.expand_dims(value, 0)
        )
        for snapshot, value in zip(snapshots, values, strict=True)
    ]
