"""Random: a share of all possible synapses."""

import keras
import numpy as np

from lnn_keras.wirings.wiring import Connections, Wiring, polarities, require_share


@keras.saving.register_keras_serializable(package="lnn_keras")
class Random(Wiring):
    """Synapses at random, each as likely, two thirds of them excitatory.

    Args:
        units: Number of neurons.
        outputs: Number of motor neurons; all of them by default.
        sparsity: Share of the possible synapses that do not exist, in [0, 1).
        seed: Seed of places and polarities.

    Raises:
        ValueError: As `Wiring`, or `sparsity` out of range.
    """

    def __init__(
        self, units: int, outputs: int | None = None, sparsity: float = 0.5, seed: int = 0
    ):
        super().__init__(units, outputs)
        self.sparsity = require_share("sparsity", sparsity)
        self.seed = seed

    def connect(self, inputs: int) -> Connections:
        """The synapses, for so many inputs."""
        random = np.random.default_rng(self.seed)
        recurrent = self._matrix(random, (self.units, self.units))
        return Connections(self._matrix(random, (inputs, self.units)), recurrent)

    def _matrix(self, random, shape):
        size = shape[0] * shape[1]
        count = round(size * (1 - self.sparsity))
        flat = np.zeros(size, "int8")
        flat[random.permutation(size)[:count]] = polarities(random, count)
        return flat.reshape(shape)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "sparsity": self.sparsity, "seed": self.seed}
