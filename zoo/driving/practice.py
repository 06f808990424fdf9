"""Practice: laps that a student drives, labelled with what the scripted driver would have done.

DAgger (Ross et al., 2011): a student comes where its own mistakes lead, and learns what to do then.
The scripted driver takes over from a car that is lost, until it is back on the road.
"""

import tempfile
from dataclasses import replace

import keras
import numpy as np

from zoo.data import car_racing as data
from zoo.data.racing_driver import ScriptedDriver
from zoo.driving.lane_keeping import NOISE, PRESETS, WINDOW, LaneKeepingConfig, with_noise
from zoo.driving.laps import NoisyLap, drive_side_by_side
from zoo.training import train

SEED = 0
# The students, one after the other, and the epochs of their training.
STUDENTS = ((LaneKeepingConfig(units=32), 25), (LaneKeepingConfig(), 24))

# Steps off the road after which the scripted driver takes over, and on it until it hands back.
LOST, FOUND = 10, 10


class Pupil:
    """A lap that a student drives, and its record.

    Attributes:
        lap: The lap.
        rescued: Whether the scripted driver has taken over.
    """

    def __init__(self, track: int, noise: float):
        self.lap = NoisyLap(track, noise)
        self._pictures, self._actions = [], []
        self._driver = ScriptedDriver(self.lap)
        self.rescued, self._count = False, 0

    def act(self, action: np.ndarray) -> None:
        """Do what the student says, or the scripted driver in its place; record the latter."""
        self._pictures.append(self.lap.picture)
        self._actions.append(self._driver())
        before = self.lap.off_track
        self.lap.act(self._actions[-1] if self.rescued else action)
        changes = (self.lap.off_track == before) == self.rescued
        self._count = self._count + 1 if changes else 0
        if self._count >= (FOUND if self.rescued else LOST):
            self.rescued, self._count = not self.rescued, 0

    @property
    def record(self) -> tuple[np.ndarray, np.ndarray]:
        """What the car saw, uint8 (steps, 1024), and what to do, (steps, 3)."""
        return np.stack(self._pictures), np.stack(self._actions).astype("float32")


def practise(student: keras.Model, tracks: range) -> list[tuple[np.ndarray, np.ndarray]]:
    """The records of laps that a student drives, at each level of noise in turn."""
    pupils = [Pupil(*lap) for lap in zip(tracks, np.resize(NOISE, len(tracks)), strict=True)]
    drive_side_by_side(student, [pupil.lap for pupil in pupils], pupils)
    return [pupil.record for pupil in pupils]


def trained_student(number: int, training: list, validation: list) -> keras.Model:
    """One of the students, trained on the laps recorded so far."""
    config, epochs = STUDENTS[number]
    (preset,) = PRESETS
    keras.utils.set_random_seed(SEED)
    student = preset.build(config)
    with tempfile.TemporaryDirectory() as folder:
        train(
            preset.for_training(student),
            data.windows(training, WINDOW),
            with_noise(*data.windows(validation, WINDOW)),
            replace(preset.recipe, epochs=epochs),
            SEED,
            folder,
            loss=preset.loss,
            validation_loss=preset.validation_loss,
        )
    return student
