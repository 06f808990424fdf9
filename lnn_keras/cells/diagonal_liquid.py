"""DiagonalLiquidCell: a liquid cell whose neurons do not mix within a step, solved exactly."""

from collections.abc import Sequence
from typing import Any

import keras

from lnn_keras.argument_checks import require_at_least, require_choice
from lnn_keras.cells.continuous_time import first_state
from lnn_keras.cells.dense import DenseCell, dense
from lnn_keras.cells.initializers import LogInitializer, fan_in_or, initializer_or, uniform_or
from lnn_keras.elapsed import in_device_file
from lnn_keras.solvers.mobius import LARGEST, Mobius
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Constraint, Initializer, Regularizer

SOLVERS = ("exact", "semi_implicit")
# Below this square of w t, tanh(w t) / w is a series in it.
SERIES_LIMIT = 0.09


@keras.saving.register_keras_serializable(package="lnn_keras")
class DiagonalLiquidCell(DenseCell):
    """A liquid time-constant cell whose gate reads the inputs and the neuron's own state.

        p, q  = sigmoid(x kernel + bias)                      two gates per neuron
        f     = p + (q - p) h / A
        dh/dt = -(1/tau + f) h + f A

    The gate f lies between p and q, so in (0, 1), and a state between 0 and A stays there. With the
    input held constant over a step, u = h / A follows the Riccati equation

        du/dt = p + beta u - (q - p) u^2,    beta = q - 2 p - 1/tau,

    so the state after any elapsed time t is a Moebius map of the state before. `solver="exact"`
    computes it, with w^2 = ((q - 1/tau)^2 + 4 p / tau) / 4:

        s = tanh(w t) / w,   u <- ((1 + s beta/2) u + s p) / (s (q - p) u + 1 - s beta/2)

    Two steps of t/2 are one step of t, and elapsed times of any length are exact.
    `solver="semi_implicit"` takes `unfolds` steps of the fused solver of `LiquidCell`, which need
    products, sums and one division only. It is the form for integer files:

        h <- (h + delta f A) / (1 + delta (1/tau + f)),    delta = elapsed / unfolds

    No neuron sees another one within the cell, so the recurrent part costs O(units) operations, and
    `LiquidRNN(cell, parallel="scan")` computes all steps at once. Mix neurons by a dense layer
    between two cells, as `lnn_keras.LiquidBlock` does.

    Args:
        units: Number of neurons.
        use_bias: Whether the arguments of the gates have a bias.
        kernel_initializer: Initializer of `kernel` (features, 2 units); by default uniform with
            the variance 4 / features.
        bias_initializer: Initializer of `bias` (2 units,); by default uniform in [-3, 1].
        tau_initializer: Initializer of the time constants `tau` (units,), in the unit of
            `elapsed`; by default uniform in [1, 4].
        reversal_initializer: Initializer of the reversal potentials A (units,), above 0; by
            default 4. A negative A is equivalent to signs of a readout.
        kernel_regularizer: Regularizer of `kernel`.
        bias_regularizer: Regularizer of `bias`.
        kernel_constraint: Constraint of `kernel`.
        bias_constraint: Constraint of `bias`.
        dropout: Fraction of the input features to drop, in [0, 1).
        seed: Random seed of the dropout masks.
        unfolds: Solver steps per call of "semi_implicit"; "exact" needs one.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        solver: "exact" or "semi_implicit".
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The state (batch, units), or a list that holds it. Values below 0 and above A
            count as 0 and A.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Whether to apply dropout, with one mask per sequence.

    Returns:
        The output (batch, units), and the list of the new state.

    Raises:
        ValueError: `units` or `unfolds` below 1, unknown `solver`, invalid `elapsed`, a dropout
            rate not in [0, 1), an argument of recurrent kernels, or an initial `tau` or A that is
            not above 0: with A = 0 a neuron is always 0.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.DiagonalLiquidCell(32), parallel="auto")
    ```

    References: Hasani et al., Liquid Time-constant Networks, AAAI 2021 (the equation). Its closest
    relatives are LrcSSM (Farsang et al., NeurIPS 2025), which solves a diagonal liquid cell by
    Newton's method, RiccatiSSM (arXiv 2609.35441), and CfC (Hasani et al., Nature Machine
    Intelligence 2022), a closed form that approximates the liquid time-constant equation.
    """

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer: Initializer | None = None,
        bias_initializer: Initializer | None = None,
        tau_initializer: Initializer | None = None,
        reversal_initializer: Initializer | None = None,
        kernel_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        seed: int | None = None,
        unfolds: int = 1,
        elapsed: float | str = 1.0,
        solver: str = "exact",
        **kwargs,
    ):
        units = require_at_least(1, "units", units)
        for argument in kwargs:
            if argument.startswith("recurrent_"):
                raise ValueError(
                    f"DiagonalLiquidCell has no recurrent kernel and takes no `{argument}`."
                )
        super().__init__(
            units,
            units,
            use_bias=use_bias,
            kernel_initializer=fan_in_or(kernel_initializer, 2.0),
            bias_initializer=uniform_or(bias_initializer, -3.0, 1.0),
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            seed=seed,
            elapsed=elapsed,
            **kwargs,
        )
        self.units = units
        self.unfolds = require_at_least(1, "unfolds", unfolds)
        self.solver = require_choice("solver", solver, SOLVERS)
        self.tau_initializer: Any = uniform_or(tau_initializer, 1.0, 4.0)
        self.reversal_initializer: Any = initializer_or(reversal_initializer, "Constant", value=4.0)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features, units = self.features_of(input_shape), self.units
        self.kernel = self.add_kernel("kernel", features, 2 * units)
        self.bias = self.add_bias("bias", 2 * units)
        self.log_tau = self.add_weight(
            name="log_tau",
            shape=(units,),
            initializer=LogInitializer("tau_initializer", self.tau_initializer),
        )
        self.log_reversal = self.add_weight(
            name="log_reversal",
            shape=(units,),
            initializer=LogInitializer("reversal_initializer", self.reversal_initializer),
        )
        self.built = True

    @property
    def tau(self) -> Tensor:
        """The time constants (units,), above 0."""
        return ops.exp(self.log_tau)

    @property
    def reversal(self) -> Tensor:
        """The reversal potentials A (units,), above 0."""
        return ops.exp(self.log_reversal)

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """x kernel + bias: (..., features) -> (..., 2 units)."""
        return dense(inputs, self.kernel, self.bias)

    def constants(
        self, elapsed: float | None = None, recurrent_mask: Tensor | None = None
    ) -> list[Tensor]:
        """The leak 1 / tau, and the logarithm of A."""
        return [ops.exp(-self.log_tau), self.log_reversal]

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        h = self.within_bounds(first_state(states))
        if self.solver == "exact":
            h = self.step_map(projected, elapsed, constants)(h)
            return h, [h]
        p, q, leak, reversal = self._gates_and_constants(projected, constants)
        delta = elapsed / self.unfolds
        slope, decay = (q - p) / reversal, 1 + delta * leak
        for _ in range(self.unfolds):
            f = delta * (p + slope * h)
            h = (h + f * reversal) / (decay + f)
        return h, [h]

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """ "gate", f; "time_constant", tau / (1 + tau f); "equilibrium", f A / (1/tau + f)."""
        p, q, leak, reversal = self._gates_and_constants(self.project(features), None)
        h = self.within_bounds(first_state(states))
        f = p + (q - p) * h / reversal
        decay = leak + f
        return {
            "time_constant": 1 / decay,
            "equilibrium": f * reversal / decay,
            "derivative": f * reversal - decay * h,
            "gate": f,
        }

    def within_bounds(self, h: Tensor) -> Tensor:
        """A state between 0 and A, where the maps have no pole."""
        if in_device_file():
            return h
        reversal = self.reversal
        # Not `clip`: on JAX, its gradient at a bound is 0.5.
        return ops.where(h < 0, 0.0, ops.where(h > reversal, reversal, h))

    def step_map(
        self,
        projected: Tensor,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
    ) -> Mobius:
        """The new state as a function of the state, h -> (a h + b) / (c h + 1).

        Args:
            projected: Result of `project` (..., 2 units).
            elapsed: Elapsed time, a number or (..., 1).
            constants: Result of `constants`, or None to compute it here.
        """
        p, q, leak, reversal = self._gates_and_constants(projected, constants)
        if self.solver == "exact":
            a, b, c = exact_map(p, q, leak, elapsed)
        else:
            a, b, c = semi_implicit_map(p, q, leak, elapsed / self.unfolds).power(self.unfolds)
        return Mobius(a, b * reversal, c / reversal)

    def _gates_and_constants(self, projected, constants):
        leak, log_reversal = self.constants() if constants is None else constants
        p, q = ops.split(ops.sigmoid(projected), 2, axis=-1)
        return p, q, leak, ops.exp(log_reversal)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # There is no recurrent kernel.
        config = {name: value for name, value in config.items() if "recurrent" not in name}
        return {
            **config,
            "units": self.units,
            "unfolds": self.unfolds,
            "solver": self.solver,
            "tau_initializer": keras.initializers.serialize(self.tau_initializer),
            "reversal_initializer": keras.initializers.serialize(self.reversal_initializer),
        }


