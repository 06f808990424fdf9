"""ECG arrhythmia: whether a heartbeat is normal, supraventricular or ventricular."""

import functools
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from zoo.biosignals.beats import FEATURES, features
from zoo.data import mitdb as data
from zoo.data.csv_table import NUMBER
from zoo.preset import Bar, Preset, Samples, Splits
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.loop import Inputs, Recipe
from zoo.training.metrics import Metric

WINDOW, STRIDE = 64, 16
FOLDS = 4
SAMPLE_BEATS = 500
# The square root of how much rarer a class is than normal beats in DS1.
CLASS_WEIGHTS = (1.0, 7.0, 3.5)

DESCRIPTION = """
**Input and output.** Of each beat 35 numbers, of one lead at 360 Hz and of its R peaks: how its
P, QRS and T waves differ from a running template of the same patient's beats and from the beat
before, its width and height, and how its RR intervals differ from those before
(`zoo.biosignals.beats.features`). The probabilities of three classes: N, normal and bundle branch
block; S, supraventricular; V, ventricular (AAMI EC57). `lnn predict ecg-arrhythmia --input
FILE.csv` takes the lead itself: a row for each sample, `mlii` in millivolts and `peak`, 1 at R
peaks and 0 elsewhere. A beat is judged when the next one has come; nothing later is looked at.

**Data and protocol.** MIT-BIH arrhythmia database, inter-patient: the 22 records of DS1 train,
those of DS2 test; each seed keeps a quarter of DS1's records for validation, so no patient is in
two splits. F and Q beats are shown, but neither trained on nor scored. R peaks are the annotated
ones. Macro-F1 is the mean of the three classes' F1 over all test beats.

**Intended use.** Screening experiments, and a reference for beat classifiers that remember the
rhythm.

**Limits.** Far below the best published number. DS1 holds 944 S beats, half of them of two
patients; three quarters of DS2's 1,836 are of one patient (record 232), in runs between long
pauses that no record of DS1 shows, and most of them are missed. Atrial fibrillation gives false S
beats. Tried, by held-out records of DS1: the waveform itself beside the features or in their
place, windows of 192 beats, stronger weight decay, other class weights; none better. Not a
medical device.
"""


@dataclass(frozen=True)
class EcgArrhythmiaConfig:
    """Sizes of a model of heartbeats.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Neurons of the recurrent layer.
        width: Units of the dense layer in front of it.
        dropout: Share of that layer's outputs, and of the readout's inputs, left out in training.
    """

    cell: str = "cfc"
    units: int = 16
    width: int = 16
    dropout: float = 0.5

    def __post_init__(self):
        require_cell(self.cell)


def build(config: EcgArrhythmiaConfig) -> keras.Model:
    """Return an untrained model from (batch, beats, 35) to probabilities (batch, beats, 3)."""
    beat = keras.Input((None, FEATURES), name="beat")
    x = keras.layers.Normalization(name="normalize")(beat)
    # Bounded, so that one number that is far out cannot decide alone.
    x = keras.layers.Activation("tanh", name="bound")(x)
    x = keras.layers.Dense(config.width, activation="tanh", name="features")(x)
    x = keras.layers.Dropout(config.dropout)(x)
    state = recurrent(x, config.cell, config.units)
    x = keras.layers.Concatenate()([state, x])
    x = keras.layers.Dropout(config.dropout)(x)
    x = keras.layers.Dense(len(data.CLASSES), activation="softmax", name="classes")(x)
    return keras.Model(beat, x, name="ecg_arrhythmia")


def prepare(model: keras.Model, inputs: Inputs) -> None:
    """Set the model's normalization to the mean and variance of the training inputs."""
    model.get_layer("normalize").adapt(inputs)


@keras.saving.register_keras_serializable(package="zoo")
def weighted_cross_entropy(targets, predictions):
    """Cross-entropy of the beats that have a class, rarer classes weighing more: (batch,)."""
    classes = ops.maximum(ops.cast(targets, "int32"), 0)
    weights = ops.take(ops.convert_to_tensor(CLASS_WEIGHTS, "float32"), classes)
    weights = ops.where(ops.cast(targets, "int32") >= 0, weights, 0.0)
    entropy = keras.losses.sparse_categorical_crossentropy(classes, predictions)
    return ops.mean(weights * entropy, axis=-1)


