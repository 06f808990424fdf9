"""Half-cheetah: predict the next observation of a simulated runner from the previous ones."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.data import half_cheetah as data
from zoo.data.column_kinds import NUMBER, next_rows, stacked
from zoo.labels import Labels
from zoo.preset import Bar, Preset, Samples, Splits
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.metrics import MSE, median_squared_error
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras

SAMPLE_STEPS = 500
CALIBRATION_STEPS = 250
# Pitch in rad up to which integer files compute without clipping: the body stands upright.
REARED = 1.45
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
quantization. The state can be kept beyond 32 steps: the exports below run through the whole test
traces. Integer files are calibrated on the training traces, and on the parts of two validation
traces in which the body rears up to a pitch of 1.45 rad. The training traces stay below 0.5 rad,
but two of the test traces reach 1.5 rad. Files that are calibrated without such parts clip the
pitch to the calibrated range, and their outputs are wrong by 10 % in these traces.

**Limits.** The data come from one simulated body and one family of policies. The training traces
never show the body on its back, so the errors are larger there; integer files limit the pitch to
1.45 rad. The model predicts one step ahead. Do not use it to control real machines.
"""


@dataclass(frozen=True)
class HalfCheetahConfig:
    """Hyperparameters of a half-cheetah model.

    Attributes:
        cell: "liquid", "cfc", "stack", "lstm" or "gru".
        units: Number of neurons of the recurrent layer, or of each block of a stack.
        unfolds: Solver steps of the liquid cell or the stack per time step.
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
    normalized = keras.layers.Normalization(name="normalize")(observation)
    x = recurrent(normalized, config.cell, config.units, unfolds=config.unfolds)
    x = keras.layers.Dense(data.FEATURES, name="readout")(x)
    # A stack changes its input. A single layer predicts the observation, because changes vary more.
    if config.cell == "stack":
        x = keras.layers.Add(name="change")([normalized, x])
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
    """Parts of real traces: calibration not from the test split, inputs from the test split."""
    trace = data.traces("test")[0]
    rearing = [part for part in map(_until_reared, data.traces("validation")) if part is not None]
    return {
        "calibration": np.stack([*data.traces("train")[:, :CALIBRATION_STEPS], *rearing]),
        "inputs": trace[:SAMPLE_STEPS],
        "targets": trace[1 : SAMPLE_STEPS + 1],
    }


def load_evaluation() -> tuple[np.ndarray, np.ndarray]:
    """The whole test traces, and the observations one step later."""
    traces = data.traces("test")
    return traces[:, :-1], traces[:, 1:]


def _until_reared(trace: np.ndarray) -> np.ndarray | None:
    """The steps before the pitch first passes `REARED`; None if it never does."""
    passed = np.flatnonzero(np.abs(trace[:, data.COLUMNS.index("pitch")]) > REARED)
    return trace[passed[0] - CALIBRATION_STEPS : passed[0]] if len(passed) else None


_preset = functools.partial(
    Preset,
    domain="control",
    task="predict the next observation of a simulated two-legged runner",
    description=DESCRIPTION,
    build=build,
    dataset=data.DATASET,
    load_splits=load_splits,
    load_samples=load_samples,
    load_evaluation=load_evaluation,
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
    to_table=lambda predictions: dict(zip(data.COLUMNS, predictions[0].T, strict=True)),
    labels=Labels(
        features=data.COLUMNS,
        outputs=data.COLUMNS,
        units=data.UNITS,
        interval=data.INTERVAL,
        time_unit="s",
        sentence="{name} one step later will be {value}",
        explained=data.COLUMNS.index("pitch"),
    ),
    stream_targets=lambda table: next_rows(table, data.COLUMNS),
)

PRESETS = (
    _preset(
        name="half-cheetah",
        config=HalfCheetahConfig(cell="stack", units=96, unfolds=1),
        baselines={
            "lstm": HalfCheetahConfig(cell="lstm", units=95),
            "gru": HalfCheetahConfig(cell="gru", units=111),
        },
        export_recipes=("float32", "int16x8"),
        metadata_sha256="52533d3710d8b8d5a66b9bd85580ee6ce3129b9e4c2f6dac182c7f3094637793",
    ),
    _preset(
        name="half-cheetah-micro",
        config=HalfCheetahConfig(),
        baselines={
            "lstm": HalfCheetahConfig(cell="lstm", units=39),
            "gru": HalfCheetahConfig(cell="gru", units=45),
        },
        export_recipes=("int8", "int16x8", "float32"),
        metadata_sha256="92b2a864d6c4ad49e70417368d4035d0941640c5ef92a9cfb001bd9d9b505dc1",
        shipped_recipes=("int8", "int16x8"),
    ),
)
