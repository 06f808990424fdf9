"""Models with each cell, trained for a few epochs on the half-cheetah data, for the benchmarks."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import lnn_keras
from lnn_keras import wirings
from zoo.data import half_cheetah as data

UNITS, EPOCHS = 32, 10
LEARNING_RATE = 0.01
CALIBRATION_STEPS, ROLLOUT_STEPS = 250, 1000


def _wiring():
    return wirings.AutoNCP(UNITS, 8)


def _liquid_rnn(cell):
    return lnn_keras.LiquidRNN(cell, return_sequences=True)


LAYERS: dict[str, Callable[[], keras.layers.Layer]] = {
    "LiquidCell": lambda: _liquid_rnn(lnn_keras.LiquidCell(UNITS)),
    "LiquidCell, 1 unfold": lambda: _liquid_rnn(lnn_keras.LiquidCell(UNITS, unfolds=1)),
    "DiagonalLiquidCell": lambda: _liquid_rnn(lnn_keras.DiagonalLiquidCell(UNITS)),
    "DiagonalLiquidCell, semi_implicit": lambda: _liquid_rnn(
        lnn_keras.DiagonalLiquidCell(UNITS, solver="semi_implicit")
    ),
    "LTCCell": lambda: _liquid_rnn(lnn_keras.LTCCell(UNITS)),
    "LTCCell, AutoNCP": lambda: _liquid_rnn(lnn_keras.LTCCell(_wiring())),
    "LRCCell": lambda: _liquid_rnn(lnn_keras.LRCCell(UNITS)),
    "CfCCell": lambda: _liquid_rnn(lnn_keras.CfCCell(UNITS)),
    "WiredCfCCell, AutoNCP": lambda: _liquid_rnn(lnn_keras.WiredCfCCell(_wiring())),
    "NODECell": lambda: _liquid_rnn(lnn_keras.NODECell(UNITS)),
    "NODECell, rk4": lambda: _liquid_rnn(lnn_keras.NODECell(UNITS, solver="rk4")),
    "NODECell, dopri5": lambda: _liquid_rnn(lnn_keras.NODECell(UNITS, solver="dopri5")),
    "CTRNNCell": lambda: _liquid_rnn(lnn_keras.CTRNNCell(UNITS)),
    "CTGRUCell": lambda: _liquid_rnn(lnn_keras.CTGRUCell(UNITS)),
    "ODERNNCell": lambda: _liquid_rnn(lnn_keras.ODERNNCell(UNITS)),
    "LEFCell, gaussian": lambda: _liquid_rnn(lnn_keras.LEFCell(UNITS)),
    "MixedMemoryCell, LiquidCell": lambda: _liquid_rnn(
        lnn_keras.MixedMemoryCell(lnn_keras.LiquidCell(UNITS))
    ),
    "LSTM": lambda: keras.layers.LSTM(UNITS, return_sequences=True),
    "GRU": lambda: keras.layers.GRU(UNITS, return_sequences=True),
    "SimpleRNN": lambda: keras.layers.SimpleRNN(UNITS, return_sequences=True),
}


def train_model(name: str) -> keras.Model:
    """Build a model with one layer of `LAYERS` and train it to predict the next observation."""
    keras.utils.set_random_seed(0)
    normalize = keras.layers.Normalization(name="normalize")
    restore = keras.layers.Normalization(invert=True, name="restore")
    model = keras.Sequential(
        [
            keras.Input((None, data.FEATURES), name="observation"),
            normalize,
            LAYERS[name](),
            keras.layers.Dense(data.FEATURES, name="readout"),
            restore,
        ],
        name="half_cheetah",
    )
    inputs, _ = data.windows(data.traces("train"))
    normalize.adapt(inputs)
    restore.adapt(inputs)
    fit(model, EPOCHS, LEARNING_RATE)
    return model


def fit(
    model: keras.Model,
    epochs: int,
    learning_rate: float,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    noise: float = 0.0,
    weight_decay: float = 0.0,
    stride: int = 4,
) -> None:
    """Train a model on the training traces with AdamW and a cosine learning rate schedule.

    Args:
        model: The model, trained in place.
        epochs: Number of epochs.
        learning_rate: Initial learning rate. It falls to 0 along a cosine.
        callbacks: Keras callbacks.
        noise: Standard deviation of Gaussian noise on the inputs, relative to the standard
            deviation of each feature.
        weight_decay: Weight decay of AdamW.
        stride: Steps between the starts of consecutive training windows.
    """
    inputs, targets = data.windows(data.traces("train"), stride=stride)
    deviation = noise * inputs.std(axis=(0, 1))
    batches = (
        tf.data.Dataset.from_tensor_slices((inputs, targets))
        .shuffle(len(inputs), seed=0)
        .batch(64)
        .map(lambda x, y: (x + deviation * tf.random.normal(tf.shape(x), seed=0), y))
    )
    schedule: Any = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay, clipnorm=1.0)
    model.compile(optimizer, "mse", jit_compile=False)  # pyright: ignore[reportArgumentType] # stub
    model.fit(
        batches,
        epochs=epochs,
        verbose=0,  # pyright: ignore[reportArgumentType] # the stub says str
        shuffle=False,
        callbacks=list(callbacks),
    )


def test_mse(model: keras.Model) -> float:
    """Mean squared error on the windows of the test traces, as for the half-cheetah presets."""
    inputs, targets = data.windows(data.traces("test"))
    model.compile(loss="mse")
    mse: Any = model.evaluate(inputs, targets, batch_size=1024, verbose=0)  # pyright: ignore[reportArgumentType] # stub
    return float(mse)


def calibration_traces() -> np.ndarray:
    """The first steps of the training traces (traces, steps, features), for calibration."""
    return data.traces("train")[:, :CALIBRATION_STEPS]


def evaluation_trace() -> np.ndarray:
    """One test trace (1000, features), for closed-loop verification."""
    return data.traces("test")[0]
