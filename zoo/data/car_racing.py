"""CarRacing: a scripted driver's answers to what a disturbed car sees, on random tracks.

The car follows a brisk driver but for bursts in which its steering and pedal are disturbed, so that
the record holds what to do when the car has left the line, or is too fast. Recorded are the answers
of a calm driver, not what the car was told. MIT licence, by the authors of gymnasium.
"""

from dataclasses import asdict

import numpy as np
from joblib import Parallel, delayed

from zoo.data.car_racing_env import ACTIONS, HOLD, PIXELS, SIDE, Lap
from zoo.data.car_racing_expert import BRISK, CALM, ScriptedDriver
from zoo.data.simulated import Recorded, counted

# What the car saw, uint8 (steps, 1024), and what to do, float32 (steps, 2).
RecordedLap = tuple[np.ndarray, np.ndarray]

# Seeds of the tracks; nothing is recorded of those to test on, which are driven.
TRACKS = {"train": range(1000, 1180), "validation": range(500, 516), "test": range(50)}
RECORDED = ("train", "validation")
# Most steps of a recorded lap between two bursts, and within one; a burst's offsets, as standard
# deviations.
PAUSE, BURST = 60, 12
OFFSETS = (0.25, 0.2)
# A car that has been off the road for as many steps is given up.
GIVEN_UP = 60


def record() -> dict[str, np.ndarray]:
    """Drive all tracks but those to test on, on every core; takes many minutes.

    Returns:
        For each of `RECORDED`, what `arrays` gives.
    """
    found = {}
    for split in RECORDED:
        driven = Parallel(n_jobs=-1, return_as="generator")(
            delayed(record_lap)(seed) for seed in TRACKS[split]
        )
        progress = counted(driven, len(TRACKS[split]), f"Driving laps, {split}")
        found |= arrays(split, [half for halves in progress for half in halves])
    return found


def record_lap(seed: int) -> list[RecordedLap]:
    """One disturbed lap, twice.

    The car is told what to do twice as often as later, so that every second picture is what a
    driver may see, beginning with the first or with the second.
    """
    lap, random = Lap(seed, hold=HOLD // 2), np.random.default_rng(seed)
    brisk, calm = ScriptedDriver(lap, BRISK), ScriptedDriver(lap, CALM)
    disturb = disturbances(random)
    pictures, actions, off_track = [], [], 0
    while not lap.over and off_track < GIVEN_UP:
        pictures.append(lap.picture)
        actions.append(calm())
        before = lap.off_track
        lap.act(brisk() + next(disturb))
        off_track = off_track + 1 if lap.off_track > before else 0
    pictures, actions = np.stack(pictures), np.stack(actions).astype("float32")
    return [(pictures[start::2], actions[start::2]) for start in range(2)]


def disturbances(random: np.random.Generator):
    """What is added to one action after the other: bursts of an offset each, and pauses."""
    while True:
        for _ in range(random.integers(PAUSE)):
            yield np.zeros(len(ACTIONS))
        offset = random.standard_normal(len(ACTIONS)) * OFFSETS
        for _ in range(random.integers(1, BURST)):
            yield offset


DATASET = Recorded(
    name="car_racing",
    title="CarRacing laps of a scripted driver (gymnasium)",
    source="https://gymnasium.farama.org/environments/box2d/car_racing/",
    license="MIT",
    record=record,
    settings={
        "version": 8,
        "tracks": {name: [seeds.start, seeds.stop] for name, seeds in TRACKS.items()},
        "side": SIDE,
        "hold": HOLD,
        "disturbances": [PAUSE, BURST, *OFFSETS, GIVEN_UP],
        "drivers": [asdict(BRISK), asdict(CALM)],
    },
)


def laps(split: str, dataset: Recorded = DATASET) -> list[RecordedLap]:
    """The recorded laps of a split."""
    from lnn_keras.argument_checks import require_choice

    require_choice("split", split, RECORDED)
    (path,) = dataset.fetch().values()
    with np.load(path, allow_pickle=False) as found:
        ends = np.cumsum(found[f"{split}/lengths"])[:-1]
        pictures = np.split(found[f"{split}/pictures"], ends)
        actions = np.split(found[f"{split}/actions"], ends)
    return list(zip(pictures, actions, strict=True))


def arrays(split: str, laps: list[RecordedLap]) -> dict[str, np.ndarray]:
    """Laps of a split as a record keeps them, one after the other, with the steps of each."""
    pictures, actions = zip(*laps, strict=True)
    return {
        f"{split}/pictures": np.concatenate(pictures),
        f"{split}/actions": np.concatenate(actions),
        f"{split}/lengths": np.array([len(lap) for lap in actions]),
    }


def windows(laps: list[RecordedLap], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Laps cut into pieces, without what is left at their ends: (windows, length, ...) each."""
    pictures, actions = zip(*laps, strict=True)
    return _cut(pictures, length), _cut(actions, length)


def summary() -> dict[str, int]:
    """What the record holds, by count."""
    found = [lap for split in RECORDED for lap in laps(split)]
    pictures = np.concatenate([pictures for pictures, _ in found])
    return {
        "laps": len(found),
        "steps": len(pictures),
        "steps of another size than asked for": int(pictures.shape[1] != PIXELS) * len(pictures),
        "pictures that are all of one grey": int((np.ptp(pictures, axis=1) == 0).sum()),
    }


def _cut(arrays, length):
    pieces = [a[: len(a) // length * length].reshape(-1, length, *a.shape[1:]) for a in arrays]
    return np.concatenate(pieces)