def exact_map(p: Tensor, q: Tensor, leak: Tensor, elapsed: float | Tensor) -> Mobius:
    """The solution of du/dt = p + beta u - (q - p) u^2 with beta = q - 2 p - leak.

        w = sqrt((q - leak)^2 + 4 p leak) / 2,    s = tanh(w t) / w
        u <- ((1 + s beta/2) u + s p) / (s (q - p) u + d),    d = 1 - s beta/2

    Where beta is positive, d is computed as 1 - tanh(w t) + s p (q - p) / (w + beta/2), which has
    no difference of nearly equal numbers. Where w t is small, s is a series, so that derivatives
    of every order are finite where w is 0; elsewhere tanh(w t) = (1 - e) / (1 + e) with
    e = exp(-2 w t), and the map is multiplied by 1 + e.

    Args:
        p: The gate at u = 0, in (0, 1).
        q: The gate at u = 1, in (0, 1).
        leak: 1 / tau.
        elapsed: The time t, a number or a tensor.
    """
    half_beta = 0.5 * (q - leak) - p
    w2 = 0.25 * ops.square(q - leak) + p * leak
    if in_device_file():
        # Integer kernels have no selection.
        w = ops.sqrt(w2)
        s = ops.tanh(w * elapsed) / w
        d = 1 - s * half_beta
        return Mobius((1 + s * half_beta) / d, s * p / d, s * (q - p) / d)
    z2 = w2 * (elapsed * elapsed)
    is_small = z2 < SERIES_LIMIT
    y = ops.minimum(z2, SERIES_LIMIT)
    series = 1 - y * (1 / 3 - y * (2 / 15 - y * (17 / 315 - y * (62 / 2835))))
    w = ops.sqrt(ops.where(is_small, 1.0, w2))
    e = ops.exp(-2 * elapsed * w)
    one = ops.where(is_small, 1.0, 1 + e)
    s = ops.where(is_small, elapsed * series, (1 - e) / w)
    size = w + ops.abs(half_beta)
    difference = ops.where(half_beta > 0, p * (q - p) / size, size)
    d = ops.where(is_small, 1 - s * half_beta, 2 * e + s * difference)
    # Where p is 0, d underflows over long times.
    scale = 1 / ops.maximum(d, s / LARGEST)
    return Mobius((one + s * half_beta) * scale, s * p * scale, s * (q - p) * scale)


def semi_implicit_map(p: Tensor, q: Tensor, leak: Tensor, delta: float | Tensor) -> Mobius:
    """One semi-implicit step: u <- (u + delta f) / (1 + delta (leak + f)), f = p + (q - p) u.

    Args:
        p: The gate at u = 0, in (0, 1).
        q: The gate at u = 1, in (0, 1).
        leak: 1 / tau.
        delta: The length of the step, a number or a tensor.
    """
    gain = delta * (q - p)
    d = 1 + delta * (leak + p)
    return Mobius((1 + gain) / d, delta * p / d, gain / d)
