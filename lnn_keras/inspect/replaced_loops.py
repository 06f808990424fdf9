"""ModelWithLoops: a model whose recurrent layers run other loops over time than their own."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from lnn_keras.compat import loops_replaced, predict
from lnn_keras.inspect.recurrent_layers import recurrent_layers
from lnn_keras.layers.cell_step import accepts


class ModelWithLoops(keras.Model):
    """A model or layer, called with other loops of its recurrent layers. It shares the weights.

    Args:
        model: The model or layer.
        inputs: Its inputs, arrays in the structure that it takes.
        elapsed: Elapsed times for the call argument of a layer, or None.
        mask: Mask for the call argument of a layer, or None.

    Attributes:
        recurrent: The recurrent layers by name.

    Raises:
        ValueError: `model` is no Keras layer or has no recurrent layer, does not take `elapsed` or
            `mask`, or the inputs have no sequence.
    """

    def __init__(self, model: Any, inputs: Any, elapsed: Any = None, mask: Any = None):
        _require_layer(model, elapsed, mask)
        super().__init__(name="model_with_loops")
        options = {"elapsed": elapsed, "mask": mask}
        options = {name: value for name, value in options.items() if value is not None}
        numbers = {name: value for name, value in options.items() if np.ndim(value) == 0}
        arrays = {name: value for name, value in options.items() if np.ndim(value) > 0}
        data: Any = keras.tree.map_structure(
            np.asarray, {"inputs": _as_arrays(inputs, model), **arrays}
        )
        if not model.built:
            first: Any = keras.tree.map_structure(lambda array: array[:1], data)
            model(first.pop("inputs"), **first, **numbers)
        self.recurrent = recurrent_layers(model)
        self._model, self._numbers = model, numbers
        # In a function, since Keras would track arrays that are attributes.
        self._data = lambda: data
        self.built = True

    def start(self, data: dict[str, Any]) -> tuple[Callable, Callable]:
        """Begin a call.

        Args:
            data: The inputs of `run`; entries of a subclass must be taken out.

        Returns:
            The loop, as `lnn_keras.compat.loops_replaced` takes it, and a function from the
            outputs of the model to the results of the call.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `start`.")

    def call(self, data: dict[str, Any]) -> Any:
        data = dict(data)
        loop, finish = self.start(data)
        with loops_replaced(list(self.recurrent.values()), loop):
            outputs = self._model(data.pop("inputs"), **data, **self._numbers, training=False)
        return finish(outputs)

    def run(self, batch_size: int, repeats: int = 1, **own: np.ndarray) -> Any:
        """The results for all inputs. The states of stateful layers are kept.

        Args:
            batch_size: The number of sequences that are computed at once.
            repeats: How often the inputs are computed.
            **own: Further arrays, of the length of the repeated inputs, for `start`.
        """
        data: Any = keras.tree.map_structure(
            lambda array: np.concatenate([array] * repeats) if repeats > 1 else array, self._data()
        )
        with _kept_states(self.recurrent.values()):
            return predict(self, {**data, **own}, batch_size)


def _require_layer(model, elapsed, mask):
    if not isinstance(model, keras.layers.Layer):
        raise ValueError(
            f"`model` must be a Keras model or layer; received {type(model).__name__}."
        )
    if hasattr(model, "state_size") and not isinstance(model, keras.layers.RNN):
        raise ValueError(
            f"`model` must apply a cell to sequences; received the cell {model.name!r}. Put it "
            "into a layer: lnn_keras.LiquidRNN(cell)."
        )
    if isinstance(model, keras.Model) and not (elapsed is None and mask is None):
        raise ValueError(
            f"Model {model.name!r} takes elapsed times and masks as inputs or from its layers: "
            "give them in `inputs`. `elapsed` and `mask` are for single layers."
        )
    for name, value in (("elapsed", elapsed), ("mask", mask)):
        if value is not None and not accepts(model.call, name):
            raise ValueError(
                f"{type(model).__name__} {model.name!r} takes no `{name}`. LiquidRNN takes both "
                "`elapsed` and `mask`; a cell with elapsed='last_feature' takes the elapsed time "
                "from the inputs."
            )


def _as_arrays(inputs, model):
    """The inputs as arrays in their structure. Nested lists of numbers are one array."""
    leaves = keras.tree.flatten(inputs)
    if leaves and not any(np.ndim(leaf) for leaf in leaves):
        inputs = np.asarray(inputs)
        leaves = [inputs]
    lengths = {len(leaf) for leaf in leaves if np.ndim(leaf)}
    if len(lengths) != 1 or lengths == {0} or not all(np.ndim(leaf) for leaf in leaves):
        raise ValueError(
            f"The inputs of {model.name!r} must hold the same number of sequences, at least 1; "
            f"received arrays of shapes {[np.shape(leaf) for leaf in leaves]}."
        )
    return inputs


@contextlib.contextmanager
def _kept_states(layers: Any) -> Iterator[None]:
    """A context after which stateful layers have the states from before it."""
    variables = [
        variable
        for layer in layers
        if layer.stateful
        for variable in keras.tree.flatten(layer.states)
    ]
    values = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
