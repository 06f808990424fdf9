"""Exponential families: distributions given by natural parameters eta.

    p(y | eta) = base(y) exp(<eta, T(y)> - A(eta)),    eta in the convex set Omega

The gradient of the log-partition A is the mean of the statistics T(y), its Hessian's
diagonal their variance. Parameters of one distribution lie along the last axis.

Reference: Wainwright and Jordan, Graphical models, exponential families, and variational
inference, 2008, section 3.
"""

import abc
import math

import keras
from keras import ops

from lnn_keras.argument_checks import require_choice

# Keeps natural parameters off the edge of Omega, where no distribution is.
EDGE = 1e-4
# Logarithms of rates stay within this, so that rates are finite numbers.
LOG_RATE = 20.0


class Family(abc.ABC):
    """An exponential family.

    `statistics`, `log_partition` and `log_base` define it; the other methods are
    consequences, in a form that keeps its precision.
    """

    components: int
    """Natural parameters of one distribution."""

    @abc.abstractmethod
    def natural(self, raw):
        """Any numbers -> natural parameters in Omega, both (..., components)."""

    @abc.abstractmethod
    def statistics(self, y):
        """T(y): (...) -> (..., components)."""

    @abc.abstractmethod
    def log_partition(self, eta):
        """A(eta): (..., components) -> (...)."""

    def log_base(self, y):
        """ln base(y): (...) -> (...)."""
        return ops.zeros_like(y)

    @abc.abstractmethod
    def mean_parameters(self, eta):
        """Gradient of A, the mean of T(y): (..., components) -> (..., components)."""

    @abc.abstractmethod
    def variance_parameters(self, eta):
        """Diagonal of the Hessian of A, the variance of T(y): same shape."""

    def mean(self, eta):
        """The mean of y: (..., components) -> (...)."""
        return self.mean_parameters(eta)[..., 0]

    def variance(self, eta):
        """The variance of y: (..., components) -> (...)."""
        return self.variance_parameters(eta)[..., 0]

    def log_likelihood(self, y, eta):
        """ln p(y | eta): (...), (..., components) -> (...)."""
        product = ops.sum(eta * self.statistics(y), axis=-1)
        return product - self.log_partition(eta) + self.log_base(y)


class _OneParameter(Family):
    """A family of one natural parameter, any number, with T(y) = y."""

    components = 1

    def natural(self, raw):
        return raw

    def statistics(self, y):
        return ops.expand_dims(y, -1)


class Gaussian(Family):
    """Real y; eta = (mean / variance, -1 / (2 variance)), T(y) = (y, y^2)."""

    components = 2

    def natural(self, raw):
        mean, precision = raw[..., :1], ops.softplus(raw[..., 1:]) + EDGE
        return ops.concatenate([mean * precision, -0.5 * precision], axis=-1)

    def statistics(self, y):
        return ops.stack([y, ops.square(y)], axis=-1)

    def log_partition(self, eta):
        return -ops.square(eta[..., 0]) / (4 * eta[..., 1]) - 0.5 * ops.log(-2 * eta[..., 1])

    def log_base(self, y):
        return ops.full_like(y, -0.5 * math.log(2 * math.pi))

    def mean_parameters(self, eta):
        mean, variance = self.mean(eta), self.variance(eta)
        return ops.stack([mean, ops.square(mean) + variance], axis=-1)

    def variance_parameters(self, eta):
        mean, variance = self.mean(eta), self.variance(eta)
        of_square = 2 * ops.square(variance) + 4 * ops.square(mean) * variance
        return ops.stack([variance, of_square], axis=-1)

    def mean(self, eta):
        return -0.5 * eta[..., 0] / eta[..., 1]

    def variance(self, eta):
        return -0.5 / eta[..., 1]

    def log_likelihood(self, y, eta):
        # The square is completed: y^2 and mean^2 alone may be large and nearly equal.
        square = eta[..., 1] * ops.square(y - self.mean(eta))
        return square + 0.5 * ops.log(-eta[..., 1] / math.pi)


class Bernoulli(_OneParameter):
    """y in {0, 1}; eta = ln(p / (1 - p)), T(y) = y."""

    def log_partition(self, eta):
        return ops.softplus(eta[..., 0])

    def mean_parameters(self, eta):
        return ops.sigmoid(eta)

    def variance_parameters(self, eta):
        return ops.sigmoid(eta) * ops.sigmoid(-eta)


class Poisson(_OneParameter):
    """y in {0, 1, 2, ...}; eta = ln rate, T(y) = y."""

    def natural(self, raw):
        return LOG_RATE * ops.tanh(raw / LOG_RATE)

    def log_partition(self, eta):
        return ops.exp(eta[..., 0])

    def log_base(self, y):
        return -_log_gamma(y + 1)

    def mean_parameters(self, eta):
        return ops.exp(eta)

    def variance_parameters(self, eta):
        return ops.exp(eta)


