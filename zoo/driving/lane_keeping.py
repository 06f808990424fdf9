"""Lane keeping: drive a car around a track from small grey pictures of it."""

import tempfile
from dataclasses import asdict, dataclass, replace

import keras
import numpy as np

from lnn_keras import EachStep
from zoo.data import car_racing as data
from zoo.data.car_racing_env import PIXELS, SIDE
from zoo.data.simulated import Recorded
from zoo.driving import dagger
from zoo.driving.evaluation_laps import drive, drive_all, noisy, with_disturbed_sight
from zoo.preset import Bar, LazySplits, Preset, Samples, Splits
from zoo.recurrent_layer import recurrent, require_cell
from zoo.training.loop import Inputs, Recipe, train
from zoo.training.metrics import Metric

WINDOW = 48
NOISE = (0.0, 0.1, 0.2)
# Steering moves a car off the road; the pedal makes it slower or faster.
WEIGHTS = (4.0, 1.0)
# What a student does before it first practises.
LESSON = Recipe(
    epochs=24,
    batch_size=32,
    learning_rate=0.003,
    weight_decay=0.01,
    average=0.7,
    checkpoint_every=2,
)
# Epochs of a student between two rounds of practice.
LATER_EPOCHS = 10

DESCRIPTION = """
**Input and output.** 12.5 times a second a picture of the car and the road around it from above,
32 x 32 greys from 0 to 1 in rows; steering and a pedal, in [-1, 1]: gas where it is positive,
brake where it is negative.

**Data and protocol.** CarRacing-v3 of gymnasium, its frames of 96 x 96 pixels reduced to the mean
luminances of 3 x 3. Each action is held for four frames. Judged are laps that the model drives on
50 tracks that nothing was recorded of (seeds 0 to 49), of 1,000 frames at most: without noise, and
with Gaussian noise of standard deviation 0.1 and 0.2 on every grey, cut off at 0 and 1. A lap
returns 1,000 shared among the tiles of its track, less 0.1 a frame. Off the track are frames in
which no wheel touches the road. Files were driven on the tracks without noise.

Recorded were laps of a brisk scripted driver with bursts of disturbances, 180 and 16 to validate,
and four times 56 and 8 of a student of what was recorded before (DAgger), which the scripted driver
brings back to the road. Targets are what a calm scripted driver would do. Weights are chosen by
the error of the actions.

**The scripted driver** knows the track and where on it the car is: it follows a line of least
curvature at the speed that curves allow. On the 50 tracks it returns 915.4, and never leaves the
road (`python -m benchmarks.scripted_driver`).

**Model.** Two convolutions and a dense layer look at each picture; a closed-form liquid layer
remembers what they saw; steering and pedal are read from both. Noise of a random level, brightness
and contrast disturb the pictures in training. Nothing tells it what it did before.

**Tried.** A driver to learn from that takes curves faster (it returns 922.8), with gas and brake as
two outputs: after two rounds of practice 693 and 881 on the test tracks, for cars left the road
and spun. A `LiquidCell` of 64 units in the place of this layer: validation error 0.048, return
912 and 865.

**Intended use.** A reference for driving from pictures in closed loop.

**Limits.** A game with one car, flat roads and no traffic. A little slower than the scripted
driver. The record of the student's laps depends on rounding, so that each machine has its own: seed
0 learned from one, the other seeds from another. In some of its laps a car spins on the grass to
their end, where even the scripted driver cannot help; they blur the validation error. On a new
machine training records the laps first, and trains a student for them, which takes well over half
an hour. Not for the control of real vehicles.
"""


@dataclass(frozen=True)
class LaneKeepingConfig:
    """Sizes of a lane-keeping model.

    Attributes:
        cell: "liquid", "cfc", "lstm" or "gru".
        units: Neurons of the recurrent layer.
        backbone_units: Width of the backbone of a "cfc" cell.
        filters: Filters of the first and of the second convolution.
        width: Features of a picture that the recurrent layer sees.
    """

    cell: str = "cfc"
    units: int = 32
    backbone_units: int = 32
    filters: tuple[int, int] = (16, 32)
    width: int = 48

    def __post_init__(self):
        require_cell(self.cell)


STUDENT = LaneKeepingConfig(cell="liquid", units=64)


