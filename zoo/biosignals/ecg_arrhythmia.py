"""ECG arrhythmia: classify heartbeats as normal, supraventricular or ventricular."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.biosignals.beats import FEATURE_NAMES, FEATURES, features
from zoo.data import mitdb as data
from zoo.data.column_kinds import NUMBER
from zoo.extras import extra
from zoo.labels import CLASSES, Labels
from zoo.preset import Bar, Preset, Samples, Splits
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.arrays import Tensor
from zoo.training.metrics import Metric
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras

WINDOW, STRIDE = 64, 16
FOLDS = 4
SAMPLE_BEATS = 500
# The square root of the ratio of normal beats to beats of each class in DS1.
CLASS_WEIGHTS = (1.0, 7.0, 3.5)

DESCRIPTION = """
**Input and output.** Input: 35 features of each beat, computed from one lead at 360 Hz and its R
peaks (`zoo.biosignals.beats.features`). They compare the P, QRS and T waves with a running template
of the patient's beats and with the previous beat, and include width, height, and the RR intervals
relative to earlier ones. Output: the probabilities of three classes (AAMI EC57): N, normal and
bundle branch block; S, supraventricular; V, ventricular.
`lnn predict ecg-arrhythmia --input FILE.csv` takes the lead: one row per sample with `mlii` in
millivolts and `peak`, 1 at R peaks and 0 elsewhere. The features of a beat depend on the signal
until 0.5 s after its R peak and on the time of the next R peak, so they are known when both have
passed. Where the next beat is nearer than 0.5 s, the features of a beat include a part of it.

**Data and protocol.** MIT-BIH arrhythmia database with the inter-patient split: the 22 records of
DS1 are for training, those of DS2 for testing. Each seed keeps a quarter of the DS1 records for
validation. No patient is in two splits, with one exception: records 201 (DS1) and 202 (DS2) are of
the same person. F and Q beats are inputs, but have no weight in training and evaluation. R peaks
are the annotated ones. Macro-F1 is the mean of the F1 scores of the three classes over all test
beats. PPV, the positive predictive value, is the part of the beats found as a class that are of it.

**Intended use.** Screening experiments, and a reference for beat classifiers with memory.

**Limits.** The result is far below the best published one. DS1 holds 944 S beats, half of them from
two patients. Three quarters of the 1,836 S beats of DS2 are from one patient (record 232), in runs
between long pauses; no record of DS1 has such pauses, and most of these beats are missed. Atrial
fibrillation causes false S beats. Evaluated on held-out records of DS1, none of the following was
better: the waveform in addition to the features or instead of them, windows of 192 beats, stronger
weight decay, other class weights. Not a medical device.
"""


@dataclass(frozen=True)
class EcgArrhythmiaConfig:
    """Hyperparameters of a heartbeat classifier.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Number of neurons of the recurrent layer.
        width: Units of the dense layer before the recurrent layer.
        dropout: Dropout rate of the outputs of that layer, and of the inputs of the last layer.
    """

    cell: str = "cfc"
    units: int = 16
    width: int = 16
    dropout: float = 0.5

    def __post_init__(self) -> None:
        require_cell(self.cell)


def build(config: EcgArrhythmiaConfig) -> "keras.Model":
    """Return an untrained model from (batch, beats, 35) to probabilities (batch, beats, 3)."""
    import keras

    beat = keras.Input((None, FEATURES), name="beat")
    x = keras.layers.Normalization(name="normalize")(beat)
    # Bounded, so that a single outlier cannot determine the class.
    x = keras.layers.Activation("tanh", name="bound")(x)
    x = keras.layers.Dense(config.width, activation="tanh", name="features")(x)
    x = keras.layers.Dropout(config.dropout)(x)
    state = recurrent(x, config.cell, config.units)
    x = keras.layers.Concatenate()([state, x])
    x = keras.layers.Dropout(config.dropout)(x)
    x = keras.layers.Dense(len(data.CLASSES), activation="softmax", name="classes")(x)
    return keras.Model(beat, x, name="ecg_arrhythmia")


def prepare(model: "keras.Model", inputs: np.ndarray) -> None:
    """Set the model's normalization to the mean and variance of the training inputs."""
    model.get_layer("normalize").adapt(inputs)


def weighted_cross_entropy(targets: Tensor, predictions: Tensor) -> Tensor:
    """Cross-entropy of the labelled beats, weighted by class: tensor (batch,)."""
    import keras

    ops: Any = keras.ops  # Its type stubs allow None as any result.

    classes = ops.maximum(ops.cast(targets, "int32"), 0)
    weights = ops.take(ops.convert_to_tensor(CLASS_WEIGHTS, "float32"), classes)
    weights = ops.where(ops.cast(targets, "int32") >= 0, weights, 0.0)
    entropy = keras.losses.sparse_categorical_crossentropy(classes, predictions)
    return ops.mean(weights * entropy, axis=-1)


def macro_f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean of the F1 scores of the classes over all labelled beats, in percent."""
    with extra("zoo"):
        from sklearn.metrics import f1_score

    classes = range(len(data.CLASSES))
    true, predicted = _labelled(targets, predictions)
    return 100 * float(f1_score(true, predicted, labels=classes, average="macro"))


def sensitivity(symbol: str) -> Metric:
    """The sensitivity for a class: the fraction of its beats that are found, in percent."""
    index = data.CLASSES.index(symbol)

    def recall(targets: np.ndarray, predictions: np.ndarray) -> float:
        true, predicted = _labelled(targets, predictions)
        return 100 * float(np.mean(predicted[true == index] == index))

    return Metric(f"{symbol} sensitivity", recall, higher_is_better=True, unit="%")


def positive_predictive_value(symbol: str) -> Metric:
    """The part of the beats that the model assigns to a class and that are of it, in percent."""
    index = data.CLASSES.index(symbol)

    def precision(targets: np.ndarray, predictions: np.ndarray) -> float:
        true, predicted = _labelled(targets, predictions)
        found = predicted == index
        return 100 * float(np.mean(true[found] == index)) if found.any() else 0.0

    return Metric(f"{symbol} PPV", precision, higher_is_better=True, unit="%")


def _labelled(targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted classes of the labelled beats."""
    labelled = targets >= 0
    return targets[labelled], predictions.argmax(axis=-1)[labelled]


