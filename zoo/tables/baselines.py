"""Simple predictions that a model must beat: persistence, the mean, the majority, linear models."""

from collections.abc import Sequence

import numpy as np

from zoo.extras import extra
from zoo.tables.columns import Columns
from zoo.tables.model import Statistics
from zoo.tables.sequences import OBSERVED, ROW, TableSequence, has_target

# Rows that a linear model sees: the present one and those before.
LAGS = 8
MAX_LINEAR_ROWS = 200_000


def constant_name(columns: Columns) -> str:
    """The name of the simplest prediction."""
    if columns.classes:
        return "majority"
    return "persistence" if columns.horizon else "mean"


def constant(
    training: Sequence[TableSequence], test: Sequence[TableSequence], columns: Columns
) -> list[np.ndarray]:
    """The simplest predictions: the last value, the training mean, or the most frequent class.

    Returns:
        Predictions (rows, outputs) of each test sequence.
    """
    if columns.classes:
        labels = np.concatenate([s.targets[s.targets >= 0] for s in training])
        shares = np.bincount(labels, minlength=len(columns.classes)) / len(labels)
        return [np.tile(shares, (len(s), 1)) for s in test]
    if columns.horizon:
        places = [columns.numbers.index(name) for name in columns.targets]
        return [s.inputs[ROW][:, places] for s in test]
    targets = np.concatenate([s.targets[has_target(s.targets)] for s in training])
    return [np.tile(targets.mean(axis=0, dtype="float64"), (len(s), 1)) for s in test]


def linear(
    training: Sequence[TableSequence],
    test: Sequence[TableSequence],
    columns: Columns,
    statistics: Statistics,
) -> list[np.ndarray]:
    """Ridge or logistic regression of the last rows; missing values are the last ones before.

    A table with one class per group is summarized by the mean, the standard deviation and the last
    row of each group.

    Returns:
        Predictions (rows, outputs) of each test sequence.
    """
    with extra("zoo"):
        from sklearn.linear_model import LogisticRegression, Ridge

    known = [has_target(s.targets) for s in training]
    if columns.per_group:
        x = np.stack([_summary(s, statistics) for s in training])
        y = np.array([s.targets[rows][-1] for s, rows in zip(training, known, strict=True)])
    else:
        x = np.concatenate(
            [_lagged(s, statistics)[rows] for s, rows in zip(training, known, strict=True)]
        )
        y = np.concatenate([s.targets[rows] for s, rows in zip(training, known, strict=True)])
    every = max(1, -(-len(x) // MAX_LINEAR_ROWS))
    x, y = x[::every], y[::every]
    if not columns.classes:
        fitted = Ridge(alpha=1.0).fit(x, (y - statistics.target_mean) / statistics.target_scale)
        outputs = [fitted.predict(_lagged(s, statistics)).reshape(len(s), -1) for s in test]
        return [o * statistics.target_scale + statistics.target_mean for o in outputs]
    classifier = LogisticRegression(max_iter=500).fit(x, y)
    predictions = []
    for sequence in test:
        if columns.per_group:
            features = np.tile(_summary(sequence, statistics), (len(sequence), 1))
        else:
            features = _lagged(sequence, statistics)
        outputs = np.zeros((len(sequence), len(columns.classes)))
        outputs[:, classifier.classes_] = classifier.predict_proba(features)
        predictions.append(outputs)
    return predictions


def _normalized(sequence: TableSequence, statistics: Statistics) -> np.ndarray:
    rows = (sequence.inputs[ROW] - statistics.mean) / statistics.scale
    if OBSERVED in sequence.inputs:
        rows = np.concatenate([rows, sequence.inputs[OBSERVED]], axis=-1)
    return rows


def _lagged(sequence: TableSequence, statistics: Statistics) -> np.ndarray:
    """Each row with the rows before it; before the first one, the first one."""
    rows = _normalized(sequence, statistics)
    before = np.maximum(np.arange(len(rows))[:, None] - np.arange(LAGS), 0)
    return rows[before].reshape(len(rows), -1)


def _summary(sequence: TableSequence, statistics: Statistics) -> np.ndarray:
    rows = _normalized(sequence, statistics)
    return np.concatenate([rows.mean(axis=0), rows.std(axis=0), rows[-1]])
