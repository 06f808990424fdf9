"""Simulation of a car that follows a recorded leader, for training and evaluation.

    speed'   = max(0, speed + acceleration / 10)
    spacing' = spacing + (lead_speed - speed + lead_speed' - speed') / 20

with a time step of 0.1 s, lengths in metres and speeds in metres per second.
"""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from zoo.data.ngsim import HERTZ
from zoo.training.arrays import NamedInputs, Tensor
from zoo.training.prediction import predict

if TYPE_CHECKING:
    import keras

    from export import Stepper

SECONDS = 1 / HERTZ


def events_as_arrays(events: list[np.ndarray]) -> tuple[NamedInputs, np.ndarray]:
    """Stack events; shorter ones are padded.

    Returns:
        {"start": initial spacing and speed (events, 2), "lead_speed": (events, time)} and the
        recorded spacing at all later steps (events, time - 1), NaN after the end of an event.
    """
    longest = max(map(len, events))
    lead = np.stack([np.pad(e[:, 3], (0, longest - len(e)), mode="edge") for e in events])
    padded = [np.pad(e[:, 0], (0, longest - len(e)), constant_values=np.nan) for e in events]
    inputs = {
        "start": np.stack([event[0, :2] for event in events]).astype("float32"),
        "lead_speed": lead.astype("float32"),
    }
    return inputs, np.stack(padded)[:, 1:].astype("float32")


def simulation(driver: "keras.Model") -> "keras.Model":
    """A model from the inputs of `events_as_arrays` to the spacing at all later steps.

    It shares the weights of `driver`, so training the simulation trains the driver.
    """
    import keras

    from zoo.driving.follower_cell import FollowerCell

    start: Tensor = keras.Input((2,), name="start")
    lead: Tensor = keras.Input((None,), name="lead_speed")
    steps = keras.ops.stack([lead[:, :-1], lead[:, 1:]], axis=-1)
    cell = FollowerCell(driver)
    states = [start[:, :1], start[:, 1:], *cell.driver_states(start)]
    layer = keras.layers.RNN(cell, return_sequences=True)
    return keras.Model([start, lead], layer(steps, initial_state=states)[..., 0])


def simulate(driver: "keras.Model", inputs: NamedInputs) -> np.ndarray:
    """The spacing at all later steps (events, time - 1) with a Keras model as the driver."""
    return predict(simulation(driver), inputs)


def simulate_with_stepper(driver: "Stepper", inputs: NamedInputs) -> np.ndarray:
    """The result of `simulate` with an exported file, or another stepper, as the driver."""
    events = zip(inputs["start"], inputs["lead_speed"], strict=True)
    return np.stack([_simulate_event(driver, *event) for event in events])


def _simulate_event(driver: "Stepper", start: np.ndarray, lead_speed: np.ndarray) -> np.ndarray:
    driver.reset()
    spacing, speed = map(float, start)
    spacings = []
    for lead, next_lead in itertools.pairwise(map(float, lead_speed)):
        acceleration = float(driver(np.array([spacing, speed, lead - speed]))[0])
        next_speed = max(0.0, speed + SECONDS * acceleration)
        spacing += SECONDS / 2 * (lead - speed + next_lead - next_speed)
        speed = next_speed
        spacings.append(spacing)
    return np.array(spacings, "float32")
