"""The states of all steps of a recurrent layer, and the quantities within its steps."""

from collections.abc import Callable
from typing import Any

import keras

from lnn_keras import elapsed as elapsed_time
from lnn_keras.cells.continuous_time import ContinuousTimeCell, bounded, step_dtype
from lnn_keras.compat import weights_as
from lnn_keras.layers.cell_step import CellStep, keep_masked
from lnn_keras.layers.liquid_rnn import LiquidRNN
from lnn_keras.layers.scan import scan, split_sizes
from lnn_keras.layers.step_inputs import StepInputs
from lnn_keras.tensors import Tensor, ops


def states_and_quantities(
    layer: Any, sequences: Tensor, initial_state: Any, mask: Tensor | None
) -> dict[str, Tensor]:
    """States and quantities of all steps of a recurrent layer by name, (batch, time, ...).

    Steps of a layer with `go_backwards` are in the order of the sequences. Masked ones are NaN.

    Args:
        layer: The layer, built.
        sequences: The sequences that its `inner_loop` takes (batch, time, features).
        initial_state: The states before the first step.
        mask: Booleans (batch, time), or None.
    """
    inputs, elapsed = inputs_of(layer, sequences, mask)
    initial = [ops.cast(state, dtype_of(layer)) for state in keras.tree.flatten(initial_state)]
    after = _scan_states(layer, inputs, initial, elapsed, initial_state)
    first = ops.expand_dims(ops.concatenate(initial, axis=-1), 1)
    before = ops.concatenate([first, after[:, :-1]], axis=1)

    # All steps at once, as one batch.
    flat = inputs.map(_without_time)
    sizes = [state.shape[-1] for state in initial]
    states = keras.tree.pack_sequence_as(
        initial_state, split_sizes(_without_time(before), sizes, axis=-1)
    )
    time = elapsed if flat.elapsed is None else flat.elapsed
    with weights_as(dtype_of(layer)):
        quantities = _quantities(layer.cell, flat.features, states, time)
    found = {
        **_by_name("state", split_sizes(after, sizes, axis=-1)),
        **_by_name("previous_state", split_sizes(before, sizes, axis=-1)),
        "inputs": inputs.features,
    }
    if inputs.elapsed is not None:
        found["elapsed"] = inputs.elapsed[..., 0]
    batch, length = ops.shape(after)[0], ops.shape(after)[1]
    for name, value in quantities.items():
        found[name] = ops.reshape(value, (batch, length, *value.shape[1:]))
    found = {name: _where_valid(value, inputs.mask) for name, value in found.items()}
    if layer.go_backwards:
        found = {name: ops.flip(value, axis=1) for name, value in found.items()}
    return found


def elapsed_of(layer: Any) -> float | None:
    """The elapsed time of a layer whose steps all take the same, or None."""
    elapsed = getattr(layer.cell, "elapsed", None)
    return elapsed if isinstance(elapsed, float) else None


def dtype_of(layer: Any) -> str:
    """The dtype of a layer's steps."""
    return step_dtype(layer.cell if hasattr(layer.cell, "compute_dtype") else layer)


def inputs_of(
    layer: Any, sequences: Tensor, mask: Tensor | None
) -> tuple[StepInputs, float | None]:
    """The inputs of a layer's steps, in the order in which it computes them.

    Args:
        layer: The layer.
        sequences: The sequences that its `inner_loop` takes (batch, time, features).
        mask: Booleans (batch, time), or None.

    Returns:
        The inputs, and the elapsed time of all steps if it is one number.
    """
    cell, dtype, elapsed = layer.cell, dtype_of(layer), None
    if isinstance(layer, LiquidRNN):
        inputs, elapsed, _ = layer.separate_inputs(sequences, mask)
    else:
        if isinstance(cell, ContinuousTimeCell):
            sequences, elapsed = cell.separate_elapsed(sequences)
            elapsed, _ = elapsed_time.refuse_invalid(elapsed, dtype)
            sequences = bounded(sequences, cell.compute_dtype)
        mask = None if mask is None else ops.expand_dims(mask, -1)
        times = elapsed if hasattr(elapsed, "shape") else None
        inputs, elapsed = StepInputs(sequences, times, mask), None if times is not None else elapsed
    inputs = inputs.map(lambda tensor: ops.cast(tensor, dtype))
    if layer.go_backwards:
        inputs = inputs.map(lambda tensor: ops.flip(tensor, axis=1))
    return inputs, elapsed


def _scan_states(layer, inputs, initial, elapsed, structure):
    """The states after all steps (batch, time, sizes)."""
    step, inputs, parameters = step_of(layer, inputs, elapsed, structure)
    after, _ = scan(_states_as_output(step), inputs, initial, parameters)
    return after


def step_of(
    layer: Any, inputs: StepInputs, elapsed: float | None, structure: Any
) -> tuple[Callable, StepInputs, list[Tensor]]:
    """The step of a layer's cell, with the inputs and the parameters that it takes.

    Args:
        layer: The layer.
        inputs: Inputs of all steps (batch, time, size), or of one step (batch, size).
        elapsed: The elapsed time of all steps, or None if `inputs` has it.
        structure: The structure of the states that the cell takes.

    Returns:
        The step, a function (inputs, states, parameters) -> (output, new states) with lists of
        states, and the other arguments.
    """
    if not isinstance(layer.cell, ContinuousTimeCell):
        return _call_of(layer.cell, structure), inputs, []
    step = CellStep(layer.cell, [], elapsed, training=False, recomputed=False)
    return step, step.project(inputs), step.parameters


def _call_of(cell, structure) -> Callable:
    """The call of a cell that is not of lnn_keras, as a step."""

    def step(inputs, states, parameters):
        output, new = cell(inputs.features, keras.tree.pack_sequence_as(structure, states))
        return output, [ops.cast(state, states[0].dtype) for state in keras.tree.flatten(new)]

    return step


def _states_as_output(step) -> Callable:
    def states_after(inputs, states, parameters):
        _, new = step(inputs, states, parameters)
        new = keep_masked(inputs.mask, keras.tree.flatten(new), states)
        return ops.concatenate(new, axis=-1), new

    return states_after


def _quantities(cell, features, states, elapsed) -> dict[str, Tensor]:
    """The quantities of a cell; of stacked cells, those of each after its name."""
    if isinstance(cell, keras.layers.StackedRNNCells):
        found: dict[str, Tensor] = {}
        for number, (inner, own) in enumerate(zip(cell.cells, states, strict=True)):
            own = own if isinstance(own, list | tuple) else [own]
            data, time = features, elapsed
            if isinstance(inner, ContinuousTimeCell):
                data, time = inner.separate_elapsed(features)
            quantities = _quantities(inner, data, own, time)
            found.update({f"cell_{number}/{name}": quantities[name] for name in quantities})
            features, _ = inner(features, own)
        return found
    if isinstance(cell, ContinuousTimeCell):
        return cell.quantities(features, states, elapsed)
    return {}


def _without_time(tensor):
    """(batch, time, ...) -> (batch * time, ...)."""
    return ops.reshape(tensor, (-1, *tensor.shape[2:]))


def _by_name(name, tensors):
    """One tensor by the name, several by the name and their numbers."""
    if len(tensors) == 1:
        return {name: tensors[0]}
    return {f"{name}_{number}": tensor for number, tensor in enumerate(tensors)}


def _where_valid(value, mask):
    """The value, NaN at masked steps."""
    if mask is None:
        return value
    rank = len(value.shape)
    mask = ops.reshape(mask, (*ops.shape(mask)[:2], *[1] * (rank - 2)))
    return ops.where(mask > 0, value, float("nan"))
