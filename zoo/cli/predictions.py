"""Predictions of a model on the user's data, which are finite."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export import as_sequences, to_step
from zoo.readers.files import reason, shown
from zoo.training.arrays import Inputs
from zoo.training.prediction import require_finite

if TYPE_CHECKING:
    import keras


def predictions_of(
    model: "keras.Model", data: Inputs, source: str, path: Path | None = None
) -> np.ndarray:
    """The predictions of a model on sequences.

    Args:
        model: The model.
        data: Its inputs.
        source: Name of the model, for errors.
        path: The file of the data, for errors; None for the sample of the preset.

    Raises:
        ValueError: The data do not fit the model, or the model cannot run.
        NotFiniteError: A prediction is NaN or infinite.
    """
    with _named(source):
        step = to_step(model)
    sequences = as_sequences(step, data, shown(path or "the bundled sample"))
    ordered = [sequences[name] for name in step.inputs]
    with _named(source):
        inputs = ordered if len(ordered) > 1 else ordered[0]
        predictions = model.predict(inputs, verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
    require_finite(predictions, shown(source))
    return predictions


@contextlib.contextmanager
def _named(source: str) -> Iterator[None]:
    """Errors of a model that cannot run, in one line with its name."""
    try:
        yield
    # A backend raises errors of its own classes.
    except Exception as error:
        raise ValueError(f"{shown(source)} cannot predict: {reason(error)}.") from error