def macro_f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean of the classes' F1 over the beats that have a class, in percent."""
    from sklearn.metrics import f1_score

    classes = range(len(data.CLASSES))
    scores = f1_score(*_judged(targets, predictions), labels=classes, average="macro")
    return 100 * scores


def sensitivity(symbol: str) -> Metric:
    """The share of a class's beats that are found, in percent."""
    number = data.CLASSES.index(symbol)

    def found(targets, predictions):
        true, guessed = _judged(targets, predictions)
        return 100 * np.mean(guessed[true == number] == number)

    return Metric(f"{symbol} sensitivity", found, higher_is_better=True, unit="%")


def _judged(targets, predictions):
    known = targets >= 0
    return targets[known], predictions.argmax(axis=-1)[known]


def inputs_of(table: dict[str, np.ndarray]) -> Inputs:
    """A lead and its R peaks, sample by sample, as the model sees them: (1, beats, 35).

    Raises:
        ValueError: `peak` holds another number than 0 and 1, or marks fewer than two beats.
    """
    wrong = table["peak"][~np.isin(table["peak"], (0, 1))]
    if len(wrong):
        raise ValueError(f"Column 'peak' holds {wrong[0]:g}; allowed: 1 at an R peak, 0 elsewhere.")
    peaks = np.flatnonzero(table["peak"])
    if len(peaks) < 2:
        raise ValueError(f"Column 'peak' marks {len(peaks)} beats; at least 2 are needed.")
    return features(table["mlii"], peaks)[np.newaxis]


def load_splits(seed: int) -> Splits:
    """Windows of 64 beats to train on; whole records, padded, to validate and test on."""
    validation = data.DS1[seed % FOLDS :: FOLDS]
    training = tuple(name for name in data.DS1 if name not in validation)
    return {
        "train": _windows(data.records(training)),
        "validation": _whole(data.records(validation)),
        "test": _whole(data.records(data.DS2)),
    }


def _windows(records):
    inputs, targets = [], []
    for record in records:
        beats = features(record.signal[:, 0], record.peaks)
        starts = range(0, len(beats) - WINDOW + 1, STRIDE)
        inputs += [beats[start : start + WINDOW] for start in starts]
        targets += [record.classes[start : start + WINDOW] for start in starts]
    return np.stack(inputs), np.stack(targets).astype("int32")


def _whole(records):
    longest = max(len(record.classes) for record in records)
    inputs = np.zeros((len(records), longest, FEATURES), "float32")
    targets = np.full((len(records), longest), -1, "int32")
    for i, record in enumerate(records):
        count = len(record.classes)
        inputs[i, :count] = features(record.signal[:, 0], record.peaks)
        targets[i, :count] = record.classes
    return inputs, targets


def load_samples() -> Samples:
    """Slices of real recordings: to calibrate on from training, to predict from test."""
    typical, _ = _windows(data.records(data.DS1[1::FOLDS]))
    (record,) = data.records(("200",))
    beats = features(record.signal[:, 0], record.peaks)
    return {"calibration": typical[:: len(typical) // 100], "inputs": beats[:SAMPLE_BEATS]}


_preset = functools.partial(
    Preset,
    domain="biosignals",
    task="tell normal, supraventricular and ventricular heartbeats apart",
    description=DESCRIPTION,
    build=build,
    dataset=data.DATASET,
    load_splits=load_splits,
    load_samples=load_samples,
    prepare=prepare,
    recipe=Recipe(
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
        sensitivity("V"),
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
        weights_sha256="0b03c8a363f69d688d4153ca2fe8de4367c189ad9f719fe61fdd3d0e19e7d157",
    ),
    _preset(
        name="ecg-arrhythmia-micro",
        config=EcgArrhythmiaConfig("liquid", units=32, width=32, dropout=0.3),
        baselines={
            "lstm": EcgArrhythmiaConfig("lstm", units=12, width=32, dropout=0.3),
            "gru": EcgArrhythmiaConfig("gru", units=15, width=32, dropout=0.3),
        },
        export_recipes=("int16x8", "int8", "float32"),
        weights_sha256="4a36e6e4c25aea2cd8fb2b1498005b9ba1f7bc73c9f30815dd1d3ec97bfb798b",
        shipped_recipes=("int8", "int16x8"),
    ),
)
