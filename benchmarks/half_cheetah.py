"""Models of every cell, trained for a few epochs on the half-cheetah data, for the benchmarks."""

import keras

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


def fit(model: keras.Model, epochs: int, learning_rate: float, callbacks=()) -> None:
    """Train a model on the training traces, with a learning rate that falls to nothing."""
    inputs, targets = data.windows(data.traces("train"), stride=4)
    steps = epochs * -(-len(inputs) // 64)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.Adam(schedule), "mse", jit_compile=False)
    model.fit(inputs, targets, batch_size=64, epochs=epochs, verbose=0, callbacks=list(callbacks))


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
