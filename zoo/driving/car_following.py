"""Car-following: keep the distance to the car in front that a human driver would keep."""

import functools
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from zoo.data import ngsim as data
from zoo.data.csv_table import NUMBER, stacked
from zoo.driving.closed_loop import drive, events_as_arrays, simulate, simulation
from zoo.preset import Bar, Preset, Samples, Splits
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.loop import Inputs, Recipe
from zoo.training.metrics import Metric

COLUMNS = ("spacing", "speed", "lead_speed")
FEATURES = ("spacing", "speed", "relative_speed")
# Of the training events: spacing in m, speeds in m/s.
MEAN, DEVIATION = (14.0, 8.6, 0.0), (7.2, 2.7, 1.2)
STARTS = 4
SHORTEST = 120
# Standard deviation of the logarithm of what a start in training is multiplied by.
SPREAD = 0.1

DESCRIPTION = """
**Input and output.** Ten times a second the spacing to the car in front (m), one's own speed and
how much faster the car in front is (m/s); the acceleration to take (m/s²). `lnn predict
car-following --input FILE.csv` takes the columns spacing, speed and lead_speed.

**Data and protocol.** 403 events recorded on a highway (NGSIM), 15 to 50 s long: 15 % test, 15 %
validation. The model drives in closed loop: from the event's first spacing and speed, behind the
recorded car in front, and nothing else of the recording. The error is that of the spacing against
the human driver's, over all steps. A collision is an event whose spacing falls to 0.

**Model.** A liquid layer, a small dense layer and a linear path beside them, trained through the
simulation itself, from the events' beginnings and from moments within them, each a little off the
recorded spacing and speed, from where it learns to come back.

**Intended use.** Traffic simulation; a reference for models trained in closed loop.

**Limits.** Highway traffic at 1 to 25 m/s behind one car, no lane changes. Human drivers differ,
and nothing tells the model who drives: with 60 test events one driver can move the error by 5 m².
A liquid time-constant layer of 32 units (1,844 parameters) does 13.69 ± 0.45 over the same seeds,
but validates worse, and loses too much in 8 bits. Not for the control of real vehicles.
"""


@dataclass(frozen=True)
class CarFollowingConfig:
    """Sizes of a car-following model.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Neurons of the recurrent layer.
        width: Units of the dense layer behind it.
    """

    cell: str = "cfc"
    units: int = 16
    width: int = 16

    def __post_init__(self):
        require_cell(self.cell)


def build(config: CarFollowingConfig) -> keras.Model:
    """Return an untrained model from (batch, time, 3) to accelerations (batch, time, 1)."""
    traffic = keras.Input((None, len(FEATURES)), name="traffic")
    variance = [deviation**2 for deviation in DEVIATION]
    x = keras.layers.Normalization(mean=MEAN, variance=variance, name="normalize")(traffic)
    state = recurrent(x, config.cell, config.units, unfolds=2)
    x = keras.layers.Concatenate()([state, x])
    hidden = keras.layers.Dense(config.width, activation="tanh", name="decide")(x)
    x = keras.layers.Concatenate()([hidden, x])
    acceleration = keras.layers.Dense(1, name="acceleration")(x)
    return keras.Model(traffic, acceleration, name="car_following")


def prepare(model: keras.Model, inputs: Inputs) -> None:
    """Nothing: the scales of the inputs are known."""


@keras.saving.register_keras_serializable(package="zoo")
def spacing_loss(targets, predictions):
    """Squared error of the spacing where it was recorded, summed over time: (events,)."""
    known = ops.isfinite(targets)
    errors = ops.where(known, predictions - ops.where(known, targets, 0.0), 0.0)
    return ops.sum(errors**2, axis=-1) / 200


def spacing_error(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean squared error of the spacing over all recorded steps, in m²."""
    return np.nanmean((predictions.astype("float64") - targets) ** 2)


def collisions(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Number of events whose spacing falls to 0 while it was recorded."""
    return ((predictions <= 0) & np.isfinite(targets)).any(axis=1).sum()


def load_splits(seed: int) -> Splits:
    """Events; each one to train on also from moments within it.

    Those start a little off the recorded spacing and speed, so that drivers learn to come back.
    """
    events = data.splits()
    random = np.random.default_rng(seed)
    later = [
        event[random.integers(1, max(2, len(event) - SHORTEST)) :]
        for _ in range(STARTS - 1)
        for event in events["train"]
    ]
    events["train"] = events["train"] + later
    splits = {name: events_as_arrays(found) for name, found in events.items()}
    start = splits["train"][0]["start"]
    start *= np.exp(SPREAD * random.standard_normal(start.shape)).astype("float32")
    return splits


def inputs_of(table: dict[str, np.ndarray]) -> Inputs:
    """Columns spacing, speed and lead_speed as the model sees them: float32 (1, time, 3).

    The relative speed is an input of its own: it is a small difference of large numbers, which
    8 bits of each would lose.
    """
    seen = dict(table, relative_speed=table["lead_speed"] - table["speed"])
    return stacked(seen, FEATURES)


def load_samples() -> Samples:
    """Recorded traffic: to calibrate on from training, to predict from test.

    There are no targets: what a driver does in closed loop is not what was recorded.
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
    task="keep the distance to the car in front that a human driver would keep",
    description=DESCRIPTION,
    build=build,
    dataset=data.DATASET,
    load_splits=load_splits,
    load_samples=load_samples,
    prepare=prepare,
    recipe=Recipe(
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
    drive=drive,
    columns=dict.fromkeys(COLUMNS, NUMBER),
    from_table=inputs_of,
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
        weights_sha256="c0a2966c83a0fff5c78de9709446af7a1ae6acc866a7b1929b40aa3651c9ee5f",
    ),
    _preset(
        name="car-following-micro",
        config=CarFollowingConfig(units=8),
        baselines={
            "lstm": CarFollowingConfig(cell="lstm", units=34),
            "gru": CarFollowingConfig(cell="gru", units=39),
        },
        export_recipes=("int8", "int16x8", "float32"),
        weights_sha256="a55163163831e38b9498f9de5c8f0b205a65ca13f7ba16862462b0ee7335444d",
        shipped_recipes=("int8", "int16x8"),
    ),
)
