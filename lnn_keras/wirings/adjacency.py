"""Adjacency: a wiring given by its matrices."""

import keras
import numpy as np

from lnn_keras.wirings.wiring import Connections, Wiring


@keras.saving.register_keras_serializable(package="lnn_keras")
class Adjacency(Wiring):
    """The synapses that two signed matrices hold, from row to column.

    Args:
        recurrent: Array-like (units, units) of -1, 0, 1.
        sensory: Array-like (inputs, units) of -1, 0, 1.
        outputs: Number of motor neurons; all of them by default.

    Raises:
        ValueError: A matrix has another shape or other values; `connect` is asked for
            another number of inputs.
    """

    def __init__(self, recurrent, sensory, outputs: int | None = None):
        self.recurrent = _signed("recurrent", recurrent)
        self.sensory = _signed("sensory", sensory)
        rows, units = self.recurrent.shape
        if rows != units:
            raise ValueError(f"`recurrent` must be square; received shape {(rows, units)}.")
        if self.sensory.shape[1] != units:
            raise ValueError(
                f"`sensory` must have shape (inputs, {units}); received {self.sensory.shape}."
            )
        super().__init__(units, outputs)

    def connect(self, inputs: int) -> Connections:
        """The matrices, if they are for so many inputs."""
        if inputs != len(self.sensory):
            raise ValueError(
                f"This wiring's `sensory` matrix has {len(self.sensory)} inputs; received {inputs}."
            )
        return Connections(self.sensory, self.recurrent)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            "recurrent": self.recurrent.tolist(),
            "sensory": self.sensory.tolist(),
            "outputs": self.outputs,
        }


def _signed(argument, matrix):
    matrix = np.asarray(matrix)
    if matrix.ndim != 2:
        raise ValueError(f"`{argument}` must be a matrix; received shape {matrix.shape}.")
    other = np.unique(matrix[~np.isin(matrix, (-1, 0, 1))])
    if other.size:
        raise ValueError(f"`{argument}` must hold -1, 0 and 1 alone; received {other[0]!r}.")
    return matrix.astype("int8")
