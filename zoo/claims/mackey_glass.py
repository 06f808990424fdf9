"""Mackey-Glass: forecasts of a chaotic series in closed loop, an outside yardstick.

It follows the task "chaotic function prediction" of NeuroBench with its equation for tau = 17:

    dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x

and its protocol: 75 points per Lyapunov time of 197, and 30 repeats, each half a Lyapunov time
later. A repeat learns from 750 points, of which the first 45 only warm the state up. It then
forecasts the next 750 points, each from its own forecasts before. The error is sMAPE, in percent.

NeuroBench distributes its own file, which cannot be fetched everywhere. Here the same equation is
integrated from the same past. Series of a chaotic system that different programs integrate separate
after some Lyapunov times, so the points differ from those of the file, but not their kind.

Each cell is a reservoir: its weights are random, with another seed in each repeat, and only a
linear readout is fitted, by ridge regression, on the input, the state, and products of states. All
numbers are float64, and each cell is as large as 40,000 bytes allow. The scales of its weights are
the best of 240 for each cell, 160 drawn at random and 80 near the best of these, on up to 30
stretches between the points 4,000 and 13,620 of the series, which no repeat reaches. The form of
the readout was settled before by about 1,000 draws of liquid cells only, on the same stretches;
these also chose one solver step and A = 1 for the liquid cell.

Reference: Yik et al., NeuroBench, Nature Communications 2025, arXiv 2304.04640.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.argument_checks import require_choice

PAST = 0.7206597
# A Lyapunov time is 75 points.
INTERVAL = 197 / 75
# About the longest step of the integration; a delay is a whole number of steps.
STEP = 0.05
TRAINING, WARM_UP, HORIZON, SHIFT = 750, 45, 750, 37.5
# About the mean of the series, which is subtracted.
CENTER = 0.93
# Bound of the forecasts, so that one that runs away stays finite.
LARGEST = 2.0
DTYPE, BYTES_PER_NUMBER = "float64", 8
# Number of outputs of which the readout gets all products.
SQUARED = 30
# Penalty of the readout's standardized weights, relative to the number of points.
RIDGE = 1e-13

DESCRIPTION = (
    "Forecasts of the Mackey-Glass series in closed loop over 10 Lyapunov times, after 10 to learn "
    "from, by the protocol of NeuroBench, on {series} stretches of a series integrated here; the "
    "results of NeuroBench are on its own file. The goal was a sMAPE below 13.4 in at most 40,000 "
    "bytes of weights and states. Each cell has random weights in float64, whose scales are the "
    "best of 240 on other stretches, and a readout of its state and of products of states, fitted "
    "by ridge regression. The form of the readout was chosen with liquid cells, which therefore "
    "had more tuning than the others."
)
# Published results, as rows of a table: name, mean sMAPE, range, bytes.
PUBLISHED = (
    ("LSTM of NeuroBench", "13.37", "", "490,000"),
    ("ESN of NeuroBench", "14.79", "", "281,000"),
)


@dataclass(frozen=True)
class Reservoir:
    """A recurrent cell with random weights.

    Attributes:
        units: Number of neurons.
        kernel: Largest absolute weight of the input.
        recurrent: Gain of the recurrent kernel, whose entries have the variance gain^2 / units.
        bias: Range of the biases.
        elapsed: Elapsed time of a step; stock cells have none.
        tau: Range of the time constants of a liquid cell.
    """

    units: int
    kernel: float
    recurrent: float
    bias: tuple[float, float]
    elapsed: float = 1.0
    tau: tuple[float, float] = (1.0, 1.0)


CELLS: dict[str, Reservoir] = {
    "liquid": Reservoir(64, 4.1, 6.0, (-2.1, -1.2), 1.6, (4.2, 5.0)),
    "cfc": Reservoir(32, 1.3, 1.07, (-0.17, 0.84), 1.37),
    "lstm": Reservoir(32, 0.95, 6.45, (-2.3, -0.16)),
    "gru": Reservoir(37, 1.36, 1.6, (-0.81, 0.39)),
}


def series(points: int, tau: float = 17.0) -> np.ndarray:
    """Integrate the equation from a constant past, by the fourth-order method of Runge and Kutta.

    Args:
        points: Number of points, 197 / 75 apart; the first one is the past's.
        tau: The delay.

    Returns:
        Points (points,).

    Raises:
        ValueError: `points` is below 1, or `tau` is below 0.1.
    """
    if points < 1 or tau < 2 * STEP:
        raise ValueError(f"{points} points with a delay of {tau}; at least 1 and {2 * STEP}.")
    # A whole number, since the derivatives of the solution jump at multiples of the delay.
    delay = math.ceil(tau / STEP)
    step = tau / delay
    values, slopes = _solution(math.ceil((points - 1) * INTERVAL / step) + 1, delay, step)
    times = np.arange(points) * (INTERVAL / step)
    left = np.floor(times).astype(int)
    part, rest = times - left, 1 - (times - left)
    # The cubic with the values and slopes at both ends of the step.
    from_left = (1 + 2 * part) * values[left] + part * step * slopes[left]
    from_right = (1 + 2 * rest) * values[left + 1] - rest * step * slopes[left + 1]
    return rest**2 * from_left + part**2 * from_right


def _solution(steps: int, delay: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Values and slopes (steps + 1,), where a delay is `delay` steps."""
    values, slopes = [PAST], [_slope(PAST, PAST)]
    for past in range(-delay, steps - delay):
        x, middle, after = values[-1], PAST, PAST
        if past >= 0:
            after = values[past + 1]
            middle = (values[past] + after) / 2 + step / 8 * (slopes[past] - slopes[past + 1])
        first = slopes[-1]
        second = _slope(x + step / 2 * first, middle)
        third = _slope(x + step / 2 * second, middle)
        fourth = _slope(x + step * third, after)
        values.append(x + step / 6 * (first + 2 * second + 2 * third + fourth))
        slopes.append(_slope(values[-1], after))
    return np.array(values), np.array(slopes)


