"""Car-following: keep the distance to the car in front as a human driver does."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data import ngsim as data
from zoo.data.column_kinds import NUMBER, stacked
from zoo.driving.closed_loop import (
    events_as_arrays,
    simulate,
    simulate_with_stepper,
    simulation,
)
from zoo.labels import Labels
from zoo.preset import Bar, Preset, Samples
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.arrays import NamedInputs, Tensor
from zoo.training.metrics import Metric
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras

COLUMNS = ("spacing", "speed", "lead_speed")
FEATURES = ("spacing", "speed", "relative_speed")
# Mean and standard deviation of `FEATURES` in the training events, in m and m/s.
MEAN, DEVIATION = (14.0, 8.6, 0.0), (7.2, 2.7, 1.2)
# Training sequences per event, and the length that a later start leaves.
STARTS = 4
SHORTEST = 120
# Standard deviation of the logarithm of the random factors on initial spacings and speeds.
SPREAD = 0.1

DESCRIPTION = """
**Input and output.** Inputs, ten times per second: the spacing to the car in front (m), the speed
of the own car, and the speed difference between the car in front and the own car (m/s). Output: the
acceleration of the own car (m/s²). `lnn predict car-following --input FILE.csv` takes the columns
spacing, speed and lead_speed.

**Data and protocol.** 403 events recorded on a highway (NGSIM), 15 to 50 s long: 15 % for testing,
15 % for validation. The model drives in closed loop behind the recorded car in front. It starts
from the first spacing and speed of an event and uses no other recorded value of the following car.
The error is the squared difference of the simulated and the recorded spacing, averaged over all
steps. A collision is an event in which the spacing falls to 0.

**Model.** A liquid layer, a small dense layer, and a linear path in parallel. The model is trained
through the simulation: from the start of each event and from later starting points, with perturbed
spacing and speed, so that it learns to return to the recorded distance.

**Intended use.** Traffic simulation; a reference for models trained in closed loop.

**Limits.** The data are highway traffic at 1 to 25 m/s behind one car, without lane changes. Human
drivers differ, and no input identifies the driver: with 60 test events a single driver can change
the error by 5 m². A liquid time-constant layer of 32 units (1,844 parameters) reaches 13.69 ± 0.45
over the same seeds, but has a larger validation error and loses too much in 8 bits. Do not use it
to control real vehicles.
"""


@dataclass(frozen=True)
class CarFollowingConfig:
    """Hyperparameters of a car-following model.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Number of neurons of the recurrent layer.
        width: Units of the dense layer after the recurrent layer.
    """

    cell: str = "cfc"
    units: int = 16
    width: int = 16

    def __post_init__(self) -> None:
        require_cell(self.cell)


def build(config: CarFollowingConfig) -> "keras.Model":
    """Return an untrained model from (batch, time, 3) to accelerations (batch, time, 1)."""
    import keras

    traffic = keras.Input((None, len(FEATURES)), name="traffic")
    variance = [deviation**2 for deviation in DEVIATION]
    x = keras.layers.Normalization(mean=MEAN, variance=variance, name="normalize")(traffic)
    state = recurrent(x, config.cell, config.units, unfolds=2)
    x = keras.layers.Concatenate()([state, x])
    hidden = keras.layers.Dense(config.width, activation="tanh", name="decide")(x)
    x = keras.layers.Concatenate()([hidden, x])
    acceleration = keras.layers.Dense(1, name="acceleration")(x)
    return keras.Model(traffic, acceleration, name="car_following")


def prepare(model: "keras.Model", inputs: NamedInputs) -> None:
    """Do nothing: the model has a fixed normalization."""


def spacing_loss(targets: Tensor, predictions: Tensor) -> Tensor:
    """Squared error of the spacing, summed over the recorded steps: tensor (events,)."""
    import keras

    ops: Any = keras.ops  # Its type stubs allow None as any result.

    known = ops.isfinite(targets)
    errors = ops.where(known, predictions - ops.where(known, targets, 0.0), 0.0)
    return ops.sum(errors**2, axis=-1) / 200


def spacing_error(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean squared error of the spacing over all recorded steps, in m²."""
    return float(np.nanmean((predictions.astype("float64") - targets) ** 2))


