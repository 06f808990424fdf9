"""CarRacing: pictures of laps on random tracks, labelled with the actions of a scripted driver.

A fast scripted driver drives the car. Its steering and pedal are disturbed in bursts, so that the
data contain states off the racing line and at excessive speed. The labels are the actions of a
careful scripted driver, not the actions that the car took. gymnasium has the MIT licence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from zoo.argument_checks import require_choice
from zoo.data.car_racing_env import ACTIONS, HOLD, PIXELS, SIDE, Lap
from zoo.data.car_racing_expert import BRISK, CALM, ScriptedDriver
from zoo.data.simulated import Recorded, with_progress_bar
from zoo.extras import extra
from zoo.readers import arrays as array_files

# Pictures, uint8 (steps, 1024), and the actions of the careful driver, float32 (steps, 2).
RecordedLap = tuple[np.ndarray, np.ndarray]

# Seeds of the tracks. The test tracks are not recorded: models drive them.
TRACKS = {"train": range(1000, 1180), "validation": range(500, 516), "test": range(50)}
RECORDED = ("train", "validation")
# Maximum steps between two bursts and of a burst, and standard deviations of its offsets.
PAUSE, BURST = 60, 12
OFFSETS = (0.25, 0.2)
# A lap ends if the car is off the road for this many consecutive steps.
GIVEN_UP = 60


def record_laps() -> dict[str, np.ndarray]:
    """Drive the training and validation tracks on all cores; this takes many minutes.

    Returns:
        The result of `arrays` for each of `RECORDED`.
    """
    with extra("zoo"):
        from joblib import Parallel, delayed

    recorded: dict[str, np.ndarray] = {}
    for split in RECORDED:
        driven: Any = Parallel(n_jobs=-1, return_as="generator")(
            delayed(record_lap)(seed) for seed in TRACKS[split]
        )
        pairs = with_progress_bar(driven, len(TRACKS[split]), f"Driving laps, {split}")
        recorded |= arrays(split, [lap for pair in pairs for lap in pair])
    return recorded


def record_lap(seed: int) -> list[RecordedLap]:
    """Drive a disturbed lap and return it as two recorded laps.

    The actions change twice as often as for a model, so the even and the odd steps are separate
    recordings at the model's rate.
    """
    lap, random = Lap(seed, hold=HOLD // 2), np.random.default_rng(seed)
    fast, careful = ScriptedDriver(lap, BRISK), ScriptedDriver(lap, CALM)
    offsets = disturbances(random)
    pictures, actions, off_track = [], [], 0
    while not lap.over and off_track < GIVEN_UP:
        pictures.append(lap.picture)
        actions.append(careful())
        before = lap.off_track
        lap.act(fast() + next(offsets))
        off_track = off_track + 1 if lap.off_track > before else 0
    pictures, actions = np.stack(pictures), np.stack(actions).astype("float32")
    return [(pictures[start::2], actions[start::2]) for start in range(2)]


def disturbances(random: np.random.Generator) -> Iterator[np.ndarray]:
    """Offsets of consecutive actions: bursts with a constant offset, separated by pauses."""
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
    record=record_laps,
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
    require_choice("split", split, RECORDED)
    (path,) = dataset.fetch().values()
    recorded = array_files.read_named(path)
    ends = np.cumsum(recorded[f"{split}/lengths"])[:-1]
    pictures = np.split(recorded[f"{split}/pictures"], ends)
    actions = np.split(recorded[f"{split}/actions"], ends)
    return list(zip(pictures, actions, strict=True))


def arrays(split: str, laps: list[RecordedLap]) -> dict[str, np.ndarray]:
    """The arrays that store the laps of a split: concatenated laps, and their lengths."""
    pictures, actions = zip(*laps, strict=True)
    return {
        f"{split}/pictures": np.concatenate(pictures),
        f"{split}/actions": np.concatenate(actions),
        f"{split}/lengths": np.array([len(lap) for lap in actions]),
    }


def windows(laps: list[RecordedLap], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut laps into windows (windows, length, ...); the rest at the end of a lap is dropped."""
    pictures, actions = zip(*laps, strict=True)
    return _cut(pictures, length), _cut(actions, length)


def summary() -> dict[str, int]:
    """Counts of laps, steps and invalid pictures."""
    recorded = [lap for split in RECORDED for lap in laps(split)]
    pictures = np.concatenate([pictures for pictures, _ in recorded])
    return {
        "laps": len(recorded),
        "steps": len(pictures),
        "pictures of a wrong size": int(pictures.shape[1] != PIXELS) * len(pictures),
        "pictures of a single grey": int((np.ptp(pictures, axis=1) == 0).sum()),
    }


def _cut(arrays: Sequence[np.ndarray], length: int) -> np.ndarray:
    windows = [a[: len(a) // length * length].reshape(-1, length, *a.shape[1:]) for a in arrays]
    return np.concatenate(windows)