def _slope(x: float, delayed: float) -> float:
    return 0.2 * delayed / (1 + delayed**10) - 0.1 * x


def smape(targets: np.ndarray, forecasts: np.ndarray) -> float:
    """The symmetric mean absolute percentage error, 200 mean(|y - f| / (|y| + |f|)).

    Args:
        targets: True values y.
        forecasts: Forecasts f of the same shape.

    Returns:
        The error in percent.
    """
    sizes = np.abs(targets) + np.abs(forecasts)
    return float(200 * np.mean(np.abs(targets - forecasts) / sizes))


def measure(cell: str, repeats: int = 30, seed: int = 0) -> dict[str, Any]:
    """Forecast with a cell, and compute the errors and the footprint.

    Args:
        cell: A name in `CELLS`.
        repeats: Number of stretches of the series.
        seed: Seed of the random weights.

    Returns:
        "smape", the mean over the repeats, in percent; "smapes", one of each repeat; "parameters",
        the number of weights; "bytes" of the weights, the states and the last forecast; "cell".

    Raises:
        ValueError: `cell` is unknown, or `repeats` is below 1.
    """
    import keras

    from lnn_keras.argument_checks import require_at_least

    require_choice("cell", cell, CELLS)
    starts = [int(SHIFT * repeat) for repeat in range(require_at_least(1, "repeats", repeats))]
    points = series(starts[-1] + TRAINING + HORIZON)
    reservoir, readout = _cell(cell), keras.layers.Dense(1, dtype=DTYPE)
    # A forecasting step also keeps the point before.
    sizes = [*keras.tree.flatten(reservoir.state_size), 1]
    reader, forecaster = _models(reservoir, readout, sizes)
    smapes = []
    for repeat, start in enumerate(starts):
        known, future = np.split(points[start : start + TRAINING + HORIZON], [TRAINING])
        reservoir.set_weights(_cell(cell, 1000 * seed + repeat).get_weights())
        smapes.append(smape(future, _forecasts(reader, readout, forecaster, known)))
    parameters = reservoir.count_params() + readout.count_params()
    return {
        "smape": float(np.mean(smapes)),
        "smapes": smapes,
        "bytes": BYTES_PER_NUMBER * (parameters + sum(sizes)),
        "parameters": parameters,
        "cell": cell,
    }


