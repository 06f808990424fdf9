"""FollowerCell: a car and the model that drives it, as one RNN cell."""

from typing import Any

import keras
from keras import ops

from zoo.driving.closed_loop import SECONDS
from zoo.training.arrays import Tensor


class FollowerCell(keras.layers.Layer):
    """The dynamics of `zoo.driving.closed_loop` as an RNN cell.

    Its inputs are the leader's speed at a step and at the next one. Its states are the spacing, the
    speed, and the states of the driver. Its output is the next spacing.

    Args:
        driver: Model from (batch, time, 3) to accelerations (batch, time, 1).
    """

    def __init__(self, driver: keras.Model, **kwargs: Any):
        from export import to_step

        super().__init__(**kwargs)
        self._step = to_step(driver)
        self.step_model = self._step.model
        sizes = [state.initial.shape[-1] for state in self._step.states]
        self.state_size, self.output_size = [1, 1, *sizes], 1

    def driver_states(self, batch: Tensor) -> list[Tensor]:
        """The initial states of the driver, with the batch size of the tensor `batch`."""
        zeros: Tensor = ops.zeros_like(batch[:, :1])
        return [zeros + ops.convert_to_tensor(s.initial) for s in self._step.states]

    def call(self, inputs: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Advance the car by one step."""
        spacing, speed, *driver_states = states
        lead, next_lead = inputs[:, :1], inputs[:, 1:]
        names = [state.name for state in self._step.states]
        traffic = ops.concatenate([spacing, speed, lead - speed], axis=-1)
        results: Tensor = self.step_model(
            {self._step.inputs[0]: traffic, **dict(zip(names, driver_states, strict=True))}
        )
        acceleration = results[self._step.outputs[0]]
        next_speed = ops.relu(speed + SECONDS * acceleration)
        spacing = spacing + SECONDS / 2 * (lead - speed + next_lead - next_speed)
        return spacing, [spacing, next_speed, *(results[f"next_{name}"] for name in names)]
