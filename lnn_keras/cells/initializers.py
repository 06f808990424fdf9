"""Helpers for the initializers of the cells' weights."""

from typing import Any

import keras

from lnn_keras.tensors import Tensor, ops
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
        if not bool(ops.all(values > 0)):
            raise ValueError(
                f"`{self.argument}` must give values above 0; received {self.initializer!r}, "
                f"whose smallest value is {float(ops.min(values)):g}."
            )
        return ops.log(values)


def uniform_or(initializer: Initializer | None, low: float, high: float) -> Any:
    """Return the initializer as an object; None stands for a uniform one in [low, high]."""
    if initializer is None:
        return keras.initializers.RandomUniform(low, high)
    return keras.initializers.get(initializer)


def clone_initializer(initializer: Any) -> Any:
    """An initializer of the same distribution for another weight.

    An unseeded initializer of Keras draws the same values each time it is called.
    """
    is_keras = isinstance(initializer, keras.initializers.Initializer)
    return initializer.clone() if is_keras else initializer
