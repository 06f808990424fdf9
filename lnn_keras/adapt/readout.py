"""The linear readout of a model: its last Dense layer, and the features that it reads."""

from typing import Any, NamedTuple

import keras

from lnn_keras.adapt.stream_model import functional
from lnn_keras.compat import inputs_of, parts_of


class Readout(NamedTuple):
    """A readout, within the graph of a Functional model.

    Attributes:
        layer: The last Dense layer.
        features: Symbolic tensors (batch, time, size) that an adaptive readout reads: the input of
            that layer, and the input of the first RNN layer.
        outputs: Number of outputs of the model.
    """

    layer: keras.layers.Dense
    features: tuple[Any, ...]
    outputs: int


def readout(model: Any) -> Readout:
    """Find the readout of a model.

    The features are the input of the model's last Dense layer, which are the states of the layers
    before it, and the input of its first RNN layer, or of the first nested
    model with one.

    Args:
        model: A built Sequential or Functional model with one output (batch, time, outputs).

    Raises:
        ValueError: The model has no such output or no Dense layer, or an RNN layer follows the
            last Dense layer.

    Example:

    ```python
    found = lnn_keras.adapt.readout(model)
    print(found.layer.name, [tensor.shape for tensor in found.features])
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
    layers = graph.layers
    places = [i for i, layer in enumerate(layers) if isinstance(layer, keras.layers.Dense)]
    if not places:
        kinds = ", ".join(dict.fromkeys(type(layer).__name__ for layer in layers))
        raise ValueError(
            f"{name} has no linear readout: none of its layers ({kinds}) is a Dense layer. Add "
            "keras.layers.Dense as the last layer, and train it."
        )
    last: Any = layers[places[-1]]
    recurrent = [layer for layer in layers if _is_recurrent(layer)]
    after = [layer.name for layer in layers[places[-1] + 1 :] if layer in recurrent]
    if after:
        raise ValueError(
            f"{name} has no linear readout: RNN layer {after[0]!r} follows its last Dense layer "
            f"{last.name!r}. Add keras.layers.Dense as the last layer, and train it."
        )
    features = inputs_of(last)[:1]
    if recurrent:
        first = inputs_of(recurrent[0])[0]
        features += [first] if first is not features[0] else []
    return Readout(last, tuple(features), graph.outputs[0].shape[-1])


def _is_recurrent(layer):
    return any(isinstance(part, keras.layers.RNN) for part in parts_of(layer))
