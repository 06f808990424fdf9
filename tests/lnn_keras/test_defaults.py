"""The default initial values: their distribution, and a short training from them."""

import keras
import numpy as np
import pytest
from gradients import compiled
from matrix import numbers

from benchmarks.irregular_sines import irregular_sines, scored_mse
from benchmarks.real_defaults import FORMER
from lnn_keras import LEFCell, LiquidCell, LiquidRNN

FEATURES, UNITS = 40, 200


@pytest.fixture(scope="module")
def liquid():
    keras.utils.set_random_seed(0)
    cell = LiquidCell(UNITS)
    cell.build((None, FEATURES))
    return cell


@pytest.mark.parametrize("features", [1, 3, 40])
def test_argument_of_the_gate_covers_the_slope(features, random):
    """Standard deviation 2 for standardized inputs, whatever their number."""
    cell = LiquidCell(1000, use_bias=False)
    cell.build((None, features))
    z = numbers(cell.project(random.standard_normal((200, features)).astype("float32")))
    assert np.std(z) == pytest.approx(2, rel=0.15)


def test_gates_start_low_and_time_constants_are_spread(liquid):
    bias, tau = numbers(liquid.bias), numbers(liquid.tau)
    assert -4 <= bias.min() < -3.9
    assert -2.1 < bias.max() <= -2
    assert 0.2 <= tau.min() < 0.21
    assert 0.49 < tau.max() <= 0.5
    np.testing.assert_allclose(numbers(liquid.reversal), 8)


def test_recurrence_is_orthogonal(liquid):
    kernel = numbers(liquid.recurrent_kernel)
    np.testing.assert_allclose(kernel @ kernel.T, 9 * np.eye(UNITS), atol=1e-3)


def test_state_stays_bounded_over_1000_steps(random):
    """Theorem 2: between 0 and A; with inputs of scale 1 it moves, and by the scale of data."""
    cell = LiquidCell(16)
    cell.build((None, 3))
    x = random.standard_normal((4, 1000, 3)).astype("float32")
    layer = compiled(LiquidRNN(cell, return_sequences=True))
    for elapsed in (0.1, 1.0):
        h = numbers(layer(x, elapsed=np.full((4, 1000), elapsed, "float32")))
        assert h.min() >= 0
        assert h.max() <= 8 * 0.5 / 1.5 + 1e-5
        assert 0.1 < np.std(h[:, 500:], axis=1).mean() < 2.7


def test_gate_and_evidence_have_different_kernels():
    """An unseeded initializer repeats its values, so the evidence has a clone."""
    cell = LEFCell(4, "bernoulli")
    cell.build((None, 3))
    assert (numbers(cell.kernel) != numbers(cell.evidence_kernel)).all()


def test_defaults_learn_faster_than_the_former_ones():
    """Irregular sines, 40 steps of Adam: below 0.6 times the loss of the former values."""
    inputs, targets = irregular_sines(32, seed=0)
    losses = []
    for options in (FORMER, {}):
        keras.utils.set_random_seed(0)
        values, gaps = keras.Input(inputs[0].shape[1:]), keras.Input(inputs[1].shape[1:])
        layer = LiquidRNN(LiquidCell(8, unfolds=2, **options), return_sequences=True, remat=None)
        model = keras.Model([values, gaps], keras.layers.Dense(1)(layer(values, elapsed=gaps)))
        model.compile(keras.optimizers.Adam(0.02), scored_mse, jit_compile=False)
        for _ in range(40):
            loss = model.train_on_batch(inputs, targets)
        losses.append(float(loss))
    assert losses[1] < 0.6 * losses[0]
