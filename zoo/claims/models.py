"""The models that are compared: one recurrent layer each, with equal numbers of parameters.

normalization -> dense layer, on tasks with many features -> recurrent layer -> dense readout
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.claims.tasks import Task
from zoo.training.arrays import Tensor

# Trainable parameters of a model, and the largest relative difference.
BUDGET, TOLERANCE = 6000, 0.1
UNFOLDS = 2
_PROBES = (4, 8, 12)


@dataclass(frozen=True)
class Layer:
    """A recurrent layer.

    Attributes:
        title: The name in tables.
        is_liquid: Whether the claims are about it.
        takes_elapsed: Whether it gets the elapsed times.
        apply: Function from inputs (batch, time, features), elapsed times (batch, time) and the
            number of units to the outputs at each step.
    """

    title: str
    is_liquid: bool
    takes_elapsed: bool
    apply: Callable[[Tensor, Tensor, int], Tensor]


def _liquid(inputs: Tensor, elapsed: Tensor, units: int) -> Tensor:
    from lnn_keras import LiquidCell, LiquidRNN

    layer = LiquidRNN(LiquidCell(units, unfolds=UNFOLDS), return_sequences=True)
    return layer(inputs, elapsed=elapsed)


def _closed_form(inputs: Tensor, elapsed: Tensor, units: int) -> Tensor:
    from lnn_keras import CfCCell, LiquidRNN

    # With the default backbone of 128 units, most parameters would be in the backbone.
    layer = LiquidRNN(CfCCell(units, backbone_units=units), return_sequences=True)
    return layer(inputs, elapsed=elapsed)


def _lstm(inputs: Tensor, elapsed: Tensor, units: int) -> Tensor:
    import keras

    return keras.layers.LSTM(units, return_sequences=True)(inputs)


def _gru(inputs: Tensor, elapsed: Tensor, units: int) -> Tensor:
    import keras

    return keras.layers.GRU(units, return_sequences=True)(inputs)


def _gru_with_elapsed(inputs: Tensor, elapsed: Tensor, units: int) -> Tensor:
    import keras

    both = keras.ops.concatenate([inputs, elapsed[..., None]], axis=-1)
    return keras.layers.GRU(units, return_sequences=True)(both)


LAYERS = {
    "liquid": Layer("LiquidCell", True, True, _liquid),
    "cfc": Layer("CfCCell", True, True, _closed_form),
    "lstm": Layer("LSTM", False, False, _lstm),
    "gru": Layer("GRU", False, False, _gru),
    "gru-elapsed": Layer("GRU, elapsed time as a feature", False, True, _gru_with_elapsed),
}
LIQUID = tuple(name for name, layer in LAYERS.items() if layer.is_liquid)
STOCK = tuple(name for name, layer in LAYERS.items() if not layer.is_liquid)


def build(task: Task, layer: str, units: int, features: int) -> Any:
    """An untrained model from (batch, time, features) to outputs at each step.

    Args:
        task: The task.
        layer: Key of `LAYERS`.
        units: Units of the recurrent layer.
        features: Features of the inputs.

    Returns:
        A model with the input "signal", and "elapsed" (batch, time) if the layer takes it.
    """
    import keras

    chosen = LAYERS[layer]
    signal = keras.Input((None, features), name="signal")
    elapsed = keras.Input((None,), name="elapsed")
    x: Any = keras.layers.Normalization(name="normalize")(signal)
    if task.width:
        x = keras.layers.Dense(task.width, activation="tanh", name="encode")(x)
    if task.dropout:
        x = keras.layers.Dropout(task.dropout)(x)
    x = chosen.apply(x, elapsed, units)
    if task.dropout:
        x = keras.layers.Dropout(task.dropout)(x)
    x = keras.layers.Dense(task.outputs, activation=task.activation, name="readout")(x)
    inputs = [signal, elapsed] if chosen.takes_elapsed else signal
    return keras.Model(inputs, x, name=task.name.replace("-", "_"))


def units_within_budget(task: Task, layer: str, features: int, budget: int = BUDGET) -> int:
    """The number of units with which a model has about `budget` parameters.

    Raises:
        ValueError: No number of units comes close enough.
    """
    from zoo.experiments.runs import trainable_parameters

    # The number of parameters is a quadratic function of the number of units.
    counts = [trainable_parameters(build(task, layer, n, features)) for n in _PROBES]
    polynomial = np.polyfit(_PROBES, counts, 2)
    candidates = np.arange(1, budget)
    differences = np.abs(np.polyval(polynomial, candidates) - budget)
    if differences.min() > TOLERANCE * budget:
        raise ValueError(
            f"No number of units of {layer!r} gives {budget:,} parameters on {task.name!r}."
        )
    return int(candidates[differences.argmin()])
