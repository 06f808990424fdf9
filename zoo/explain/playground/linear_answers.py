"""The function from a model's outputs to numbers in real units, as a matrix for the page."""

from collections.abc import Callable

import numpy as np


def as_matrix(
    function: Callable[[np.ndarray], np.ndarray], outputs: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the matrix and the offset of a linear function of a model's outputs.

    Args:
        function: From arrays (..., outputs) to arrays (..., numbers).
        outputs: Number of outputs.

    Returns:
        Arrays (numbers, outputs) and (numbers,), or None if the function is not linear.
    """
    offset = np.asarray(function(np.zeros((1, outputs))), "float64")[0]
    matrix = np.asarray(function(np.eye(outputs)), "float64").T - offset[:, None]
    # Any other point tells a function with a curve apart.
    probe = np.linspace(-1.5, 2.5, outputs)
    expected = np.asarray(function(probe[None]), "float64")[0]
    if not np.allclose(matrix @ probe + offset, expected, rtol=1e-4, atol=1e-6):
        return None
    return matrix, offset
