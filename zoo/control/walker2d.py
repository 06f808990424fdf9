"""Walker2d: predict the next observation of a simulated walker that is observed irregularly."""

from dataclasses import dataclass

import keras
import numpy as np

from zoo.data import walker2d as data
from zoo.data.csv_table import NUMBER, stacked
from zoo.preset import Bar, Preset, Samples, Splits
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.loop import Inputs, Recipe
from zoo.training.metrics import MSE

SAMPLES = 4

DESCRIPTION = """
**Input and output.** At each observed step the 17 numbers of the Walker2d observation and the time
since the step observed before it, in simulation steps; the 17 numbers one simulation step later.

**Data and protocol.** 400 rollouts, split by file as in the CfC paper's own loader (300 train, 40
validation, 60 test); a tenth of the steps is dropped at random; windows of 64 steps with stride 16
(training windows with stride 8). Every step counts, and none sees what comes after it.

**Model.** The observation, two dense layers on it, and a closed-form continuous-time layer over the
irregular time predict the change until the next simulation step.

**Intended use.** A reference for models of irregularly sampled physical systems.

**Limits.** One simulated body and one family of policies. It predicts one step ahead, not many. Not
for the control of real machines.
"""


@dataclass(frozen=True)
class Walker2dConfig:
    """Sizes of a walker2d model.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Neurons of the recurrent layer.
        width: Units of each dense layer before and after it.
    """

    cell: str = "cfc"
    units: int = 64
    width: int = 128

    def __post_init__(self):
        require_cell(self.cell)


def build(config: Walker2dConfig) -> keras.Model:
    """Return an untrained model of {"observation": (batch, time, 17), "elapsed": (batch, time)}.

    Its output is the observation one simulation step later, (batch, time, 17).
    """
    observation = keras.Input((None, data.FEATURES), name="observation")
    elapsed = keras.Input((None,), name="elapsed")
    normalized = keras.layers.Normalization(name="normalize")(observation)
    seen = _dense(normalized, config.width, "see")
    state = recurrent(seen, config.cell, config.units, elapsed)
    x = keras.layers.Concatenate()([state, normalized, seen])
    x = _dense(x, config.width, "decide")
    x = keras.layers.Concatenate()([x, normalized])
    x = keras.layers.Dense(data.FEATURES, name="readout")(x)
    change = keras.layers.Normalization(invert=True, name="restore")(x)
    following = keras.layers.Add()([observation, change])
    return keras.Model([observation, elapsed], following, name="walker2d")


def _dense(x, width, name):
    for number in (1, 2):
        x = keras.layers.Dense(width, activation="silu", name=f"{name}_{number}")(x)
    return x


def prepare(model: keras.Model, inputs: Inputs) -> None:
    """Set the model's normalization to the training observations and their changes."""
    observation = inputs["observation"]
    model.get_layer("normalize").adapt(observation)
    # Of steps that follow one another in time.
    follows = inputs["elapsed"][:, 1:] == 1
    change = np.diff(observation, axis=1)[follows]
    model.get_layer("restore").adapt(change[np.newaxis])


def inputs_of(table: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The model's inputs from columns of observations and elapsed times, for one sequence."""
    return {
        "observation": stacked(table, data.COLUMNS),
        "elapsed": stacked(table, ["elapsed"])[..., 0],
    }


def load_splits(seed: int) -> Splits:
    """Windows of 64 steps; those to train on overlap more than the protocol's stride of 16."""
    return data.splits(stride=8)


def load_samples() -> Samples:
    """Windows of real rollouts: to calibrate on from training, to predict from test."""
    splits = data.splits()
    random = np.random.default_rng(0)
    (typical, _), (inputs, targets) = splits["train"], splits["test"]
    chosen = random.choice(len(typical["elapsed"]), 16 * SAMPLES, replace=False)
    return {
        "calibration": {name: array[chosen] for name, array in typical.items()},
        "inputs": {name: array[:SAMPLES] for name, array in inputs.items()},
        "targets": targets[:SAMPLES],
    }


PRESETS = (
    Preset(
        name="walker2d",
        domain="control",
        task="predict the next observation of a simulated walker, observed irregularly",
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
        recipe=Recipe(
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
        weights_sha256="3dca520e35aab78e38abde77c61ce61c621a375ac14fe97326862fd7a78cb4cd",
        target="phone",
        export_recipes=("float32", "dynamic"),
        columns=dict.fromkeys((*data.COLUMNS, "elapsed"), NUMBER),
        from_table=inputs_of,
    ),
)
