"""LEFCell: states remain valid natural parameters, and return to the prior without evidence."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from test_families import NAMES, assert_in_domain

from lnn_keras import LEFCell, LiquidRNN, families

every_family = pytest.mark.parametrize("family", NAMES)


def built(family, units=3, features=2, **kwargs):
    cell = LEFCell(units, family, **kwargs)
    cell.build((None, features))
    return cell


# One cell for all examples, which assign its weights.
shared_cell = functools.cache(functools.partial(built, unfolds=2))


def randomize(cell, random):
    """Add standard normal values to all weights."""
    cell.set_weights([w + random.standard_normal(w.shape) for w in cell.get_weights()])
    return cell


def eta_of(cell, state):
    eta = ops.convert_to_numpy(cell.natural_parameters(ops.convert_to_tensor(state)))
    return eta.reshape(-1, cell.units, families.get(cell.family).components)


@every_family
@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    inputs=st.lists(
        st.tuples(
            st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=2),
            st.floats(0, 2.0**127, width=32),
        ),
        min_size=1,
        max_size=6,
    ),
    seed=st.integers(0, 2**16),
)
def test_eta_stays_in_its_domain(family, inputs, seed):
    cell, random = shared_cell(family), np.random.default_rng(seed)
    cell.set_weights([random.standard_normal(w.shape) for w in cell.get_weights()])
    state = np.zeros((1, cell.state_size), "float32")
    for x, elapsed in inputs:
        output, (state,) = cell(np.array([x], "float32"), [state], elapsed=elapsed)
        assert_in_domain(family, eta_of(cell, state))
        assert np.isfinite(ops.convert_to_numpy(output)).all()


@every_family
def test_equation(family, random):
    """The convex combination of the docstring in float64."""
    cell = randomize(built(family, unfolds=3), random)
    components = families.get(family).components
    x = random.standard_normal((4, 2)).astype("float32")
    s = 0.1 * random.random((4, cell.state_size)).astype("float32")
    elapsed = random.random((4, 1)).astype("float32") * 3
    w = {v.name: ops.convert_to_numpy(v).astype("float64") for v in cell.weights}
    raw = x @ w["evidence_kernel"] + w["evidence_bias"]
    raw = ops.convert_to_tensor(raw.reshape(4, 3, components))
    prior = ops.convert_to_numpy(cell.prior)
    evidence = ops.convert_to_numpy(families.get(family).natural(raw)).reshape(4, -1)
    eta, delta = s + prior, elapsed / 3
    for _ in range(3):
        f = 1 / (1 + np.exp(-(x @ w["kernel"] + (eta - prior) @ w["recurrent_kernel"] + w["bias"])))
        f = np.repeat(f, components, axis=1)
        rate = np.repeat(1 / np.exp(w["log_tau"]), components)
        eta = (eta + delta * (prior * rate + f * evidence)) / (1 + delta * (rate + f))
    _, (state,) = cell(x, [s], elapsed=elapsed)
    np.testing.assert_allclose(ops.convert_to_numpy(state) + prior, eta, rtol=1e-4, atol=1e-5)


@every_family
def test_without_evidence_it_returns_to_the_prior(family, random):
    # Slow enough that each distance is a positive number.
    cell = randomize(built(family, unfolds=8, tau_initializer="ones"), random)
    cell.kernel.assign(np.zeros(cell.kernel.shape))
    cell.recurrent_kernel.assign(np.zeros(cell.recurrent_kernel.shape))
    cell.bias.assign(np.full(cell.bias.shape, -1e4))  # f = 0
    x = np.ones((1, 2), "float32")
    prior = ops.convert_to_numpy(cell.prior)
    state = -0.5 * prior[None]
    distances = []
    for _ in range(6):
        distances.append(np.abs(eta_of(cell, state).ravel() - prior).max())
        _, (state,) = cell(x, [state], elapsed=3.0)
    assert (np.diff(distances) < 0).all()
    _, (state,) = cell(x, [state], elapsed=1e9)
    np.testing.assert_allclose(eta_of(cell, state).ravel(), prior, rtol=1e-4, atol=1e-6)


@every_family
def test_the_initial_state_is_the_prior(family, random):
    cell = randomize(built(family, variances=True), random)
    x = random.standard_normal((2, 4, 2)).astype("float32")
    layer = LiquidRNN(cell, return_sequences=True)
    output = ops.convert_to_numpy(layer(x, elapsed=np.zeros((2, 4), "float32")))
    eta = ops.reshape(cell.prior, (3, -1))
    means = ops.convert_to_numpy(families.get(family).mean_parameters(eta)).ravel()
    variances = ops.convert_to_numpy(families.get(family).variance_parameters(eta)).ravel()
    expected = np.concatenate([means, variances])
    np.testing.assert_allclose(output, np.broadcast_to(expected, output.shape), rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "normal"}, "Unknown family 'normal'; allowed: bernoulli, categorical"),
        ({"parameters": "means"}, "Unknown parameters 'means'; allowed: mean, natural"),
        ({"parameters": "natural", "variances": True}, "received parameters='natural'"),
        ({"units": 0}, "`units` must be an integer of at least 1; received 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        LEFCell(**{"units": 2, **arguments})
