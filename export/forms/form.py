"""Form: a graph as a Keras model with other inputs, which shares the weights of the original."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from export.forms.model_graph import ModelGraph
from export.forms.names import unique


class Form(keras.Model):
    """A function on named tensors as a Keras model.

    Args:
        graph: The graph that the function evaluates; its model owns the weights.
        function: Function from a dict of tensors to a dict of tensors.
        inputs: Shape and dtype of each input by name; the first axis is the batch.
        name: Name of the model.

    Attributes:
        graph: The graph.
        source: The original model.
        layer_names: By the name of a layer in files, its name in Keras, for messages.
    """

    def __init__(
        self,
        graph: ModelGraph,
        function: Callable[[Mapping[str, Any]], dict[str, Any]],
        inputs: Mapping[str, keras.KerasTensor],
        name: str,
    ):
        # TensorFlow takes fewer characters in names than Keras.
        super().__init__(name=unique([name])[0].lstrip("_"))
        self.graph = graph
        self.source = graph.model  # tracks the weights
        self.layer_names = {
            graph.layer_names[id(call.layer)]: call.layer.name for call in graph.calls
        }
        self._function, self._specs = function, dict(inputs)
        self.built = True

    @property
    def input_specs(self) -> dict[str, keras.KerasTensor]:
        """Shape and dtype of each input by name."""
        return self._specs

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Evaluate the function in inference mode."""
        return self._function(inputs)
