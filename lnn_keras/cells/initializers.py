"""Helpers for the initializers of the cells' weights."""

from typing import Any

import keras
import numpy as np

from lnn_keras.tensors import Tensor, concrete_values, ops
from lnn_keras.types import Initializer


class LogInitializer:
    """The logarithm of another initializer's values, for weights stored as logarithms.

    Args:
        argument: Name of the cell's argument, for the message.
        initializer: An initializer of positive values.

    Raises:
        ValueError: On the call, if a value is not above 0.
    """

    def __init__(self, argument: str, initializer: Initializer):
        self.argument = argument
        self.initializer: Any = keras.initializers.get(initializer)

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        values = self.initializer(shape, dtype=dtype)
        # A model that is built while it is traced initializes its weights after the trace.
        concrete = concrete_values(values)
        if concrete is not None and not np.all(concrete > 0):
            raise ValueError(
                f"`{self.argument}` must give values above 0; received {self.initializer!r}, "
                f"whose smallest value is {np.min(concrete):g}."
            )
        return ops.log(values)


def uniform_or(initializer: Initializer | None, low: float, high: float) -> Any:
    """Return the initializer as an object; None stands for a uniform one in [low, high]."""
    return initializer_or(initializer, "RandomUniform", minval=low, maxval=high)


def fan_in_or(initializer: Initializer | None, deviation: float) -> Any:
    """Return the initializer as an object; None stands for a uniform one scaled by its rows.

    Independent inputs of variance 1 then have products with this standard deviation.
    """
    scaling = {"scale": deviation**2, "mode": "fan_in", "distribution": "uniform"}
    return initializer_or(initializer, "VarianceScaling", **scaling)


def initializer_or(initializer: Initializer | None, default: str, **options: Any) -> Any:
    """Return the initializer as an object; None stands for Keras's one of this name."""
    if initializer is None:
        initializer = {"class_name": default, "config": options}
    return keras.initializers.get(initializer)


def clone_initializer(initializer: Any) -> Any:
    """An initializer of the same distribution for another weight.

    An unseeded initializer of Keras draws the same values each time it is called.
    """
    is_keras = isinstance(initializer, keras.initializers.Initializer)
    return initializer.clone() if is_keras else initializer
