"""The Keras model of a table: one recurrent layer between a normalization and a dense layer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.argument_checks import require_choice
from zoo.recurrent_layer import recurrent
from zoo.tables.columns import Columns
from zoo.tables.sequences import ELAPSED, OBSERVED, ROW
from zoo.training.arrays import Tensor

if TYPE_CHECKING:
    import keras

STACK = "stack"
LIQUID_CELLS = (STACK, "liquid", "cfc", "ltc", "lrc", "ctrnn")
STOCK_CELLS = ("lstm", "gru")
CELLS = (*LIQUID_CELLS, *STOCK_CELLS)
# The largest distance of a number from its mean, in the units of the model.
RANGE = 3.0
# The time from a row to the next one in the unit of the cells' time constants, which start around
# this value; and that of a stack's cells.
INTERVAL, STACK_INTERVAL = 0.25, 1.0


@dataclass(frozen=True)
class ModelConfig:
    """The size of a model.

    Attributes:
        cell: One of `CELLS`: a cell between two dense layers, or a stack of liquid blocks.
        units: Number of neurons of the recurrent layer, and of the dense layer before it; of each
            block of a stack.
        unfolds: Solver steps per row, of cells that have a solver.
    """

    cell: str = "liquid"
    units: int = 32
    unfolds: int = 1

    def __post_init__(self) -> None:
        require_choice("cell", self.cell, CELLS)
        for name in ("units", "unfolds"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1; received {getattr(self, name)!r}.")


@dataclass(frozen=True)
class Statistics:
    """Statistics of the training rows.

    Attributes:
        mean: Means of the features.
        scale: Their units in the model. Numbers lie within `RANGE` units of their means, so that
            all of them have the same resolution in an integer file, where they share a scale.
        target_mean: Means of the targets.
        target_scale: Their units in the model.
        target_deviation: Their standard deviations.
        change: Standard deviations of the targets' changes over the horizon; of the targets
            themselves without a horizon.
    """

    mean: np.ndarray
    scale: np.ndarray
    target_mean: np.ndarray
    target_scale: np.ndarray
    target_deviation: np.ndarray
    change: np.ndarray


def build(
    columns: Columns, config: ModelConfig, statistics: Statistics
) -> "tuple[keras.Model, keras.Model]":
    """Return an untrained model, and the model that is trained, which shares its weights.

        x = normalize(row), or the last observed value where one is missing
        h = recurrent(tanh(W x + b), elapsed)
        z = V h + U x + c

    The trained model returns z, (batch, time, outputs): normalized targets, normalized changes of
    the targets over the horizon, or the logits of the classes. The model returns targets in their
    own units, or the probabilities of the classes. V and U are 0 at first, so a forecast starts
    from persistence.

    Their inputs are "row" (batch, time, features), "observed" (batch, time, numbers) if the table
    has gaps, and "elapsed" (batch, time) if its rows are irregular in time.
    """
    import keras

    row: Tensor = keras.Input((None, len(columns.features)), name=ROW)
    inputs = [row]
    x = keras.layers.Normalization(
        mean=statistics.mean, variance=statistics.scale**2, name="normalize"
    )(row)
    if columns.has_gaps:
        observed: Tensor = keras.Input((None, len(columns.numbers)), name=OBSERVED)
        inputs.append(observed)
        x = _filled(x, observed, len(columns.numbers))
    elapsed: Tensor | None = None
    if columns.longest is not None:
        assert columns.interval is not None
        time: Tensor = keras.Input((None,), name=ELAPSED)
        inputs.append(time)
        interval = STACK_INTERVAL if config.cell == STACK else INTERVAL
        elapsed = keras.layers.Rescaling(interval / columns.interval, name="time_unit")(time)
    state = _recurrent(x, elapsed, config)
    # Two products and not one of both: in an integer file each has a scale of its own.
    outputs = len(columns.outputs)
    read = keras.layers.Dense(outputs, kernel_initializer="zeros", name="readout")(state)
    skip = keras.layers.Dense(outputs, use_bias=False, kernel_initializer="zeros", name="skip")(x)
    z: Tensor = keras.layers.Add(name="sum")([read, skip])
    trained = keras.Model(inputs, z, name="trained")
    values = _outputs(z, x, columns, statistics)
    return keras.Model(inputs, values, name="table"), trained


def _outputs(z: Tensor, x: Tensor, columns: Columns, statistics: Statistics) -> Tensor:
    """Probabilities, or targets in their own units."""
    import keras

    if columns.classes:
        return keras.layers.Softmax(name="classes")(z)
    if columns.horizon:
        relative = statistics.change / statistics.target_scale
        change = keras.layers.Normalization(
            mean=np.zeros_like(relative), variance=relative**2, invert=True, name="change"
        )(z)
        z = keras.layers.Add(name="forecast")([change, _last_targets(x, columns)])
    return keras.layers.Normalization(
        mean=statistics.target_mean,
        variance=statistics.target_scale**2,
        invert=True,
        name="units",
    )(z)


def parameters(columns: Columns, config: ModelConfig) -> int:
    """The number of trainable parameters of a model with an LSTM."""
    features, units, outputs = len(columns.features), config.units, len(columns.outputs)
    elapsed = columns.longest is not None
    dense = (features + 1) * units + (units + features + 1) * outputs
    return dense + 4 * units * (2 * units + elapsed + 1)


def _filled(x: Tensor, observed: Tensor, numbers: int) -> Tensor:
    """Normalized values with the last observed one in the place of each missing one."""
    import keras

    from lnn_keras import ForwardFillCell

    values, others = x[..., :numbers], x[..., numbers:]
    both = keras.layers.Concatenate(name="values_and_observed")([values, observed])
    filled = keras.layers.RNN(ForwardFillCell(numbers), return_sequences=True, name="fill")(both)
    return keras.layers.Concatenate(name="filled")([filled, others])


def _last_targets(x: Tensor, columns: Columns) -> Tensor:
    """The normalized values of the targets in the row itself, which are among its numbers."""
    import keras

    places = [columns.numbers.index(name) for name in columns.targets]
    parts = [x[..., place : place + 1] for place in places]
    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="targets")(parts)


def _recurrent(x: Tensor, elapsed: Tensor | None, config: ModelConfig) -> Tensor:
    import keras

    import lnn_keras

    units, name = config.units, config.cell
    if name == STACK:
        return recurrent(x, STACK, units, elapsed, config.unfolds)
    x = keras.layers.Dense(units, activation="tanh", name="features")(x)
    if name in STOCK_CELLS:
        if elapsed is not None:
            x = keras.layers.Concatenate(name="with_elapsed")([x, elapsed[..., None]])
        stock: Any = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[name]
        return stock(units, return_sequences=True, name=name)(x)
    if name == "cfc":
        cell: Any = lnn_keras.CfCCell(units, backbone_units=2 * units, elapsed=INTERVAL)
    else:
        classes: dict[str, Any] = {
            "liquid": lnn_keras.LiquidCell,
            "ltc": lnn_keras.LTCCell,
            "lrc": lnn_keras.LRCCell,
            "ctrnn": lnn_keras.CTRNNCell,
        }
        cell = classes[name](units, unfolds=config.unfolds, elapsed=INTERVAL)
    layer = lnn_keras.LiquidRNN(cell, return_sequences=True, name=name)
    return layer(x) if elapsed is None else layer(x, elapsed=elapsed)
