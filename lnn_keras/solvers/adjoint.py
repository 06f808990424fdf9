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
from typing import Any

from lnn_keras.autodiff.vjp import vjp
from lnn_keras.compat import custom_gradient
from lnn_keras.tensors import Tensor, ops

SNAPSHOTS = 16
# Distance of a new snapshot from the one before, in eighths of the distance to the state needed.
# With 3, 16 snapshots serve 1,000 steps, each of which is recomputed about four times.
STRIDE = 3


def solve_with_snapshots(
    method: Any, field: Callable, h: Tensor, elapsed: Tensor, arguments: list[Tensor]
) -> Tensor:
    """Solve over `elapsed`, with gradients for h, elapsed and the arguments.

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
    size = len(start)

    def iterate(progress, arguments):
        return list(method.iterate(field(arguments), progress))

    @custom_gradient
    def end_of(*tensors):
        start, arguments = tensors[:size], tensors[size:]
        count, end = _run(method, lambda progress: iterate(progress, arguments), start)

        def pull_back(upstream):
            cotangents = [upstream, *(ops.zeros_like(tensor) for tensor in end[1:])]
            return tuple(_backpropagate(iterate, start, arguments, count, cotangents, method.limit))

        return method.finish(end), pull_back

    return end_of(*start, *arguments)


def _run(method, iterate, start):
    """Run all iterations: their number, and the progress at the end."""
    count, *end = ops.while_loop(
        lambda count, *progress: method.unfinished(progress),
        lambda count, *progress: (count + 1, *iterate(progress)),
        (0, *start),
        maximum_iterations=method.limit,
    )
    return count, end


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
    return state[3 + size :]


def _read(snapshots, slot):
    return [ops.take(snapshot, slot, axis=0) for snapshot in snapshots]


def _write(snapshots, slot, values):
    return [
        ops.slice_update(
            snapshot, (slot, *[0] * (len(snapshot.shape) - 1)), ops.expand_dims(value, 0)
        )
        for snapshot, value in zip(snapshots, values, strict=True)
    ]
