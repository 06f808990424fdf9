"""Scan of a cell that checkpoints the states every k steps (rematerialization in chunks)."""

from lnn_keras.layers.cell_step import CellStep, OutputAsState
from lnn_keras.layers.scan import scan
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.tensors import Tensor, ops


def chunked_scan(
    step: CellStep,
    inputs: StepInputs,
    states: list[Tensor],
    unroll: bool = False,
    *,
    chunk: int,
    return_sequences: bool,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Scan chunks of steps with rematerialization; within a chunk, scan its steps the same way.

    The gradient stores the states between chunks, and the states within one chunk at a time.
    Memory is least with chunks of about the square root of the length.

    Args:
        step: The step of the cell, which must be pure.
        inputs: Inputs of all steps (batch, time, size).
        states: The states before the first step (batch, size).
        unroll: Whether to unroll the loop over the chunks.
        chunk: Number of steps in a chunk.
        return_sequences: Whether to return all outputs, or the last one with a time axis of 1.

    Returns:
        The outputs (batch, time or 1, size), the last output, and the states after the last step.
    """
    length = inputs.features.shape[1]
    if length is None or length % chunk:
        # The steps that fill up the last chunk are masked.
        inputs = inputs.with_mask()
    length, zero_output = ops.shape(inputs.features)[1], step.zero_output(inputs)
    output_size, repeating = zero_output.shape[-1], OutputAsState(step)

    def advance_chunk(inputs, states, parameters):
        steps = inputs.map(lambda t: ops.reshape(t, (-1, chunk, t.shape[-1] // chunk)))
        outputs, states = scan(
            repeating,
            step.project(steps, parameters),
            states,
            parameters,
            remat=True,
            batch_last=step.batch_last,
        )
        if not return_sequences:
            return states[0], states
        return ops.reshape(outputs, (-1, chunk * output_size)), states

    def in_chunks(tensor):
        width = tensor.shape[-1]
        tensor = ops.pad(tensor, [(0, 0), (0, -length % chunk), (0, 0)])
        return ops.reshape(tensor, (ops.shape(tensor)[0], -1, chunk * width))

    outputs, (last_output, *states) = scan(
        advance_chunk,
        inputs.map(in_chunks),
        [zero_output, *states],
        step.parameters,
        remat=True,
        unroll=unroll,
    )
    if not return_sequences:
        return ops.expand_dims(last_output, 1), last_output, states
    outputs = ops.reshape(outputs, (ops.shape(outputs)[0], -1, output_size))
    return outputs[:, :length], last_output, states
