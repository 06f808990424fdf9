"""record: the states, gates, time constants and currents of a model on given inputs."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from lnn_keras.inspect.recurrent_layers import unused
from lnn_keras.inspect.replaced_loops import ModelWithLoops
from lnn_keras.inspect.steps import states_and_quantities

# Between the name of a layer and the number of its call, from the second on.
SEPARATOR = ":"


class LayerRecording(Mapping[str, np.ndarray]):
    """The arrays of one call of a recurrent layer, (batch, time, ...) by name.

    Args:
        layer: The recurrent layer.
        arrays: The arrays by name.

    Attributes:
        layer: The recurrent layer.
        cell: Its cell; a layer without one, for instance `keras.layers.GRU`, has its own.
    """

    def __init__(self, layer: Any, arrays: dict[str, np.ndarray]):
        self.layer = layer
        self._arrays = dict(arrays)

    @property
    def cell(self) -> Any:
        """The cell of the layer."""
        return self.layer.cell

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            raise KeyError(f"{type(self.cell).__name__} has no {name!r}; it has {list(self)}.")
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return _described(self._arrays)


class Recording(Mapping[str, LayerRecording]):
    """The recurrent layers of a model by name, each with its arrays.

    Args:
        outputs: Outputs of the model, arrays in its structure.
        layers: The layers by name.

    Attributes:
        outputs: Outputs of the model.
    """

    def __init__(self, outputs: Any, layers: dict[str, LayerRecording]):
        self.outputs = outputs
        self._layers = dict(layers)

    def __getitem__(self, name: str) -> LayerRecording:
        if name not in self._layers:
            raise KeyError(f"There is no layer {name!r}; there are {list(self)}.")
        return self._layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by "layer/name", for instance for `numpy.savez`."""
        return {f"{name}/{array}": layer[array] for name, layer in self.items() for array in layer}

    def __repr__(self) -> str:
        return _described(self.arrays())


def record(
    model: keras.layers.Layer,
    inputs: Any,
    elapsed: Any = None,
    mask: Any = None,
    batch_size: int = 32,
) -> Recording:
    """Run a model and record its recurrent layers, also nested, stacked and bidirectional ones.

    Each layer has "state", the states after each step ("state_0", "state_1", ... if the cell has
    several), "previous_state", those before it, "inputs", the data features that the layer takes,
    and "elapsed" (batch, time), if it differs between steps. Cells of lnn_keras add the
    quantities of their equations at the states before each step, see their methods `quantities`:
    for instance "gate" and the effective "time_constant" tau / (1 + tau f) of `LiquidCell`,
    "sensory_current" and "recurrent_current" of each synapse of `LTCCell`, and "accepted_steps" of
    the solver "dopri5". The arrays are (batch, time, ...), in the order of the inputs also where a
    layer runs backwards. Masked steps are NaN. The model is not changed; the states of stateful
    layers are kept.

    Args:
        model: A Keras model or layer.
        inputs: Its inputs, arrays (batch, time, ...) in the structure that the model takes.
        elapsed: Elapsed times for the call argument of a `LiquidRNN` or `Bidirectional`:
            (batch, time) or (batch, time, 1), or one number. Models take them as one of `inputs`.
        mask: Booleans (batch, time) for the call argument of a recurrent layer.
        batch_size: The number of sequences that are computed at once.

    Returns:
        A `Recording`: layer name -> array name -> array. Layers within others are called
        "encoder/rnn" or "bidirectional/forward_rnn"; further calls of a layer "rnn:2".

    Raises:
        ValueError: `model` is no Keras layer or has no recurrent layer, does not take `elapsed` or
            `mask`, or the inputs have no sequence.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(8), return_sequences=True)
    recording = lnn_keras.inspect.record(layer, numpy.random.normal(size=(2, 20, 3)))
    recording[layer.name]["time_constant"].shape    # (2, 20, 8)
    ```
    """
    names: dict[str, list[str]] = {}
    recorder = _Recorder(model, inputs, elapsed, mask)
    recorder.report = names.update
    outputs, found = recorder.run(batch_size)
    recorded, layers = {}, recorder.recurrent
    for (name, own_names), values in zip(names.items(), found, strict=True):
        layer = layers.get(name) or layers[name.rpartition(SEPARATOR)[0]]
        recorded[name] = LayerRecording(layer, dict(zip(own_names, values, strict=True)))
    return Recording(outputs, recorded)


class _Recorder(ModelWithLoops):
    """A model whose results are its outputs and the arrays of its recurrent layers.

    The arrays are in lists, since JAX sorts dictionaries; `report` receives their names.
    """

    report: Any = None

    def start(self, data):
        names = {id(layer): name for name, layer in self.recurrent.items()}
        found: dict[str, dict] = {}

        def loop(layer, own_loop, sequences, initial_state, mask, **kwargs):
            name = unused(names[id(layer)], found, SEPARATOR)
            found[name] = states_and_quantities(layer, sequences, initial_state, mask)
            return own_loop(sequences, initial_state, mask, **kwargs)

        def finish(outputs):
            self.report({name: list(arrays) for name, arrays in found.items()})
            return outputs, [list(arrays.values()) for arrays in found.values()]

        return loop, finish


def _described(arrays):
    lines = [f"{name}: {array.shape}" for name, array in arrays.items()]
    return "\n".join(lines)
