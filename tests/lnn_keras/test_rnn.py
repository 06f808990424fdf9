"""LiquidRNN gives the results of keras.layers.RNN, with every option of the layer."""

import itertools

import keras
import numpy as np
import pytest
from drivers import (
    BACKEND,
    DRIVERS,
    KINDS,
    every_cell,
    every_kind,
    skip_where_the_stock_layer_errs,
    with_gaps_behind,
)
from matrix import CELLS, TOLERANCE, numbers, same

from lnn_keras import LiquidRNN

STEPS = 3


def assert_drivers_agree(name, options, inputs, elapsed="last_feature", **kwargs):
    if "mask" in kwargs:
        skip_where_the_stock_layer_errs(name)
    cell = CELLS[name](elapsed=elapsed)
    liquid = LiquidRNN(cell, **options)(inputs, **kwargs)
    if options.get("go_backwards") and elapsed == "last_feature":
        inputs = with_gaps_behind(inputs, kwargs.get("mask"))
    stock = keras.layers.RNN(cell, **options)(inputs, **kwargs)
    for a, b in zip(keras.tree.flatten(stock), keras.tree.flatten(liquid), strict=True):
        same(a, b)


@every_kind
def test_drivers_agree(name, x):
    assert_drivers_agree(name, {"return_sequences": True}, x, elapsed=0.7)


@every_cell
def test_drivers_agree_with_all_options(name, x, elapsed, mask):
    options = {"return_sequences": True, "return_state": True, "zero_output_for_mask": True}
    timed = np.concatenate([x, elapsed[..., None]], axis=-1)
    assert_drivers_agree(name, {**options, "go_backwards": True}, timed, mask=mask)


@every_kind
@pytest.mark.parametrize(
    ("options", "masked"),
    [
        ({"return_sequences": True}, True),
        ({"return_sequences": False}, True),
        ({"return_sequences": False}, False),
        ({"return_sequences": True, "go_backwards": True}, False),
        ({"return_sequences": True, "unroll": True}, True),
    ],
)
def test_drivers_agree_with_each_option(name, options, masked, x, elapsed, mask):
    timed = np.concatenate([x, elapsed[..., None]], axis=-1)
    assert_drivers_agree(name, options, timed, **({"mask": mask} if masked else {}))


VARIANTS = list(
    itertools.product(
        ("liquid", "cfc", "mixed-ltc"), (False, True), (False, True), (False, True), (None, 1, 2)
    )
)


@pytest.mark.parametrize(
    ("number", "variant"),
    [
        (n, v) if n % 6 == 0 else pytest.param(n, v, marks=pytest.mark.slow)
        for n, v in enumerate(VARIANTS)
    ],
)
def test_drivers_agree_in_every_variant(number, variant, x, elapsed, mask):
    """Cell, all outputs, backwards, masked and rematerialization; other options alternate."""
    name, return_sequences, go_backwards, masked, remat = variant
    options = {
        "return_sequences": return_sequences,
        "go_backwards": go_backwards,
        "return_state": True,
        "unroll": number % 4 == 1,
        "zero_output_for_mask": number % 3 == 0,
        "stateful": number % 2 == 0,
    }
    arguments = {"mask": mask} if masked else {}
    if masked:
        skip_where_the_stock_layer_errs(name)
    cell = CELLS[name](elapsed="last_feature")
    timed = np.concatenate([x, elapsed[..., None]], axis=-1)
    behind = with_gaps_behind(timed, mask if masked else None) if go_backwards else timed
    stock = keras.layers.RNN(cell, **options)
    liquid = LiquidRNN(cell, remat=remat, **options)
    starts = [None]
    if options["stateful"]:
        starts *= 2
    else:
        stock.build(timed.shape)
        starts.append([0.1 + numbers(s) for s in stock.get_initial_state(len(x))])
    for start in starts:
        expected = stock(behind, initial_state=start, **arguments)
        for a, b in zip(liquid(timed, initial_state=start, **arguments), expected, strict=True):
            same(a, b)


@pytest.mark.parametrize(
    ("name", "dtype", "driver"),
    [
        pytest.param(
            name,
            dtype,
            driver,
            # Half precision depends on the cell's equations, which both drivers call.
            marks=()
            if driver is LiquidRNN and (dtype == "mixed_float16" or name in KINDS)
            else pytest.mark.slow,
        )
        for name in CELLS
        for dtype in ("mixed_float16", "float64")
        for driver in DRIVERS
    ],
)
def test_compute_dtypes(name, dtype, driver, x):
    if dtype == "float64" and BACKEND == "jax":
        pytest.skip("JAX computes in float32 by default")
    x = x[:, :2]
    single = driver(CELLS[name](), return_sequences=True)
    expected = single(x)
    layer = driver(CELLS[name](dtype=dtype), return_sequences=True, dtype=dtype)
    layer.build(x.shape)
    layer.set_weights(single.get_weights())
    output = layer(x)
    compute = "float16" if dtype == "mixed_float16" else "float64"
    assert keras.backend.standardize_dtype(output.dtype) == compute
    same(output, expected, atol=2e-2 if compute == "float16" else TOLERANCE[name])
