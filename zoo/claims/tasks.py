"""The tasks on which claims are measured: sequences with elapsed times, and errors of each group.

The data, splits, losses and the kind of regularization are those of the presets of the same names.
A group is a test trace, a patient or a record: errors are compared per group, because sequences of
a group resemble each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zoo.biosignals import ecg_arrhythmia, icu_mortality
from zoo.biosignals.severity import DEATH
from zoo.biosignals.vitals import CHANNELS, FEATURE_NAMES
from zoo.data import half_cheetah, mitdb, physionet2012
from zoo.data.dataset import Dataset
from zoo.training.arrays import Inputs
from zoo.training.metrics import squared_errors

TRAINING_STRIDE = 4
BEATS = 1024
_SMALLEST = 1e-7


@dataclass(frozen=True)
class Sequences:
    """Sequences of a split.

    Attributes:
        inputs: (sequences, time, features).
        elapsed: Time since the step before, in units of the usual interval: (sequences, time).
        targets: (sequences, time, ...), or (sequences, 1) if the last step has the only target.
        groups: The trace, patient or record of each sequence: (sequences,).
    """

    inputs: np.ndarray
    elapsed: np.ndarray
    targets: np.ndarray
    groups: np.ndarray

    @property
    def has_targets_at_each_step(self) -> bool:
        """Whether each step has a target."""
        return self.targets.shape[1:2] == self.inputs.shape[1:2]

    def part(self, count: int) -> "Sequences":
        """At most `count` sequences, evenly taken from all."""
        step = -(-len(self.inputs) // count)
        return self._of(slice(None, None, step))

    def of_groups(self, groups: np.ndarray) -> "Sequences":
        """The sequences of some groups."""
        return self._of(np.isin(self.groups, groups))

    def at_steps(self, steps: np.ndarray) -> "Sequences":
        """The same sequences without all other steps; elapsed times are summed over them.

        Args:
            steps: Increasing indices of the steps that stay: (time,) or (sequences, time).
        """
        rows = np.broadcast_to(steps, (len(self.inputs), np.shape(steps)[-1]))
        total = np.take_along_axis(np.cumsum(self.elapsed, axis=1), rows, axis=1)
        targets = self.targets
        if self.has_targets_at_each_step:
            targets = np.take_along_axis(
                targets, rows.reshape(*rows.shape, *[1] * (targets.ndim - 2)), axis=1
            )
        return Sequences(
            np.take_along_axis(self.inputs, rows[..., None], axis=1),
            np.diff(total, axis=1, prepend=0).astype("float32"),
            targets,
            self.groups,
        )

    def joined(self) -> "Sequences":
        """All sequences one after the other, as one; each step must have a target."""
        arrays = (self.inputs, self.elapsed, self.targets)
        joined = [array.reshape(1, -1, *array.shape[2:]) for array in arrays]
        return Sequences(*joined, groups=self.groups[:1])

    def with_inputs(self, inputs: np.ndarray) -> "Sequences":
        """The same sequences with other inputs."""
        return replace(self, inputs=inputs.astype("float32"))

    def _of(self, chosen: Any) -> "Sequences":
        arrays = (self.inputs, self.elapsed, self.targets, self.groups)
        return Sequences(*(array[chosen] for array in arrays))


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        name: The name of a preset of the same data.
        description: Inputs, outputs and elapsed times, in one sentence.
        dataset: The dataset.
        group: The name of a group of sequences.
        error_name: The name of the error.
        outputs: Number of outputs.
        activation: Activation of the outputs.
        width: Units of a dense layer before the recurrent layer; None without one.
        dropout: Dropout rate of the inputs and outputs of the recurrent layer.
        noise: Noise of the training inputs, see `TrainingRecipe`.
        weight_decay: Weight decay of AdamW.
        epochs: Epochs of a training.
        good_error: The validation error at which a training counts as successful.
        load: Function that returns {"train" | "validation" | "test": Sequences}.
        loss: Training loss, as `keras.Model.compile` takes it.
        errors: Function from targets and predictions to the error of each sequence.
        average: Function from the errors of all validation sequences to the validation error.
        constant: Function from training targets to the best constant prediction (outputs,).
    """

    name: str
    description: str
    dataset: Dataset
    group: str
    error_name: str
    outputs: int
    activation: str | None
    width: int | None
    dropout: float
    noise: float
    weight_decay: float
    epochs: int
    good_error: float
    load: Callable[[], dict[str, Sequences]]
    loss: Any
    errors: Callable[[np.ndarray, np.ndarray], np.ndarray]
    average: Callable[[np.ndarray], Any]
    constant: Callable[[np.ndarray], np.ndarray]

    def validation_error(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        """The error that selects weights and learning rates."""
        return float(self.average(self.errors(targets, predictions)))

    def errors_by_group(self, sequences: Sequences, predictions: np.ndarray) -> np.ndarray:
        """The mean error of each group: (groups,)."""
        errors = self.errors(sequences.targets, predictions)
        return np.array(
            [errors[sequences.groups == group].mean() for group in np.unique(sequences.groups)]
        )

    def constant_error(self, training: Sequences, sequences: Sequences) -> float:
        """The validation error of the best constant prediction."""
        constant = self.constant(training.targets)
        shape = (*sequences.inputs.shape[:2], self.outputs)
        return self.validation_error(sequences.targets, np.broadcast_to(constant, shape))


def inputs_of(model: Any, sequences: Sequences) -> Inputs:
    """The inputs of a model with or without elapsed times."""
    if len(model.inputs) == 1:
        return sequences.inputs
    return {"signal": sequences.inputs, "elapsed": sequences.elapsed}


def _half_cheetah() -> dict[str, Sequences]:
    """Windows of 32 steps; targets in units of the deviation of each feature."""
    training = half_cheetah.traces("train")
    mean, deviation = training.mean(axis=(0, 1)), training.std(axis=(0, 1))
    strides = {"train": TRAINING_STRIDE, "validation": 10, "test": half_cheetah.WINDOW}
    found = {}
    for split, stride in strides.items():
        traces = half_cheetah.traces(split)
        inputs, targets = half_cheetah.windows(traces, stride)
        groups = np.repeat(np.arange(len(traces)), len(inputs) // len(traces))
        elapsed = np.ones(inputs.shape[:2], "float32")
        found[split] = Sequences(inputs, elapsed, (targets - mean) / deviation, groups)
    return found


def _icu_mortality() -> dict[str, Sequences]:
    """The last known values and their age, without summaries of the past; deaths as targets."""
    usual = [f"{channel}: {part}" for channel in CHANNELS for part in ("last", "fresh")]
    others = FEATURE_NAMES[FEATURE_NAMES.index("urine per hour") :]
    columns = [FEATURE_NAMES.index(name) for name in (*usual, *others)]
    found = {}
    for split, (inputs, targets) in icu_mortality.load_splits(0).items():
        deaths = (targets == DEATH).astype("float32")
        signal = inputs["known"][..., columns]
        found[split] = Sequences(signal, inputs["elapsed"], deaths, np.arange(len(deaths)))
    return found


def _ecg_arrhythmia() -> dict[str, Sequences]:
    """Windows of 64 beats for training, and the first 1,024 beats of the other records."""
    found = {}
    for split, (signal, classes) in ecg_arrhythmia.load_splits(0).items():
        inputs, targets = np.asarray(signal)[:, :BEATS], classes[:, :BEATS]
        elapsed = np.ones(inputs.shape[:2], "float32")
        found[split] = Sequences(inputs, elapsed, targets, np.arange(len(targets)))
    return found


def _cross_entropies_at_end(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    risks = np.clip(predictions[:, -1].astype("float64"), _SMALLEST, 1 - _SMALLEST)
    return -(targets * np.log(risks) + (1 - targets) * np.log(1 - risks))[:, 0]


def _weighted_cross_entropies(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Cross-entropy of the labelled beats of each sequence, weighted by class."""
    classes = np.maximum(targets, 0)
    weights = np.asarray(ecg_arrhythmia.CLASS_WEIGHTS)[classes] * (targets >= 0)
    likelihoods = np.take_along_axis(predictions, classes[..., None], axis=-1)[..., 0]
    entropies = -np.log(np.clip(likelihoods.astype("float64"), _SMALLEST, 1))
    return (weights * entropies).sum(axis=1) / np.maximum((targets >= 0).sum(axis=1), 1)


def _class_shares(targets: np.ndarray) -> np.ndarray:
    counts = np.bincount(targets[targets >= 0], minlength=len(mitdb.CLASSES))
    weighted = counts * np.asarray(ecg_arrhythmia.CLASS_WEIGHTS)
    return weighted / weighted.sum()


TASKS = {
    task.name: task
    for task in (
        Task(
            name="half-cheetah",
            description="the next observation of a simulated runner from the 17 values so far, in "
            "windows of 32 steps; the interval never changes",
            dataset=half_cheetah.DATASET,
            group="test trace",
            error_name="mean squared error over variance",
            outputs=half_cheetah.FEATURES,
            activation=None,
            width=None,
            dropout=0.0,
            noise=0.05,
            weight_decay=0.15,
            epochs=60,
            good_error=0.25,
            load=_half_cheetah,
            loss="mse",
            errors=squared_errors,
            # In two validation traces, and in no other, the body ends up on its back.
            average=np.median,
            constant=lambda targets: targets.mean(axis=(0, 1)),
        ),
        Task(
            name="icu-mortality",
            description="death in hospital from up to 8 rows of vital signs, each the last known "
            "values and their age; the times between rows vary",
            dataset=physionet2012.DATASET,
            group="patient",
            error_name="cross-entropy",
            outputs=1,
            activation="sigmoid",
            width=16,
            dropout=0.4,
            noise=0.0,
            weight_decay=0.1,
            epochs=15,
            good_error=0.28,
            load=_icu_mortality,
            loss=icu_mortality.rows_cross_entropy,
            errors=_cross_entropies_at_end,
            average=np.mean,
            constant=lambda targets: targets.mean(axis=0),
        ),
        Task(
            name="ecg-arrhythmia",
            description="the class of each heartbeat from 35 features of the beats so far; a step "
            "is a beat",
            dataset=mitdb.DATASET,
            group="record",
            error_name="weighted cross-entropy",
            outputs=len(mitdb.CLASSES),
            activation="softmax",
            width=None,
            dropout=0.5,
            noise=0.1,
            weight_decay=0.5,
            epochs=12,
            good_error=0.5,
            load=_ecg_arrhythmia,
            loss=ecg_arrhythmia.weighted_cross_entropy,
            errors=_weighted_cross_entropies,
            average=np.mean,
            constant=_class_shares,
        ),
    )
}
