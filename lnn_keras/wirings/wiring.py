"""Wiring: the base class of the wirings, and the connections that they return."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lnn_keras.argument_checks import require_at_least


@dataclass(frozen=True)
class Connections:
    """Signed adjacency matrices, from row to column: -1 inhibits, 1 excites, 0 is no synapse.

    Attributes:
        sensory: From inputs to neurons, int8 (inputs, units).
        recurrent: From neurons to neurons, int8 (units, units).
    """

    sensory: np.ndarray
    recurrent: np.ndarray

    @property
    def synapse_count(self) -> int:
        """Number of sensory and recurrent synapses."""
        return int(np.count_nonzero(self.sensory) + np.count_nonzero(self.recurrent))


class Wiring:
    """Base class of the wirings.

    `connect` is a pure function, so several layers can share one wiring. The first `outputs`
    neurons are the motor neurons, the outputs of a cell.

    Args:
        units: Number of neurons.
        outputs: Number of motor neurons; `units` by default.

    Raises:
        ValueError: `units` or `outputs` below 1, or more outputs than units.
    """

    def __init__(self, units: int, outputs: int | None = None):
        self.units = require_at_least(1, "units", units)
        self.outputs = self.units if outputs is None else require_at_least(1, "outputs", outputs)
        if self.outputs > self.units:
            raise ValueError(
                f"`outputs` must be at most `units`; received {self.outputs} outputs of "
                f"{self.units} units."
            )

    @property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        """Groups of neurons in the order in which a signal passes them; motor neurons last."""
        return (tuple(range(self.units)),)

    def connect(self, inputs: int) -> Connections:
        """The connections for a number of inputs; equal arguments give equal connections."""
        raise NotImplementedError(f"{type(self).__name__} must implement `connect`.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"units": self.units, "outputs": self.outputs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Wiring":
        """Create a wiring from the result of `get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = (f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({', '.join(arguments)})"


def polarities(
    random: np.random.Generator, size: int | tuple[int, ...], excitatory: float = 2 / 3
) -> np.ndarray:
    """Random signs, int8: 1 with the given probability, else -1."""
    return np.where(random.random(size) < excitatory, 1, -1).astype("int8")