def build(config: LaneKeepingConfig) -> keras.Model:
    """Return an untrained model from pictures (batch, time, 1024) to actions (batch, time, 2)."""
    first, second = config.filters
    layers = [
        keras.layers.Reshape((SIDE, SIDE, 1)),
        keras.layers.Conv2D(first, 6, strides=4, padding="same", activation="relu"),
        keras.layers.Conv2D(second, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(config.width, activation="tanh"),
    ]
    pictures = keras.Input((None, PIXELS), name="pictures")
    x = keras.layers.Rescaling(4.0, offset=-2.0, name="normalize")(pictures)
    x = EachStep(keras.Sequential(layers, name="eye"), name="see")(x)
    state = recurrent(x, config.cell, config.units, backbone_units=config.backbone_units)
    x = keras.layers.Concatenate()([state, x])
    actions = keras.layers.Dense(2, activation="tanh", name="actions")(x)
    return keras.Model(pictures, actions, name="lane_keeping")


def prepare(model: keras.Model, inputs: Inputs) -> None:
    """Nothing: the scale of the greys is known."""


@keras.saving.register_keras_serializable(package="zoo")
def action_loss(targets, predictions):
    """Weighted squared error of the actions: (windows, time)."""
    return keras.ops.mean(keras.ops.array(WEIGHTS) * (targets - predictions) ** 2, axis=-1)


def action_error(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The same, as one number."""
    return float(np.mean(WEIGHTS * (targets - predictions) ** 2))


def student() -> keras.Model:
    """Who drives the laps to practise on, untrained."""
    keras.utils.set_random_seed(0)
    return build(STUDENT)


def learn(model: keras.Model, training: list, validation: list, number: int) -> None:
    """Train a student before it practises; later rounds go on from where it is."""
    recipe = LESSON if number == 0 else replace(LESSON, epochs=LATER_EPOCHS)
    with tempfile.TemporaryDirectory() as folder:
        train(
            with_disturbed_sight(model),
            data.windows(training, WINDOW),
            with_noise(*data.windows(validation, WINDOW)),
            recipe,
            number,
            folder,
            loss=action_loss,
            validation_loss=action_error,
        )


PRACTICE = Recorded(
    name="lane_keeping_practice",
    title="CarRacing laps of a student of lane keeping (gymnasium)",
    source=data.DATASET.source,
    license=data.DATASET.license,
    record=lambda: dagger.record(student, learn, NOISE),
    settings={
        "version": 1,
        "scripted": data.DATASET.digest,
        "rounds": [[tracks.start, tracks.stop] for tracks in dagger.ROUNDS],
        "rules": [dagger.KEPT, dagger.LOST, dagger.FOUND, *NOISE],
        "student": asdict(STUDENT),
        "recipe": [asdict(LESSON), LATER_EPOCHS],
    },
)


def laps(split: str) -> list[data.RecordedLap]:
    """All recorded laps of a split: those of the scripted driver, and those of the student."""
    return data.laps(split) + data.laps(split, PRACTICE)


def load_splits(seed: int) -> Splits:
    """Windows of recorded laps, and tracks to test on, at each level of noise.

    What a lap on a track is judged by is its noise, so that takes the place of targets.
    """
    tracks = {
        "track": np.tile(data.TRACKS["test"], len(NOISE)),
        "noise": np.repeat(NOISE, len(data.TRACKS["test"])),
    }
    # To drive the tracks, no record is needed, which takes far longer to make.
    return LazySplits(
        train=lambda: data.windows(laps("train"), WINDOW),
        validation=lambda: with_noise(*data.windows(laps("validation"), WINDOW)),
        test=lambda: (tracks, tracks["noise"]),
    )


def with_noise(pictures: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The windows, a third of them at each level of noise."""
    random, pictures = np.random.default_rng(0), pictures.copy()
    for number, noise in enumerate(NOISE):
        seen = noisy(pictures[number :: len(NOISE)], noise, random)
        pictures[number :: len(NOISE)] = (255 * seen).round().astype("uint8")
    return pictures, actions


def load_samples() -> Samples:
    """Pictures of recorded laps at each level of noise: both of tracks that nothing is tested on.

    There are no targets: what is judged is a lap that the model drives.
    """
    random = np.random.default_rng(0)
    train, _ = data.windows(data.laps("train"), WINDOW)
    validation, _ = data.laps("validation")[0]
    # Noise does not compress: one window of it tells how far it leads.
    levels = [0.0, 0.0, 0.0, 0.0, 0.0, NOISE[-1]]
    calibration = [noisy(train[150 * i], noise, random) for i, noise in enumerate(levels)]
    return {
        "calibration": np.stack(calibration).astype("float16"),
        "inputs": (validation.astype("float32") / 255).astype("float16"),
    }


def _metrics():
    def mean(column, noise):
        return lambda noises, laps: laps[noises == noise, column].mean()

    return (
        Metric("return", mean(0, 0.0), higher_is_better=True),
        *(Metric(f"return, noise {n:g}", mean(0, n), higher_is_better=True) for n in NOISE[1:]),
        Metric("off track", mean(1, 0.0)),
        *(Metric(f"off track, noise {n:g}", mean(1, n)) for n in NOISE[1:]),
    )


PRESETS = (
    Preset(
        name="lane-keeping",
        domain="driving",
        task="drive a car around a track from small grey pictures",
        description=DESCRIPTION,
        build=build,
        config=LaneKeepingConfig(),
        baselines={
            "lstm": LaneKeepingConfig(cell="lstm", units=24),
            "gru": LaneKeepingConfig(cell="gru", units=28),
        },
        dataset=data.DATASET,
        load_splits=load_splits,
        load_samples=load_samples,
        prepare=prepare,
        recipe=replace(LESSON, epochs=36),
        metrics=_metrics(),
        bars=(
            Bar(900, "counts as solved: gymnasium's reward threshold of CarRacing-v3"),
            Bar(915.4, "the scripted driver that it learned from, measured on these tracks"),
        ),
        license="Apache-2.0",
        weights_sha256="dc542930e7fb31d9092f488620bc7755415538cd418b5bc1564a6b4802770774",
        loss=action_loss,
        validation_loss=action_error,
        for_training=with_disturbed_sight,
        predict=drive_all,
        drive=drive,
        target="phone",
        export_recipes=("float32", "dynamic"),
    ),
)