def _forecasts(reader: Any, readout: Any, forecaster: Any, known: np.ndarray) -> np.ndarray:
    """Fit the readout on points (time,), and forecast the points behind them (HORIZON,)."""
    points = (known - CENTER)[None, :, None]
    # Not `predict`, which makes the points float32.
    features, *states = reader.predict_on_batch(points[:, :-1])
    readout.set_weights(_fitted(features[0, WARM_UP:], points[0, 1 + WARM_UP :]))
    steps = np.zeros((1, HORIZON, 1))
    return forecaster.predict_on_batch([steps, *states, points[:, -1]])[0, :, 0] + CENTER


def _cell(name: str, seed: int = 0) -> Any:
    """A cell with random weights."""
    import keras

    from lnn_keras import CfCCell, LiquidCell
    from lnn_keras.initializers import Antisymmetric

    found, seeds = CELLS[name], keras.random.SeedGenerator(seed)
    uniform, normal = keras.initializers.RandomUniform, keras.initializers.RandomNormal
    options: dict[str, Any] = {
        "kernel_initializer": uniform(-found.kernel, found.kernel, seeds),
        "bias_initializer": uniform(*found.bias, seeds),
        "recurrent_initializer": normal(0.0, found.recurrent / found.units**0.5, seeds),
        "dtype": DTYPE,
    }
    if name == "gru":
        cell: Any = keras.layers.GRUCell(found.units, **options)
    elif name == "lstm":
        cell = keras.layers.LSTMCell(found.units, unit_forget_bias=False, **options)
    elif name == "cfc":
        cell = CfCCell(found.units, backbone_layers=0, elapsed=found.elapsed, **options)
    else:
        options["recurrent_initializer"] = Antisymmetric(found.recurrent, seeds)
        options |= {"tau_initializer": uniform(*found.tau, seeds), "elapsed": found.elapsed}
        cell = LiquidCell(found.units, reversal_initializer="ones", unfolds=1, **options)
    cell.build((1, 1))
    return cell


def _models(cell: Any, readout: Any, sizes: list[int]) -> tuple[Any, Any]:
    """Models that read known points, and that forecast from the states and the last point on."""
    import keras

    class ClosedLoopCell(keras.layers.Layer):
        """The cell, whose input is the forecast before."""

        state_size, output_size = sizes, 1

        def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
            *states, point = states
            output, states = cell(point, states)
            point = readout(_features(point, output))
            point = keras.ops.clip(point, -LARGEST, LARGEST)
            return point, [*states, point]

    readout.build((1, 1 + cell.output_size + SQUARED * (SQUARED + 1) // 2))
    options: Any = {"return_sequences": True, "dtype": DTYPE}
    points: Any = keras.Input((None, 1), dtype=DTYPE)
    outputs, *states = keras.layers.RNN(cell, return_state=True, **options)(points)
    reader = keras.Model(points, [_features(points, outputs), *states])
    last = [keras.Input((size,), dtype=DTYPE) for size in sizes]
    layer: Any = keras.layers.RNN(ClosedLoopCell(dtype=DTYPE), **options)
    return reader, keras.Model([points, *last], layer(points, initial_state=last))


def _features(points: Any, outputs: Any) -> Any:
    """The inputs of the readout: the point, the outputs, and products of the first of these."""
    import keras

    ops: Any = keras.ops
    first, second = np.triu_indices(SQUARED)
    products = ops.take(outputs, first, axis=-1) * ops.take(outputs, second, axis=-1)
    return ops.concatenate([points, outputs, products], axis=-1)


def _fitted(features: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """Kernel and bias of the ridge regression of targets (time, 1) on features (time, features)."""
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-12)
    count, size = features.shape
    # By a decomposition of the features, since their products would lose half of the digits.
    rows = np.concatenate([(features - mean) / scale, math.sqrt(RIDGE * count) * np.eye(size)])
    basis, triangle = np.linalg.qr(rows)
    offset = targets.mean(axis=0)
    kernel = np.linalg.solve(triangle, basis[:count].T @ (targets - offset)) / scale[:, None]
    return [kernel, offset - mean @ kernel]
