"""Errors on changed test sequences: of frozen models, and of models whose readout learns."""

from typing import Any

import numpy as np

from zoo.claims.changes import CHANGES, DRIFTS
from zoo.claims.training import GAPS, Trained

# The readout learns from the first half of a sequence, and the second half is scored.
LEARNED_DRIFT = "gain 1.5"
AFTER_GAPS = "75 % missing"


def excess_errors(trained: Trained) -> dict[str, list[float]]:
    """The errors of each group of test sequences, and how much each change adds to them."""
    task, splits = trained.bench.task, trained.bench.splits
    deviation = splits["train"].inputs.std(axis=(0, 1))
    test = splits["test"]
    usual = task.errors_by_group(test, trained.predict(test))
    found = {"unchanged": usual.tolist()}
    for name, change in CHANGES.items():
        changed = change(test, deviation)
        errors = task.errors_by_group(changed, trained.predict(changed))
        found[name] = (errors - usual).tolist()
    return found


def errors_after_training_with_gaps(trained: Trained) -> dict[str, list[float]]:
    """How much missing samples add to the errors of a model that was trained with missing ones."""
    task, test = trained.bench.task, trained.bench.splits["test"]
    model = trained.bench.trained(trained.layer, trained.seed, GAPS)
    usual = task.errors_by_group(test, model.predict(test))
    changed = CHANGES[AFTER_GAPS](test, np.zeros(()))
    errors = task.errors_by_group(changed, model.predict(changed))
    return {"trained with gaps": (errors - usual).tolist()}


def errors_after_learning(trained: Trained) -> dict[str, list[float]]:
    """How much of the error of a drifted stream is left when the readout learns.

    The sequences of each group follow each other as one stream, whose inputs drift. Recursive least
    squares learns from the targets of the first half. The numbers are the errors of the adapted
    model in the second half less those of the frozen model on the same drifted half.
    """
    from lnn_keras import adapt

    task, splits = trained.bench.task, trained.bench.splits
    test = splits["test"]
    if not test.has_targets_at_each_step:
        return {}
    drifted = DRIFTS[LEARNED_DRIFT](test, splits["train"].inputs.std(axis=(0, 1)))
    learner = adapt.AdaptiveModel(trained.model, adapt.RecursiveLeastSquares(1.0, 0.03))
    changes = []
    for group in np.unique(test.groups):
        stream = drifted.of_groups(np.array([group])).joined()
        targets = stream.targets[0]
        half = len(targets) // 2
        known = _as_outputs(targets, task.outputs)
        known[half:] = np.nan
        frozen = trained.predict(stream)
        inputs = [stream.inputs[0], stream.elapsed[0]][: len(trained.model.inputs)]
        learner.reset()
        adapted = learner.observe(inputs, known)[None]
        errors = [
            task.errors(targets[None, half:], outputs[:, half:])[0] for outputs in (adapted, frozen)
        ]
        changes.append(float(errors[0] - errors[1]))
    return {"readout learns": changes}


def _as_outputs(targets: np.ndarray, outputs: int) -> np.ndarray:
    """Targets (time, outputs): classes as one-hot rows, NaN for beats without a class."""
    if targets.ndim == 2:
        return targets.astype("float32")
    known = (targets >= 0)[:, None]
    rows: Any = np.where(known, np.eye(outputs)[np.maximum(targets, 0)], np.nan)
    return rows.astype("float32")
