"""A follower that drives behind a recorded leader: the simulation in which it learns and is judged.

    speed'   = max(0, speed + acceleration / 10)
    spacing' = spacing + (lead_speed - speed + lead_speed' - speed') / 20

with a step of a tenth of a second, lengths in metres and speeds in metres per second.
"""

import itertools

import keras
import numpy as np
from keras import ops

from export import Stepper, to_step
from zoo.data.ngsim import HERTZ
from zoo.training.loop import predict

SECONDS = 1 / HERTZ


def events_as_arrays(events: list[np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Events side by side, the shorter ones padded.

    Returns:
        {"start": (events, 2), spacing and speed at first; "lead_speed": (events, time)} and the
        recorded spacing of every later step (events, time - 1), NaN where there is none.
    """
    longest = max(map(len, events))
    lead = np.stack([np.pad(e[:, 3], (0, longest - len(e)), mode="edge") for e in events])
    padded = [np.pad(e[:, 0], (0, longest - len(e)), constant_values=np.nan) for e in events]
    inputs = {
        "start": np.stack([event[0, :2] for event in events]).astype("float32"),
        "lead_speed": lead.astype("float32"),
    }
    return inputs, np.stack(padded)[:, 1:].astype("float32")


def simulation(driver: keras.Model) -> keras.Model:
    """A model from `events_as_arrays` to the spacing of every later step, driven by `driver`.

    It shares the weights of `driver`, so training the one trains the other.
    """
    start, lead = keras.Input((2,), name="start"), keras.Input((None,), name="lead_speed")
    before_and_after = ops.stack([lead[:, :-1], lead[:, 1:]], axis=-1)
    cell = _FollowerCell(driver)
    states = [start[:, :1], start[:, 1:], *cell.driver_states(start)]
    layer = keras.layers.RNN(cell, return_sequences=True)
    return keras.Model([start, lead], layer(before_and_after, initial_state=states)[..., 0])


def simulate(driver: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The spacing of every later step (events, time - 1), driven by `driver`."""
    return predict(simulation(driver), inputs)


def drive(driver: Stepper, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """What `simulate` gives, of a driver that answers one step after another."""
    return np.stack(
        [
            _drive(driver, *event)
            for event in zip(inputs["start"], inputs["lead_speed"], strict=True)
        ]
    )


def _drive(driver, start, lead_speed):
    driver.reset()
    spacing, speed = map(float, start)
    spacings = []
    for lead, following in itertools.pairwise(map(float, lead_speed)):
        acceleration = float(driver(np.array([spacing, speed, lead - speed]))[0])
        next_speed = max(0.0, speed + SECONDS * acceleration)
        spacing += SECONDS / 2 * (lead - speed + following - next_speed)
        speed = next_speed
        spacings.append(spacing)
    return np.array(spacings, "float32")


class _FollowerCell(keras.layers.Layer):
    """The car and its driver as an RNN cell: states are spacing, speed and those of the driver."""

    def __init__(self, driver, **kwargs):
        super().__init__(**kwargs)
        self._step = to_step(driver)
        self.step_model = self._step.model
        sizes = [state.initial.shape[-1] for state in self._step.states]
        self.state_size, self.output_size = [1, 1, *sizes], 1

    def driver_states(self, like):
        """The driver's states at first, for a batch as large as that of `like`."""
        zeros = ops.zeros_like(like[:, :1])
        return [zeros + ops.convert_to_tensor(s.initial) for s in self._step.states]

    def call(self, inputs, states):
        spacing, speed, *driver = states
        lead, following = inputs[:, :1], inputs[:, 1:]
        names = [state.name for state in self._step.states]
        seen = ops.concatenate([spacing, speed, lead - speed], axis=-1)
        given = {self._step.inputs[0]: seen, **dict(zip(names, driver, strict=True))}
        result = self.step_model(given)
        acceleration = result[self._step.outputs[0]]
        next_speed = ops.relu(speed + SECONDS * acceleration)
        spacing = spacing + SECONDS / 2 * (lead - speed + following - next_speed)
        return spacing, [spacing, next_speed, *(result[f"next_{name}"] for name in names)]
