"""The scan of LiquidRNN, which can compute a step again for its gradient instead of keeping it.

Backpropagation through a stock scan keeps all that each step computes. With `again`, the states
between the steps are kept alone, and a scan back through them takes the gradient of one step after
the other: less to write and to read, so it is often faster as well.

Reference: Griewank and Walther, Algorithm 799: Revolve, 2000.
"""

import keras
from keras import ops

from lnn_keras.autodiff.vjp import vjp


class _Cell:
    """A function of a row and the states, as a cell for `keras.layers.RNN`."""

    def __init__(self, step, states):
        self.step = step
        self.state_size = [state.shape[-1] for state in states]

    def call(self, row, states):
        return self.step(row, list(states))

    __call__ = call


def scan(step, rows, states, arguments, again=True, unroll=False, axis=-1):
    """Advance states by one row after the other.

    Args:
        step: Function (row, states, arguments) -> (emitted, new states), each (batch, size);
            with `again` it must be pure. Emitted may be None.
        rows: Tensor (batch, time, size).
        states: List of tensors (batch, size): where they start.
        arguments: List of floating-point tensors: all else that a step depends on.
        again: Whether to keep the states alone, and compute each step again for its gradient.
        unroll: Whether to unroll the loop.
        axis: That of the sizes: -1, or 0, where all shapes are the other way round: rows
            (size, time, batch), and what a step takes and returns (size, batch).

    Returns:
        What was emitted at each step with the states after it: (batch, time, size of all).
    """

    def traced(row, states, arguments):
        emitted, states = step(row, states, arguments)
        found = states if emitted is None else [emitted, *states]
        return ops.concatenate(found, axis=axis), states

    if not again:
        return _loop(lambda row, states: traced(row, states, arguments), rows, states, unroll)[0]
    count = len(states)

    @ops.custom_gradient
    def forward(rows, *tensors):
        # Eager TensorFlow would keep every step of the forward pass for its own tape.
        rows, *tensors = (ops.stop_gradient(tensor) for tensor in (rows, *tensors))
        states, arguments = tensors[:count], tensors[count:]
        trace, _ = _loop(lambda row, states: traced(row, states, arguments), rows, states, unroll)

        def backward(*args, upstream=None):
            # Keras's backends hand over the gradient by position or by name.
            upstream = args[0] if upstream is None else upstream
            return _scan_back(traced, rows, trace, states, arguments, upstream, unroll, axis)

        return trace, backward

    return forward(rows, *states, *arguments)


def split(tensor, sizes, axis=-1):
    """The parts of a tensor along an axis, of these sizes."""
    ends = [sum(sizes[:end]) for end in range(1, len(sizes))]
    return ops.split(tensor, ends, axis=axis) if ends else [tensor]


def _scan_back(traced, rows, trace, states, arguments, upstream, unroll, axis):
    """The gradients for the rows, the states at the start and the arguments."""
    count, sizes = len(states), [state.shape[axis] for state in states]
    of_trace = [trace.shape[axis] - sum(sizes), sum(sizes)]
    start = ops.expand_dims(ops.concatenate(states, axis=axis), 1)
    before = ops.concatenate([start, split(trace[:, :-1], of_trace, axis)[1]], axis=1)
    parts = [rows.shape[axis], *sizes, *of_trace]

    def step_back(joined, cotangents):
        row, *before, of_emitted, of_states = split(joined, parts, axis)
        of_states = of_states + ops.concatenate(cotangents[:count], axis=axis)
        found = vjp(
            lambda row, *rest: [traced(row, list(rest[:count]), list(rest[count:]))[0]],
            [row, *before, *arguments],
            [ops.concatenate([of_emitted, of_states], axis=axis)],
        )
        pairs = zip(cotangents[count:], found[1 + count :], strict=True)
        return found[0], [*found[1 : 1 + count], *(total + part for total, part in pairs)]

    joined = ops.flip(ops.concatenate([rows, before, upstream], axis=axis), axis=1)
    zeros = [ops.zeros_like(tensor) for tensor in [*states, *arguments]]
    of_rows, cotangents = _loop(step_back, joined, zeros, unroll)
    return ops.flip(of_rows, axis=1), *cotangents


def _loop(step, rows, states, unroll):
    """Keras's scan of a function (row, states) -> (output, states): outputs, last states."""
    layer = keras.layers.RNN(_Cell(step, states), return_sequences=True, unroll=unroll, name="scan")
    _, outputs, states = layer.inner_loop(rows, states, None)
    return outputs, list(states)
