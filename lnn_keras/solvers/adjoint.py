"""Gradients of a solution in memory that does not grow with its steps.

A cotangent is carried back through the steps one by one. Each needs the state that
the step started from, which is computed again from the nearest of at most 16
snapshots. So the gradient is that of backpropagation, to rounding, and as stable as
it; integrating the state backwards in time instead (Chen et al., 2018) would need no
snapshots, but grows without bound where states decay.

References: Griewank, Achieving logarithmic growth of temporal and spatial complexity in
reverse automatic differentiation, 1992; Stumm and Walther, New algorithms for optimal online
checkpointing, 2010.
"""

from keras import ops

from lnn_keras.autodiff.vjp import vjp

SNAPSHOTS = 16
# Where a new snapshot lies on the way to the state that is needed, in eighths: 16 snapshots
# then serve 1,000 steps, of which each is computed again about four times.
STRIDE = 3


def solve(method, field, h, elapsed, arguments):
    """Solve over `elapsed`, with gradients for h, elapsed and the arguments.

    Args:
        method: `FixedSteps` or `Dopri5`.
        field: Pure function of the arguments that returns `increments`.
        h: State at the start (batch, size).
        elapsed: Tensor (batch, 1).
        arguments: List of floating-point tensors: all that the equation depends on.

    Returns:
        The state at the end.
    """
    start = method.start(field(arguments), h, elapsed)
    size = len(start)

    def iterate(progress, arguments):
        return list(method.iterate(field(arguments), progress))

    @ops.custom_gradient
    def forward(*tensors):
        # Eager TensorFlow would keep every step of the forward pass for its own tape.
        tensors = [ops.stop_gradient(tensor) for tensor in tensors]
        start, arguments = tensors[:size], tensors[size:]
        count, end = _run(method, lambda progress: iterate(progress, arguments), start)

        def backward(*args, upstream=None):
            # Keras's backends hand over the gradient by position or by name.
            upstream = args[0] if upstream is None else upstream
            cotangents = [upstream, *(ops.zeros_like(tensor) for tensor in end[1:])]
            return tuple(_go_back(iterate, start, arguments, count, cotangents, method.limit))

        return method.finish(end), backward

    return forward(*start, *arguments)


def _run(method, iterate, start):
    """All iterations: how many there were, and the progress at their end."""
    count, *end = ops.while_loop(
        lambda count, *progress: method.unfinished(progress),
        lambda count, *progress: (count + 1, *iterate(progress)),
        (0, *start),
        maximum_iterations=method.limit,
    )
    return count, end


def _go_back(iterate, start, arguments, count, cotangents, limit):
    """Carry the cotangents of the end back to the start, and to the arguments."""
    slots, size = min(SNAPSHOTS, limit), len(start)

    def needed(index, top, positions, *snapshots):
        return ops.take(positions, top) < index

    def advance(index, top, positions, *snapshots):
        """One snapshot more, towards the state that step number `index` started from."""
        position = ops.take(positions, top)
        gap = index - position
        # The last slot must hold the very state that is needed.
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
            needed, advance, (index, top, positions, *snapshots)
        )
        found = vjp(
            lambda *tensors: iterate(tensors[:size], tensors[size:]),
            [*_read(snapshots, top), *arguments],
            cotangents,
        )
        gradients = [total + part for total, part in zip(gradients, found[size:], strict=True)]
        top = ops.maximum(top - 1, 0)
        return (index, top, positions, *snapshots, *found[:size], *gradients)

    positions = ops.zeros((slots,), dtype="int32")
    snapshots = [ops.stack([tensor] * slots) for tensor in start]
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
