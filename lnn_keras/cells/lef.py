"""LEFCell: the liquid exponential family, a cell with a distribution as its state."""

from typing import Any, NamedTuple

import keras

from lnn_keras import families
from lnn_keras.argument_checks import require_at_least, require_choice
from lnn_keras.cells.continuous_time import first_state, masked, step_dtype
from lnn_keras.cells.dense import dense
from lnn_keras.cells.dense_ode import DenseODECell
from lnn_keras.cells.initializers import (
    clone_initializer,
    fan_in_or,
    initializer_or,
    uniform_or,
)
from lnn_keras.compat import weights_as
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Constraint, Initializer, Regularizer

PARAMETERS = ("mean", "natural")


class _InitialValues(NamedTuple):
    """Defaults: standard deviation of the projections, gain, and ranges of uniform values."""

    deviation: float
    recurrent_gain: float
    biases: tuple[float, float]
    evidence_biases: tuple[float, float]
    time_constants: tuple[float, float]


# docs/defaults.md has the reasons.
_ONE_COMPONENT = _InitialValues(4.0, 4.0, (-3.0, -1.0), (-3.0, -1.0), (1.0, 1.0))
_TWO_COMPONENTS = _InitialValues(3.0, 1.75, (-3.5, -1.0), (2.0, 4.0), (0.25, 0.5))


