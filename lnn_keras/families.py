"""Exponential families: distributions given by natural parameters eta.

    p(y | eta) = base(y) exp(<eta, T(y)> - A(eta)),    eta in the convex set Omega

The gradient of the log-partition A is the mean of the statistics T(y), and the diagonal of
its Hessian is their variance. The parameters of a distribution lie along the last axis.

Reference: Wainwright and Jordan, Graphical models, exponential families, and variational
inference, 2008, section 3.
"""

import abc
import math

import keras

from lnn_keras.argument_checks import require_choice
from lnn_keras.elapsed import in_device_file
from lnn_keras.special_functions import digamma, log_gamma, trigamma
from lnn_keras.tensors import Tensor, ops

__all__ = [
    "FAMILIES",
    "Bernoulli",
    "Categorical",
    "Family",
    "Gamma",
    "Gaussian",
    "NegativeLogLikelihood",
    "Poisson",
    "get",
]

# Distance of natural parameters from the boundary of Omega, where no distribution exists.
BOUNDARY_MARGIN = 1e-4
# Bound of the logarithm of rates, so that rates are finite floats.
MAX_LOG_RATE = 20.0
# Bound of the mean and the precision of a Gaussian's evidence, so that products of both, of the
# elapsed time and of the variance are finite floats.
MAX_GAUSSIAN = 1e9


def __dir__() -> list[str]:
    return __all__


class Family(abc.ABC):
    """An exponential family.

    `statistics`, `log_partition` and `log_base` define it. The other methods follow from
    them, in forms that avoid cancellation.
    """

    components: int
    """Number of natural parameters of a distribution."""

    @abc.abstractmethod
    def natural(self, raw: Tensor) -> Tensor:
        """Map unconstrained values to natural parameters in Omega, both (..., components)."""

    @abc.abstractmethod
    def statistics(self, y: Tensor) -> Tensor:
        """T(y): (...) -> (..., components)."""

    @abc.abstractmethod
    def log_partition(self, eta: Tensor) -> Tensor:
        """A(eta): (..., components) -> (...)."""

    def log_base(self, y: Tensor) -> Tensor:
        """ln base(y): (...) -> (...)."""
        return ops.zeros_like(y)

    @abc.abstractmethod
    def mean_parameters(self, eta: Tensor) -> Tensor:
        """Gradient of A, the mean of T(y): (..., components) -> (..., components)."""

    @abc.abstractmethod
    def variance_parameters(self, eta: Tensor) -> Tensor:
        """Diagonal of the Hessian of A, the variance of T(y): same shape."""

    def mean(self, eta: Tensor) -> Tensor:
        """The mean of y: (..., components) -> (...)."""
        return self.mean_parameters(eta)[..., 0]

    def variance(self, eta: Tensor) -> Tensor:
        """The variance of y: (..., components) -> (...)."""
        return self.variance_parameters(eta)[..., 0]

    def log_likelihood(self, y: Tensor, eta: Tensor) -> Tensor:
        """ln p(y | eta): (...), (..., components) -> (...)."""
        product = ops.sum(eta * self.statistics(y), axis=-1)
        return product - self.log_partition(eta) + self.log_base(y)


class _OneParameter(Family):
    """A family with one natural parameter, any real number, and T(y) = y."""

    components = 1

    def natural(self, raw: Tensor) -> Tensor:
        return raw

    def statistics(self, y: Tensor) -> Tensor:
        return ops.expand_dims(y, -1)


class Gaussian(Family):
    """Real y; eta = (mean / variance, -1 / (2 variance)), T(y) = (y, y^2)."""

    components = 2

    def natural(self, raw: Tensor) -> Tensor:
        if not in_device_file():
            raw = ops.clip(raw, -MAX_GAUSSIAN, MAX_GAUSSIAN)
        mean, precision = raw[..., :1], ops.softplus(raw[..., 1:]) + BOUNDARY_MARGIN
        return ops.concatenate([mean * precision, -0.5 * precision], axis=-1)

    def statistics(self, y: Tensor) -> Tensor:
        return ops.stack([y, ops.square(y)], axis=-1)

    def log_partition(self, eta: Tensor) -> Tensor:
        return -ops.square(eta[..., 0]) / (4 * eta[..., 1]) - 0.5 * ops.log(-2 * eta[..., 1])

    def log_base(self, y: Tensor) -> Tensor:
        return ops.full_like(y, -0.5 * math.log(2 * math.pi))

    def mean_parameters(self, eta: Tensor) -> Tensor:
        mean, variance = self.mean(eta), self.variance(eta)
        return ops.stack([mean, ops.square(mean) + variance], axis=-1)

    def variance_parameters(self, eta: Tensor) -> Tensor:
        mean, variance = self.mean(eta), self.variance(eta)
        of_square = 2 * ops.square(variance) + 4 * ops.square(mean) * variance
        return ops.stack([variance, of_square], axis=-1)

    def mean(self, eta: Tensor) -> Tensor:
        """The mean of y: (..., components) -> (...)."""
        return -0.5 * eta[..., 0] / eta[..., 1]

    def variance(self, eta: Tensor) -> Tensor:
        """The variance of y: (..., components) -> (...)."""
        return -0.5 / eta[..., 1]

    def log_likelihood(self, y: Tensor, eta: Tensor) -> Tensor:
        """ln p(y | eta): (...), (..., components) -> (...)."""
        # (y - mean)^2 directly: y^2 and mean^2 may be large and nearly equal.
        square = eta[..., 1] * ops.square(y - self.mean(eta))
        return square + 0.5 * ops.log(-eta[..., 1] / math.pi)


