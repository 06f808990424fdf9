"""Models of the saliency benchmark: one recurrent layer each, and a model of known saliency."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import lnn_keras
from benchmarks.saliency_tasks import Samples
from lnn_keras.tensors import ops

PARAMETERS = 1500
LEARNING_RATE, BATCH_SIZE, EPOCHS = 0.02, 64, 15


def _liquid(cell: Callable[[int], Any]) -> Callable[[int], Any]:
    return lambda units: lnn_keras.LiquidRNN(cell(units), return_sequences=True)


LAYERS: dict[str, Callable[[int], Any]] = {
    "LiquidCell": _liquid(lnn_keras.LiquidCell),
    "CfCCell": _liquid(lambda units: lnn_keras.CfCCell(units, backbone_units=units)),
    "LTCCell": _liquid(lnn_keras.LTCCell),
    "LEFCell": _liquid(lnn_keras.LEFCell),
    "LSTM": lambda units: keras.layers.LSTM(units, return_sequences=True),
    "GRU": lambda units: keras.layers.GRU(units, return_sequences=True),
}


def build(layer: str, features: int, each_step: bool) -> keras.Model:
    """A recurrent layer and a linear readout of logits, with at most `PARAMETERS` parameters.

    Args:
        layer: A name of `LAYERS`.
        features: The number of input features.
        each_step: Whether there is a logit at each step, or their mean as one logit.
    """
    units = 1
    while _model(layer, units + 1, features, each_step).count_params() <= PARAMETERS:
        units += 1
    return _model(layer, units, features, each_step)


def _model(layer: str, units: int, features: int, each_step: bool) -> keras.Model:
    layers = [keras.Input((None, features)), LAYERS[layer](units), keras.layers.Dense(1)]
    if not each_step:
        layers.append(keras.layers.GlobalAveragePooling1D())
    return keras.Sequential(layers)


def train(layer: str, samples: Samples, seed: int, epochs: int = EPOCHS) -> keras.Model:
    """A model that has learned the labels of samples, by the same recipe for each layer."""
    keras.utils.set_random_seed(seed)
    model = build(layer, samples.inputs.shape[-1], samples.labels.ndim == 3)
    steps = epochs * -(-len(samples.inputs) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(
        keras.optimizers.Adam(rate, clipnorm=1.0),  # pyright: ignore[reportArgumentType] # stub: learning_rate is a float
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=True,  # pyright: ignore[reportArgumentType] # stub: jit_compile is a str
    )
    model.fit(samples.inputs, samples.labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
    return model


def accuracy(model: keras.Model, samples: Samples) -> float:
    """The share of labels that a model predicts."""
    logits: Any = model.predict(samples.inputs, verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
    return float(np.mean((logits > 0) == (samples.labels > 0)))


def sum_of_logits(outputs: Any) -> Any:
    """The explained number of each sequence: the sum of its logits, (batch,)."""
    return ops.sum(ops.reshape(outputs, (ops.shape(outputs)[0], -1)), axis=1)


class WhiteBox(keras.layers.Layer):
    """The sum of squares of the salient values, (batch, 1): its true saliency is known.

        output = sum of inputs[t, f]^2 over salient (t, f)

    Args:
        salient: Booleans (steps, features).

    Example:

    ```python
    WhiteBox(numpy.eye(3, dtype=bool))(numpy.ones((1, 3, 3)))    # [[3.0]]
    ```

    Reference: Crabbé and van der Schaar 2021, section 4.1.
    """

    def __init__(self, salient: np.ndarray):
        super().__init__()
        self._chosen = salient.astype("float32")

    def call(self, inputs: Any) -> Any:
        """The output of each sequence."""
        squares = ops.multiply(ops.square(inputs), self._chosen)
        return ops.sum(squares, axis=(1, 2))[:, None]
