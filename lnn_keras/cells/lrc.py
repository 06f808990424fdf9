"""LRCCell: neurons of liquid resistance and liquid capacitance."""

from typing import Any

import keras

from lnn_keras.argument_checks import require_choice
from lnn_keras.cells.continuous_time import first_state
from lnn_keras.cells.initializers import clone_initializer, fan_in_or, uniform_or
from lnn_keras.cells.ode import ODECell
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Initializer

ELASTANCES = ("symmetric", "asymmetric")


class _Synapses:
    """Synapses from every source to every neuron.

    `initializers` holds those of sigma, mu, weight, update_weight and elastance_kernel.
    """

    def __init__(self, cell, prefix, sources, initializers):
        def add(name, initializer, constraint=None):
            return cell.add_weight(
                name=prefix + name,
                shape=(sources, cell.units),
                initializer=initializer,
                constraint=constraint,
            )

        sigma, mu, weight, update_weight, elastance = initializers
        self.sigma = add("sigma", sigma)
        self.mu = add("mu", mu)
        self.weight = add("weight", weight, "non_neg")
        self.update_weight = add("update_weight", update_weight)
        self.elastance_kernel = add("elastance_kernel", elastance)

    def sums(self, values):
        """Sums of w s and k s over the sources, and values W: (..., sources) -> (..., 3 units)."""
        s = ops.sigmoid(self.sigma * (ops.expand_dims(values, -1) - self.mu))
        parts = [
            ops.sum(self.weight * s, axis=-2),
            ops.sum(self.update_weight * s, axis=-2),
            ops.matmul(values, self.elastance_kernel),
        ]
        return ops.concatenate(parts, axis=-1)


