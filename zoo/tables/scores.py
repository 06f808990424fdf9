"""Scores of predictions for a table: errors of numbers, and correct classes."""

from collections.abc import Mapping, Sequence

import numpy as np

from zoo.extras import extra
from zoo.tables.columns import Columns
from zoo.tables.sequences import TableSequence, has_target
from zoo.training.metrics import Metric


def labelled(
    sequences: Sequence[TableSequence], predictions: Sequence[np.ndarray], columns: Columns
) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions of all rows with a target; of the last such row of each group, if
    all rows of a group have one class.

    Args:
        sequences: The sequences.
        predictions: Their predictions (rows, outputs).
        columns: The columns of the table.

    Returns:
        Targets (n, targets) and predictions (n, targets); or classes (n,) and probabilities
        (n, classes).
    """
    targets, predicted = [], []
    for sequence, outputs in zip(sequences, predictions, strict=True):
        rows = np.flatnonzero(has_target(sequence.targets))
        if columns.per_group:
            rows = rows[-1:]
        targets.append(sequence.targets[rows])
        predicted.append(outputs[rows])
    return np.concatenate(targets), np.concatenate(predicted)


def metrics(columns: Columns, deviation: np.ndarray) -> tuple[Metric, ...]:
    """The metrics of a table; the first one ranks the models.

    One target has its root mean squared error and mean absolute error in its own unit. Several
    targets have them relative to their standard deviations, so that all count alike.
    """
    if columns.classes:
        return (
            Metric("accuracy", _accuracy, higher_is_better=True, unit="%"),
            Metric("macro-F1", _macro_f1, higher_is_better=True, unit="%"),
        )
    one = len(columns.targets) == 1
    scale = np.ones(1) if one else deviation
    suffix = "" if one else " / deviation"
    unit = columns.units.get(columns.targets[0], "") if one else ""

    def rmse(targets: np.ndarray, predictions: np.ndarray) -> float:
        return float(np.sqrt(np.mean(((predictions - targets) / scale) ** 2)))

    def mae(targets: np.ndarray, predictions: np.ndarray) -> float:
        return float(np.mean(np.abs((predictions - targets) / scale)))

    return Metric(f"RMSE{suffix}", rmse, unit=unit), Metric(f"MAE{suffix}", mae, unit=unit)


def score(
    metrics: Sequence[Metric], targets: np.ndarray, predictions: np.ndarray
) -> dict[str, float]:
    """The values of metrics by name."""
    targets = targets.astype("float64") if targets.dtype.kind == "f" else targets
    return {metric.name: metric(targets, predictions) for metric in metrics}


def verdict(
    metrics: Sequence[Metric], values: Mapping[str, Mapping[str, float]], model: str
) -> list[str]:
    """One sentence per other model: whether the model beats it, and by how much."""
    metric = metrics[0]
    own = values[model][metric.name]
    lines = []
    for name, other in values.items():
        if name == model:
            continue
        value = other[metric.name]
        verb = "beats" if metric.is_better(own, value) else "does not beat"
        if metric.higher_is_better:
            difference = f"{own - value:+.2f} percentage points"
        else:
            difference = f"{own / value - 1:+.1%}" if value else f"{own:.3g} against 0"
        lines.append(f"{model} {verb} {name}: {metric.name} {difference}.")
    return lines


def _accuracy(targets: np.ndarray, predictions: np.ndarray) -> float:
    return 100 * float(np.mean(predictions.argmax(axis=-1) == targets))


def _macro_f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    with extra("zoo"):
        from sklearn.metrics import f1_score

    classes = range(predictions.shape[-1])
    predicted = predictions.argmax(axis=-1)
    return 100 * float(
        f1_score(targets, predicted, labels=classes, average="macro", zero_division=0)  # pyright: ignore[reportArgumentType] # stub: a str
    )