def collisions(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Number of events in which the spacing falls to 0 at a recorded step."""
    return float(((predictions <= 0) & np.isfinite(targets)).any(axis=1).sum())


def load_splits(seed: int) -> dict[str, tuple[NamedInputs, np.ndarray]]:
    """Events; training events are also used from later starting points.

    The initial spacings and speeds of training are perturbed, so that the model learns to return
    to the recorded distance.
    """
    events = data.splits()
    random = np.random.default_rng(seed)
    later = [
        event[random.integers(1, max(2, len(event) - SHORTEST)) :]
        for _ in range(STARTS - 1)
        for event in events["train"]
    ]
    events["train"] = events["train"] + later
    splits = {name: events_as_arrays(part) for name, part in events.items()}
    start = splits["train"][0]["start"]
    start *= np.exp(SPREAD * random.standard_normal(start.shape)).astype("float32")
    return splits


def inputs_of(table: dict[str, np.ndarray]) -> np.ndarray:
    """The inputs float32 (1, time, 3) from the columns spacing, speed and lead_speed.

    The relative speed is a separate input because it is a small difference of large values, which
    8-bit quantization of both values would lose.
    """
    relative_speed = table["lead_speed"] - table["speed"]
    return stacked({**table, "relative_speed": relative_speed}, FEATURES)


def load_samples() -> Samples:
    """Recorded traffic: calibration data from the training split, inputs from the test split.

    There are no targets: the data do not record the accelerations of a driver in closed loop.
    """
    events = data.splits()
    shortest = min(map(len, events["train"]))
    columns = [data.COLUMNS.index(name) for name in FEATURES]
    typical = [event[:shortest, columns] for event in events["train"]]
    return {
        "calibration": np.stack(typical).astype("float32"),
        "inputs": np.concatenate([e[:, columns] for e in events["test"][:4]]).astype("float32"),
    }


_preset = functools.partial(
    Preset,
    domain="driving",
    task="keep the distance to the car in front as a human driver does",
    description=DESCRIPTION,
    build=build,
    dataset=data.DATASET,
    load_splits=load_splits,
    load_samples=load_samples,
    prepare=prepare,
    recipe=TrainingRecipe(
        epochs=14,
        batch_size=32,
        learning_rate=0.004,
        weight_decay=0.5,
        average=0.8,
        checkpoint_every=1,
        jit_compile=True,
    ),
    metrics=(
        Metric("spacing MSE", spacing_error, unit="m²"),
        Metric("collisions", collisions),
    ),
    bars=(
        Bar(
            23.86,
            "FollowNet's LSTM, on another extraction of the data: Chen et al., FollowNet, 2023",
        ),
        Bar(16.16, "fitted intelligent driver model, measured on this split"),
    ),
    license="Apache-2.0",
    loss=spacing_loss,
    for_training=simulation,
    predict=simulate,
    predict_with_stepper=simulate_with_stepper,
    columns=dict.fromkeys(COLUMNS, NUMBER),
    from_table=inputs_of,
    labels=Labels(
        features=("spacing", "speed", "relative speed"),
        outputs=("acceleration",),
        units={"spacing": "m", "speed": "m/s", "relative speed": "m/s", "acceleration": "m/s²"},
        interval=1 / data.HERTZ,
        time_unit="s",
        sentence="the acceleration of a driver is {value}",
    ),
)

PRESETS = (
    _preset(
        name="car-following",
        config=CarFollowingConfig(),
        baselines={
            "lstm": CarFollowingConfig(cell="lstm", units=49),
            "gru": CarFollowingConfig(cell="gru", units=56),
        },
        export_recipes=("float32", "int16x8"),
        metadata_sha256="cf93f2f5dfddc92a92d83bac9c0065606e4e1f47afc69f954510f3b9368bb85b",
    ),
    _preset(
        name="car-following-micro",
        config=CarFollowingConfig(units=8),
        baselines={
            "lstm": CarFollowingConfig(cell="lstm", units=34),
            "gru": CarFollowingConfig(cell="gru", units=39),
        },
        export_recipes=("int8", "int16x8", "float32"),
        metadata_sha256="e50a8a404e39c697c5e3bbb05db74968450e6093ea698a93c862c7a756b42253",
        shipped_recipes=("int8", "int16x8"),
    ),
)