class Bernoulli(_OneParameter):
    """y in {0, 1}; eta = ln(p / (1 - p)), T(y) = y."""

    def log_partition(self, eta: Tensor) -> Tensor:
        return ops.softplus(eta[..., 0])

    def mean_parameters(self, eta: Tensor) -> Tensor:
        return ops.sigmoid(eta)

    def variance_parameters(self, eta: Tensor) -> Tensor:
        return ops.sigmoid(eta) * ops.sigmoid(-eta)


class Poisson(_OneParameter):
    """y in {0, 1, 2, ...}; eta = ln rate, T(y) = y."""

    def natural(self, raw: Tensor) -> Tensor:
        return MAX_LOG_RATE * ops.tanh(raw / MAX_LOG_RATE)

    def log_partition(self, eta: Tensor) -> Tensor:
        return ops.exp(eta[..., 0])

    def log_base(self, y: Tensor) -> Tensor:
        return -log_gamma(y + 1)

    def mean_parameters(self, eta: Tensor) -> Tensor:
        return ops.exp(eta)

    def variance_parameters(self, eta: Tensor) -> Tensor:
        return ops.exp(eta)


class Gamma(Family):
    """y > 0; eta = (shape - 1, -rate), T(y) = (ln y, y)."""

    components = 2

    def natural(self, raw: Tensor) -> Tensor:
        positive = ops.softplus(raw) + BOUNDARY_MARGIN
        return ops.concatenate([positive[..., :1] - 1, -positive[..., 1:]], axis=-1)

    def statistics(self, y: Tensor) -> Tensor:
        return ops.stack([ops.log(y), y], axis=-1)

    def log_partition(self, eta: Tensor) -> Tensor:
        shape, rate = eta[..., 0] + 1, -eta[..., 1]
        return log_gamma(shape) - shape * ops.log(rate)

    def mean_parameters(self, eta: Tensor) -> Tensor:
        shape, rate = eta[..., 0] + 1, -eta[..., 1]
        return ops.stack([digamma(shape) - ops.log(rate), shape / rate], axis=-1)

    def variance_parameters(self, eta: Tensor) -> Tensor:
        shape, rate = eta[..., 0] + 1, -eta[..., 1]
        return ops.stack([trigamma(shape), shape / ops.square(rate)], axis=-1)

    def mean(self, eta: Tensor) -> Tensor:
        """The mean of y: (..., components) -> (...)."""
        return self.mean_parameters(eta)[..., 1]

    def variance(self, eta: Tensor) -> Tensor:
        """The variance of y: (..., components) -> (...)."""
        return self.variance_parameters(eta)[..., 1]


class Categorical(_OneParameter):
    """y one-hot over the units (..., units); the eta of a unit is the logit of its class.

    All units form one distribution, so `log_partition` and `log_likelihood` take
    (..., units, 1) and return (...).
    """

    def log_partition(self, eta: Tensor) -> Tensor:
        return ops.logsumexp(eta[..., 0], axis=-1)

    def mean_parameters(self, eta: Tensor) -> Tensor:
        return ops.softmax(eta, axis=-2)

    def variance_parameters(self, eta: Tensor) -> Tensor:
        p = ops.softmax(eta, axis=-2)
        return p * (1 - p)

    def log_likelihood(self, y: Tensor, eta: Tensor) -> Tensor:
        """ln p(y | eta): (..., units), (..., units, 1) -> (...)."""
        return ops.sum(y * ops.log_softmax(eta[..., 0], axis=-1), axis=-1)


FAMILIES = {
    "gaussian": Gaussian(),
    "bernoulli": Bernoulli(),
    "poisson": Poisson(),
    "gamma": Gamma(),
    "categorical": Categorical(),
}


def get(name: str) -> Family:
    """Return the family with this name.

    Raises:
        ValueError: Unknown name.
    """
    return FAMILIES[require_choice("family", name, FAMILIES)]


@keras.saving.register_keras_serializable(package="lnn_keras")
class NegativeLogLikelihood(keras.losses.Loss):
    """The loss -ln p(y | eta) of predicted natural parameters, averaged over the units.

    Args:
        family: "gaussian", "bernoulli", "poisson", "gamma" or "categorical".
        name: Name of the loss.
        **kwargs: `reduction` and `dtype` of `keras.losses.Loss`.

    Call arguments:
        y_true: Observations (..., units); one-hot for "categorical".
        y_pred: Natural parameters (..., units * components), the components of each unit
            adjacent, as `LEFCell(units, family, parameters="natural")` returns them.

    Raises:
        ValueError: Unknown `family`; the last axis of `y_pred` does not match `y_true`.

    Example:

    ```python
    layer = lnn_keras.LiquidRNN(lnn_keras.LEFCell(1, "gaussian", parameters="natural"))
    loss = lnn_keras.families.NegativeLogLikelihood("gaussian")
    ```
    """

    def __init__(self, family: str, name: str = "negative_log_likelihood", **kwargs):
        super().__init__(name=name, **kwargs)
        get(family)
        self.family = family

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        family, units = get(self.family), y_true.shape[-1]
        if y_pred.shape[-1] != units * family.components:
            raise ValueError(
                f"`y_pred` must hold {family.components} natural parameters of a {self.family} "
                f"distribution for each of {units} units; received shape {tuple(y_pred.shape)}."
            )
        eta = ops.reshape(y_pred, (*ops.shape(y_true), family.components))
        loss = -family.log_likelihood(ops.cast(y_true, y_pred.dtype), eta)
        return loss if self.family == "categorical" else ops.mean(loss, axis=-1)

    def get_config(self) -> dict:
        return {**super().get_config(), "family": self.family}
