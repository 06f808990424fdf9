"""LRCCell: neurons of liquid resistance and liquid capacitance."""

import keras
from keras import ops

from lnn_keras.argument_checks import require_choice
from lnn_keras.cells.ode import ODECell

ELASTANCES = ("symmetric", "asymmetric")
# Least and greatest initial value of what is drawn uniformly, as for conductance-based synapses.
SIGMA, MU, WEIGHT, LEAK, LEAK_REVERSAL = (3.0, 8.0), (0.3, 0.8), (0.001, 1.0), (0.001, 1.0), (-1, 1)


class _Synapses:
    """Synapses from every source to every neuron, and what arrives through them."""

    def __init__(self, cell, prefix, sources):
        shape = (sources, cell.units)
        self.sigma = cell.add_weight(
            name=f"{prefix}sigma", shape=shape, initializer=_uniform(SIGMA)
        )
        self.mu = cell.add_weight(name=f"{prefix}mu", shape=shape, initializer=_uniform(MU))
        self.weight = cell.add_weight(
            name=f"{prefix}weight", shape=shape, initializer=_uniform(WEIGHT), constraint="non_neg"
        )
        self.update_weight = cell.add_weight(
            name=f"{prefix}update_weight", shape=shape, initializer="orthogonal"
        )
        self.elastance_kernel = cell.add_weight(
            name=f"{prefix}elastance_kernel", shape=shape, initializer="glorot_uniform"
        )

    def arrivals(self, values):
        """Sums of w s, of k s, and of the elastance's kernel: (..., sources) -> (..., 3 units)."""
        s = ops.sigmoid(self.sigma * (ops.expand_dims(values, -1) - self.mu))
        parts = [
            ops.sum(self.weight * s, axis=-2),
            ops.sum(self.update_weight * s, axis=-2),
            ops.matmul(values, self.elastance_kernel),
        ]
        return ops.concatenate(parts, axis=-1)


@keras.saving.register_keras_serializable(package="lnn_keras")
class LRCCell(ODECell):
    """Neurons whose conductances saturate, and whose capacitance is liquid as well.

        s_j   = sigmoid(sigma_j (u_j - mu_j))             over inputs and neurons u_j
        f_i   = g_i + sum_j w_j s_j                       forget conductance, w and g >= 0
        z_i   = g_i + sum_j k_j s_j                       update conductance
        o     = [x, h] W + b
        eps_i = sigmoid(o_i + d_i) - sigmoid(o_i - d_i)   elastance, 1 / capacitance; d >= 0
        dh_i/dt = eps_i (tanh(z_i) e_i - sigmoid(f_i) h_i)

    with a weight of its own for each synapse j -> i. An asymmetric elastance is
    sigmoid(o_i). With `solver="semi_implicit"` a step is

        h <- (h + delta eps tanh(z) e) / (1 + delta eps sigmoid(f)),    delta = elapsed / unfolds.

    The paper takes one explicit step per call: unfolds=1, solver="euler".

    Args:
        units: Number of neurons.
        elastance: "symmetric" or "asymmetric".

    Other args, call arguments and errors are those of `ODECell`, and

    Raises:
        ValueError: Unknown `elastance`.

    Reference: Farsang, Neubauer and Grosu, Liquid Resistance Liquid Capacitance Networks, 2024.
    """

    def __init__(self, units: int, unfolds: int = 1, elastance: str = "symmetric", **kwargs):
        super().__init__(units, unfolds, **kwargs)
        self.elastance = require_choice("elastance", elastance, ELASTANCES)

    def build(self, input_shape):
        features, units = self.features_of(input_shape), self.units
        self.leak = self.add_weight(
            name="leak", shape=(units,), initializer=_uniform(LEAK), constraint="non_neg"
        )
        self.leak_reversal = self.add_weight(
            name="leak_reversal", shape=(units,), initializer=_uniform(LEAK_REVERSAL)
        )
        self.elastance_bias = self.add_weight(
            name="elastance_bias", shape=(units,), initializer="zeros"
        )
        if self.elastance == "symmetric":
            self.elastance_width = self.add_weight(
                name="elastance_width", shape=(units,), initializer="ones", constraint="non_neg"
            )
        self.sensory = _Synapses(self, "sensory_", features)
        self.recurrent = _Synapses(self, "", units)
        self.built = True

    def project(self, inputs):
        """What leaks and inputs give to f, z and o: (..., features) -> (..., 3 units)."""
        constants = ops.concatenate([self.leak, self.leak, self.elastance_bias], axis=-1)
        return self.sensory.arrivals(inputs) + constants

    def increments(self, projected, h, delta):
        f, z, o = ops.split(projected + self.recurrent.arrivals(h), 3, axis=-1)
        rate = delta * self._elastance_of(o)
        return rate * (ops.tanh(z) * self.leak_reversal), rate * ops.sigmoid(f)

    def _elastance_of(self, o):
        if self.elastance == "asymmetric":
            return ops.sigmoid(o)
        return ops.sigmoid(o + self.elastance_width) - ops.sigmoid(o - self.elastance_width)

    def get_config(self):
        return {**super().get_config(), "elastance": self.elastance}


def _uniform(bounds):
    return keras.initializers.RandomUniform(*bounds)
