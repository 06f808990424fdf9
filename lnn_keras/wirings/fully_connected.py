"""FullyConnected: every input and every neuron connects to every neuron."""

import keras
import numpy as np

from lnn_keras.wirings.wiring import Connections, Wiring, polarities


@keras.saving.register_keras_serializable(package="lnn_keras")
class FullyConnected(Wiring):
    """All possible synapses, two thirds of them excitatory.

    Args:
        units: Number of neurons.
        outputs: Number of motor neurons; `units` by default.
        self_connections: Whether neurons have synapses to themselves.
        seed: Seed of the polarities.

    Raises:
        ValueError: `units` or `outputs` below 1, or more outputs than units.
    """

    def __init__(
        self,
        units: int,
        outputs: int | None = None,
        self_connections: bool = True,
        seed: int = 0,
    ):
        super().__init__(units, outputs)
        self.self_connections = self_connections
        self.seed = seed

    def connect(self, inputs: int) -> Connections:
        """All possible synapses of this number of inputs."""
        random = np.random.default_rng(self.seed)
        recurrent = polarities(random, (self.units, self.units))
        if not self.self_connections:
            np.fill_diagonal(recurrent, 0)
        return Connections(polarities(random, (inputs, self.units)), recurrent)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        own = {"self_connections": self.self_connections, "seed": self.seed}
        return {**super().get_config(), **own}
