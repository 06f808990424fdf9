"""Implementations of recurrent layers, as functions that train and predict on one workload.

The workload: batches of 64 sequences of 32 steps and 8 features, layers of 32 units, float32, Adam,
and the mean squared error of the outputs at every step.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import keras

BATCH_SIZE, SEQUENCE_LENGTH, FEATURES, UNITS, OUTPUTS = 64, 32, 8, 32, 4
AUTO_NCP = "AutoNCP"
FULLY_CONNECTED = "FullyConnected"


class Implementation(NamedTuple):
    """A layer that is ready to be timed.

    Attributes:
        train: Runs a training step on one batch.
        predict: Runs a prediction on the same batch.
        compiler: "XLA" or "no XLA" for Keras layers, "torch" for PyTorch layers.
    """

    train: Callable[[], Any]
    predict: Callable[[], Any]
    compiler: str


def keras_layer(name: str, **options: Any) -> "keras.layers.Layer":
    """Build a Keras layer by its name in the benchmarks.

    Args:
        name: Name of the layer.
        **options: Arguments of the layer, for example `return_sequences`.
    """
    import keras

    from lnn_keras import CfCCell, LiquidCell, LiquidRNN, LTCCell

    layers: dict[str, Callable[[], Any]] = {
        "LTCCell, AutoNCP": lambda: LiquidRNN(LTCCell(_lnn_wiring(AUTO_NCP)), **options),
        "LTCCell, fully connected": lambda: LiquidRNN(
            LTCCell(_lnn_wiring(FULLY_CONNECTED)), **options
        ),
        "CfCCell": lambda: LiquidRNN(CfCCell(UNITS), **options),
        "LiquidCell, 6 unfolds": lambda: LiquidRNN(LiquidCell(UNITS), **options),
        "LiquidCell, 1 unfold": lambda: LiquidRNN(LiquidCell(UNITS, unfolds=1), **options),
        "keras LSTM": lambda: keras.layers.LSTM(UNITS, **options),
        "keras GRU": lambda: keras.layers.GRU(UNITS, **options),
        "ncps.keras LTC, AutoNCP": lambda: _ncps().LTC(_ncps_wiring(AUTO_NCP), **options),
        "ncps.keras LTC, fully connected": lambda: _ncps().LTC(
            _ncps_wiring(FULLY_CONNECTED), **options
        ),
        "ncps.keras CfC": lambda: _ncps().CfC(UNITS, **options),
    }
    return layers[name]()


def _lnn_wiring(name):
    from lnn_keras import wirings

    return getattr(wirings, name)(UNITS, outputs=OUTPUTS)


def _ncps_wiring(name):
    import ncps.wirings

    return getattr(ncps.wirings, name)(UNITS, OUTPUTS)


def _ncps():
    import ncps.keras

    return ncps.keras


def random_batch(
    outputs: int, batch_size: int = BATCH_SIZE, length: int = SEQUENCE_LENGTH
) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs (batch, length, FEATURES) and targets (batch, length, outputs)."""
    random = np.random.default_rng(0)
    return (
        random.standard_normal((batch_size, length, FEATURES)).astype("float32"),
        random.standard_normal((batch_size, length, outputs)).astype("float32"),
    )


def keras_implementation(name: str, jit_compile: bool) -> Implementation:
    """Build and compile a model with one Keras layer, and call each function once."""
    import keras

    keras.utils.set_random_seed(0)
    layer = keras_layer(name, return_sequences=True)
    model: Any = keras.Sequential([keras.Input((SEQUENCE_LENGTH, FEATURES)), layer])
    model.compile("adam", loss="mse", jit_compile=jit_compile)
    x, y = (keras.ops.convert_to_tensor(array) for array in random_batch(model.output_shape[-1]))
    implementation = Implementation(
        lambda: model.train_on_batch(x, y),
        lambda: model.predict_on_batch(x),
        "XLA" if jit_compile else "no XLA",
    )
    implementation.train()
    implementation.predict()
    return implementation


def torch_implementation(name: str) -> Implementation | None:
    """Build a layer of ncps.torch. Return None if PyTorch is not installed."""
    if find_spec("torch") is None:
        return None
    import ncps.torch
    import torch  # pyright: ignore[reportMissingImports] # extra `bench`

    torch.manual_seed(0)
    layers = {
        "ncps.torch LTC, AutoNCP": lambda: ncps.torch.LTC(FEATURES, _ncps_wiring(AUTO_NCP)),
        "ncps.torch LTC, fully connected": lambda: ncps.torch.LTC(
            FEATURES, _ncps_wiring(FULLY_CONNECTED)
        ),
        "ncps.torch CfC": lambda: ncps.torch.CfC(FEATURES, UNITS),
    }
    layer = layers[name]()
    optimizer = torch.optim.Adam(layer.parameters())
    with torch.no_grad():
        outputs = layer(torch.zeros(1, 1, FEATURES))[0].shape[-1]
    x, y = (torch.from_numpy(array) for array in random_batch(outputs))

    def train():
        optimizer.zero_grad()
        loss = ((layer(x)[0] - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        loss.item()

    def predict():
        with torch.no_grad():
            layer(x)[0].numpy()

    return Implementation(train, predict, "torch")
