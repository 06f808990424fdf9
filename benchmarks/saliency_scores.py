"""Scores of saliency against the truly salient values: areas under precision and recall."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import auc, average_precision_score, precision_recall_curve


@dataclass(frozen=True)
class Scores:
    """Scores of saliency, each from 0 to 1, the greater the better.

    Attributes:
        average_precision: The mean precision over the ranks of the salient values.
        precision: Area under precision (AUP).
        recall: Area under recall (AUR).
    """

    average_precision: float
    precision: float
    recall: float


def scores(saliency: np.ndarray, salient: np.ndarray) -> Scores:
    """Scores of saliency against the truly salient values.

        P(threshold)      = share of salient values among those of saliency >= threshold
        R(threshold)      = share of those values among the salient ones
        AUP, AUR          = integrals of P and of R over the threshold
        average precision = sum of P at each threshold, times the rise of R there

    The saliency of each sequence is first scaled to [0, 1]; thresholds are its values, and the
    integrals are trapezoids between them. AUP and AUR depend on the sizes of the values, average
    precision on their order only. Uniform random saliency has an AUR of 0.5, more than a correct
    map with few great values: AUR says something only together with AUP.

    Args:
        saliency: Saliency, at least 0, (sequences, steps, features).
        salient: Booleans of the same shape, some of them true.

    Returns:
        The scores over all sequences together.

    Raises:
        ValueError: The shapes differ, a value is negative or not finite, or none is salient.

    Example:

    ```python
    truth = numpy.array([[[1], [0], [1]]], bool)
    scores(numpy.array([[[1.0], [0.0], [0.5]]]), truth).average_precision    # 1.0
    ```

    Reference: Crabbé and van der Schaar, Explaining time series predictions with dynamic masks,
    ICML 2021, section 4; Ismail et al., Benchmarking deep learning interpretability in time
    series predictions, NeurIPS 2020.
    """
    if saliency.shape != salient.shape:
        raise ValueError(
            "`saliency` and `salient` must have the same shape; received "
            f"{saliency.shape} and {salient.shape}."
        )
    # Also false for NaN.
    if not (saliency >= 0).all() or not np.isfinite(saliency).all():
        raise ValueError("`saliency` must be finite and at least 0; take the absolute value first.")
    if not salient.any():
        raise ValueError("`salient` has no true value, so that recall is not defined.")
    values, truth = scaled(saliency).ravel(), salient.ravel()
    precision, recall, thresholds = precision_recall_curve(truth, values)
    if len(thresholds) == 1:
        area_precision = area_recall = 0.0
    else:
        area_precision = float(auc(thresholds, precision[:-1]))
        area_recall = float(auc(thresholds, recall[:-1]))
    average = float(average_precision_score(truth, values))
    return Scores(average, area_precision, area_recall)


def scaled(saliency: np.ndarray) -> np.ndarray:
    """The saliency of each sequence, linearly scaled to [0, 1]; 0 if all its values are equal."""
    axes = tuple(range(1, saliency.ndim))
    least = saliency.min(axis=axes, keepdims=True)
    span = saliency.max(axis=axes, keepdims=True) - least
    return (saliency - least) / np.where(span == 0, 1, span)
