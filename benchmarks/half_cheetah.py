"""Models of every cell, trained for a few epochs on the half-cheetah data, for the benchmarks."""

import keras
import tensorflow as tf

import lnn_keras
from lnn_keras import wirings
from zoo.control import half_cheetah
from zoo.data import half_cheetah as data

UNITS, EPOCHS = 32, 10
CALIBRATION_STEPS = 250


def _wiring():
    return wirings.AutoNCP(UNITS, 8)


def _driven(cell):
    return lnn_keras.LiquidRNN(cell, return_sequences=True)


LAYERS = {
    "LiquidCell": lambda: _driven(lnn_keras.LiquidCell(UNITS)),
    "LiquidCell, 1 unfold": lambda: _driven(lnn_keras.LiquidCell(UNITS, unfolds=1)),
    "LTCCell": lambda: _driven(lnn_keras.LTCCell(UNITS)),
    "LTCCell, AutoNCP": lambda: _driven(lnn_keras.LTCCell(_wiring())),
    "LRCCell": lambda: _driven(lnn_keras.LRCCell(UNITS)),
    "CfCCell": lambda: _driven(lnn_keras.CfCCell(UNITS)),
    "WiredCfCCell, AutoNCP": lambda: _driven(lnn_keras.WiredCfCCell(_wiring())),
    "NODECell": lambda: _driven(lnn_keras.NODECell(UNITS)),
    "NODECell, rk4": lambda: _driven(lnn_keras.NODECell(UNITS, solver="rk4")),
    "NODECell, dopri5": lambda: _driven(lnn_keras.NODECell(UNITS, solver="dopri5")),
    "CTRNNCell": lambda: _driven(lnn_keras.CTRNNCell(UNITS)),
    "CTGRUCell": lambda: _driven(lnn_keras.CTGRUCell(UNITS)),
    "ODERNNCell": lambda: _driven(lnn_keras.ODERNNCell(UNITS)),
    "LEFCell, gaussian": lambda: _driven(lnn_keras.LEFCell(UNITS)),
    "MixedMemoryCell, LiquidCell": lambda: _driven(
        lnn_keras.MixedMemoryCell(lnn_keras.LiquidCell(UNITS))
    ),
    "LSTM": lambda: keras.layers.LSTM(UNITS, return_sequences=True),
    "GRU": lambda: keras.layers.GRU(UNITS, return_sequences=True),
    "SimpleRNN": lambda: keras.layers.SimpleRNN(UNITS, return_sequences=True),
}


def trained(name: str) -> keras.Model:
    """A model of that cell, trained for a few epochs to predict the next observation."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, data.FEATURES), name="observation"),
            keras.layers.Normalization(name="normalize"),
            LAYERS[name](),
            keras.layers.Dense(data.FEATURES, name="readout"),
            keras.layers.Normalization(invert=True, name="restore"),
        ],
        name="half_cheetah",
    )
    half_cheetah.prepare(model, data.windows(data.traces("train"))[0])
    fit(model, EPOCHS, 0.01)
    return model


def fit(
    model: keras.Model,
    epochs: int,
    learning_rate: float,
    callbacks=(),
    noise: float = 0.0,
    weight_decay: float = 0.0,
    stride: int = 4,
) -> None:
    """Train a model on the training traces, with a learning rate that falls to nothing.

    Args:
        model: The model.
        epochs: Epochs.
        learning_rate: The first one.
        callbacks: Those of Keras.
        noise: Standard deviation of what is added to the inputs, as a share of each feature's.
        weight_decay: Of AdamW.
        stride: Steps between training windows.
    """
    inputs, targets = data.windows(data.traces("train"), stride=stride)
    deviation = noise * inputs.std(axis=(0, 1))
    batches = (
        tf.data.Dataset.from_tensor_slices((inputs, targets))
        .shuffle(len(inputs), seed=0)
        .batch(64)
        .map(lambda x, y: (x + deviation * tf.random.normal(tf.shape(x), seed=0), y))
    )
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay, clipnorm=1.0)
    model.compile(optimizer, "mse", jit_compile=False)
    model.fit(batches, epochs=epochs, verbose=0, shuffle=False, callbacks=list(callbacks))


def test_error(model: keras.Model) -> float:
    """Mean squared error on the windows of the test traces, as the preset measures it."""
    inputs, targets = data.windows(data.traces("test"))
    model.compile(loss="mse")
    return float(model.evaluate(inputs, targets, batch_size=1024, verbose=0))


def calibration():
    """Slices of the training traces."""
    return data.traces("train")[:, :CALIBRATION_STEPS]


def trace():
    """A test trace of 1,000 steps."""
    return data.traces("test")[0]
