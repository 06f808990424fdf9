"""Irregularly sampled sines, and layers that learn them, for `benchmarks.defaults` and tests."""

from collections.abc import Callable
from typing import Any, NamedTuple

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


class SeedSet(NamedTuple):
    """Random seeds of the training sequences, the test sequences, and the first initial values."""

    training: int
    test: int
    initial: int


# Initial values are chosen on `SELECTION` only: nothing in it occurs in the page's `REPORT`.
REPORT, SELECTION = SeedSet(0, 1, 0), SeedSet(100, 101, 100)


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
        # Without rematerialization: short sequences of small layers need little memory.
        layer = lnn_keras.LiquidRNN(make_cell(), return_sequences=True, remat=None)
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
    seed_set: SeedSet = REPORT,
) -> dict[float, list[float]]:
    """Train a model at each rate from each seed: all runs at once, in one compiled loop on JAX.

    Args:
        build: Function that builds the model from Keras's current seed.
        rates: Learning rates of Adam.
        seeds: Number of seeds of initial values.
        steps: Steps of Adam, each on all sequences.
        seed_set: The seeds of the sequences, and the first seed of initial values.

    Returns:
        For each rate the loss of each seed on other sequences.
    """
    import jax

    inputs, targets = irregular_sines(SEQUENCES, seed_set.training)
    test = irregular_sines(TEST_SEQUENCES, seed_set.test)
    models = [_seeded(build, seed_set.initial + index) for _ in rates for index in range(seeds)]
    weights = [
        np.stack([keras.ops.convert_to_numpy(variable) for variable in same])
        for same in zip(*(model.trainable_variables for model in models), strict=True)
    ]
    model = models[0]
    others = [variable.value for variable in model.non_trainable_variables]
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    state = [variable.value for variable in optimizer.variables]
    place = [variable.name for variable in optimizer.variables].index("learning_rate")

    def loss(weights, inputs, targets):
        outputs, _ = model.stateless_call(weights, others, inputs)
        return scored_mse(targets, outputs)

    def run(weights, rate):
        def step(carry, _):
            gradients = jax.grad(loss)(carry[0], inputs, targets)
            weights, state = optimizer.stateless_apply(carry[1], gradients, carry[0])
            pairs = zip(model.trainable_variables, weights, strict=True)
            constrained = [v.constraint(w) if v.constraint else w for v, w in pairs]
            return (constrained, state), None

        first = [*state]
        first[place] = rate
        (weights, _), _ = jax.lax.scan(step, (weights, first), length=steps)
        return loss(weights, *test)

    every_rate = np.repeat(np.array(rates, "float32"), seeds)
    losses = np.asarray(jax.jit(jax.vmap(run))(weights, every_rate))
    return dict(zip(rates, losses.reshape(len(rates), seeds).tolist(), strict=True))


def _seeded(build, seed):
    keras.utils.set_random_seed(seed)
    return build()
