"""Short training on half-cheetah and ECG from former and present initial values."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import lnn_keras
from benchmarks.markdown import table_header, table_row
from zoo.biosignals import ecg_arrhythmia as ecg
from zoo.data import half_cheetah

UNITS, UNFOLDS = 32, 2
RATES, SEEDS = (0.005, 0.02), 2
CHEETAH_EPOCHS, ECG_EPOCHS, BATCH_SIZE = 10, 5, 32
# The defaults of LiquidCell before this benchmark existed.
FORMER = {
    "kernel_initializer": "glorot_uniform",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    "tau_initializer": "ones",
    "reversal_initializer": {
        "class_name": "RandomUniform",
        "config": {"minval": -1.0, "maxval": 1.0},
    },
}


def _liquid(**options: Any) -> keras.layers.Layer:
    cell = lnn_keras.LiquidCell(UNITS, unfolds=UNFOLDS, **options)
    return lnn_keras.LiquidRNN(cell, return_sequences=True)


LAYERS: dict[str, Callable[[], keras.layers.Layer]] = {
    "LiquidCell, former initial values": lambda: _liquid(**FORMER),
    "LiquidCell": _liquid,
    "GRU": lambda: keras.layers.GRU(UNITS, return_sequences=True),
}


def _train(model: keras.Model, inputs: Any, targets: Any, loss: Any, rate: float, epochs: int):
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(inputs, targets, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)  # pyright: ignore[reportArgumentType] # the stub says str


def cheetah_error(layer: keras.layers.Layer, rate: float) -> float:
    """Error of the next standardized observation on test traces, after a few epochs."""
    inputs, targets = half_cheetah.windows(half_cheetah.traces("train"))
    test_inputs, test_targets = half_cheetah.windows(half_cheetah.traces("test"), stride=40)
    mean, deviation = inputs.mean(axis=(0, 1)), inputs.std(axis=(0, 1))
    inputs, targets, test_inputs, test_targets = (
        (values - mean) / deviation for values in (inputs, targets, test_inputs, test_targets)
    )
    model = keras.Sequential(
        [keras.Input(inputs.shape[1:]), layer, keras.layers.Dense(half_cheetah.FEATURES)]
    )
    _train(model, inputs, targets, "mse", rate, CHEETAH_EPOCHS)
    return float(np.mean((model.predict(test_inputs, verbose=0) - test_targets) ** 2))  # pyright: ignore[reportArgumentType] # stub


@functools.cache
def _ecg_splits() -> Any:
    return ecg.load_splits(0)


def ecg_error(layer: keras.layers.Layer, rate: float) -> float:
    """Weighted cross-entropy of heartbeats of held-out patients, after a few epochs."""
    splits = _ecg_splits()
    (inputs, targets), validation = splits["train"], splits["validation"]
    normalize = keras.layers.Normalization()
    normalize.adapt(inputs)
    model = keras.Sequential(
        [
            keras.Input((None, ecg.FEATURES)),
            normalize,
            keras.layers.Activation("tanh"),
            layer,
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    _train(model, inputs, targets, ecg.weighted_cross_entropy, rate, ECG_EPOCHS)
    losses = ecg.weighted_cross_entropy(validation[1], model.predict(validation[0], verbose=0))  # pyright: ignore[reportArgumentType] # stub
    labelled = (validation[1] >= 0).mean(axis=-1)
    return float(np.mean(keras.ops.convert_to_numpy(losses)) / np.mean(labelled))


TASKS = {"half-cheetah, MSE": cheetah_error, "ECG, weighted cross-entropy": ecg_error}


def real_table() -> str:
    """Train all layers on both tasks, print the rows and return the table."""
    titles = [f"{task}, rate {rate}" for task in TASKS for rate in RATES]
    lines = table_header("layer", *titles)
    for name, make in LAYERS.items():
        means = []
        for error in TASKS.values():
            for rate in RATES:
                values = []
                for seed in range(SEEDS):
                    keras.utils.set_random_seed(seed)
                    values.append(error(make(), rate))
                means.append(f"{np.mean(values):.3f}")
        lines.append(table_row(name, *means))
        print(lines[-1], flush=True)
    return "\n".join(lines)
