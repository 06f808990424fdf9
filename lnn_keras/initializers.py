"""Antisymmetric: initial values of recurrent kernels whose modes neither grow nor decay."""

import math
from typing import Any

import keras

from lnn_keras.tensors import Tensor, ops

__all__ = ["Antisymmetric"]


def __dir__() -> list[str]:
    return __all__


@keras.saving.register_keras_serializable(package="lnn_keras")
class Antisymmetric(keras.initializers.Initializer):
    """Random antisymmetric square matrices: W = gain (N - N^T) / sqrt(2 units), N normal.

    All eigenvalues are imaginary, spread over [-2 gain, 2 gain] for many units. A linear recurrence
    dh/dt = W h then rotates the state at this spread of rates, and it neither grows nor decays.
    No unit excites itself.

    Args:
        gain: Factor of the matrix, above 0. The entries have the variance gain^2 / units.
        seed: Random seed: an integer or a `keras.random.SeedGenerator`. Without a seed an instance
            draws one, and returns the same values each time it is called, as Keras's own do.

    Call arguments:
        shape: Shape of the matrix (units, units).
        dtype: Its dtype.

    Returns:
        The matrix.

    Raises:
        ValueError: `gain` is not a finite number above 0, or on the call, the shape is not square.

    Example:

    ```python
    recurrent_initializer = lnn_keras.initializers.Antisymmetric(gain=2.0)
    cell = keras.layers.SimpleRNNCell(32, recurrent_initializer=recurrent_initializer)
    ```

    Reference: Chang et al., AntisymmetricRNN: a dynamical system view on recurrent neural networks,
    ICLR 2019.
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        if not (isinstance(gain, int | float) and 0 < gain < math.inf):
            raise ValueError(f"`gain` must be a finite number above 0; received {gain!r}.")
        self.gain = gain
        self._normal: Any = keras.initializers.RandomNormal(stddev=1.0, seed=seed)

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(
                "Antisymmetric initializes square matrices only; received the shape "
                f"{tuple(shape)}. Use `keras.initializers.Orthogonal` for other shapes."
            )
        normal = self._normal(shape, dtype=dtype)
        return (normal - ops.transpose(normal)) * (self.gain / math.sqrt(2 * shape[0]))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"gain": self.gain, "seed": self._normal.get_config()["seed"]}
