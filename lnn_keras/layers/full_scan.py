"""Scan of a cell that stores every intermediate value for the gradient."""

from lnn_keras.layers.cell_step import CellStep, OutputAsState
from lnn_keras.layers.scan import scan
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.tensors import Tensor


def full_scan(
    step: CellStep,
    inputs: StepInputs,
    states: list[Tensor],
    unroll: bool = False,
    remat: bool = False,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Project the whole sequence, then scan the steps.

    Args:
        step: The step of the cell.
        inputs: Inputs of all steps (batch, time, size).
        states: The states before the first step (batch, size).
        unroll: Whether to unroll the loop.
        remat: Whether to recompute the steps in the gradient.

    Returns:
        All outputs (batch, time, size), the last output, and the states after the last step.
    """
    inputs = step.project(inputs)
    options = {"remat": remat, "unroll": unroll, "batch_last": step.batch_last}
    if inputs.mask is None:
        outputs, states = scan(step, inputs, states, step.parameters, **options)
    else:
        states = [step.zero_output(inputs), *states]
        outputs, states = scan(OutputAsState(step), inputs, states, step.parameters, **options)
        states = states[1:]
    return outputs, outputs[:, -1], states