@keras.saving.register_keras_serializable(package="lnn_keras")
class LRCCell(ODECell):
    """Neurons with saturating conductances and a liquid capacitance.

        s_j   = sigmoid(sigma_j (u_j - mu_j))             over inputs and neurons u_j
        f_i   = g_i + sum_j w_j s_j                       forget conductance, w and g >= 0
        z_i   = g_i + sum_j k_j s_j                       update conductance
        o     = [x, h] W + b
        eps_i = sigmoid(o_i + d_i) - sigmoid(o_i - d_i)   elastance, 1 / capacitance; d >= 0
        dh_i/dt = eps_i (tanh(z_i) e_i - sigmoid(f_i) h_i)

    where sigma, mu, w and k differ for each synapse j -> i. An asymmetric elastance is
    sigmoid(o_i). With `solver="semi_implicit"` a step is

        h <- (h + delta eps tanh(z) e) / (1 + delta eps sigmoid(f)),    delta = elapsed / unfolds.

    The paper takes one explicit step per call: unfolds=1, solver="euler". It has g between 0.001
    and 1, e within 1 and an orthogonal k. The defaults here have a small g, so that tanh(z) starts
    near 0, where it is steep and the state has no constant part (docs/defaults.md). The paper's
    affine maps of inputs and outputs are left to other layers.

    The authors' code draws e from [-0.2, 0.2]
    (`leak_reversal_initializer=keras.initializers.RandomUniform(-0.2, 0.2)`), and scales and
    shifts each input and each output by weights of its own. This cell does not: W, sigma and mu
    hold such factors for the inputs, and a Dense layer after the cell for the outputs.

    Args:
        units: Number of neurons.
        unfolds: Solver steps per call. The first step of "dopri5" is at most elapsed / unfolds.
        elastance: "symmetric" or "asymmetric".
        leak_initializer: Initializer of g (units,); by default uniform in [0.001, 0.1].
        leak_reversal_initializer: Initializer of e (units,); by default uniform in [-2, 2].
        sigma_initializer: Initializer of sigma (sources, units); by default uniform in [3, 8].
        mu_initializer: Initializer of mu (sources, units); by default uniform in [0.3, 0.8].
        weight_initializer: Initializer of w (sources, units); by default uniform in [0.001, 1].
        update_weight_initializer: Initializer of k (sources, units); by default uniform with the
            variance 4 / sources.
        elastance_initializer: Initializer of W (sources, units).
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        solver: "semi_implicit", "euler", "midpoint", "rk4", or "dopri5" (adaptive).
        rtol: Relative tolerance of a step of "dopri5".
        atol: Absolute tolerance of a step of "dopri5".
        max_steps: Maximum number of steps of "dopri5" per call. The state becomes NaN if they
            do not suffice. Backpropagation on JAX always computes all of them.
        adjoint: Whether the gradient recomputes solver steps from a few checkpoints of the
            state instead of storing every step.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The state (batch, units), or a list that holds it.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Has no effect.

    Returns:
        The output (batch, units), and the list of the new state.

    Raises:
        ValueError: `units`, `unfolds` or `max_steps` below 1, `rtol` or `atol` not above 0,
            unknown `solver` or `elastance`, invalid `elapsed`.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LRCCell(32))
    ```

    Reference: Farsang, Neubauer and Grosu, Liquid Resistance Liquid Capacitance Networks, 2024.
    """

    def __init__(
        self,
        units: int,
        unfolds: int = 1,
        elastance: str = "symmetric",
        leak_initializer: Initializer | None = None,
        leak_reversal_initializer: Initializer | None = None,
        sigma_initializer: Initializer | None = None,
        mu_initializer: Initializer | None = None,
        weight_initializer: Initializer | None = None,
        update_weight_initializer: Initializer | None = None,
        elastance_initializer: Initializer = "glorot_uniform",
        elapsed: float | str = 1.0,
        solver: str = "semi_implicit",
        rtol: float = 1e-3,
        atol: float = 1e-6,
        max_steps: int = 256,
        adjoint: bool = False,
        **kwargs,
    ):
        super().__init__(
            units,
            unfolds,
            elapsed=elapsed,
            solver=solver,
            rtol=rtol,
            atol=atol,
            max_steps=max_steps,
            adjoint=adjoint,
            **kwargs,
        )
        self.elastance = require_choice("elastance", elastance, ELASTANCES)
        self.leak_initializer: Any = uniform_or(leak_initializer, 0.001, 0.1)
        self.leak_reversal_initializer: Any = uniform_or(leak_reversal_initializer, -2.0, 2.0)
        self.sigma_initializer: Any = uniform_or(sigma_initializer, 3.0, 8.0)
        self.mu_initializer: Any = uniform_or(mu_initializer, 0.3, 0.8)
        self.weight_initializer: Any = uniform_or(weight_initializer, 0.001, 1.0)
        self.update_weight_initializer: Any = fan_in_or(update_weight_initializer, 2.0)
        self.elastance_initializer: Any = keras.initializers.get(elastance_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features, units = self.features_of(input_shape), self.units
        self.leak = self.add_weight(
            name="leak", shape=(units,), initializer=self.leak_initializer, constraint="non_neg"
        )
        self.leak_reversal = self.add_weight(
            name="leak_reversal", shape=(units,), initializer=self.leak_reversal_initializer
        )
        self.elastance_bias = self.add_weight(
            name="elastance_bias", shape=(units,), initializer="zeros"
        )
        if self.elastance == "symmetric":
            self.elastance_width = self.add_weight(
                name="elastance_width", shape=(units,), initializer="ones", constraint="non_neg"
            )
        initializers = [
            self.sigma_initializer,
            self.mu_initializer,
            self.weight_initializer,
            self.update_weight_initializer,
            self.elastance_initializer,
        ]
        self.sensory = _Synapses(self, "sensory_", features, initializers)
        clones = [clone_initializer(initializer) for initializer in initializers]
        self.recurrent = _Synapses(self, "", units, clones)
        self.built = True

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The terms of f, z and o from leaks and inputs: (..., features) -> (..., 3 units)."""
        offsets = ops.concatenate([self.leak, self.leak, self.elastance_bias], axis=-1)
        return self.sensory.sums(inputs) + offsets

    def increments(
        self, projected: Tensor, h: Tensor, delta: float | Tensor, *constants: Tensor
    ) -> tuple[Tensor, Tensor]:
        f, z, o = ops.split(projected + self.recurrent.sums(h), 3, axis=-1)
        rate = delta * self._elastance(o)
        return rate * (ops.tanh(z) * self.leak_reversal), rate * ops.sigmoid(f)

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """As of every ODE cell; "forget_gate", sigmoid(f); and "elastance", that of o."""
        sums = self.project(features) + self.recurrent.sums(first_state(states))
        f, _, o = ops.split(sums, 3, axis=-1)
        return {
            **super().quantities(features, states, elapsed),
            "forget_gate": ops.sigmoid(f),
            "elastance": self._elastance(o),
        }

    def _elastance(self, o):
        if self.elastance == "asymmetric":
            return ops.sigmoid(o)
        return ops.sigmoid(o + self.elastance_width) - ops.sigmoid(o - self.elastance_width)

    def fastest_rate(self) -> Tensor:
        """1, since elastance and forget gate are at most 1."""
        return ops.ones_like(ops.convert_to_tensor(self.leak))

    def get_config(self) -> dict[str, Any]:
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "elastance": self.elastance,
            "leak_initializer": serialize(self.leak_initializer),
            "leak_reversal_initializer": serialize(self.leak_reversal_initializer),
            "sigma_initializer": serialize(self.sigma_initializer),
            "mu_initializer": serialize(self.mu_initializer),
            "weight_initializer": serialize(self.weight_initializer),
            "update_weight_initializer": serialize(self.update_weight_initializer),
            "elastance_initializer": serialize(self.elastance_initializer),
        }
