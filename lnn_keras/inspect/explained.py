"""ExplainedModel: a model whose output is the number of its outputs that is explained."""

from typing import Any

import keras
import numpy as np

from lnn_keras.compat import predict
from lnn_keras.inspect.saliency_inputs import packed
from lnn_keras.inspect.targets import Target, require_target, target_values


class ExplainedModel(keras.Model):
    """A model whose output is the explained number of each sequence (batch,).

    Args:
        model: The model to explain.
        inputs: Its inputs, for their structure.
        target: The explained output.
    """

    def __init__(self, model: Any, inputs: Any, target: Target):
        super().__init__(name="explained")
        require_target(model, inputs, target)
        self._model, self._target = model, target
        # In a function, since Keras would track the structure as parts of the model.
        self._packed = lambda tensors: packed(inputs, tensors)
        self.built = True

    def run(self, arrays: list[np.ndarray], batch_size: int) -> np.ndarray:
        """The explained numbers (batch,)."""
        return predict(self, arrays, batch_size)

    def call(self, tensors: Any) -> Any:
        outputs = self._model(self._packed(list(tensors)), training=False)
        return target_values(outputs, self._target)
