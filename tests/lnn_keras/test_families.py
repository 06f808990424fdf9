"""Exponential families against automatic differentiation and textbook densities."""

import math
import types

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from lnn_keras import families
from lnn_keras.autodiff.vjp import vjp
from lnn_keras.special_functions import log_gamma

NAMES = list(families.FAMILIES)
OBSERVED = {
    "gaussian": [-1.2, 0.0, 3.4],
    "bernoulli": [0.0, 1.0, 1.0],
    "poisson": [0.0, 2.0, 7.0],
    "gamma": [0.2, 1.0, 4.5],
    "categorical": [0.0, 1.0, 0.0],
}
every_family = pytest.mark.parametrize("name", NAMES)


def natural_parameters(name, random, count=3):
    """Natural parameters of `count` distributions."""
    family = families.get(name)
    raw = random.standard_normal((count, family.components)).astype("float32")
    return family.natural(ops.convert_to_tensor(raw))


def gradient(function, eta):
    gradients = vjp(lambda eta: [function(eta)], [eta], [ops.ones_like(function(eta))])
    return ops.convert_to_numpy(gradients[0])


@every_family
def test_mean_parameters_are_the_gradient_of_the_log_partition(name, random):
    family, eta = families.get(name), natural_parameters(name, random)
    means = ops.convert_to_numpy(family.mean_parameters(eta))
    np.testing.assert_allclose(means, gradient(family.log_partition, eta), rtol=2e-4)


@every_family
def test_variances_are_the_diagonal_of_its_hessian(name, random):
    family, eta = families.get(name), natural_parameters(name, random)
    variances = ops.convert_to_numpy(family.variance_parameters(eta))
    for unit, component in np.ndindex(variances.shape):
        one = lambda eta: family.mean_parameters(eta)[unit, component]  # noqa: B023, E731
        assert variances[unit, component] == pytest.approx(
            gradient(one, eta)[unit, component], rel=1e-3
        )


@every_family
def test_log_likelihood_equals_its_definition(name, random):
    family, eta = families.get(name), natural_parameters(name, random)
    y = ops.convert_to_tensor(np.array(OBSERVED[name], "float32"))
    product = ops.sum(eta * family.statistics(y), axis=-1) + family.log_base(y)
    if name == "categorical":
        product = ops.sum(product, axis=-1)
    expected = ops.convert_to_numpy(product - family.log_partition(eta))
    actual = ops.convert_to_numpy(family.log_likelihood(y, eta))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


DENSITIES = {
    # eta, y, ln p(y), E[y], Var[y], computed from the textbook density.
    "gaussian": (
        (1.5 / 0.49, -0.5 / 0.49),
        2.0,
        -0.5 * math.log(2 * math.pi * 0.49) - 0.25 / 0.98,
        1.5,
        0.49,
    ),
    "bernoulli": ((math.log(0.3 / 0.7),), 1.0, math.log(0.3), 0.3, 0.21),
    "poisson": (
        (math.log(2.5),),
        4.0,
        4 * math.log(2.5) - 2.5 - math.log(math.factorial(4)),
        2.5,
        2.5,
    ),
    "gamma": (
        (1.7, -0.8),
        3.0,
        2.7 * math.log(0.8) - math.lgamma(2.7) + 1.7 * math.log(3.0) - 2.4,
        2.7 / 0.8,
        2.7 / 0.64,
    ),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_against_the_density(name):
    family = families.get(name)
    eta, y, log_density, mean, variance = DENSITIES[name]
    eta, y = ops.convert_to_tensor([eta]), ops.convert_to_tensor([y])
    assert float(family.log_likelihood(y, eta)[0]) == pytest.approx(log_density, rel=1e-4)
    assert float(family.mean(eta)[0]) == pytest.approx(mean, rel=1e-5)
    assert float(family.variance(eta)[0]) == pytest.approx(variance, rel=1e-4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(shape=st.floats(1e-4, 1e5))
def test_gamma_function(shape):
    x = ops.convert_to_tensor([np.float32(shape)])
    expected = math.lgamma(float(np.float32(shape)))
    assert float(log_gamma(x)[0]) == pytest.approx(expected, rel=3e-6, abs=2e-5)


@every_family
@settings(max_examples=25, deadline=None, derandomize=True)
@given(raw=st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=2))
def test_any_numbers_become_parameters_in_the_domain(name, raw):
    family = families.get(name)
    raw = np.array([raw[: family.components]], "float32")
    eta = ops.convert_to_numpy(family.natural(ops.convert_to_tensor(raw)))
    assert_in_domain(name, eta)
    for values in (family.mean(eta), family.variance(eta)):
        assert np.isfinite(ops.convert_to_numpy(values)).all()


def assert_in_domain(name, eta):
    assert np.isfinite(eta).all()
    if name == "gaussian":
        assert (eta[..., 1] < 0).all()
    if name == "gamma":
        assert (eta[..., 0] > -1).all()
        assert (eta[..., 1] < 0).all()


@every_family
def test_loss_is_the_mean_over_units(name, random):
    family, loss = families.get(name), families.NegativeLogLikelihood(name)
    eta = natural_parameters(name, random)
    y = np.array([OBSERVED[name]], "float32")
    flat = ops.reshape(eta, (1, -1))
    expected = -np.mean(
        ops.convert_to_numpy(family.log_likelihood(ops.convert_to_tensor(y)[0], eta))
    )
    assert float(loss(y, flat)) == pytest.approx(float(expected), rel=1e-5)
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(copy(y, flat)) == float(loss(y, flat))


def test_loss_of_another_size_is_refused():
    loss = families.NegativeLogLikelihood("gaussian")
    with pytest.raises(ValueError, match=r"2 natural parameters .* 3 units; received .*\(4, 3\)"):
        loss(np.zeros((4, 3)), np.ones((4, 3)))
    with pytest.raises(ValueError, match="Unknown family 'normal'; allowed: bernoulli"):
        families.NegativeLogLikelihood("normal")


def test_the_module_lists_its_public_names_only():
    names = dir(families)
    assert {"FAMILIES", "Family", "Gaussian", "NegativeLogLikelihood", "get"} <= set(names)
    for name in names:
        value = getattr(families, name)
        assert not isinstance(value, types.ModuleType)
        if callable(value):
            assert value.__module__ == families.__name__
