"""Adjacency: a wiring given by its adjacency matrices."""

import keras
import numpy as np
from numpy.typing import ArrayLike

from lnn_keras.wirings.wiring import Connections, Wiring


@keras.saving.register_keras_serializable(package="lnn_keras")
class Adjacency(Wiring):
    """The synapses of two signed adjacency matrices, from row to column.

    Args:
        recurrent: Array-like (units, units) of -1, 0, 1.
        sensory: Array-like (inputs, units) of -1, 0, 1.
        outputs: Number of motor neurons; `units` by default.

    Raises:
        ValueError: A matrix has another shape or other values; `connect` is called with
            another number of inputs.
    """

    def __init__(self, recurrent: ArrayLike, sensory: ArrayLike, outputs: int | None = None):
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
        """The connections of the matrices, if `inputs` matches them."""
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

    def __repr__(self) -> str:
        synapses = Connections(self.sensory, self.recurrent).synapse_count
        return (
            f"{type(self).__name__}(inputs={len(self.sensory)}, units={self.units}, "
            f"outputs={self.outputs}, synapses={synapses})"
        )


def _signed(argument: str, matrix: ArrayLike) -> np.ndarray:
    matrix = np.asarray(matrix)
    if matrix.ndim != 2:
        raise ValueError(f"`{argument}` must be a matrix; received shape {matrix.shape}.")
    other = np.unique(matrix[~np.isin(matrix, (-1, 0, 1))])
    if other.size:
        raise ValueError(f"`{argument}` must contain only -1, 0 and 1; received {other[0]!r}.")
    return matrix.astype("int8")
