"""knock_out: the outputs of a model without single neurons."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from lnn_keras.cells.continuous_time import as_list
from lnn_keras.cells.mixed_memory import MixedMemoryCell
from lnn_keras.inspect.replaced_loops import ModelWithLoops
from lnn_keras.inspect.steps import dtype_of, inputs_of, step_of
from lnn_keras.layers.cell_step import OutputAsState
from lnn_keras.layers.scan import scan
from lnn_keras.tensors import ops


def knock_out(
    model: keras.layers.Layer,
    inputs: Any,
    layer: str | None = None,
    neurons: Sequence[int] | None = None,
    value: float | Sequence[float] | np.ndarray = 0.0,
    elapsed: Any = None,
    mask: Any = None,
    batch_size: int = 256,
) -> Any:
    """Compute a model once for each of its neurons, with the state of that neuron held.

    The state of the neuron is `value` after every step, for the other neurons and for the layers
    that follow. The difference to the model's outputs is the effect of the neuron.

    Args:
        model: A Keras model or layer.
        inputs: Its inputs, arrays (batch, time, ...) in the structure that the model takes.
        layer: Name of a recurrent layer as `record` has it; may be left out if there is one.
        neurons: Numbers of the neurons; all by default.
        value: The value of a held state, or one for each neuron of the layer. The mean of
            `record(...)[layer]["state"]` disturbs the others less than 0.
        elapsed: Elapsed times for the call argument of a layer, as of `record`.
        mask: Mask for the call argument of a layer, as of `record`.
        batch_size: The number of sequences that are computed at once.

    Returns:
        The outputs of the model, each (neurons, batch, ...).

    Raises:
        ValueError: As of `record`; there is no such layer or neuron, several layers and no
            name, or the states of the cell do not belong to single neurons.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8))
    model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(1)])
    x = numpy.random.normal(size=(2, 20, 3))
    without = lnn_keras.inspect.knock_out(model, x)    # (8, 2, 1)
    effect = without - model.predict(x)
    ```

    Reference: Morcos et al., On the importance of single directions for generalization, ICLR 2018.
    """
    runner = _KnockOut(model, inputs, elapsed, mask)
    name = _layer_name(runner.recurrent, layer)
    units = _units_of(runner.recurrent[name])
    chosen = _neuron_numbers(neurons, units, name)
    values = _values_of(value, units)
    runner.hold(runner.recurrent[name], values)
    count = len(keras.tree.flatten(inputs)[0])
    held = np.repeat(np.eye(units, dtype="float32")[chosen], count, axis=0)
    outputs = runner.run(batch_size, repeats=len(chosen), held=held)
    return keras.tree.map_structure(
        lambda array: array.reshape(len(chosen), count, *array.shape[1:]), outputs
    )


class _KnockOut(ModelWithLoops):
    """A model with the states of a layer held where the array `held` (batch, units) is 1."""

    def hold(self, layer: Any, values: np.ndarray) -> None:
        """Choose the layer, and the value of each neuron."""
        self._held_layer, self._values = layer, tuple(float(value) for value in values)

    def start(self, data):
        held = data.pop("held")

        def loop(layer, own_loop, sequences, initial_state, mask, **kwargs):
            if layer is not self._held_layer:
                return own_loop(sequences, initial_state, mask, **kwargs)
            return _held_loop(layer, sequences, initial_state, mask, held, self._values)

        return loop, lambda outputs: outputs


def _held_loop(layer, sequences, initial_state, mask, held, values):
    """The loop of a layer with a state held in it: the last output, all outputs, last states."""
    inputs, elapsed = inputs_of(layer, sequences, mask)
    states = [ops.cast(state, dtype_of(layer)) for state in keras.tree.flatten(initial_state)]
    step, inputs, parameters = step_of(layer, inputs, elapsed, initial_state)
    hold = _Hold(layer.cell, held, values)

    def held_step(inputs, states, parameters):
        output, new = step(inputs, states, parameters)
        new = hold.state(keras.tree.flatten(new))
        return hold.output(output, new), new

    if inputs.mask is not None:
        first = ops.zeros((ops.shape(sequences)[0], layer.cell.output_size), states[0].dtype)
        outputs, states = scan(OutputAsState(held_step), inputs, [first, *states], parameters)
        states = states[1:]
        if layer.zero_output_for_mask:
            outputs = outputs * inputs.mask
    else:
        outputs, states = scan(held_step, inputs, states, parameters)
    outputs = ops.cast(outputs, layer.compute_dtype)
    states = [ops.cast(state, layer.compute_dtype) for state in states]
    return outputs[:, -1], outputs, keras.tree.pack_sequence_as(initial_state, states)


class _Hold:
    """Holds the neurons of a cell at values, where `held` (batch, units) is 1."""

    def __init__(self, cell, held, values):
        self._read_out = getattr(_readable(cell), "read_out", None)
        self._number, self._held = _neuron_state(cell), held
        self._values = ops.convert_to_tensor([values], held.dtype)

    def state(self, states):
        """The states, with that of the neurons held."""
        state = states[self._number]
        parts = state.shape[-1] // self._held.shape[-1]
        # Without `read_out`, the parts of a neuron's state add up to its output.
        share = self._values if self._read_out else self._values / parts
        state = self._where_held(
            state, *(ops.repeat(t, parts, axis=-1) for t in (self._held, share))
        )
        return [*states[: self._number], state, *states[self._number + 1 :]]

    def output(self, output, states):
        """The output of a step with these states."""
        if self._read_out:
            return self._read_out(states[self._number])
        return self._where_held(output, self._held, self._values)

    @staticmethod
    def _where_held(tensor, held, values):
        return ops.where(held > 0, ops.cast(values, tensor.dtype), tensor)


def _neuron_state(cell):
    """Which of the states of a cell is that of its neurons."""
    return 1 if isinstance(cell, MixedMemoryCell) else 0


def _readable(cell):
    """The cell whose neurons are held: the inner one of a cell with a memory."""
    return cell.cell if isinstance(cell, MixedMemoryCell) else cell


def _units_of(layer):
    """The number of neurons of a layer."""
    cell = _readable(layer.cell)
    sizes = as_list(cell.state_size)
    units = getattr(cell, "units", sizes[0])
    has_neurons = isinstance(units, int) and isinstance(sizes[0], int) and sizes[0] % units == 0
    if has_neurons and (hasattr(cell, "read_out") or cell.output_size == units):
        return units
    raise ValueError(
        f"The states of {type(cell).__name__} in layer {layer.name!r} do not belong to single "
        "neurons. Neurons can be held in the cells of lnn_keras, and in GRU, LSTM and SimpleRNN."
    )


def _layer_name(layers, name):
    if name is None and len(layers) == 1:
        return next(iter(layers))
    if name not in layers:
        raise ValueError(f"`layer` must be one of {list(layers)}; received {name!r}.")
    return name


def _values_of(value, units):
    """The value of each neuron (units,)."""
    values = np.asarray(value, "float32")
    if values.shape not in ((), (1,), (units,)) or not np.isfinite(values).all():
        raise ValueError(f"`value` must be a finite number or {units} of them; received {value!r}.")
    return np.broadcast_to(values, (units,))


def _neuron_numbers(neurons, units, layer):
    chosen = list(range(units)) if neurons is None else list(neurons)
    wrong = [number for number in chosen if number not in range(units)]
    if wrong or not chosen:
        raise ValueError(
            f"`neurons` must be numbers from 0 to {units - 1}, the neurons of layer {layer!r}; "
            f"received {wrong or chosen}."
        )
    return chosen
