"""Neural circuit policies: sensory -> inter -> command -> motor neurons."""

import keras
import numpy as np

from lnn_keras.argument_checks import require_at_least, require_fraction
from lnn_keras.wirings.wiring import Connections, Wiring, polarities


@keras.saving.register_keras_serializable(package="lnn_keras")
class NCP(Wiring):
    """Four layers with sparse feedforward synapses, and recurrent ones between command neurons.

    Neurons are numbered in the order motor, command, inter. Each source draws its targets at
    random. A neuron that no source drew, or a command neuron without a synapse to a motor
    neuron, then gets the average number of synapses of its layer.

    Args:
        inter: Number of inter neurons.
        command: Number of command neurons.
        motor: Number of motor neurons, the outputs.
        sensory_fanout: Synapses of each input to inter neurons.
        inter_fanout: Synapses of each inter neuron to command neurons.
        recurrent_synapses: Draws of a synapse between command neurons; draws may coincide.
        motor_fanin: Synapses from command neurons to each motor neuron.
        seed: Seed of positions and polarities.

    Raises:
        ValueError: A number below 1 (`recurrent_synapses`: below 0), or a fan-out or fan-in
            above the size of its layer.

    Reference: Lechner et al., Neural circuit policies enabling auditable autonomy,
    Nature Machine Intelligence, 2020.
    """

    def __init__(
        self,
        inter: int,
        command: int,
        motor: int,
        sensory_fanout: int,
        inter_fanout: int,
        recurrent_synapses: int,
        motor_fanin: int,
        seed: int = 0,
    ):
        self.inter = require_at_least(1, "inter", inter)
        self.command = require_at_least(1, "command", command)
        self.motor = require_at_least(1, "motor", motor)
        self.sensory_fanout = _within("sensory_fanout", sensory_fanout, inter, "inter")
        self.inter_fanout = _within("inter_fanout", inter_fanout, command, "command")
        self.motor_fanin = _within("motor_fanin", motor_fanin, command, "command")
        self.recurrent_synapses = require_at_least(0, "recurrent_synapses", recurrent_synapses)
        self.seed = seed
        super().__init__(inter + command + motor, motor)

    @property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        """Inter, command and motor neurons."""
        motor, command = self.motor, self.motor + self.command
        bounds = ((command, self.units), (motor, command), (0, motor))
        return tuple(tuple(range(*bound)) for bound in bounds)

    def connect(self, inputs: int) -> Connections:
        """The synapses of this number of inputs."""
        random = np.random.default_rng(self.seed)
        inter, command, motor = self.layers
        recurrent = np.zeros((self.units, self.units), "int8")
        recurrent[np.ix_(inter, command)] = _fan_out(
            random, len(inter), len(command), self.inter_fanout
        )
        # Each motor neuron draws its sources, so sources and targets are swapped.
        recurrent[np.ix_(command, motor)] = _fan_out(
            random, len(motor), len(command), self.motor_fanin
        ).T
        for _ in range(self.recurrent_synapses):
            source, target = random.choice(command, 2)
            recurrent[source, target] = polarities(random, (), 1 / 2)
        sensory = np.zeros((inputs, self.units), "int8")
        sensory[:, inter] = _fan_out(random, inputs, len(inter), self.sensory_fanout)
        return Connections(sensory, recurrent)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        names = (
            "inter",
            "command",
            "motor",
            "sensory_fanout",
            "inter_fanout",
            "recurrent_synapses",
            "motor_fanin",
            "seed",
        )
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable(package="lnn_keras")
class AutoNCP(NCP):
    """An NCP of a given size: 40 % of the neurons that are not motor are command neurons.

    Args:
        units: Number of neurons.
        outputs: Number of motor neurons, below units - 2.
        sparsity: Fraction of the possible synapses that do not exist, in [0, 1).
        seed: Seed of positions and polarities.

    Raises:
        ValueError: `units` below 4, `outputs` below 1 or too many for the units, or `sparsity`
            out of range.

    Example:

    ```python
    wiring = lnn_keras.wirings.AutoNCP(32, outputs=4)
    layer = lnn_keras.LiquidRNN(lnn_keras.LTCCell(wiring))
    ```

    Reference: Lechner et al., Neural circuit policies enabling auditable autonomy,
    Nature Machine Intelligence, 2020.
    """

    def __init__(self, units: int, outputs: int, sparsity: float = 0.5, seed: int = 0):
        units = require_at_least(4, "units", units)
        outputs = require_at_least(1, "outputs", outputs)
        if outputs >= units - 2:
            raise ValueError(
                f"`outputs` must be below units - 2 = {units - 2}; received {outputs}."
            )
        self.sparsity = require_fraction("sparsity", sparsity)
        density = 1 - self.sparsity
        command = max(int(0.4 * (units - outputs)), 1)
        inter = units - outputs - command
        super().__init__(
            inter=inter,
            command=command,
            motor=outputs,
            sensory_fanout=max(int(inter * density), 1),
            inter_fanout=max(int(command * density), 1),
            recurrent_synapses=max(int(2 * command * density), 1),
            motor_fanin=max(int(command * density), 1),
            seed=seed,
        )

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            "units": self.units,
            "outputs": self.outputs,
            "sparsity": self.sparsity,
            "seed": self.seed,
        }


def _fan_out(random: np.random.Generator, sources: int, targets: int, fanout: int) -> np.ndarray:
    """Signed matrix (sources, targets) with `fanout` synapses per row and no empty column."""
    matrix = np.zeros((sources, targets), "int8")
    for row in matrix:
        row[random.permutation(targets)[:fanout]] = polarities(random, fanout, 1 / 2)
    average = int(np.clip(sources * fanout // targets, 1, sources))
    for target in np.flatnonzero(~matrix.any(axis=0)):
        chosen = random.permutation(sources)[:average]
        matrix[chosen, target] = polarities(random, average, 1 / 2)
    return matrix


def _within(argument: str, value: int, size: int, layer: str) -> int:
    value = require_at_least(1, argument, value)
    if value > size:
        raise ValueError(f"`{argument}` must be at most `{layer}`, {size}; received {value}.")
    return value
