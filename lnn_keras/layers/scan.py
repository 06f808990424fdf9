"""The scan of LiquidRNN, which can recompute its steps in the gradient (rematerialization).

Backpropagation through a plain scan stores every intermediate value of every step. With `remat`
only the states between the steps are stored, and the gradient is a scan backwards in time that
recomputes one step after the other. This writes and reads less memory, so it is often faster too.

Reference: Griewank and Walther, Algorithm 799: Revolve, 2000.
"""

from collections.abc import Callable

import keras

from lnn_keras.autodiff.custom_gradient import with_gradient
from lnn_keras.autodiff.transposition import transposed
from lnn_keras.autodiff.vjp import vjp
from lnn_keras.compat import time_loop
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.tensors import Tensor, ops


class _Packing:
    """Joins the tensors of `StepInputs` along their channel axis, and separates them again.

    A loop that reads one tensor per step is faster than a loop that reads several.
    """

    def __init__(self, inputs: StepInputs, axis: int):
        self._present = [tensor is not None for tensor in inputs]
        self._sizes = [tensor.shape[-1] for tensor in inputs if tensor is not None]
        self._axis = axis

    def join(self, inputs: StepInputs) -> Tensor:
        tensors = [tensor for tensor in inputs if tensor is not None]
        return ops.concatenate(tensors, axis=-1) if len(tensors) > 1 else tensors[0]

    def separate(self, packed: Tensor) -> StepInputs:
        tensors = iter(split_sizes(packed, self._sizes, self._axis))
        return StepInputs(*(next(tensors) if present else None for present in self._present))


def scan(
    step: Callable,
    inputs: StepInputs,
    states: list[Tensor],
    parameters: list[Tensor],
    remat: bool = False,
    unroll: bool = False,
    batch_last: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Advance states over all steps of a sequence.

    Args:
        step: Function (inputs, states, parameters) -> (output, new states) of tensors
            (batch, size); with `remat` it must be pure.
        inputs: Tensors (batch, time, size).
        states: Tensors (batch, size), the states before the first step.
        parameters: Floating-point tensors that all steps share.
        remat: Whether to recompute the steps in the gradient.
        unroll: Whether to unroll the loop.
        batch_last: Whether the step reads and returns tensors (size, batch).

    Returns:
        The outputs (batch, time, size), and the states after the last step.
    """
    axis = 0 if batch_last else -1
    packing = _Packing(inputs, axis)
    packed = packing.join(inputs)
    if batch_last:
        packed, states = transposed(packed), [transposed(state) for state in states]

    def packed_step(packed, states, parameters):
        return step(packing.separate(packed), states, parameters)

    loop = _remat_loop if remat else _plain_loop
    if remat and keras.backend.backend() == "jax":
        loop = _checkpointed_loop
    outputs, states = loop(packed_step, packed, list(states), list(parameters), unroll, axis)
    if batch_last:
        outputs, states = transposed(outputs), [transposed(state) for state in states]
    return outputs, states


def split_sizes(tensor: Tensor, sizes: list[int], axis: int = -1) -> list[Tensor]:
    """Split a tensor along an axis into parts of the given sizes."""
    ends = [sum(sizes[:end]) for end in range(1, len(sizes))]
    return ops.split(tensor, ends, axis=axis) if ends else [tensor]


def _plain_loop(step, packed, states, parameters, unroll, axis):
    return time_loop(
        lambda packed, states: step(packed, states, parameters), packed, states, unroll
    )


def _checkpointed_loop(step, packed, states, parameters, unroll, axis):
    """As `_remat_loop`, by the rematerialization of JAX, which has forward-mode derivatives too."""
    import jax

    # Within a loop, the compiler cannot merge the recomputation with the first computation.
    step = jax.checkpoint(step, prevent_cse=unroll)
    return _plain_loop(step, packed, states, parameters, unroll, axis)


def _remat_loop(step, packed, states, parameters, unroll, axis):
    """The loop, with a gradient that recomputes every step from the states before it."""
    count, sizes = len(states), [state.shape[axis] for state in states]

    def traced_step(packed, states, parameters):
        """Output all values that the gradient or the caller needs, joined in one tensor."""
        output, new = step(packed, states, parameters)
        # An output that is the first state is stored once.
        stored = new if output is new[0] else [output, *new]
        return ops.concatenate(stored, axis=axis), new

    def trace_of(packed, *tensors):
        states, parameters = list(tensors[:count]), list(tensors[count:])
        return [_plain_loop(traced_step, packed, states, parameters, unroll, axis)[0]]

    def gradient(tensors, traces, upstreams):
        packed, *rest = tensors
        return _backward_loop(
            traced_step, packed, traces[0], rest[:count], rest[count:], upstreams[0], unroll, axis
        )

    (trace,) = with_gradient(trace_of, gradient, [packed, *states, *parameters])
    stored_output_size = trace.shape[axis] - sum(sizes)
    output_size = stored_output_size or sizes[0]
    outputs = trace[:output_size] if axis == 0 else trace[..., :output_size]
    return outputs, split_sizes(trace[:, -1], [stored_output_size, *sizes], axis)[1:]


def _backward_loop(step, packed, trace, states, parameters, upstream, unroll, axis):
    """The gradients for the inputs, the states before the first step and the parameters."""
    count, sizes = len(states), [state.shape[axis] for state in states]
    trace_sizes = [trace.shape[axis] - sum(sizes), sum(sizes)]
    start = ops.expand_dims(ops.concatenate(states, axis=axis), 1)
    states_before = ops.concatenate(
        [start, split_sizes(trace[:, :-1], trace_sizes, axis)[1]], axis=1
    )
    part_sizes = [packed.shape[axis], *sizes, *trace_sizes]

    def step_back(joined, cotangents):
        packed, *before, output_upstream, state_upstream = split_sizes(joined, part_sizes, axis)
        state_upstream = state_upstream + ops.concatenate(cotangents[:count], axis=axis)
        gradients = vjp(
            lambda packed, *rest: [step(packed, list(rest[:count]), list(rest[count:]))[0]],
            [packed, *before, *parameters],
            [ops.concatenate([output_upstream, state_upstream], axis=axis)],
        )
        of_states, of_parameters = gradients[1 : 1 + count], gradients[1 + count :]
        pairs = zip(cotangents[count:], of_parameters, strict=True)
        return gradients[0], [*of_states, *(total + part for total, part in pairs)]

    joined = ops.flip(ops.concatenate([packed, states_before, upstream], axis=axis), axis=1)
    zeros = [ops.zeros_like(tensor) for tensor in [*states, *parameters]]
    of_packed, cotangents = time_loop(step_back, joined, zeros, unroll)
    return [ops.flip(of_packed, axis=1), *cotangents]
