"""Predictions of a model on the user's data, which are finite."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export import as_sequences, to_step
from zoo.readers.files import shown
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
        ValueError: The data do not fit the model.
        NotFiniteError: A prediction is NaN or infinite.
    """
    step = to_step(model)
    sequences = as_sequences(step, data, shown(path or "the bundled sample"))
    ordered = [sequences[name] for name in step.inputs]
    predictions = model.predict(ordered if len(ordered) > 1 else ordered[0], verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
    require_finite(predictions, shown(source))
    return predictions