def inputs_of(table: dict[str, np.ndarray]) -> np.ndarray:
    """The inputs (1, beats, 35) from the samples of a lead and the marks of its R peaks.

    Raises:
        ValueError: `peak` holds another value than 0 and 1, or marks fewer than two beats.
    """
    wrong = table["peak"][~np.isin(table["peak"], (0, 1))]
    if len(wrong):
        raise ValueError(f"Column 'peak' holds {wrong[0]:g}; allowed: 1 at an R peak, 0 elsewhere.")
    peaks = np.flatnonzero(table["peak"])
    if len(peaks) < 2:
        raise ValueError(f"Column 'peak' marks {len(peaks)} beats; at least 2 are needed.")
    return features(table["mlii"], peaks)[np.newaxis]


def load_splits(seed: int) -> Splits:
    """Training windows of 64 beats; padded whole records for validation and test."""
    validation = data.DS1[seed % FOLDS :: FOLDS]
    training = tuple(name for name in data.DS1 if name not in validation)
    return {
        "train": _windows(data.records(training)),
        "validation": _whole(data.records(validation)),
        "test": _whole(data.records(data.DS2)),
    }


def _windows(records: Sequence[data.Record]) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = [], []
    for record in records:
        beats = features(record.signal[:, 0], record.peaks)
        starts = range(0, len(beats) - WINDOW + 1, STRIDE)
        inputs += [beats[start : start + WINDOW] for start in starts]
        targets += [record.classes[start : start + WINDOW] for start in starts]
    return np.stack(inputs), np.stack(targets).astype("int32")


def _whole(records: Sequence[data.Record]) -> tuple[np.ndarray, np.ndarray]:
    longest = max(len(record.classes) for record in records)
    inputs = np.zeros((len(records), longest, FEATURES), "float32")
    targets = np.full((len(records), longest), -1, "int32")
    for i, record in enumerate(records):
        count = len(record.classes)
        inputs[i, :count] = features(record.signal[:, 0], record.peaks)
        targets[i, :count] = record.classes
    return inputs, targets


def load_samples() -> Samples:
    """Parts of real records: calibration from the training split, inputs from the test split."""
    typical, _ = _windows(data.records(data.DS1[1::FOLDS]))
    (record,) = data.records(("200",))
    beats = features(record.signal[:, 0], record.peaks)
    return {"calibration": typical[:: len(typical) // 100], "inputs": beats[:SAMPLE_BEATS]}


_preset = functools.partial(
    Preset,
    domain="biosignals",
    task="classify heartbeats as normal, supraventricular or ventricular",
    description=DESCRIPTION,
    build=build,
    dataset=data.DATASET,
    load_splits=load_splits,
    split_by_seed=True,
    load_samples=load_samples,
    prepare=prepare,
    recipe=TrainingRecipe(
        epochs=8,
        batch_size=64,
        learning_rate=0.003,
        weight_decay=0.5,
        noise=0.1,
        average=0.5,
        checkpoint_every=1,
    ),
    metrics=(
        Metric("macro-F1", macro_f1, higher_is_better=True, unit="%"),
        sensitivity("S"),
        positive_predictive_value("S"),
        sensitivity("V"),
        positive_predictive_value("V"),
    ),
    bars=(
        Bar(
            92.17,
            "tiny CNN of 15 kB: Farag, A Tiny Matched Filter-Based CNN for Inter-Patient ECG "
            "Classification, 2023",
        ),
        Bar(65.97, "gradient boosting, measured on this split"),
    ),
    license="Apache-2.0",
    loss=weighted_cross_entropy,
    columns={"mlii": NUMBER, "peak": NUMBER},
    from_table=inputs_of,
    labels=Labels(
        features=FEATURE_NAMES,
        outputs=("normal", "supraventricular", "ventricular"),
        kind=CLASSES,
        step="beat",
        sentence="this beat is {name}, with probability {value}",
    ),
)

PRESETS = (
    _preset(
        name="ecg-arrhythmia",
        config=EcgArrhythmiaConfig(),
        baselines={
            "lstm": EcgArrhythmiaConfig(cell="lstm", units=48),
            "gru": EcgArrhythmiaConfig(cell="gru", units=56),
        },
        export_recipes=("float32", "int16x8"),
        metadata_sha256="49c9cb12ab3e5826c4abb54b393b06044b3e4372fd5670b0b2673271533fedc4",
    ),
    _preset(
        name="ecg-arrhythmia-micro",
        config=EcgArrhythmiaConfig("liquid", units=32, width=32, dropout=0.3),
        baselines={
            "lstm": EcgArrhythmiaConfig("lstm", units=12, width=32, dropout=0.3),
            "gru": EcgArrhythmiaConfig("gru", units=15, width=32, dropout=0.3),
        },
        export_recipes=("int16x8", "int8", "float32"),
        metadata_sha256="4de6867b988ba789494e40ad0d3a2b04e732d8862368241498f59cbef71ad1eb",
        shipped_recipes=("int8", "int16x8"),
    ),
)