class Gamma(Family):
    """y > 0; eta = (shape - 1, -rate), T(y) = (ln y, y)."""

    components = 2

    def natural(self, raw):
        positive = ops.softplus(raw) + EDGE
        return ops.concatenate([positive[..., :1] - 1, -positive[..., 1:]], axis=-1)

    def statistics(self, y):
        return ops.stack([ops.log(y), y], axis=-1)

    def log_partition(self, eta):
        shape, rate = eta[..., 0] + 1, -eta[..., 1]
        return _log_gamma(shape) - shape * ops.log(rate)

    def mean_parameters(self, eta):
        shape, rate = eta[..., 0] + 1, -eta[..., 1]
        return ops.stack([_digamma(shape) - ops.log(rate), shape / rate], axis=-1)

    def variance_parameters(self, eta):
        shape, rate = eta[..., 0] + 1, -eta[..., 1]
        return ops.stack([_trigamma(shape), shape / ops.square(rate)], axis=-1)

    def mean(self, eta):
        return self.mean_parameters(eta)[..., 1]

    def variance(self, eta):
        return self.variance_parameters(eta)[..., 1]


class Categorical(_OneParameter):
    """y one-hot over the units (..., units); eta of a unit is the logit of its class.

    The units are one distribution together, so `log_partition` and `log_likelihood`
    take (..., units, 1) and return (...).
    """

    def log_partition(self, eta):
        return ops.logsumexp(eta[..., 0], axis=-1)

    def mean_parameters(self, eta):
        return ops.softmax(eta, axis=-2)

    def variance_parameters(self, eta):
        p = ops.softmax(eta, axis=-2)
        return p * (1 - p)

    def log_likelihood(self, y, eta):
        return ops.sum(y * ops.log_softmax(eta[..., 0], axis=-1), axis=-1)


FAMILIES = {
    "gaussian": Gaussian(),
    "bernoulli": Bernoulli(),
    "poisson": Poisson(),
    "gamma": Gamma(),
    "categorical": Categorical(),
}


def get(name: str) -> Family:
    """The family of this name.

    Raises:
        ValueError: Unknown name.
    """
    return FAMILIES[require_choice("family", name, FAMILIES)]


@keras.saving.register_keras_serializable(package="lnn_keras")
class NegativeLogLikelihood(keras.losses.Loss):
    """The loss of predicted natural parameters: -ln p(y | eta), the mean over the units.

    Args:
        family: "gaussian", "bernoulli", "poisson", "gamma" or "categorical".

    Call arguments:
        y_true: Observations (..., units); one-hot for "categorical".
        y_pred: Natural parameters (..., units * components), each unit's side by side, as
            `LEFCell(units, family, parameters="natural")` gives them.

    Raises:
        ValueError: Unknown `family`; `y_pred` of another size than `y_true` asks for.
    """

    def __init__(self, family: str, name="negative_log_likelihood", **kwargs):
        super().__init__(name=name, **kwargs)
        get(family)
        self.family = family

    def call(self, y_true, y_pred):
        family, units = get(self.family), y_true.shape[-1]
        if y_pred.shape[-1] != units * family.components:
            raise ValueError(
                f"`y_pred` must hold {family.components} natural parameters of a {self.family} "
                f"distribution for each of {units} units; received shape {tuple(y_pred.shape)}."
            )
        eta = ops.reshape(y_pred, (*ops.shape(y_true), family.components))
        loss = -family.log_likelihood(ops.cast(y_true, y_pred.dtype), eta)
        return loss if self.family == "categorical" else ops.mean(loss, axis=-1)

    def get_config(self):
        return {**super().get_config(), "family": self.family}


# Of x > 0: the recurrence up to x + 6, then the asymptotic series there
# (Abramowitz and Stegun, Handbook of Mathematical Functions, 6.1.41, 6.3.18 and 6.4.12).
_SHIFT = 6


def _log_gamma(x):
    below = sum(ops.log(x + i) for i in range(_SHIFT))
    x = x + _SHIFT
    z = 1 / x
    series = z * (1 / 12 - z**2 * (1 / 360 - z**2 / 1260))
    return (x - 0.5) * ops.log(x) - x + 0.5 * math.log(2 * math.pi) + series - below


def _digamma(x):
    below = sum(1 / (x + i) for i in range(_SHIFT))
    z = 1 / (x + _SHIFT)
    return -ops.log(z) - z / 2 - z**2 * (1 / 12 - z**2 / 120) - below


def _trigamma(x):
    below = sum(1 / (x + i) ** 2 for i in range(_SHIFT))
    z = 1 / (x + _SHIFT)
    return z + z**2 / 2 + z**3 * (1 / 6 - z**2 * (1 / 30 - z**2 / 42)) + below
