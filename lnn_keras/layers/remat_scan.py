"""Scan of a cell that stores the states between steps, and recomputes the steps in the gradient."""

from lnn_keras.layers.cell_step import CellStep
from lnn_keras.layers.full_scan import full_scan
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.tensors import Tensor


def remat_scan(
    step: CellStep, inputs: StepInputs, states: list[Tensor], unroll: bool = False
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """As `full_scan`, with rematerialization of each step. The step must be pure."""
    return full_scan(step, inputs, states, unroll, remat=True)
