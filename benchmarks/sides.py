"""The sides of a comparison: one layer each, under one work, as functions that train and predict.

Batches of 64 sequences of 32 steps and 8 features, layers of 32 units, float32, Adam, and the mean
squared error of every output of every step.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

BATCH, STEPS, FEATURES, UNITS, OUTPUTS = 64, 32, 8, 32, 4
AUTO_NCP = "AutoNCP"
FULL = "FullyConnected"


class Side(NamedTuple):
    """What is timed: a training step on one batch, and a prediction of it.

    Attributes:
        setting: What was chosen for it, "XLA" or "no XLA", or "" where there is no choice.
    """

    train: Callable[[], None]
    predict: Callable[[], None]
    setting: str


def layer(name: str):
    """The Keras layer of a side."""
    import keras

    import lnn_keras

    return {
        "LTCCell, AutoNCP": lambda: lnn_keras.LiquidRNN(
            lnn_keras.LTCCell(_ours(AUTO_NCP)), return_sequences=True
        ),
        "LTCCell, fully connected": lambda: lnn_keras.LiquidRNN(
            lnn_keras.LTCCell(_ours(FULL)), return_sequences=True
        ),
        "CfCCell": lambda: lnn_keras.LiquidRNN(lnn_keras.CfCCell(UNITS), return_sequences=True),
        "LiquidCell, 6 unfolds": lambda: lnn_keras.LiquidRNN(
            lnn_keras.LiquidCell(UNITS), return_sequences=True
        ),
        "LiquidCell, 1 unfold": lambda: lnn_keras.LiquidRNN(
            lnn_keras.LiquidCell(UNITS, unfolds=1), return_sequences=True
        ),
        "keras LSTM": lambda: keras.layers.LSTM(UNITS, return_sequences=True),
        "keras GRU": lambda: keras.layers.GRU(UNITS, return_sequences=True),
        "ncps.keras LTC, AutoNCP": lambda: _ncps().LTC(_theirs(AUTO_NCP), return_sequences=True),
        "ncps.keras LTC, fully connected": lambda: _ncps().LTC(
            _theirs(FULL), return_sequences=True
        ),
        "ncps.keras CfC": lambda: _ncps().CfC(UNITS, return_sequences=True),
    }[name]()


def _ours(wiring):
    import lnn_keras

    return getattr(lnn_keras.wirings, wiring)(UNITS, outputs=OUTPUTS)


def _theirs(wiring):
    import ncps.wirings

    return getattr(ncps.wirings, wiring)(UNITS, OUTPUTS)


def _ncps():
    import ncps.keras

    return ncps.keras


def model(name: str, jit_compile: bool, steps: int | None = STEPS, **options):
    """A compiled model of one layer."""
    import keras

    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((steps, FEATURES)), layer(name)])
    made.compile("adam", loss="mse", jit_compile=jit_compile, **options)
    return made


def batch(outputs: int, size: int = BATCH, steps: int = STEPS):
    """Inputs and targets."""
    random = np.random.default_rng(0)
    return (
        random.standard_normal((size, steps, FEATURES)).astype("float32"),
        random.standard_normal((size, steps, outputs)).astype("float32"),
    )


def keras_side(name: str, jit_compile: bool) -> Side:
    """A Keras layer, compiled; each function has run once when this returns."""
    from keras import ops

    made = model(name, jit_compile)
    x, y = (ops.convert_to_tensor(array) for array in batch(made.output_shape[-1]))
    side = Side(
        lambda: made.train_on_batch(x, y),
        lambda: made.predict_on_batch(x),
        "XLA" if jit_compile else "no XLA",
    )
    side.train()
    side.predict()
    return side


def torch_side(name: str) -> Side | None:
    """A layer of ncps.torch, or None where torch is not installed."""
    if find_spec("torch") is None:
        return None
    import ncps.torch
    import torch

    torch.manual_seed(0)
    made = {
        "ncps.torch LTC, AutoNCP": lambda: ncps.torch.LTC(FEATURES, _theirs(AUTO_NCP)),
        "ncps.torch LTC, fully connected": lambda: ncps.torch.LTC(FEATURES, _theirs(FULL)),
        "ncps.torch CfC": lambda: ncps.torch.CfC(FEATURES, UNITS),
    }[name]()
    optimizer = torch.optim.Adam(made.parameters())
    with torch.no_grad():
        size = made(torch.zeros(1, 1, FEATURES))[0].shape[-1]
    x, y = (torch.from_numpy(array) for array in batch(size))

    def train():
        optimizer.zero_grad()
        loss = ((made(x)[0] - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        loss.item()

    def predict():
        with torch.no_grad():
            made(x)[0].numpy()

    return Side(train, predict, "")
