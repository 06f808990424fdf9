"""A LEFCell whose state is a Gaussian belief about the next value of a series, and its baselines.

The cell reads a value and its distance from the running mean of the last values
(`RunningNormalization`). It starts as an exponential moving average with a constant variance and
then trains its 16 numbers, so that the distance opens its gate and lowers the precision of the
evidence. Afterwards nothing is trained: mean and variance follow the series by the cell's step.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

import lnn_keras
from lnn_keras import families
from lnn_keras.adapt import RunningNormalization

# Values over which the running mean of the distance forgets.
MEMORY = 9.0
# With these, one step can replace 99.8 % of the state.
ELAPSED, UNFOLDS = 16.0, 4
# Values enter the cell in this unit, so that those of a few deviations are of order 1.
UNIT = 4.0
RATES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 0.95)
VARIANCE_RATES = (0.01, 0.02, 0.05, 0.1, 0.2)
# First values of a series, which no score counts.
WARM_UP = 20
# The half width of the 90 % interval, in deviations.
HALF_WIDTH = 1.6448536

# Mean and variance of the next value after each value, each (series, time).
Belief = tuple[np.ndarray, np.ndarray]


def build() -> keras.Model:
    """A model from values (batch, time, 1) to natural parameters (batch, time, 2)."""
    values = keras.Input((None, 1))
    distance = ops.abs(RunningNormalization(1, memory=MEMORY, name="distance")(values)) / 2
    cell = lnn_keras.LEFCell(
        1, "gaussian", parameters="natural", unfolds=UNFOLDS, elapsed=ELAPSED, name="belief"
    )
    features = ops.concatenate([values / UNIT, distance], axis=-1)
    layer = lnn_keras.LiquidRNN(cell, return_sequences=True, remat=None, name="beliefs")
    return keras.Model(values, layer(features))


def start_as_average(model: keras.Model, rate: float, variance: float) -> None:
    """Set the cell's weights so that it is an exponential moving average of constant variance."""
    cell = model.get_layer("beliefs").cell
    replaced = 1 - (1 - rate) ** (1 / UNFOLDS)
    gate = replaced / (1 - replaced) / (ELAPSED / UNFOLDS)
    cell.kernel.assign(np.zeros((2, 1)))
    cell.recurrent_kernel.assign(np.zeros((2, 1)))
    cell.bias.assign([np.log(gate / (1 - gate))])
    cell.evidence_kernel.assign([[UNIT, 0.0], [0.0, 0.0]])
    cell.evidence_bias.assign([0.0, np.log(np.expm1(1 / variance))])
    # The prior enters with almost no weight.
    cell.log_tau.assign([np.log(1e5)])


def train(model: keras.Model, series: np.ndarray, epochs: int, batch: int = 64) -> None:
    """Train on the likelihood of the next value.

    Args:
        model: A model of `build`.
        series: (series, time).
        epochs: Passes over the series.
        batch: Series per step.
    """
    steps = epochs * -(-len(series) // batch)
    rate = keras.optimizers.schedules.CosineDecay(0.02, steps)
    model.compile(
        keras.optimizers.Adam(rate, clipnorm=1.0), families.NegativeLogLikelihood("gaussian")
    )
    model.fit(series[:, :-1, None], series[:, 1:, None], batch_size=batch, epochs=epochs, verbose=0)


def belief(model: keras.Model, series: np.ndarray) -> Belief:
    """The model's mean and variance of the next value, after each value of series."""
    eta = ops.convert_to_tensor(model.predict(series[..., None], batch_size=512, verbose=0))
    gaussian = families.get("gaussian")
    mean, variance = gaussian.mean(eta), gaussian.variance(eta)
    return ops.convert_to_numpy(mean), ops.convert_to_numpy(variance)


def average(series: np.ndarray, rate: float, variance_rate: float) -> Belief:
    """Exponential moving averages of the values and of their squared errors."""
    mean, variance = series[:, 0].astype("float64"), np.full(len(series), 2.0)
    means, variances = [], []
    for value in series.T:
        error = value - mean
        mean = mean + rate * error
        variance = variance + variance_rate * (error**2 - variance)
        means.append(mean)
        variances.append(variance)
    return np.stack(means, axis=1), np.stack(variances, axis=1)


def best_average(series: np.ndarray) -> tuple[float, float]:
    """The rates of `average` with the greatest likelihood on series."""
    pairs = [(rate, other) for rate in RATES for other in VARIANCE_RATES]
    return min(pairs, key=lambda pair: score(series, average(series, *pair)))


def likelihood_loss(series: np.ndarray, found: Belief) -> np.ndarray:
    """-ln p of each value after the first (series, time - 1)."""
    mean, variance = (part[:, :-1] for part in found)
    return 0.5 * (np.log(2 * np.pi * variance) + (series[:, 1:] - mean) ** 2 / variance)


def score(series: np.ndarray, found: Belief) -> float:
    """The mean of `likelihood_loss` after the warm-up."""
    return float(likelihood_loss(series, found)[:, WARM_UP:].mean())


def covered(series: np.ndarray, found: Belief) -> np.ndarray:
    """Whether the 90 % interval covers each value after the first (series, time - 1)."""
    mean, variance = (part[:, :-1] for part in found)
    return np.abs(series[:, 1:] - mean) < HALF_WIDTH * np.sqrt(variance)


def trained(
    series: np.ndarray, epochs: int, build_model: Callable[[], keras.Model] = build
) -> tuple[keras.Model, tuple[float, float]]:
    """A model that was trained on series from their best moving average, and its rates."""
    keras.utils.set_random_seed(0)
    rates = best_average(series)
    _, variance = average(series, *rates)
    model = build_model()
    start_as_average(model, rates[0], float(variance[:, WARM_UP:].mean()))
    train(model, series, epochs)
    return model, rates
