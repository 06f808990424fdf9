"""All steps of a cell whose steps are Moebius maps: the maps at once, then the states."""

from lnn_keras.autodiff.recomputation import recomputed
from lnn_keras.layers.cell_step import CellStep
from lnn_keras.layers.mobius_recurrence import Recurrence, states_of
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.solvers.mobius import Mobius
from lnn_keras.tensors import Tensor, ops


def mobius_scan(
    step: CellStep,
    inputs: StepInputs,
    states: list[Tensor],
    unroll: bool = False,
    *,
    recurrence: Recurrence,
    remat: bool = True,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Compute the maps of all steps at once, and then the states, which are the outputs.

    Args:
        step: The step of a cell with `step_map`.
        inputs: Inputs of all steps (batch, time, size).
        states: The state before the first step, in a list.
        unroll: Not used; the steps of a loop are three operations.
        recurrence: `step_by_step` or `in_blocks`.
        remat: Whether the gradient recomputes the maps from the projected inputs.

    Returns:
        All outputs (batch, time, size), the last output, and the state after the last step.
    """
    inputs = step.project(inputs)
    times = [] if inputs.elapsed is None else [inputs.elapsed]

    def maps_of(projected, *rest):
        elapsed, parameters = rest[: len(times)], rest[len(times) :]
        found = step.maps(StepInputs(projected, *elapsed), list(parameters))
        return list(found)

    tensors = [inputs.features, *times, *step.parameters]
    maps = Mobius(*(recomputed(maps_of, tensors) if remat else maps_of(*tensors)))
    if inputs.mask is not None:
        maps = maps.where(inputs.mask)
    outputs = solution = states_of(maps, step.within_bounds(states[0]), recurrence)
    if inputs.mask is not None:
        # A masked step repeats the output before it; there is none before the first valid step.
        outputs = ops.where(ops.cumsum(inputs.mask, axis=1) > 0, outputs, 0)
    return outputs, outputs[:, -1], [solution[:, -1]]
