"""LEFCell: the liquid exponential family, whose state is a distribution."""

import keras
from keras import ops

from lnn_keras import families
from lnn_keras.argument_checks import require_at_least, require_choice
from lnn_keras.cells.ode import DenseODECell

PARAMETERS = ("mean", "natural")
# Beyond this many units of time a step has reached its limit in any number format.
LONGEST = 1e20


@keras.saving.register_keras_serializable(package="lnn_keras")
class LEFCell(DenseODECell):
    """Each unit is a distribution that relaxes to its prior and assimilates evidence.

    The natural parameter eta of an exponential family, in the convex set Omega, follows

        f       = sigmoid(x kernel + s recurrent_kernel + bias),    one for each unit
        A       = natural(x evidence_kernel + evidence_bias),       evidence, in Omega
        deta/dt = -(eta - eta0)/tau - f (eta - A),                  eta0 the prior, in Omega

    The state is s = eta - eta0, so that zeros, with which Keras starts and resets a
    state, are the prior. With the fused semi-implicit step, `unfolds` times per call,

        s <- (s + delta f (A - eta0)) / (1 + delta (1/tau + f)),    delta = elapsed / unfolds,

    eta stays a convex combination of eta, eta0 and A: it never leaves Omega, and
    without evidence (f = 0) it returns to the prior.

    Args:
        units: Number of distributions; for "categorical" the number of classes of one.
        family: "gaussian", "bernoulli", "poisson", "gamma" or "categorical".
        parameters: What the output holds: "mean", the means of the statistics (for "gaussian"
            of y and y^2), or "natural", eta, for `families.NegativeLogLikelihood`. Both are
            (batch, units * components), the components of each unit side by side.
        variances: Whether the variances of the statistics follow behind the means.

    Other args and call arguments are those of `DenseODECell`. Explicit solvers with long
    steps may leave Omega.

    Raises:
        ValueError: As `DenseODECell`; unknown `family` or `parameters`; `variances` beside
            parameters="natural".

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
        **kwargs,
    ):
        components = families.get(family).components
        units = require_at_least(1, "units", units)
        require_choice("parameters", parameters, PARAMETERS)
        if variances and parameters != "mean":
            raise ValueError(
                f'`variances` go with parameters="mean"; received parameters={parameters!r}.'
            )
        size = units * components
        super().__init__(
            units,
            unfolds=unfolds,
            state_size=size,
            output_size=2 * size if variances else size,
            **kwargs,
        )
        self.family = family
        self.parameters = parameters
        self.variances = bool(variances)

    def build(self, input_shape):
        super().build(input_shape)
        features, size = self.features_of(input_shape), self.state_size
        self.evidence_kernel = self.add_weight(
            name="evidence_kernel", shape=(features, size), initializer=self.kernel_initializer
        )
        self.evidence_bias = self.add_weight(
            name="evidence_bias", shape=(size,), initializer="zeros"
        )
        self.raw_prior = self.add_weight(name="raw_prior", shape=(size,), initializer="zeros")

    @property
    def prior(self):
        """The natural parameters eta0 of the prior (units * components,)."""
        return self._natural(ops.cast(self.raw_prior, self.compute_dtype))

    def natural_parameters(self, state):
        """eta, of the state: (..., units * components), unchanged in shape."""
        return state + self.prior

    def project(self, inputs):
        """Gates, and evidence less the prior: (..., features) -> (..., units + state size)."""
        evidence = self._natural(ops.matmul(inputs, self.evidence_kernel) + self.evidence_bias)
        return ops.concatenate([super().project(inputs), evidence - self.prior], axis=-1)

    def increments(self, projected, h, delta, leak):
        gates, evidence = projected[..., : self.units], projected[..., self.units :]
        f = ops.sigmoid(gates + ops.matmul(h, self.recurrent_kernel))
        shorter = ops.minimum if hasattr(delta, "shape") else min
        delta = shorter(delta, LONGEST)
        rate, gate = self._for_each_component(leak), self._for_each_component(f)
        return delta * gate * evidence, delta * (rate + gate)

    def read_out(self, h):
        """Natural parameters, or the means of the statistics and their variances."""
        eta = self.natural_parameters(h)
        if self.parameters == "natural":
            return eta
        family, eta = families.get(self.family), self._apart(eta)
        output = self._together(family.mean_parameters(eta))
        if self.variances:
            variances = self._together(family.variance_parameters(eta))
            output = ops.concatenate([output, variances], axis=-1)
        return output

    def _natural(self, raw):
        return self._together(families.get(self.family).natural(self._apart(raw)))

    def _apart(self, values):
        """(..., units * components) -> (..., units, components)."""
        return ops.reshape(values, (*ops.shape(values)[:-1], self.units, -1))

    def _together(self, values):
        """(..., units, components) -> (..., units * components)."""
        return ops.reshape(values, (*ops.shape(values)[:-2], self.state_size))

    def _for_each_component(self, values):
        return self._together(ops.stack([values] * (self.state_size // self.units), axis=-1))

    def get_config(self):
        return {
            **super().get_config(),
            "family": self.family,
            "parameters": self.parameters,
            "variances": self.variances,
        }
