"""Small models with each cell for the benchmark of C source, trained for a few epochs.

A model reads four joint angles of the half-cheetah and predicts the next values of two of them.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

import lnn_keras
from lnn_keras import wirings
from zoo.data import half_cheetah

UNITS = (16, 32)
EPOCHS = 6
# Steps of a training window, and windows of a training trace. Models that never saw sequences of
# such a length may have states that grow when they run on.
WINDOW, WINDOWS = 66, 15
INPUTS = ("bthigh", "bshin", "fthigh", "fshin")
OUTPUTS = ("bthigh", "fthigh")
CALIBRATION_STEPS = 500
# Units of a wiring, and its outputs.
_MOTOR = 2


class Sequences(NamedTuple):
    """Inputs and true outputs (sequences, steps, features) of a model, in standardized units."""

    inputs: np.ndarray
    targets: np.ndarray


def _liquid_rnn(cell: Any) -> keras.layers.Layer:
    return lnn_keras.LiquidRNN(cell, return_sequences=True)


def _keras_layer(name: str) -> Callable[[int], keras.layers.Layer]:
    return lambda units: getattr(keras.layers, name)(units, return_sequences=True)


def _cell(name: str, **options: Any) -> Callable[[int], keras.layers.Layer]:
    return lambda units: _liquid_rnn(getattr(lnn_keras, name)(units, **options))


def _wired(name: str) -> Callable[[int], keras.layers.Layer]:
    return lambda units: _liquid_rnn(
        getattr(lnn_keras, name)(wirings.AutoNCP(units, _MOTOR, seed=0))
    )


LAYERS: dict[str, Callable[[int], keras.layers.Layer]] = {
    "LiquidCell": _cell("LiquidCell"),
    "DiagonalLiquidCell, semi_implicit": _cell("DiagonalLiquidCell", solver="semi_implicit"),
    "LTCCell, AutoNCP": _wired("LTCCell"),
    "LRCCell": _cell("LRCCell"),
    "CfCCell": _cell("CfCCell"),
    "WiredCfCCell, AutoNCP": _wired("WiredCfCCell"),
    "NODECell": _cell("NODECell"),
    "CTRNNCell": _cell("CTRNNCell"),
    "CTGRUCell": _cell("CTGRUCell"),
    "ODERNNCell": _cell("ODERNNCell"),
    "LEFCell": _cell("LEFCell"),
    "MixedMemoryCell, LiquidCell": lambda units: _liquid_rnn(
        lnn_keras.MixedMemoryCell(lnn_keras.LiquidCell(units))
    ),
    "LSTM": _keras_layer("LSTM"),
    "GRU": _keras_layer("GRU"),
    "SimpleRNN": _keras_layer("SimpleRNN"),
}


def sequences(split: str) -> Sequences:
    """Standardized joint angles, and the next values of two of them."""
    training = half_cheetah.traces("train")
    mean, deviation = training.mean(axis=(0, 1)), training.std(axis=(0, 1))
    values = (half_cheetah.traces(split) - mean) / deviation
    columns = [[half_cheetah.COLUMNS.index(name) for name in part] for part in (INPUTS, OUTPUTS)]
    return Sequences(values[:, :-1, columns[0]], values[:, 1:, columns[1]])


@functools.cache
def trained(layer: str, units: int) -> keras.Model:
    """A layer of `LAYERS` and a dense readout, trained for a few epochs."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, len(INPUTS)), name="angles"),
            LAYERS[layer](units),
            keras.layers.Dense(len(OUTPUTS), name="readout"),
        ],
        name="model",
    )
    windows = [
        np.concatenate(np.split(x[:, : WINDOWS * WINDOW], WINDOWS, axis=1))
        for x in sequences("train")
    ]
    optimizer = keras.optimizers.Adam(0.01, clipnorm=1.0)
    model.compile(optimizer, "mse", jit_compile=False)  # pyright: ignore[reportArgumentType] # stub: jit_compile is a str
    model.fit(*windows, epochs=EPOCHS, batch_size=30, verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
    return model


def calibration() -> np.ndarray:
    """The first steps of the training traces, for calibration."""
    return sequences("train").inputs[:, :CALIBRATION_STEPS]


def evaluation() -> Sequences:
    """Test traces, for closed-loop verification."""
    return sequences("test")
