"""Car-following: keep the distance to the car in front that a human driver would keep."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from zoo.data import ngsim as data
from zoo.data.tables import NUMBER, stacked
from zoo.driving.closed_loop import drive, events_as_arrays, simulate, simulation
from zoo.metrics import Metric
from zoo.preset import Bar, Preset, Samples, Splits
from zoo.recurrent import recurrent, require_cell
from zoo.training import Inputs, Recipe

FEATURES = ("spacing", "speed", "lead_speed")
# Of the training events: spacing in m, speeds in m/s.
MEAN, DEVIATION = (14.0, 8.6, 8.6), (7.2, 2.7, 2.7)
STARTS = 4
SHORTEST = 120

DESCRIPTION = """
**Input and output.** Ten times a second the spacing to the car in front (m), one's own speed and
the speed of the car in front (m/s); the acceleration to take (m/s²).

**Data and protocol.** 403 events recorded on a highway (NGSIM), 15 to 50 s long: 15 % test, 15 %
validation. The model drives in closed loop: from the event's first spacing and speed, behind the
recorded car in front, and nothing else of the recording. The error is that of the spacing against
the human driver's, over all steps. A collision is an event whose spacing falls to 0.

**Model.** A liquid layer, a small dense layer and a linear path beside them, trained through the
simulation itself, from the events' beginnings and from moments within them.

**Intended use.** Traffic simulation; a reference for models trained in closed loop.

**Limits.** Highway traffic at 1 to 25 m/s behind one car, no lane changes. Human drivers differ,
and nothing tells the model who drives. Not for the control of real vehicles.
"""


@dataclass(frozen=True)
class CarFollowingConfig:
    """Sizes of a car-following model.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Neurons of the recurrent layer.
        width: Units of the dense layer behind it.
    """

    cell: str = "liquid"
    units: int = 32
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
    """Events; each one to train on also from moments within it."""
    events = data.splits()
    random = np.random.default_rng(seed)
    later = [
        event[random.integers(1, max(2, len(event) - SHORTEST)) :]
        for _ in range(STARTS - 1)
        for event in events["train"]
    ]
    events["train"] = events["train"] + later
    return {name: events_as_arrays(found) for name, found in events.items()}


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


def _preset(name, config, baselines, recipes):
    return Preset(
        name=name,
        domain="driving",
        task="keep the distance to the car in front that a human driver would keep",
        description=DESCRIPTION,
        build=build,
        config=config,
        baselines=baselines,
        dataset=data.DATASET,
        load_splits=load_splits,
        load_samples=load_samples,
        prepare=prepare,
        recipe=Recipe(
            epochs=20,
            batch_size=32,
            learning_rate=0.01,
            weight_decay=0.5,
            average=0.6,
            checkpoint_every=1,
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
        weights_sha256="7f1618d2b13589777a6791c9b2bd32ceb3690d70232d8e827db4832a64e3984a",
        loss=spacing_loss,
        for_training=simulation,
        predict=simulate,
        drive=drive,
        export_recipes=recipes,
        columns=dict.fromkeys(FEATURES, NUMBER),
        from_table=lambda table: stacked(table, FEATURES),
    )


PRESETS = (
    _preset(
        "car-following",
        CarFollowingConfig(),
        {
            "lstm": CarFollowingConfig(cell="lstm", units=17),
            "gru": CarFollowingConfig(cell="gru", units=20),
        },
        ("float32", "int16x8"),
    ),
)
