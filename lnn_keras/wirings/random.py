"""Random: a random subset of all possible synapses."""

import keras
import numpy as np

from lnn_keras.argument_checks import require_fraction
from lnn_keras.wirings.wiring import Connections, Wiring, polarities


@keras.saving.register_keras_serializable(package="lnn_keras")
class Random(Wiring):
    """Synapses drawn uniformly from all possible ones, two thirds of them excitatory.

    Args:
        units: Number of neurons.
        outputs: Number of motor neurons; `units` by default.
        sparsity: Fraction of the possible synapses that do not exist, in [0, 1).
        seed: Seed of positions and polarities.

    Raises:
        ValueError: `units` or `outputs` below 1, more outputs than units, or `sparsity` out of
            range.
    """

    def __init__(
        self, units: int, outputs: int | None = None, sparsity: float = 0.5, seed: int = 0
    ):
        super().__init__(units, outputs)
        self.sparsity = require_fraction("sparsity", sparsity)
        self.seed = seed

    def connect(self, inputs: int) -> Connections:
        """The synapses of this number of inputs."""
        random = np.random.default_rng(self.seed)
        recurrent = self._draw(random, (self.units, self.units))
        return Connections(self._draw(random, (inputs, self.units)), recurrent)

    def _draw(self, random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        size = shape[0] * shape[1]
        count = round(size * (1 - self.sparsity))
        flat = np.zeros(size, "int8")
        flat[random.permutation(size)[:count]] = polarities(random, count)
        return flat.reshape(shape)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "sparsity": self.sparsity, "seed": self.seed}
