"""Laps that a model drives from pictures: the evaluation of lane keeping.

A lap is defined by the seed of its track and the standard deviation of the noise on its pictures.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from zoo.data.car_racing_env import PIXELS, Lap
from zoo.training.arrays import Inputs, NamedInputs

if TYPE_CHECKING:
    import keras

    from export import Stepper


class Driven(Protocol):
    """An object that takes the actions of a driver."""

    def act(self, action: np.ndarray) -> None:
        """Take the action for one step."""


class NoisyLap(Lap):
    """A lap with noisy pictures. The track and the noise level determine the noise."""

    def __init__(self, track: int, noise: float):
        super().__init__(track)
        self._noise = float(noise)
        self._random = np.random.default_rng([int(track), round(1000 * self._noise)])

    def see(self) -> np.ndarray:
        """The picture with noise: greys from 0 to 1, float32 (1024,)."""
        assert self.picture is not None
        return noisy(self.picture, self._noise, self._random)

    @property
    def result(self) -> tuple[float, float]:
        """The return, and the fraction of frames off the track."""
        return self.reward, self.off_track / self.frames


def noisy(pictures: np.ndarray, noise: float, random: np.random.Generator) -> np.ndarray:
    """Scale greys from 0-255 to 0-1 and add Gaussian noise; the result is clipped to [0, 1]."""
    deviation = noise * random.standard_normal(pictures.shape, "float32")
    return np.clip(pictures.astype("float32") / 255 + deviation, 0, 1)


def drive_all(driver: "keras.Model", inputs: Inputs) -> np.ndarray:
    """Drive all laps as one batch with a Keras model.

    Args:
        driver: Model from pictures (batch, time, 1024) to actions (batch, time, 2).
        inputs: "track" and "noise": (laps,).

    Returns:
        The return of each lap, and the fraction of its frames off the track: (laps, 2).

    Raises:
        ValueError: The inputs are not laps; only the test split holds laps.
    """
    if not isinstance(inputs, dict):
        raise ValueError("Only the tracks of the test split can be driven.")
    laps = [NoisyLap(*lap) for lap in zip(inputs["track"], inputs["noise"], strict=True)]
    drive_side_by_side(driver, laps, laps)
    return np.array([lap.result for lap in laps])


def drive_side_by_side(
    driver: "keras.Model", laps: Sequence[NoisyLap], actors: Sequence[Driven]
) -> None:
    """Step a model through all laps until all are over; the actions go to `actors`, one per lap."""
    from export import to_step
    from export.forms.names import NEXT

    step = to_step(driver)
    (input_name,), (output_name,) = step.inputs, step.outputs
    states = {s.name: np.repeat(s.initial, len(laps), axis=0) for s in step.states}
    pictures = np.zeros((len(laps), PIXELS), "float32")
    while not all(lap.over for lap in laps):
        for index, lap in enumerate(laps):
            if not lap.over:
                pictures[index] = lap.see()
        results: Any = step.model.predict_on_batch({input_name: pictures, **states})
        states = {name: results[NEXT + name] for name in states}
        for lap, actor, action in zip(laps, actors, results[output_name], strict=True):
            if not lap.over:
                actor.act(action)


def drive_with_stepper(driver: "Stepper", inputs: NamedInputs) -> np.ndarray:
    """Drive laps one after the other with an exported file, or another stepper.

    Laps with noise are skipped to save time; their results are NaN.

    Args:
        driver: Stepper from pictures (1024,) to actions (2,).
        inputs: "track" and "noise": (laps,).

    Returns:
        The return of each lap, and the fraction of its frames off the track: (laps, 2).
    """
    return np.array(
        [
            _drive_lap(driver, track) if noise == 0 else (np.nan, np.nan)
            for track, noise in zip(inputs["track"], inputs["noise"], strict=True)
        ]
    )


def _drive_lap(driver: "Stepper", track: int) -> tuple[float, float]:
    driver.reset()
    lap = NoisyLap(track, 0.0)
    while not lap.over:
        lap.act(driver(lap.see()))
    return lap.result
