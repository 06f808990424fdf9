"""LTCCell: liquid time-constant neurons with conductance-based synapses on a wiring."""

import keras
from keras import ops

from lnn_keras.cells.continuous_time import first_state
from lnn_keras.cells.ode import ODECell
from lnn_keras.cells.synapses import Synapses
from lnn_keras.solvers import solve
from lnn_keras.wirings import FullyConnected, Wiring

# Least and greatest initial value of what is drawn uniformly.
INITIAL_RANGES = {"leak": (0.001, 1.0), "leak_reversal": (-0.2, 0.2), "capacitance": (0.4, 0.6)}


@keras.saving.register_keras_serializable(package="lnn_keras")
class LTCCell(ODECell):
    """Liquid time-constant neurons, joined by the synapses of a wiring and no others.

        C dv_i/dt = g_i (e_i - v_i) + sum over synapses j -> i of w_j s_j (E_j - v_i),
        s_j = sigmoid(sigma_j (u_j - mu_j)),

    where u_j is the potential of the neuron, or the input, that synapse j comes from;
    w, g >= 0 and C > 0. Inputs pass a scale and a bias each, and so do the motor
    neurons, which are the output. With `solver="semi_implicit"` a step is

        v <- (C v + delta (g e + sum w s E)) / (C + delta (g + sum w s)).

    Args:
        wiring: A `lnn_keras.wirings.Wiring`, or a number of fully connected neurons.
        unfolds: Solver steps per call.
        elapsed: As `ContinuousTimeCell`.
        solver: As `ODECell`.

    Raises:
        ValueError: As `ODECell`, or `wiring` is neither.

    Example:

    ```python
    wiring = lnn_keras.wirings.AutoNCP(32, outputs=4)
    layer = lnn_keras.LiquidRNN(lnn_keras.LTCCell(wiring))
    ```

    References: Hasani et al., Liquid Time-constant Networks, AAAI 2021; Lechner et al.,
    Neural circuit policies enabling auditable autonomy, 2020, eq. 1-3.
    """

    def __init__(self, wiring: Wiring | int, unfolds: int = 6, **kwargs):
        if not hasattr(wiring, "connect"):
            if isinstance(wiring, bool) or not isinstance(wiring, int):
                raise ValueError(
                    "`wiring` must be a Wiring or a number of neurons; "
                    f"received {type(wiring).__name__}."
                )
            wiring = FullyConnected(wiring)
        super().__init__(wiring.units, unfolds, output_size=wiring.outputs, **kwargs)
        self.wiring = wiring

    def build(self, input_shape):
        features, units, outputs = self.features_of(input_shape), self.units, self.output_size
        connections = self.wiring.connect(features)
        self.input_scale = self.add_weight(
            name="input_scale", shape=(features,), initializer="ones"
        )
        self.input_bias = self.add_weight(name="input_bias", shape=(features,), initializer="zeros")
        self.output_scale = self.add_weight(
            name="output_scale", shape=(outputs,), initializer="ones"
        )
        self.output_bias = self.add_weight(
            name="output_bias", shape=(outputs,), initializer="zeros"
        )
        self.leak = self.add_weight(
            name="leak", shape=(units,), initializer=_uniform("leak"), constraint="non_neg"
        )
        self.leak_reversal = self.add_weight(
            name="leak_reversal", shape=(units,), initializer=_uniform("leak_reversal")
        )
        self.log_capacitance = self.add_weight(
            name="log_capacitance", shape=(units,), initializer=_log_capacitance
        )
        self.sensory = Synapses(self, "sensory_", connections.sensory)
        self.recurrent = Synapses(self, "", connections.recurrent)
        self.built = True

    def project(self, inputs):
        """Currents of the leaks and the sensory synapses: (..., features) -> (..., 2 units)."""
        inputs = inputs * self.input_scale + self.input_bias
        if len(inputs.shape) > 2:
            drive, decay = self._sensory_currents(inputs)
        else:
            drive, decay = self.sensory.currents(inputs)
        drive = drive + self.leak * self.leak_reversal
        return ops.concatenate([drive, decay + self.leak], axis=-1)

    def _sensory_currents(self, inputs):
        """Those of whole sequences, whose steps are columns."""
        columns = ops.transpose(ops.reshape(inputs, (-1, inputs.shape[-1])))
        constants = self.sensory.constants(ops.ones((self.units,), inputs.dtype))
        shape = (*ops.shape(inputs)[:-1], self.units)
        return (
            ops.reshape(ops.transpose(found), shape)
            for found in self.sensory.scaled_currents(columns, *constants)
        )

    def increments(self, projected, h, delta):
        drive, decay = self.recurrent.currents(h)
        rate = delta * ops.exp(-self.log_capacitance)
        drive = drive + projected[..., : self.units]
        return rate * drive, rate * (decay + projected[..., self.units :])

    def constants(self, elapsed=None):
        """1 / C and what the recurrent synapses need; none for solvers of adaptive steps."""
        if self.adjoint or self.solver == "dopri5":
            return []
        rate = ops.exp(-self.log_capacitance)
        return [ops.expand_dims(rate, -1), *self.recurrent.constants(rate)]

    def advance(self, projected, states, elapsed, constants=None):
        return super().advance(projected, states, elapsed, constants=[])

    def advance_batch_last(self, projected, states, elapsed, constants, training=False):
        """`advance` of tensors whose last axis is the batch."""
        rate, *synapses = constants
        given_drive, given_decay = (rate * part for part in ops.split(projected, 2, axis=0))

        def increments(h, delta):
            drive, decay = self.recurrent.scaled_currents(h, *synapses)
            return delta * (drive + given_drive), delta * (decay + given_decay)

        h = solve(self._method, increments, first_state(states), elapsed)
        return ops.transpose(self.read_out(ops.transpose(h))), [h]

    def read_out(self, h):
        """The motor neurons, each with its scale and bias."""
        return h[..., : self.output_size] * self.output_scale + self.output_bias

    def get_config(self):
        config = super().get_config()
        del config["units"]
        return {**config, "wiring": keras.saving.serialize_keras_object(self.wiring)}

    @classmethod
    def from_config(cls, config):
        wiring = keras.saving.deserialize_keras_object(config["wiring"])
        return cls(**{**config, "wiring": wiring})


def _uniform(name):
    return keras.initializers.RandomUniform(*INITIAL_RANGES[name])


def _log_capacitance(shape, dtype=None):
    return ops.log(_uniform("capacitance")(shape, dtype=dtype))
