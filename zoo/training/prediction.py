"""Predictions of a Keras model on all sequences of a split, and the check that they are finite."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.training.arrays import Inputs

if TYPE_CHECKING:
    import keras


class NotFiniteError(RuntimeError):
    """Predictions or metrics of a model are NaN or infinite."""


def require_finite(predictions: Any, model: str) -> None:
    """Raise a NotFiniteError if predictions are NaN or infinite.

    Args:
        predictions: An array, or several by name or in a list.
        model: Name of the model, for the message.

    Raises:
        NotFiniteError: A value is not finite. The message names the first one.
    """
    for name, array in _named(predictions).items():
        wrong = np.argwhere(~np.isfinite(array))
        if len(wrong):
            place = tuple(int(index) for index in wrong[0])
            raise NotFiniteError(
                f"{len(wrong):,} of {np.size(array):,} predictions of {model}{name} are NaN or "
                f"infinite; the first is at (sequence, time, output) {place}."
            )


def require_finite_metrics(values: Mapping[str, float], model: str) -> None:
    """Raise a NotFiniteError if a metric of a model is NaN or infinite."""
    wrong = [name for name, value in values.items() if not np.isfinite(value)]
    if wrong:
        raise NotFiniteError(
            f"{', '.join(wrong)} of {model} is {values[wrong[0]]}: its predictions are not finite."
        )


def _named(predictions: Any) -> dict[str, Any]:
    if isinstance(predictions, Mapping):
        return {f", output {name!r},": array for name, array in predictions.items()}
    if isinstance(predictions, list | tuple):
        return {f", output {index},": array for index, array in enumerate(predictions)}
    return {"": predictions}


def predict(model: "keras.Model", inputs: Inputs) -> np.ndarray:
    """Predictions of a model on all sequences, in batches of 512.

    Under `zoo.training.distribution`, every process computes all of them.
    """
    from zoo.training import distribution

    with distribution.replicated():
        return model.predict(inputs, batch_size=512, verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
