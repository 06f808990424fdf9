"""DAgger: laps that a student drives, labelled with the actions of the scripted driver.

The student reaches states that only its own mistakes lead to, and learns the right action there
(Ross et al., A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
Learning, 2011). If the car is off the road for long, the scripted driver takes over until it is
back.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from zoo.data import car_racing as data
from zoo.data.car_racing import RecordedLap
from zoo.data.car_racing_expert import ScriptedDriver
from zoo.data.simulated import with_progress_bar
from zoo.driving.evaluation_laps import NoisyLap, drive_side_by_side

if TYPE_CHECKING:
    import keras

# Tracks of each round. The last VALIDATION_LAPS of each round are kept for validation.
ROUNDS = (range(2000, 2064), range(3000, 3064), range(4000, 4064), range(5000, 5064))
VALIDATION_LAPS = 8
# Steps off the road until the scripted driver takes over, and on the road until it hands back.
LOST, FOUND = 10, 10


class Pupil:
    """A lap that a student drives, with its labels.

    Attributes:
        lap: The lap.
        rescued: Whether the scripted driver has taken over.
    """

    def __init__(self, track: int, noise: float):
        self.lap = NoisyLap(track, noise)
        self._pictures: list[np.ndarray] = []
        self._actions: list[np.ndarray] = []
        self._driver = ScriptedDriver(self.lap)
        self.rescued, self._count = False, 0

    def act(self, action: np.ndarray) -> None:
        """Label the picture, and take the action of the student or of the scripted driver."""
        assert self.lap.picture is not None
        self._pictures.append(self.lap.picture)
        self._actions.append(self._driver())
        before = self.lap.off_track
        self.lap.act(self._actions[-1] if self.rescued else action)
        changes = (self.lap.off_track == before) == self.rescued
        self._count = self._count + 1 if changes else 0
        if self._count >= (FOUND if self.rescued else LOST):
            self.rescued, self._count = not self.rescued, 0

    @property
    def recorded_lap(self) -> RecordedLap:
        """The pictures and the actions of the scripted driver."""
        return np.stack(self._pictures), np.stack(self._actions).astype("float32")


def record_rounds(
    student: "Callable[[], keras.Model]",
    learn: "Callable[[keras.Model, list[RecordedLap], list[RecordedLap], int], None]",
    levels: tuple[float, ...],
) -> dict[str, np.ndarray]:
    """Let a student learn and drive in turn; this takes long.

    Args:
        student: Function that returns an untrained model.
        learn: Function that trains the model on laps, with other laps for validation, before the
            round with the given index.
        levels: Standard deviations of the noise on the pictures.

    Returns:
        The laps of all rounds for "train" and "validation", as `zoo.data.car_racing` stores them.
    """
    known = {split: data.laps(split) for split in data.RECORDED}
    driven: dict[str, list[RecordedLap]] = {split: [] for split in data.RECORDED}
    model = student()
    for index, tracks in with_progress_bar(enumerate(ROUNDS), len(ROUNDS), "DAgger rounds"):
        learn(
            model,
            known["train"] + driven["train"],
            known["validation"] + driven["validation"],
            index,
        )
        laps = practise(model, tracks, levels)
        driven["train"] += laps[:-VALIDATION_LAPS]
        driven["validation"] += laps[-VALIDATION_LAPS:]
    return data.arrays("train", driven["train"]) | data.arrays("validation", driven["validation"])


def practise(model: "keras.Model", tracks: range, levels: tuple[float, ...]) -> list[RecordedLap]:
    """Labelled laps that a student drives, one per track; the noise levels alternate."""
    pupils = [Pupil(*lap) for lap in zip(tracks, np.resize(levels, len(tracks)), strict=True)]
    drive_side_by_side(model, [pupil.lap for pupil in pupils], pupils)
    return [pupil.recorded_lap for pupil in pupils]
