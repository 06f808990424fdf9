"""Jacobians, time scales and Lyapunov exponents: known values, and finite differences."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

import lnn_keras
from lnn_keras.inspect import jacobians, lyapunov_exponents, record, time_scales

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 6, 3)).astype("float32")
ELAPSED = RANDOM.uniform(0.1, 1.0, (2, 6)).astype("float32")


def recorded(cell, x=X, **options):
    layer = lnn_keras.LiquidRNN(cell, name="layer")
    return record(layer, x, **options)["layer"]


def wiring():
    return lnn_keras.wirings.AutoNCP(6, outputs=2)


CELLS = {
    "liquid": lambda: lnn_keras.LiquidCell(4),
    "ltc": lambda: lnn_keras.LTCCell(wiring(), unfolds=2),
    "cfc": lambda: lnn_keras.CfCCell(4),
    "ct_gru": lambda: lnn_keras.CTGRUCell(2, scales=2),
    "mixed_memory": lambda: lnn_keras.MixedMemoryCell(lnn_keras.LiquidCell(3)),
    "lstm": lambda: keras.layers.LSTMCell(3),
}


@pytest.mark.parametrize("name", CELLS)
def test_jacobians_are_the_differences_of_steps(name):
    cell = CELLS[name]()
    layer = keras.layers.RNN(cell, name="layer")
    found = record(layer, X)["layer"]
    numbers = [n for n in found if n.startswith("previous_state")]
    states = [found[n][:, 2] for n in numbers]
    slopes, h = [], 1e-3
    for state in states:
        for component in range(state.shape[-1]):
            ends = []
            for sign in (1, -1):
                kept = state[:, component].copy()
                state[:, component] += sign * h
                _, new = cell(X[:, 2], [ops.convert_to_tensor(s) for s in states])
                state[:, component] = kept
                ends.append(np.concatenate([ops.convert_to_numpy(s) for s in new], axis=-1))
            slopes.append((ends[0] - ends[1]) / (2 * h))
    expected = np.stack(slopes, axis=-1)
    np.testing.assert_allclose(jacobians(found)[:, 2], expected, rtol=2e-2, atol=1e-3)


def linear_cell(tau, kernel=None):
    """dh/dt = -h / tau + (h K + x) / tau, as a CTRNNCell without an activation."""
    units = len(tau)
    cell = lnn_keras.CTRNNCell(units, activation="linear", unfolds=1)
    cell.build((None, 3))
    cell.log_tau.assign(np.log(tau))
    cell.recurrent_kernel.assign(np.zeros((units, units)) if kernel is None else kernel)
    return cell


@settings(max_examples=3, deadline=None)
@given(st.lists(st.floats(0.2, 20.0), min_size=3, max_size=3))
def test_time_scales_and_exponents_of_a_linear_cell_follow_from_its_time_constants(tau):
    found = recorded(linear_cell(tau), elapsed=ELAPSED)
    # One semi-implicit step multiplies the state by 1 / (1 + elapsed / tau).
    logarithms = -np.log1p(ELAPSED[..., None] / np.sort(tau)[::-1])
    np.testing.assert_allclose(time_scales(found), -ELAPSED[..., None] / logarithms, rtol=1e-3)
    exponents = logarithms.sum(1) / ELAPSED.sum(1, keepdims=True)
    np.testing.assert_allclose(lyapunov_exponents(found), exponents, rtol=1e-3)


def test_exponents_do_not_depend_on_rotations_between_steps():
    # h K rotates: the Jacobian is a rotation times 1 / (1 + delta / tau) (1 + (delta / tau) K^T).
    kernel = np.array([[0.0, 2.0], [-2.0, 0.0]])
    found = recorded(linear_cell([1.0, 1.0], kernel))
    modulus = np.sqrt(1 + 4) / 2
    np.testing.assert_allclose(
        lyapunov_exponents(found), np.full((2, 2), np.log(modulus)), rtol=1e-4
    )
    assert np.isinf(time_scales(found)).all()


def test_a_contracting_cell_forgets_and_an_expanding_one_does_not():
    calm = recorded(linear_cell([1.0, 2.0]))
    wild = recorded(linear_cell([1.0, 2.0], np.array([[5.0, 0.0], [0.0, 0.0]])))
    assert (lyapunov_exponents(calm) < 0).all()
    assert (lyapunov_exponents(wild)[:, 0] > 0).all()


def test_masked_steps_single_steps_and_other_cells():
    mask = np.arange(6) < np.array([[6], [0]])
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(4), name="layer")
    found = record(layer, X, mask=mask)["layer"]
    scales = time_scales(found)
    assert np.isfinite(scales[0]).all() and np.isnan(scales[1]).all()
    assert np.isfinite(lyapunov_exponents(found)[0]).all()
    assert np.isnan(lyapunov_exponents(found)[1]).all()
    assert time_scales(record(layer, X[:, :1])["layer"]).shape == (2, 1, 4)
    gru = record(keras.layers.GRU(4, name="gru"), X)["gru"]
    assert lyapunov_exponents(gru).shape == (2, 4)


def test_backwards_layers_multiply_their_steps_in_their_own_order():
    cell = lnn_keras.LiquidCell(4)
    forwards = lnn_keras.LiquidRNN(cell, name="forwards")
    backwards = lnn_keras.LiquidRNN(cell, name="backwards", go_backwards=True)
    expected = lyapunov_exponents(record(forwards, X[:, ::-1])["forwards"])
    found = lyapunov_exponents(record(backwards, X)["backwards"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("function", [jacobians, lyapunov_exponents, time_scales])
def test_the_recording_of_one_layer_is_asked_for(function):
    layer = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(4), name="layer")
    with pytest.raises(ValueError, match=r"\[name\]`, one of \['layer'\]; received Recording"):
        function(record(layer, X))
    with pytest.raises(ValueError, match=r"one layer.*; received LiquidRNN"):
        function(layer)
