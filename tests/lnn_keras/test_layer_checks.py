"""Keras's own checks of a layer, for every cell in both drivers, and for every dtype policy.

They build, call, serialize and train the layer, and compare symbolic with real shapes and dtypes.
"""

import keras
import pytest
from keras.src.testing import TestCase
from matrix import CELLS, FEATURES, UNITS

from lnn_keras import Bidirectional, LiquidRNN

BACKEND = keras.backend.backend()
POLICIES = ("float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64")
TRAINED = ("liquid", "cfc")


def check_layer(driver, name, policy="float32", train=True, **options):
    if policy == "float64" and BACKEND == "jax":
        pytest.skip("JAX computes in float32 by default")
    if policy in ("float16", "bfloat16") and BACKEND == "torch":
        pytest.skip("torch lacks operations in half precision on the CPU")
    dtype = keras.dtype_policies.get(policy)
    outputs = 2 * UNITS if driver is Bidirectional else UNITS
    kwargs = {"cell": CELLS[name](dtype=policy), "dtype": policy, **options}
    if driver is Bidirectional:
        kwargs = {"layer": LiquidRNN(kwargs["cell"], **options)}
    TestCase().run_layer_test(
        driver,
        init_kwargs=kwargs,
        input_shape=(2, 3, FEATURES),
        expected_output_shape=(2, 3, outputs) if "return_sequences" in options else (2, outputs),
        expected_output_dtype=dtype.compute_dtype,
        supports_masking=True,
        run_training_check=train,
        # It gives the layer another policy than its cell, which only this check does.
        run_mixed_precision_check=policy == "float32" and driver is not Bidirectional,
    )


def slow_unless(is_fast, *values):
    return pytest.param(*values, marks=() if is_fast else pytest.mark.slow)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_without_training(name):
    check_layer(LiquidRNN, name, train=False)


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        slow_unless(name in TRAINED and driver is LiquidRNN, driver, name)
        for driver in (LiquidRNN, keras.layers.RNN)
        for name in CELLS
    ],
)
def test_every_cell_with_training(driver, name):
    check_layer(driver, name)


@pytest.mark.parametrize(
    ("driver", "name", "policy"),
    [
        slow_unless(name == "lef" and driver is LiquidRNN, driver, name, policy)
        for driver in (LiquidRNN, keras.layers.RNN)
        for name in CELLS
        for policy in POLICIES[1:]
    ],
)
def test_every_dtype(driver, name, policy):
    check_layer(driver, name, policy, train=False)


def test_both_directions():
    check_layer(Bidirectional, "cfc", train=False, return_sequences=True)
