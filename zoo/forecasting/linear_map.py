"""Linear forecasts of an hourly series: ridge regression in closed form.

The forecast for a window of hours x with the last hour l is

    l + (x - l) A + l b

`A` does not depend on the level, and `b` is the reversion of the level to the mean of 0. Windows
with a larger variance have larger errors, so the squared errors of each window are divided by its
variance (plus 0.1). A penalty keeps the weights of the same hour on consecutive days similar.
"""

import numpy as np

# Penalties on the squares of A, of its changes from day to day, and of b.
PENALTY, DAILY_PENALTY, LEVEL_PENALTY = 0.01, 0.1, 0.03
LEAST_VARIANCE = 0.1
DAY = 24


def fit(hours: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Fit the matrix that maps windows to forecasts.

    Args:
        hours: Windows (windows, hours).
        targets: The following hours (windows, horizon).

    Returns:
        Matrix (hours, horizon), float32. Its columns sum to 1 + b, the part of the level that is
        kept.
    """
    last = hours[:, -1:]
    regressors = np.concatenate([hours - last, last], axis=1)
    weights = 1 / (hours.var(axis=1, keepdims=True) + LEAST_VARIANCE)
    weighted = regressors * (weights / weights.sum())
    moments = (weighted.T @ regressors).astype("float64") + _penalty(hours.shape[1])
    products = (weighted.T @ (targets - last)).astype("float64")
    *matrix, reversion = np.linalg.solve(moments, products)
    matrix = np.stack(matrix)
    # The last hour was subtracted from all hours; its weight is the rest of each column sum.
    matrix[-1] += 1 + reversion - matrix.sum(axis=0)
    return matrix.astype("float32")


def _penalty(count: int) -> np.ndarray:
    """The penalty on the weights of `count` hours and on b, as a quadratic form."""
    changes = np.eye(count)[DAY:] - np.eye(count)[:-DAY]
    penalty = np.zeros((count + 1, count + 1))
    penalty[:-1, :-1] = PENALTY * np.eye(count) + DAILY_PENALTY * changes.T @ changes
    penalty[-1, -1] = LEVEL_PENALTY
    return penalty
