"""The linear readout of a model: its last Dense layers, and the features that they read."""

from typing import Any, NamedTuple

import keras

from lnn_keras.adapt.stream_model import functional
from lnn_keras.compat import call_before, parts_of
from lnn_keras.tensors import Tensor


class Readout(NamedTuple):
    """A readout, within the graph of a Functional model.

    Attributes:
        layers: The last Dense layers: no Dense or RNN layer lies between them and the output.
        features: Symbolic tensors (batch, time, size) that an adaptive readout reads: the inputs of
            these layers, and of the first RNN layer.
        outputs: Number of outputs of the model.
    """

    layers: tuple[keras.layers.Dense, ...]
    features: tuple[Tensor, ...]
    outputs: int

    @property
    def size(self) -> int:
        """Number of features."""
        return sum(tensor.shape[-1] for tensor in self.features)


def readout(model: Any) -> Readout:
    """Find the readout of a model.

    The features are the inputs of the model's last Dense layers, which hold the states of the
    layers before them, and the input of its first RNN layer, or of the first nested model with one.

    Args:
        model: A built Sequential or Functional model with one output (batch, time, outputs).

    Raises:
        ValueError: The model has no such output, no Dense layer, or an RNN layer after the last
            one.

    Example:

    ```python
    found = lnn_keras.adapt.readout(model)
    print([layer.name for layer in found.layers], found.size)
    ```
    """
    graph = functional(model)
    name = f"Model {model.name!r}"
    if len(graph.outputs) != 1 or len(graph.outputs[0].shape) != 3:
        shapes = ", ".join(str(tuple(output.shape)) for output in graph.outputs)
        raise ValueError(
            f"{name} must have one output (batch, time, outputs), a prediction per step; it has "
            f"{shapes}. Give its RNN layers return_sequences=True."
        )
    last = _last_calls(graph)
    dense = [(layer, inputs[0]) for layer, inputs in last if isinstance(layer, keras.layers.Dense)]
    recurrent = [layer.name for layer, _ in last if _is_recurrent(layer)]
    if recurrent or not dense:
        reason = (
            f"no Dense layer follows its RNN layer {recurrent[0]!r}"
            if recurrent
            else "none of its layers is a Dense layer"
        )
        raise ValueError(
            f"{name} has no linear readout: {reason}. Add keras.layers.Dense as the last layer, "
            "and train it."
        )
    found = [tensor for _, tensor in dense] + _first_recurrent_input(graph)
    features = {id(tensor): tensor for tensor in found}
    layers = tuple(dict.fromkeys(layer for layer, _ in dense))
    return Readout(layers, tuple(features.values()), graph.outputs[0].shape[-1])


def _last_calls(graph):
    """The calls of Dense and recurrent layers that the output depends on through no other such."""
    found, waiting, seen = [], list(graph.outputs), set()
    while waiting:
        tensor = waiting.pop(0)
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        layer, inputs = call_before(tensor)
        if isinstance(layer, keras.layers.Dense) or _is_recurrent(layer):
            found.append((layer, inputs))
        else:
            waiting += inputs
    return found


def _first_recurrent_input(graph):
    """The input of the first recurrent layer among the layers of a model, in a list if any."""
    # Layers may have calls in other models too, so the calls are those behind the output.
    inputs_of, waiting, seen = {}, list(graph.outputs), set()
    while waiting:
        tensor = waiting.pop(0)
        if id(tensor) not in seen:
            seen.add(id(tensor))
            layer, inputs = call_before(tensor)
            inputs_of[id(layer)] = inputs
            waiting += inputs
    layers = [layer for layer in graph.layers if _is_recurrent(layer) and id(layer) in inputs_of]
    return inputs_of[id(layers[0])][:1] if layers else []


def _is_recurrent(layer):
    return isinstance(layer, keras.layers.Layer) and any(
        isinstance(part, keras.layers.RNN) for part in parts_of(layer)
    )
