"""The default initial values: their distribution, and a short training from them."""

import keras
import numpy as np
import pytest
from gradients import compiled
from matrix import numbers

from benchmarks.irregular_sines import REPORT, SEEDS, SELECTION, irregular_sines, scored_mse
from benchmarks.real_defaults import FORMER
from lnn_keras import LEFCell, LiquidCell, LiquidRNN
from lnn_keras.initializers import Antisymmetric

FEATURES, UNITS = 40, 200


@pytest.fixture(scope="module")
def liquid():
    keras.utils.set_random_seed(0)
    cell = LiquidCell(UNITS)
    cell.build((None, FEATURES))
    return cell


@pytest.mark.parametrize("features", [1, 3, 40])
def test_argument_of_the_gate_covers_the_slope(features, random):
    """Standard deviation 4 for standardized inputs, whatever their number."""
    cell = LiquidCell(1000, use_bias=False)
    cell.build((None, features))
    z = numbers(cell.project(random.standard_normal((200, features)).astype("float32")))
    assert np.std(z) == pytest.approx(4, rel=0.15)


def test_gates_start_low_and_time_constants_are_spread(liquid):
    bias, tau = numbers(liquid.bias), numbers(liquid.tau)
    assert -7 <= bias.min() < -6.8
    assert -3.2 < bias.max() <= -3
    assert 0.15 <= tau.min() < 0.16
    assert 0.49 < tau.max() <= 0.5
    np.testing.assert_allclose(numbers(liquid.reversal), 8)


def test_recurrence_is_antisymmetric(liquid):
    """Imaginary eigenvalues within twice the gain."""
    kernel = numbers(liquid.recurrent_kernel)
    np.testing.assert_array_equal(kernel, -kernel.T)
    assert np.std(kernel) == pytest.approx(4 / np.sqrt(UNITS), rel=0.05)
    assert np.abs(np.linalg.eigvals(kernel)).max() == pytest.approx(8, rel=0.1)


def test_antisymmetric_survives_a_config_and_repeats_its_seed():
    initializer = Antisymmetric(2.0, seed=3)
    again = keras.initializers.get(keras.initializers.serialize(initializer))
    np.testing.assert_array_equal(numbers(initializer((5, 5))), numbers(again((5, 5))))


@pytest.mark.parametrize("gain", [0, -1.0, float("nan"), float("inf"), "2", None])
def test_antisymmetric_refuses_a_gain_that_is_not_positive(gain):
    with pytest.raises(ValueError, match="`gain` must be a finite number above 0"):
        Antisymmetric(gain)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 3, 3)])
def test_antisymmetric_refuses_matrices_that_are_not_square(shape):
    with pytest.raises(ValueError, match="square matrices only"):
        Antisymmetric()(shape)


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


@pytest.mark.parametrize("family", ["gaussian", "gamma"])
def test_evidence_of_two_components_starts_away_from_the_boundary(family):
    cell = LEFCell(50, family)
    cell.build((None, 3))
    bias = numbers(cell.evidence_bias)
    assert bias.min() >= 2
    assert bias.max() <= 4
    assert numbers(cell.bias).max() <= -1


def test_evidence_takes_a_given_bias_initializer():
    """As configs say that were saved before there was an evidence_bias_initializer."""
    config = LEFCell(4, "gaussian", bias_initializer="ones").get_config()
    del config["evidence_bias_initializer"]
    for cell in (LEFCell(4, "gaussian", bias_initializer="ones"), LEFCell.from_config(config)):
        cell.build((None, 3))
        np.testing.assert_array_equal(numbers(cell.evidence_bias), 1)
    cell = LEFCell(4, "gaussian", evidence_bias_initializer="zeros")
    cell.build((None, 3))
    np.testing.assert_array_equal(numbers(cell.evidence_bias), 0)


def test_selection_set_shares_no_seed_with_the_report():
    assert (
        len(
            {*SELECTION, *(SELECTION.initial + i for i in range(SEEDS))}
            & {*REPORT, *(REPORT.initial + i for i in range(SEEDS))}
        )
        == 0
    )


def test_defaults_learn_faster_than_the_former_ones():
    """Irregular sines, 60 steps of Adam: below 0.6 times the loss of the former values."""
    inputs, targets = irregular_sines(32, seed=0)
    losses = []
    for options in (FORMER, {}):
        keras.utils.set_random_seed(0)
        values, gaps = keras.Input(inputs[0].shape[1:]), keras.Input(inputs[1].shape[1:])
        layer = LiquidRNN(LiquidCell(8, unfolds=2, **options), return_sequences=True, remat=None)
        model = keras.Model([values, gaps], keras.layers.Dense(1)(layer(values, elapsed=gaps)))
        model.compile(keras.optimizers.Adam(0.02), scored_mse, jit_compile=False)
        for _ in range(60):
            loss = model.train_on_batch(inputs, targets)
        losses.append(float(loss))
    assert losses[1] < 0.6 * losses[0]