@keras.saving.register_keras_serializable(package="lnn_keras")
class LEFCell(DenseODECell):
    """Each unit is a distribution that relaxes to its prior and assimilates evidence.

    The natural parameter eta of an exponential family, in the convex set Omega, follows

        f       = sigmoid(x kernel + s recurrent_kernel + bias),    one gate per unit
        A       = natural(x evidence_kernel + evidence_bias),       evidence, in Omega
        deta/dt = -(eta - eta0)/tau - f (eta - A),                  eta0 the prior, in Omega

    The state is s = eta - eta0, so the zeros with which Keras starts and resets a state are the
    prior. With the fused semi-implicit step, `unfolds` times per call,

        s <- (s + delta f (A - eta0)) / (1 + delta (1/tau + f)),    delta = elapsed / unfolds,

    eta stays a convex combination of eta, eta0 and A: it never leaves Omega, and without
    evidence (f = 0) it returns to the prior. Explicit solvers with long steps may leave Omega.

    Args:
        units: Number of distributions; for "categorical" the number of classes of one
            distribution.
        family: "gaussian", "bernoulli", "poisson", "gamma" or "categorical".
        unfolds: Solver steps per call. The first step of "dopri5" is at most elapsed / unfolds.
        parameters: The output: "mean", the means of the statistics (for "gaussian" of y and
            y^2), or "natural", eta, for `families.NegativeLogLikelihood`. Both are
            (batch, units * components), the components of each unit adjacent.
        variances: Whether the output contains the variances of the statistics after the means.
        use_bias: Whether the arguments of the gate and of the evidence have biases.
        kernel_initializer: Initializer of `kernel` (features, units) and `evidence_kernel`
            (features, units * components); by default uniform, so that for inputs of variance 1
            gates and evidence have the standard deviation 4, or 3 in families of two components.
        recurrent_initializer: Initializer of `recurrent_kernel` (units * components, units);
            by default orthogonal with the gain 4, or 1.75 in families of two.
        bias_initializer: Initializer of `bias` (units,); by default uniform in [-3, -1], so that
            gates start low, or in [-3.5, -1] in families of two.
        tau_initializer: Initializer of the time constants `tau` (units,), in the unit of
            `elapsed`; by default 1, or uniform in [0.25, 0.5] in families of two.
        kernel_regularizer: Regularizer of `kernel` and `evidence_kernel`.
        recurrent_regularizer: Regularizer of `recurrent_kernel`.
        bias_regularizer: Regularizer of `bias` and `evidence_bias`.
        kernel_constraint: Constraint of `kernel` and `evidence_kernel`.
        recurrent_constraint: Constraint of `recurrent_kernel`.
        bias_constraint: Constraint of `bias` and `evidence_bias`.
        dropout: Fraction of the input features to drop, in [0, 1).
        recurrent_dropout: Fraction of the state to drop where it is multiplied by
            `recurrent_kernel`, in [0, 1).
        seed: Random seed of the dropout masks.
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        solver: "semi_implicit", "euler", "midpoint", "rk4", or "dopri5" (adaptive).
        rtol: Relative tolerance of a step of "dopri5".
        atol: Absolute tolerance of a step of "dopri5".
        max_steps: Maximum number of steps of "dopri5" per call. The state becomes NaN if they
            do not suffice. Backpropagation on JAX always computes all of them.
        adjoint: Whether the gradient recomputes solver steps from a few checkpoints of the
            state instead of storing every step.
        evidence_bias_initializer: Initializer of `evidence_bias` (units * components,); by default
            `bias_initializer`. If that is None too, it is uniform in [2, 4] in families of two,
            away from the boundary of Omega.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The state (batch, units * components), or a list that holds it.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Whether to apply dropout, with one mask per sequence.

    Returns:
        The output (batch, units * components), or twice that size with `variances`, and the
        list of the new state.

    Raises:
        ValueError: `units`, `unfolds` or `max_steps` below 1, `rtol` or `atol` not above 0,
            unknown `solver`, `family` or `parameters`, `variances` together with
            parameters="natural", invalid `elapsed`, a dropout rate not in [0, 1), or an initial
            `tau` that is not above 0.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LEFCell(1, "gaussian", parameters="natural"))
    loss = lnn_keras.families.NegativeLogLikelihood("gaussian")
    ```

    Reference: Wainwright and Jordan, Graphical models, exponential families, and variational
    inference, 2008, section 3 (families); the step is that of `LiquidCell`.
    """

    def __init__(
        self,
        units: int,
        family: str = "gaussian",
        unfolds: int = 1,
        parameters: str = "mean",
        variances: bool = False,
        use_bias: bool = True,
        kernel_initializer: Initializer | None = None,
        recurrent_initializer: Initializer | None = None,
        bias_initializer: Initializer | None = None,
        tau_initializer: Initializer | None = None,
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        elapsed: float | str = 1.0,
        solver: str = "semi_implicit",
        rtol: float = 1e-3,
        atol: float = 1e-6,
        max_steps: int = 256,
        adjoint: bool = False,
        evidence_bias_initializer: Initializer | None = None,
        **kwargs,
    ):
        components = families.get(family).components
        units = require_at_least(1, "units", units)
        require_choice("parameters", parameters, PARAMETERS)
        if variances and parameters != "mean":
            raise ValueError(
                f'`variances` needs parameters="mean"; received parameters={parameters!r}.'
            )
        size = units * components
        start = _ONE_COMPONENT if components == 1 else _TWO_COMPONENTS
        if evidence_bias_initializer is None:
            evidence_bias_initializer = (
                uniform_or(None, *start.evidence_biases)
                if bias_initializer is None
                else clone_initializer(keras.initializers.get(bias_initializer))
            )
        super().__init__(
            units,
            use_bias=use_bias,
            kernel_initializer=fan_in_or(kernel_initializer, start.deviation),
            recurrent_initializer=initializer_or(
                recurrent_initializer, "Orthogonal", gain=start.recurrent_gain
            ),
            bias_initializer=uniform_or(bias_initializer, *start.biases),
            tau_initializer=uniform_or(tau_initializer, *start.time_constants),
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            unfolds=unfolds,
            elapsed=elapsed,
            solver=solver,
            rtol=rtol,
            atol=atol,
            max_steps=max_steps,
            adjoint=adjoint,
            state_size=size,
            output_size=2 * size if variances else size,
            **kwargs,
        )
        self.evidence_bias_initializer: Any = keras.initializers.get(evidence_bias_initializer)
        self.family = family
        self.parameters = parameters
        self.variances = bool(variances)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        features, size = self.features_of(input_shape), self.state_size
        # A clone: an unseeded initializer would repeat the values of the gate's kernel.
        evidence_initializer = clone_initializer(self.kernel_initializer)
        self.evidence_kernel = self.add_kernel(
            "evidence_kernel", features, size, evidence_initializer
        )
        self.evidence_bias = self.add_bias("evidence_bias", size, self.evidence_bias_initializer)
        self.raw_prior = self.add_weight(name="raw_prior", shape=(size,), initializer="zeros")

    @property
    def prior(self) -> Tensor:
        """The natural parameters eta0 of the prior (units * components,)."""
        with weights_as(step_dtype(self)):
            return self._natural(ops.convert_to_tensor(self.raw_prior))

    def natural_parameters(self, state: Tensor) -> Tensor:
        """The natural parameters eta of a state, both (..., units * components)."""
        prior = self.prior
        return ops.cast(state, prior.dtype) + prior

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Gates, and evidence minus prior: (..., features) -> (..., units + state_size)."""
        raw = dense(inputs, self.evidence_kernel, self.evidence_bias)
        # Natural parameters are products, which overflow half precision.
        gates, raw = (ops.cast(part, step_dtype(self)) for part in (super().project(inputs), raw))
        return ops.concatenate([gates, self._natural(raw) - self.prior], axis=-1)

    def increments(
        self,
        projected: Tensor,
        h: Tensor,
        delta: float | Tensor,
        *constants: Tensor,
    ) -> tuple[Tensor, Tensor]:
        leak, *mask = constants
        gates, evidence = projected[..., : self.units], projected[..., self.units :]
        f = self._gate(gates, masked(h, *mask))
        leak, f = self._repeat_per_component(leak), self._repeat_per_component(f)
        return delta * f * evidence, delta * (leak + f)

    def _gate(self, projected, h):
        return ops.sigmoid(projected + ops.matmul(h, self.recurrent_kernel))

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """As of every ODE cell, of the state s; "gate", f (batch, units); and "evidence", A."""
        projected = self.project(features)
        return {
            **super().quantities(features, states, elapsed),
            "gate": self._gate(projected[..., : self.units], first_state(states)),
            "evidence": projected[..., self.units :] + self.prior,
        }

    def read_out(self, h: Tensor) -> Tensor:
        """Natural parameters, or the means of the statistics and their variances."""
        eta = self.natural_parameters(h)
        if self.parameters == "natural":
            return eta
        family, eta = families.get(self.family), self._split_units(eta)
        output = self._join_units(family.mean_parameters(eta))
        if self.variances:
            variances = self._join_units(family.variance_parameters(eta))
            output = ops.concatenate([output, variances], axis=-1)
        return output

    def _natural(self, raw):
        return self._join_units(families.get(self.family).natural(self._split_units(raw)))

    def _split_units(self, values):
        """(..., units * components) -> (..., units, components)."""
        return ops.reshape(values, (*ops.shape(values)[:-1], self.units, -1))

    def _join_units(self, values):
        """(..., units, components) -> (..., units * components)."""
        return ops.reshape(values, (*ops.shape(values)[:-2], self.state_size))

    def _repeat_per_component(self, values):
        """(..., units) -> (..., units * components)."""
        return self._join_units(ops.stack([values] * (self.state_size // self.units), axis=-1))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "family": self.family,
            "parameters": self.parameters,
            "variances": self.variances,
            "evidence_bias_initializer": keras.initializers.serialize(
                self.evidence_bias_initializer
            ),
        }
