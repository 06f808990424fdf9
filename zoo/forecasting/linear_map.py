"""The linear map from past hours to coming ones that fits best: ridge regression, in closed form.

Of a window of hours x, whose last hour is l, it forecasts

    l + (x - l) A + l b

`A` sees nothing of the level, and `b` is how far it falls back to the mean of 0. Windows that vary
more are forecast worse, so each one's squared errors are divided by its variance (plus 0.1). The
weights of the same hour of one day and the next are held close to each other.
"""

import numpy as np

# What the squares of A, of its changes from day to day, and of b weigh beside the errors.
PENALTY, DAILY_PENALTY, LEVEL_PENALTY = 0.01, 0.1, 0.03
LEAST_VARIANCE = 0.1
DAY = 24


def fit(hours: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The matrix by which windows are multiplied, for the forecasts.

    Args:
        hours: (windows, hours).
        targets: The hours to forecast, (windows, horizon).

    Returns:
        (hours, horizon), float32. Its columns sum to 1 + b, the share of a level that stays.
    """
    last = hours[:, -1:]
    seen = np.concatenate([hours - last, last], axis=1)
    weights = 1 / (hours.var(axis=1, keepdims=True) + LEAST_VARIANCE)
    weighted = seen * (weights / weights.sum())
    moments = (weighted.T @ seen).astype("float64") + _penalty(hours.shape[1])
    products = (weighted.T @ (targets - last)).astype("float64")
    *matrix, reversion = np.linalg.solve(moments, products)
    matrix = np.stack(matrix)
    # What a column's sum lacks is the weight of the last hour, which was taken off.
    matrix[-1] += 1 + reversion - matrix.sum(axis=0)
    return matrix.astype("float32")


def _penalty(count):
    """The penalty of the weights of `count` hours and of b, as a quadratic form."""
    changes = np.eye(count)[DAY:] - np.eye(count)[:-DAY]
    penalty = np.zeros((count + 1, count + 1))
    penalty[:-1, :-1] = PENALTY * np.eye(count) + DAILY_PENALTY * changes.T @ changes
    penalty[-1, -1] = LEVEL_PENALTY
    return penalty
