"""Predictions of a Keras model on all sequences of a split."""

from typing import TYPE_CHECKING

import numpy as np

from zoo.training.arrays import Inputs

if TYPE_CHECKING:
    import keras


def predict(model: "keras.Model", inputs: Inputs) -> np.ndarray:
    """Predictions of a model on all sequences, in batches of 512.

    Under `zoo.training.distribution`, every process computes all of them.
    """
    from zoo.training import distribution

    with distribution.replicated():
        return model.predict(inputs, batch_size=512, verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
