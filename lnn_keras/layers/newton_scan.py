"""All steps of a cell at once, by Newton's method (JAX only)."""

from lnn_keras.layers.cell_step import CellStep, keep_masked
from lnn_keras.layers.parallel_scan import parallel_scan
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.tensors import Tensor, ops


def newton_scan(
    step: CellStep,
    inputs: StepInputs,
    states: list[Tensor],
    unroll: bool = False,
    *,
    method: str,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Compute the states by `parallel_scan`, and the outputs from the states.

    Args:
        step: The step of a cell with one state and `read_out`.
        inputs: Inputs of all steps (batch, time, size).
        states: The state before the first step, in a list.
        unroll: Not used, since there is no loop over time.
        method: "newton" or "quasi_newton".

    Returns:
        All outputs (batch, time, size), the last output, and the state after the last step.
    """

    def advance(h, inputs):
        _, new = step(inputs, [h], step.parameters)
        return keep_masked(inputs.mask, new, [h])[0]

    over_time = step.project(inputs).map(lambda tensor: ops.swapaxes(tensor, 0, 1))
    solution, _, _ = parallel_scan(advance, states[0], over_time, method=method)
    outputs = ops.swapaxes(step.read_out(solution), 0, 1)
    if inputs.mask is not None:
        # A masked step repeats the output before it; there is none before the first valid step.
        outputs = ops.where(ops.cumsum(inputs.mask, axis=1) > 0, outputs, 0)
    return outputs, outputs[:, -1], [solution[-1]]
