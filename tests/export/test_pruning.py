"""Pruning: the share of zeros, their pattern, and the loss of the pruned model."""

import keras
import numpy as np
import pytest
from export_models import compiled, fit, reset_names_and_seeds, sequential, weights_of

from export.compress import prune, sparsity
from export.compress.kernels import kernels_of

layers = keras.layers


def test_kernels_are_the_weights_of_inputs_and_states(trainable):
    names = [kernel.variable.name for kernel in kernels_of(trainable("ltc"))]
    assert names == ["kernel", "sensory_weight", "weight", "kernel"]
    names = [kernel.variable.name for kernel in kernels_of(trainable("lstm"))]
    assert names == ["kernel", "kernel", "recurrent_kernel", "kernel"]


def test_zeros_grow_over_time_and_the_model_learns_to_do_without(trainable, waves):
    model = trainable("lstm")
    dense = fit(model, waves, epochs=15)[-1]
    shares = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: shares.append(sparsity(model))
    )
    losses = fit(model, waves, prune(model, 0.5), watch, epochs=15)
    assert shares == sorted(shares) and 0 < shares[1] < shares[-1]
    assert shares[-1] == pytest.approx(0.5, abs=0.01)
    assert losses[-1] < 2 * dense


def test_a_schedule_of_tfmot(trainable, waves):
    import tensorflow_model_optimization as tfmot

    model = trainable("lstm")
    schedule = tfmot.sparsity.keras.ConstantSparsity(0.4, begin_step=1, frequency=1)
    fit(model, waves, prune(model, schedule), epochs=1)
    assert sparsity(model) == pytest.approx(0.4, abs=0.02)


@pytest.fixture(scope="module")
def lstm():
    """A compiled model of matrices with four rows or a multiple of four."""
    reset_names_and_seeds()
    layer = layers.LSTM(8, return_sequences=True)
    return compiled(sequential(layer, outputs=4, features=4))


def test_two_of_four_adjacent_weights_are_zero(lstm, waves):
    fit(lstm, waves, prune(lstm, 0.5, pattern="2:4"))
    for weights in weights_of(lstm).values():
        groups = weights.T.reshape(-1, 4)
        assert ((groups == 0).sum(axis=1) == 2).all()


def test_blocks_are_zero_together(lstm, waves):
    for kernel in kernels_of(lstm):
        kernel.variable.assign(np.random.default_rng(0).standard_normal(kernel.variable.shape))
    with pytest.warns(UserWarning, match=r"stay dense: .*dense.*/kernel \(8, 4\)"):
        callback = prune(lstm, 0.5, block=(2, 4))
    fit(lstm, waves, callback)
    *recurrent, dense = weights_of(lstm).values()
    assert (dense != 0).all()
    for weights in recurrent:
        rows, columns = weights.shape
        blocks = (weights == 0).reshape(rows // 2, 2, columns // 4, 4).sum(axis=(1, 3))
        assert set(np.unique(blocks)) == {0, 8}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: prune(m, 1.0), "`schedule` must lie between 0 and 1, .*; received 1.0"),
        (lambda m: prune(m, "0.5"), "a schedule of TFMOT; received '0.5'"),
        (lambda m: prune(m, 0.5, block=4), "two positive numbers; received 4"),
        (lambda m: prune(m, 0.5, block=(0, 4)), r"two positive numbers; received \(0, 4\)"),
        (lambda m: prune(m, 0.5, pattern="1:4"), "pattern '1:4'; allowed: 2:4"),
        (lambda m: prune(m, 0.5, pattern="2:4", block=(2, 2)), "exclude each other"),
        (lambda m: prune(keras.Sequential([layers.LSTM(2)]), 0.5), "is not built"),
        (
            lambda m: prune(
                keras.Sequential([keras.Input((None, 3)), layers.LSTM(1)]), 0.5, pattern="2:4"
            ),
            r"made of groups of 2:4; received .*lstm.*kernel \(3, 4\)",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(sequential("simple"))
