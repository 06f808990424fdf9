"""Walker2d: predict the next observation of a simulated walker that is sampled irregularly."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.data import walker2d as data
from zoo.data.column_kinds import DURATION, NUMBER, next_rows, stacked
from zoo.labels import Labels
from zoo.preset import Bar, Preset, Samples, Splits
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.arrays import NamedInputs, Tensor
from zoo.training.metrics import MSE
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras

SAMPLE_WINDOWS = 4

DESCRIPTION = """
**Input and output.** Inputs: the 17 values of the Walker2d observation at each observed step, and
the time since the previous observed step in simulation steps. Output: the 17 values one simulation
step later.

**Data and protocol.** 400 rollouts, split by file as in the loader of the CfC paper (300 training,
40 validation, 60 test). A tenth of the steps is dropped at random. Windows have 64 steps and stride
16 (training windows stride 8). The error counts at every step, and predictions are causal.

**Model.** The model predicts the change until the next simulation step from the observation, from
two dense layers on it, and from a closed-form continuous-time layer that takes the elapsed time.

**Intended use.** A reference for models of irregularly sampled physical systems.

**Limits.** The data come from one simulated body and one family of policies. The model predicts one
step ahead. Do not use it to control real machines.
"""


@dataclass(frozen=True)
class Walker2dConfig:
    """Hyperparameters of a walker2d model.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Number of neurons of the recurrent layer.
        width: Units of each dense layer before and after the recurrent layer.
    """

    cell: str = "cfc"
    units: int = 64
    width: int = 128

    def __post_init__(self) -> None:
        require_cell(self.cell)


def build(config: Walker2dConfig) -> "keras.Model":
    """Return an untrained model.

    Its inputs are "observation" (batch, time, 17) and "elapsed" (batch, time).

    Its output is the observation one simulation step later, (batch, time, 17).
    """
    import keras

    observation = keras.Input((None, data.FEATURES), name="observation")
    elapsed: Tensor = keras.Input((None,), name="elapsed")
    normalized = keras.layers.Normalization(name="normalize")(observation)
    features = _dense(normalized, config.width, "see")
    state = recurrent(features, config.cell, config.units, elapsed)
    x = keras.layers.Concatenate()([state, normalized, features])
    x = _dense(x, config.width, "decide")
    x = keras.layers.Concatenate()([x, normalized])
    x = keras.layers.Dense(data.FEATURES, name="readout")(x)
    change = keras.layers.Normalization(invert=True, name="restore")(x)
    following = keras.layers.Add()([observation, change])
    return keras.Model([observation, elapsed], following, name="walker2d")


def _dense(x: Tensor, width: int, name: str) -> Tensor:
    import keras

    for number in (1, 2):
        x = keras.layers.Dense(width, activation="silu", name=f"{name}_{number}")(x)
    return x


def prepare(model: "keras.Model", inputs: NamedInputs) -> None:
    """Fit the normalization to the training observations, and to their changes."""
    observation = inputs["observation"]
    model.get_layer("normalize").adapt(observation)
    # Changes over exactly one simulation step.
    follows = inputs["elapsed"][:, 1:] == 1
    change = np.diff(observation, axis=1)[follows]
    model.get_layer("restore").adapt(change[np.newaxis])


def inputs_of(table: dict[str, np.ndarray]) -> NamedInputs:
    """The inputs for one sequence from columns of observations and elapsed times."""
    return {
        "observation": stacked(table, data.COLUMNS),
        "elapsed": stacked(table, ["elapsed"])[..., 0],
    }


def load_splits(seed: int) -> Splits:
    """Windows of 64 steps; training windows have stride 8 instead of the protocol's 16."""
    return data.splits(stride=8)


def load_samples() -> Samples:
    """Windows of real rollouts: calibration from the training split, inputs from the test split."""
    splits = data.splits()
    random = np.random.default_rng(0)
    (typical, _), (inputs, targets) = splits["train"], splits["test"]
    chosen = random.choice(len(typical["elapsed"]), 16 * SAMPLE_WINDOWS, replace=False)
    return {
        "calibration": {name: array[chosen] for name, array in typical.items()},
        "inputs": {name: array[:SAMPLE_WINDOWS] for name, array in inputs.items()},
        "targets": targets[:SAMPLE_WINDOWS],
    }


PRESETS = (
    Preset(
        name="walker2d",
        domain="control",
        task="predict the next observation of a simulated walker from irregular observations",
        description=DESCRIPTION,
        build=build,
        config=Walker2dConfig(),
        baselines={
            "lstm": Walker2dConfig(cell="lstm", units=72),
            "gru": Walker2dConfig(cell="gru", units=85),
        },
        dataset=data.DATASET,
        load_splits=load_splits,
        load_samples=load_samples,
        prepare=prepare,
        recipe=TrainingRecipe(
            epochs=15,
            batch_size=64,
            learning_rate=0.004,
            weight_decay=0.05,
            average=0.5,
            checkpoint_every=1,
        ),
        metrics=(MSE,),
        bars=(
            Bar(
                0.617,
                "CfC with mixed memory, 128 units: Hasani et al., Closed-form continuous-time "
                "neural networks, 2022",
            ),
            Bar(0.777, "MLP on the last 2 observations, measured on these files"),
        ),
        license="Apache-2.0",
        metadata_sha256="10f35eaf7d99c3880ac9db5c918319adc88f3ffeb163f1b37a1db050298e75c8",
        target="phone",
        export_recipes=("float32", "dynamic"),
        columns={**dict.fromkeys(data.COLUMNS, NUMBER), "elapsed": DURATION},
        from_table=inputs_of,
        to_table=lambda predictions: dict(zip(data.COLUMNS, predictions[0].T, strict=True)),
        labels=Labels(
            features=data.COLUMNS,
            outputs=data.COLUMNS,
            units=data.UNITS,
            sentence="{name} at the next observation will be {value}",
            interval=1.0,
            time_unit="simulation steps",
            explained=data.COLUMNS.index("pitch"),
        ),
        stream_targets=lambda table: next_rows(table, data.COLUMNS),
    ),
)
