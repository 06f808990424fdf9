"""Wiring: what all wirings share, and the connections that they give."""

from dataclasses import dataclass

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
        """Synapses of both kinds."""
        return int(np.count_nonzero(self.sensory) + np.count_nonzero(self.recurrent))


class Wiring:
    """Base of the wirings: `connect` is a pure function, so one wiring serves any number of layers.

    The first `outputs` neurons are the motor neurons, which a cell gives out.

    Args:
        units: Number of neurons.
        outputs: Number of motor neurons; all of them by default.

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
        """Groups of neurons in the order in which a signal passes them; the motor neurons last."""
        return (tuple(range(self.units)),)

    def connect(self, inputs: int) -> Connections:
        """The connections for so many inputs; equal arguments give equal connections."""
        raise TypeError(f"{type(self).__name__} must define `connect`.")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"units": self.units, "outputs": self.outputs}

    @classmethod
    def from_config(cls, config: dict) -> "Wiring":
        """Undo `get_config`."""
        return cls(**config)


def polarities(random: np.random.Generator, size, excitatory: float = 2 / 3) -> np.ndarray:
    """Random signs, int8: 1 with the given probability, else -1."""
    return np.where(random.random(size) < excitatory, 1, -1).astype("int8")


def require_share(argument: str, value: float) -> float:
    """Return a share of absent synapses.

    Raises:
        ValueError: It is not in [0, 1).
    """
    if not 0 <= value < 1:
        raise ValueError(f"`{argument}` must be in [0, 1); received {value!r}.")
    return float(value)
