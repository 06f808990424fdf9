"""Heartbeat classifiers that learn from the first minutes of each patient's record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data import mitdb
from zoo.extras import extra

RATE = 360
LABELLED_SECONDS, UNLABELLED_SECONDS = 300, 60
# Probability from which the model's own class counts as a label.
CONFIDENT = 0.95
# A small prior variance corrects a class only with the evidence of many beats.
PRIOR_VARIANCES = (0.01, 0.03, 0.1)


@dataclass(frozen=True)
class Patient:
    """A record, split into the part that may be learned from and the part that is scored.

    Attributes:
        name: The record.
        classes: True classes (beats,), -1 for other classes.
        is_scored: Which beats lie behind the first five minutes.
        predictions: Probabilities (beats, classes) by the way of adapting.
    """

    name: str
    classes: np.ndarray
    is_scored: np.ndarray
    predictions: dict[str, np.ndarray]

    def scored(self, way: str) -> tuple[np.ndarray, np.ndarray]:
        """True and predicted classes of the scored beats."""
        rows = self.is_scored & (self.classes >= 0)
        return self.classes[rows], self.predictions[way][rows].argmax(axis=-1)


FROZEN, UNLABELLED = "frozen", "60 s unlabelled"
LABELLED = {f"5 min labelled, prior variance {value}": value for value in PRIOR_VARIANCES}
WAYS = (FROZEN, *LABELLED, UNLABELLED)


def patients(preset: str = "ecg-arrhythmia") -> list[Patient]:
    """The records of DS2, each predicted by a model that adapts to it in each of `WAYS`."""
    from lnn_keras import adapt
    from zoo.biosignals.beats import features
    from zoo.hub import store

    model: Any = store.load(preset)
    adaptive = {
        way: adapt.AdaptiveModel(model, adapt.RecursiveLeastSquares(1.0, LABELLED.get(way, 0.03)))
        for way in WAYS[1:]
    }
    found = []
    for record in mitdb.records(mitdb.DS2):
        beats = features(record.signal[:, 0], record.peaks)
        seconds = record.peaks / RATE
        predictions = {FROZEN: np.asarray(model.predict(beats[None], verbose=0)[0])}
        for way, learner in adaptive.items():
            known = _targets(way, seconds, record.classes, predictions[FROZEN])
            learner.reset()
            predictions[way] = learner.observe(beats, known)
        found.append(Patient(record.name, record.classes, seconds >= LABELLED_SECONDS, predictions))
    return found


def _targets(way, seconds, classes, frozen):
    """The targets (beats, classes) that a way of adapting learns from, NaN where there is none."""
    one_hot = np.eye(len(mitdb.CLASSES), dtype="float32")
    if way == UNLABELLED:
        is_known = (seconds < UNLABELLED_SECONDS) & (frozen.max(axis=-1) > CONFIDENT)
        classes = frozen.argmax(axis=-1)
    else:
        is_known = (seconds < LABELLED_SECONDS) & (classes >= 0)
    return np.where(is_known[:, None], one_hot[classes], np.nan)


def scores(found: Sequence[Patient], way: str) -> tuple[float, list[float]]:
    """Macro-F1 and the F1 scores of the classes over all patients, in percent."""
    pairs = [patient.scored(way) for patient in found]
    return f1_scores(*(np.concatenate(part) for part in zip(*pairs, strict=True)))


def f1_scores(true: np.ndarray, predicted: np.ndarray) -> tuple[float, list[float]]:
    """Macro-F1 over the classes that occur, and the F1 score of each class, in percent."""
    with extra("zoo"):
        from sklearn.metrics import f1_score

    classes = np.unique(true)
    options: Any = {"average": None, "zero_division": 0.0}
    each: Any = 100 * f1_score(true, predicted, labels=classes, **options)
    return float(np.mean(each)), [float(value) for value in each]


def largest_fall(found: Sequence[Patient], way: str) -> tuple[str, float]:
    """The patient whose macro-F1 changes for the worst, and the change in points."""
    changes = {
        patient.name: f1_scores(*patient.scored(way))[0] - f1_scores(*patient.scored(FROZEN))[0]
        for patient in found
    }
    name = min(changes, key=lambda name: changes[name])
    return name, changes[name]
