"""Practice: laps that a student drives, labelled with what the scripted driver would have done.

DAgger (Ross et al., 2011): a student comes where its own mistakes lead, and learns what to do then.
The scripted driver takes over from a car that is lost, until it is back on the road.
"""

from collections.abc import Callable

import keras
import numpy as np

from zoo.data import car_racing as data
from zoo.data.car_racing import RecordedLap
from zoo.data.car_racing_expert import ScriptedDriver
from zoo.data.simulated import counted
from zoo.driving.evaluation_laps import NoisyLap, drive_side_by_side

# Tracks of each round; the last ones of each are kept for validation.
ROUNDS = (range(2000, 2064), range(3000, 3064), range(4000, 4064), range(5000, 5064))
KEPT = 8
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
    def record(self) -> RecordedLap:
        """What the car saw, and what to do."""
        return np.stack(self._pictures), np.stack(self._actions).astype("float32")


def record(
    student: Callable[[], keras.Model],
    learn: Callable[[keras.Model, list[RecordedLap], list[RecordedLap], int], None],
    levels: tuple[float, ...],
) -> dict[str, np.ndarray]:
    """Let a student learn and drive in turn, which takes long.

    Args:
        student: Gives an untrained model.
        learn: Trains it on laps, with others to validate on, before a round of that number.
        levels: Standard deviations of the noise on what it sees.

    Returns:
        The laps of all rounds, for "train" and "validation", as `zoo.data.car_racing` keeps them.
    """
    known = {split: data.laps(split) for split in data.RECORDED}
    driven = {split: [] for split in data.RECORDED}
    model = student()
    rounds = counted(enumerate(ROUNDS), len(ROUNDS), "Practising")
    for number, tracks in rounds:
        learn(model, *(known[split] + driven[split] for split in data.RECORDED), number)
        found = practise(model, tracks, levels)
        driven["train"] += found[:-KEPT]
        driven["validation"] += found[-KEPT:]
    return data.arrays("train", driven["train"]) | data.arrays("validation", driven["validation"])


def practise(model: keras.Model, tracks: range, levels: tuple[float, ...]) -> list[RecordedLap]:
    """The records of laps that a student drives, at each level of noise in turn."""
    pupils = [Pupil(*lap) for lap in zip(tracks, np.resize(levels, len(tracks)), strict=True)]
    drive_side_by_side(model, [pupil.lap for pupil in pupils], pupils)
    return [pupil.record for pupil in pupils]
