"""How good predictions are: functions of true values and predictions, and what they are called."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A number that tells how good predictions are.

    Attributes:
        name: What it is called.
        function: From targets and predictions to the number.
        higher_is_better: Which way is better.
        unit: What it is counted in, or "".
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool = False
    unit: str = ""

    def __call__(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        """The number."""
        return float(self.function(targets, predictions))

    def loss(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        """The same as a loss: the lower, the better."""
        return -self(targets, predictions) if self.higher_is_better else self(targets, predictions)

    def is_better(self, value: float, other: float) -> bool:
        """Whether one number is better than another."""
        return value > other if self.higher_is_better else value < other


def squared_errors(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Mean squared error of each sequence: (sequences,)."""
    errors = (predictions.astype("float64") - targets) ** 2
    return errors.reshape(len(errors), -1).mean(axis=1)


def mean_squared_error(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean squared error over everything."""
    return squared_errors(targets, predictions).mean()


def median_squared_error(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Median over the sequences of their mean squared errors."""
    return float(np.median(squared_errors(targets, predictions)))


def mean_absolute_error(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean absolute error over everything."""
    return np.abs(predictions.astype("float64") - targets).mean()


def area_under_roc(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Probability that a positive scores above a negative."""
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(np.ravel(targets), np.ravel(predictions))


def average_precision(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Area under the curve of precision over recall, as a step function."""
    from sklearn.metrics import average_precision_score

    return average_precision_score(np.ravel(targets), np.ravel(predictions))


MSE = Metric("MSE", mean_squared_error)
MAE = Metric("MAE", mean_absolute_error)
AUROC = Metric("AUROC", area_under_roc, higher_is_better=True)
AUPRC = Metric("AUPRC", average_precision, higher_is_better=True)
