"""Irregularly sampled sines, and layers that learn them, for `benchmarks.defaults` and tests."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import lnn_keras
from lnn_keras import families, wirings

UNITS, MOTOR_NEURONS = 16, 4
LENGTH, SEQUENCES, TEST_SEQUENCES = 32, 128, 256
# The loss begins after the samples from which the frequency can be known.
FIRST_SCORED = 8
FREQUENCIES, GAPS, AHEAD = (1.0, 3.0), (0.05, 0.5), 0.5
RATES, SEEDS, STEPS = (0.005, 0.02), 3, 200

Data = tuple[list[np.ndarray], np.ndarray]


def irregular_sines(sequences: int, seed: int) -> Data:
    """Sines at irregular times.

    Args:
        sequences: Number of sequences.
        seed: Random seed of frequencies, phases and gaps.

    Returns:
        Inputs: values (sequences, 32, 1) and the gap before each (sequences, 32). Targets
        (sequences, 32, 1): the value of the sine 0.5 later.
    """
    random = np.random.default_rng(seed)
    gaps = random.uniform(*GAPS, (sequences, LENGTH))
    times = np.cumsum(gaps, axis=1)
    frequency = random.uniform(*FREQUENCIES, (sequences, 1))
    phase = random.uniform(0, 2 * np.pi, (sequences, 1))
    values, targets = (
        np.sin(frequency * t + phase)[..., None].astype("float32") for t in (times, times + AHEAD)
    )
    return [values, gaps.astype("float32")], targets


def _liquid(make_cell: Callable[[], Any]) -> Callable[[], keras.Model]:
    """A model of a cell of this package: the gaps are its elapsed times."""

    def build():
        values, gaps = keras.Input((LENGTH, 1)), keras.Input((LENGTH,))
        layer = lnn_keras.LiquidRNN(make_cell(), return_sequences=True)
        return keras.Model([values, gaps], keras.layers.Dense(1)(layer(values, elapsed=gaps)))

    return build


def _stock(layer_class: Any, units: int = UNITS) -> Callable[[], keras.Model]:
    """A model of a layer of Keras: the gaps are its second feature."""

    def build():
        values, gaps = keras.Input((LENGTH, 1)), keras.Input((LENGTH,))
        features = keras.layers.Concatenate()([values, keras.ops.expand_dims(gaps, -1)])
        hidden = layer_class(units, return_sequences=True)(features)
        return keras.Model([values, gaps], keras.layers.Dense(1)(hidden))

    return build


def wiring() -> wirings.AutoNCP:
    """The sparse wiring of LTCCell and WiredCfCCell."""
    return wirings.AutoNCP(UNITS, MOTOR_NEURONS)


EQUAL_UNITS = "GRU"
EQUAL_PARAMETERS = "GRU, 9 units"
MODELS: dict[str, Callable[[], keras.Model]] = {
    "LiquidCell": _liquid(lambda: lnn_keras.LiquidCell(UNITS)),
    "LTCCell": _liquid(lambda: lnn_keras.LTCCell(UNITS)),
    "LTCCell, AutoNCP": _liquid(lambda: lnn_keras.LTCCell(wiring())),
    "LRCCell": _liquid(lambda: lnn_keras.LRCCell(UNITS)),
    "LRCCell, asymmetric": _liquid(lambda: lnn_keras.LRCCell(UNITS, elastance="asymmetric")),
    **{
        f"LEFCell, {family}": _liquid(lambda family=family: lnn_keras.LEFCell(UNITS, family))
        for family in families.FAMILIES
    },
    **{
        f"CfCCell, {mode}": _liquid(lambda mode=mode: lnn_keras.CfCCell(UNITS, mode))
        for mode in ("default", "no_gate", "pure")
    },
    "WiredCfCCell, AutoNCP": _liquid(lambda: lnn_keras.WiredCfCCell(wiring())),
    "NODECell": _liquid(lambda: lnn_keras.NODECell(UNITS)),
    "CTRNNCell": _liquid(lambda: lnn_keras.CTRNNCell(UNITS)),
    "CTGRUCell": _liquid(lambda: lnn_keras.CTGRUCell(UNITS)),
    "ODERNNCell": _liquid(lambda: lnn_keras.ODERNNCell(UNITS)),
    "MixedMemoryCell, LiquidCell": _liquid(
        lambda: lnn_keras.MixedMemoryCell(lnn_keras.LiquidCell(UNITS))
    ),
    "LSTM": _stock(keras.layers.LSTM),
    EQUAL_UNITS: _stock(keras.layers.GRU),
    EQUAL_PARAMETERS: _stock(keras.layers.GRU, 9),
    "GRU, 8 units": _stock(keras.layers.GRU, 8),
}


def scored_mse(targets: Any, predictions: Any) -> Any:
    """The squared error after the first samples."""
    return keras.ops.mean(keras.ops.square(targets - predictions)[:, FIRST_SCORED:])


def final_losses(
    build: Callable[[], keras.Model],
    rates: tuple[float, ...] = RATES,
    seeds: int = SEEDS,
    steps: int = STEPS,
    sequences: int = SEQUENCES,
) -> dict[float, list[float]]:
    """Train a model at each learning rate from each seed, with one compilation.

    Args:
        build: Function that builds the model from Keras's current seed.
        rates: Learning rates of Adam.
        seeds: Number of seeds.
        steps: Steps of Adam, each on all sequences.
        sequences: Number of training sequences.

    Returns:
        For each rate the loss of each seed on other sequences.
    """
    inputs, targets = irregular_sines(sequences, seed=0)
    test_inputs, test_targets = irregular_sines(TEST_SEQUENCES, seed=1)
    model = build()
    optimizer: Any = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    fresh = [np.array(value) for value in optimizer.variables]
    model.compile(optimizer, scored_mse, jit_compile=keras.backend.backend() != "torch")
    losses: dict[float, list[float]] = {rate: [] for rate in rates}
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        first = build().get_weights()
        for rate in rates:
            model.set_weights(first)
            for variable, value in zip(optimizer.variables, fresh, strict=True):
                variable.assign(value)
            optimizer.learning_rate = rate
            for _ in range(steps):
                model.train_on_batch(inputs, targets)
            losses[rate].append(float(model.test_on_batch(test_inputs, test_targets)))
    return losses
