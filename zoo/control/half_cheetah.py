"""Half-cheetah: predict the next observation of a simulated runner from the previous ones."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.data import half_cheetah as data
from zoo.data.csv_table import NUMBER, stacked
from zoo.preset import Bar, Preset, Samples, Splits
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.metrics import MSE, median_squared_error
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras

SAMPLE_STEPS = 500
BARS = (
    Bar(2.308, "LTC, 32 units: Hasani et al., Liquid Time-constant Networks, 2021"),
    Bar(2.69, "two-layer MLP on the last 4 observations, measured on these files"),
)

DESCRIPTION = """
**Input and output.** Input: the 17 values of the HalfCheetah observation (positions, angles,
velocities) at each time step. Output: the same 17 values one step later.

**Data and protocol.** 25 traces of 1,000 steps: traces 15-24 are for training, 0-4 for validation
and 5-14 for testing. They are cut into windows of 32 steps with stride 10 (training windows with
stride 2). The state is zero at the start of each window, and the error counts at every step. The
weights are selected by the median of the mean squared errors of the validation windows. The median
is used because the body ends up on its back (pitch beyond 3 rad) in two of the validation traces,
and in no other trace.

**Intended use.** A first model to run on a microcontroller, and a reference for cells, solvers and
quantization. The state can be kept beyond 32 steps: the exports below run for 500 steps.

**Limits.** The data come from one simulated body and one family of policies. The training traces
never show the body on its back, so the errors are larger there. The model predicts one step ahead.
Do not use it to control real machines.
"""


@dataclass(frozen=True)
class HalfCheetahConfig:
    """Hyperparameters of a half-cheetah model.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Number of neurons of the recurrent layer.
        unfolds: Solver steps of the liquid cell per time step.
    """

    cell: str = "liquid"
    units: int = 80
    unfolds: int = 2

    def __post_init__(self) -> None:
        require_cell(self.cell)


def build(config: HalfCheetahConfig) -> "keras.Model":
    """Return an untrained model from (batch, time, 17) to the next observations, same shape."""
    import keras

    observation = keras.Input((None, data.FEATURES), name="observation")
    x = keras.layers.Normalization(name="normalize")(observation)
    x = recurrent(x, config.cell, config.units, unfolds=config.unfolds)
    x = keras.layers.Dense(data.FEATURES, name="readout")(x)
    # The model predicts observations, not their changes, because the changes vary more.
    x = keras.layers.Normalization(invert=True, name="restore")(x)
    return keras.Model(observation, x, name="half_cheetah")


def prepare(model: "keras.Model", inputs: np.ndarray) -> None:
    """Set the model's normalization to the mean and variance of the training inputs."""
    model.get_layer("normalize").adapt(inputs)
    model.get_layer("restore").adapt(inputs)


def load_splits(seed: int) -> Splits:
    """Windows of 32 steps; training windows have stride 2 instead of the protocol's 10."""
    return {
        "train": data.windows(data.traces("train"), stride=2),
        "validation": data.windows(data.traces("validation")),
        "test": data.windows(data.traces("test")),
    }


def load_samples() -> Samples:
    """Parts of real traces: calibration from the training split, inputs from the test split."""
    trace = data.traces("test")[0]
    return {
        "calibration": data.traces("train")[:, : SAMPLE_STEPS // 2],
        "inputs": trace[:SAMPLE_STEPS],
        "targets": trace[1 : SAMPLE_STEPS + 1],
    }


_preset = functools.partial(
    Preset,
    domain="control",
    task="predict the next observation of a simulated two-legged runner",
    description=DESCRIPTION,
    build=build,
    dataset=data.DATASET,
    load_splits=load_splits,
    load_samples=load_samples,
    prepare=prepare,
    recipe=TrainingRecipe(
        epochs=150,
        batch_size=64,
        learning_rate=0.01,
        weight_decay=0.15,
        noise=0.05,
        average=0.8,
        patience=75,
    ),
    metrics=(MSE,),
    # In two validation traces, and in no other, the body ends up on its back.
    validation_loss=median_squared_error,
    bars=BARS,
    license="Apache-2.0",
    columns=dict.fromkeys(data.COLUMNS, NUMBER),
    from_table=lambda table: stacked(table, data.COLUMNS),
)

PRESETS = (
    _preset(
        name="half-cheetah",
        config=HalfCheetahConfig(units=192),
        baselines={
            "lstm": HalfCheetahConfig(cell="lstm", units=95),
            "gru": HalfCheetahConfig(cell="gru", units=111),
        },
        export_recipes=("float32", "int16x8"),
        metadata_sha256="c788678e522cb95fdca7a16ccc81796af6617c69e86f404e737eaeef0df0d0da",
    ),
    _preset(
        name="half-cheetah-micro",
        config=HalfCheetahConfig(),
        baselines={
            "lstm": HalfCheetahConfig(cell="lstm", units=39),
            "gru": HalfCheetahConfig(cell="gru", units=45),
        },
        export_recipes=("int8", "int16x8", "float32"),
        metadata_sha256="467cf0c014e0f7502b7bd1a9f8a0f282e99bef7d3935a19f83791a6e508e041a",
        shipped_recipes=("int8", "int16x8"),
    ),
)
