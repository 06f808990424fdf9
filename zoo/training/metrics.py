"""Metrics: functions of targets and predictions, with a name, a unit and a direction."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zoo.extras import extra


@dataclass(frozen=True)
class Metric:
    """A measure of the quality of predictions.

    Attributes:
        name: The name in tables and cards.
        function: Function from targets and predictions to the value.
        higher_is_better: The direction.
        unit: The unit, or "".
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool = False
    unit: str = ""

    def __call__(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        """The value of the metric."""
        return float(self.function(targets, predictions))

    def loss(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        """The value as a loss: negated if higher is better."""
        return -self(targets, predictions) if self.higher_is_better else self(targets, predictions)

    def is_better(self, value: float, other: float) -> bool:
        """Whether `value` is better than `other`."""
        return value > other if self.higher_is_better else value < other


def squared_errors(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Mean squared error of each sequence: (sequences,)."""
    errors = (predictions.astype("float64") - targets) ** 2
    return errors.reshape(len(errors), -1).mean(axis=1)


def mean_squared_error(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean squared error over all sequences, steps and features."""
    return float(squared_errors(targets, predictions).mean())


def median_squared_error(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Median over sequences of their mean squared errors."""
    return float(np.median(squared_errors(targets, predictions)))


def mean_absolute_error(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean absolute error over all sequences, steps and features."""
    return float(np.abs(predictions.astype("float64") - targets).mean())


def area_under_roc(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Area under the ROC curve: the probability that a positive scores above a negative."""
    with extra("zoo"):
        from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.ravel(targets), np.ravel(predictions)))


def average_precision(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Area under the precision-recall curve, as a step function."""
    with extra("zoo"):
        from sklearn.metrics import average_precision_score

    return float(average_precision_score(np.ravel(targets), np.ravel(predictions)))


MSE = Metric("MSE", mean_squared_error)
MAE = Metric("MAE", mean_absolute_error)
AUROC = Metric("AUROC", area_under_roc, higher_is_better=True)
AUPRC = Metric("AUPRC", average_precision, higher_is_better=True)
