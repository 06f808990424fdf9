"""Inputs and elapsed times of any size and type: results are finite, or the call is refused."""

import keras
import numpy as np
import pytest
from gradients import compiled, gradients
from matrix import CELLS, FEATURES, UNITS, numbers, same

from lnn_keras import CTGRUCell, CTRNNCell, LEFCell, LiquidCell, LiquidRNN, LTCCell, ODERNNCell
from lnn_keras import elapsed as elapsed_time
from tests.stress.long_rollouts import roll_out

BACKEND = keras.backend.backend()
SIZES = (0, 1e-45, 1, 65504, 1e5, 1e10, 1e15, 1e30, 3e38)
TIMES = (0, 1e-30, 1, 86_400, 1e9, 1e30, 3e38)
# Explicit solvers overflow; test_explicit_solvers_refuse_long_times has their limit.
EXPLICIT = ("ctrnn", "ode-rnn", "node-dopri5")
GAUSSIAN = {"lef-gaussian": lambda **k: LEFCell(UNITS // 2, "gaussian", variances=True, **k)}
BOUNDED = {name: make for name, make in {**CELLS, **GAUSSIAN}.items() if name not in EXPLICIT}
FAST = ("ltc-ncp", "cfc", "ct-gru", "lef-gaussian")


@pytest.fixture(scope="module")
def hostile():
    """All pairs of a size and a time, constant, alternating and of random signs."""
    random, steps = np.random.default_rng(0), 4
    signs = [
        np.ones((steps, FEATURES)),
        np.resize([1, -1], steps)[:, None] * np.ones(FEATURES),
        random.choice([-1, 0, 1], (steps, FEATURES)),
    ]
    pairs = [(size * sign, np.full(steps, t)) for size in SIZES for t in TIMES for sign in signs]
    return tuple(np.array(part, "float32") for part in zip(*pairs, strict=True))


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in BOUNDED]
)
def test_any_input_over_any_time_is_finite(name, hostile):
    x, elapsed = hostile
    layer = LiquidRNN(BOUNDED[name](), return_sequences=True)
    layer.build(x.shape)
    assert np.isfinite(numbers(layer(x, elapsed=elapsed))).all()
    weights = layer.trainable_variables
    for gradient in gradients(lambda: keras.ops.mean(layer(x, elapsed=elapsed)), weights):
        assert np.isfinite(gradient).all()


def test_sizes_beyond_the_limits_count_as_the_limits(random):
    layer = LiquidRNN(LTCCell(3))
    x = random.standard_normal((2, 3, 4)).astype("float32")
    same(layer(1e20 * x), layer(np.clip(1e20 * x, -1e15, 1e15)))
    times = np.full((2, 3), 1e20, "float32")
    same(layer(x, elapsed=times), layer(x, elapsed=np.full((2, 3), elapsed_time.LONGEST)))
    same(layer(x, elapsed=1e20), layer(x, elapsed=times))
    # Values that are not finite must be visible.
    x[0, 1, 2], x[1, 1, 2] = np.nan, np.inf
    cell = LiquidCell(3)
    assert np.isnan(numbers(LiquidRNN(cell)(x))[0]).all()


def test_the_scales_of_ct_gru_do_not_cancel(random):
    """-(x - a)^2 loses a where x is 1e5, and XLA then computes the softmax of infinities."""
    x = random.standard_normal((4, 3, 2)).astype("float32") * 1e5
    layer = LiquidRNN(CTGRUCell(3, scales=3), return_sequences=True)
    expected = layer(x)
    assert np.isfinite(numbers(expected)).all()
    same(compiled(layer)(keras.ops.convert_to_tensor(x)), expected)
    weights = numbers(layer.cell._scale_weights(keras.ops.convert_to_tensor([[1e10, -1e10, 0.2]])))
    np.testing.assert_allclose(weights[0, :2], [[0, 0, 1], [1, 0, 0]])
    log_tau = np.log(layer.cell.tau)
    exact = np.exp(-((0.2 - log_tau) ** 2))
    np.testing.assert_allclose(weights[0, 2], exact / exact.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("cell", "elapsed"),
    [
        (lambda: CTRNNCell(4, solver="midpoint"), 1e9),
        (lambda: CTRNNCell(4, solver="euler"), 1e9),
        (lambda: LTCCell(4, solver="rk4", capacitance_initializer="ones"), 1e9),
        (lambda: ODERNNCell(4), 1e9),
        (lambda: ODERNNCell(4, solver="semi_implicit", unfolds=3), 1e9),
    ],
)
def test_explicit_solvers_refuse_long_times(cell, elapsed, random):
    cell, x = cell(), random.standard_normal((2, 3, 4)).astype("float32")
    layer, message = LiquidRNN(cell), "explicit solver .* overflows over an elapsed time of 1e\\+09"
    with pytest.raises(ValueError, match=message):
        layer(x, elapsed=elapsed)
    with pytest.raises(ValueError, match=message):
        cell(x[:, 0], [np.zeros((2, 4), "float32")], elapsed=elapsed)
    assert np.isfinite(numbers(layer(x, elapsed=2.0))).all()


@pytest.mark.skipif(BACKEND == "torch", reason="torch has no graphs here, and raises")
@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_compiled_graphs_mark_invalid_times(wrong, random):
    """XLA drops assertions. The state is that of elapsed time 0; later outputs are NaN."""
    x = keras.ops.convert_to_tensor(random.standard_normal((2, 4, 3)), "float32")
    times, zero = np.ones((2, 4), "float32"), np.ones((2, 4), "float32")
    times[1, 2], zero[1, 2] = wrong, 0
    layer = LiquidRNN(LiquidCell(3), return_sequences=True, return_state=True)
    expected, expected_state = layer(x, elapsed=zero)
    outputs, state = compiled(lambda times: layer(x, elapsed=times))(
        keras.ops.convert_to_tensor(times)
    )
    same(state, expected_state)
    outputs = numbers(outputs)
    assert np.isnan(outputs[1, 2:]).all()
    outputs[1, 2:] = numbers(expected)[1, 2:]
    same(outputs, expected)
    last = compiled(lambda times: LiquidRNN(layer.cell)(x, elapsed=times))
    assert np.isnan(numbers(last(keras.ops.convert_to_tensor(times)))[1]).all()


@pytest.mark.skipif(BACKEND == "torch", reason="torch has no graphs here, and raises")
def test_a_compiled_cell_marks_invalid_times(random):
    cell, x = LiquidCell(3), keras.ops.convert_to_tensor(random.random((2, 4)), "float32")
    h = keras.ops.convert_to_tensor(random.random((2, 3)), "float32")
    cell.build((None, 4))
    step = compiled(lambda elapsed: cell(x, [h], elapsed=elapsed))
    output, (state,) = step(keras.ops.convert_to_tensor([-1.0, 1.0]))
    assert np.isnan(numbers(output)).tolist() == [[True] * 3, [False] * 3]
    np.testing.assert_array_equal(numbers(state)[0], numbers(h)[0])


@pytest.mark.parametrize("name", ["liquid", "ltc-ncp", "cfc", "mixed-ltc"])
def test_integer_features(name, random):
    x = random.integers(-3, 4, (3, 4, 4)).astype("int32")
    elapsed = random.random((3, 4)).astype("float32")
    layer, mask = (
        LiquidRNN(CELLS[name]()),
        np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 1]], bool),
    )
    for arguments in ({"elapsed": 0.9}, {"elapsed": elapsed}, {"elapsed": elapsed, "mask": mask}):
        same(layer(x, **arguments), layer(x.astype("float32"), **arguments))
    same(keras.layers.RNN(layer.cell)(x), layer(x))


DAY = ("liquid", "ltc-ncp", "cfc", "lef", "ct-gru", "mixed-ltc")


@pytest.mark.skipif(BACKEND == "torch", reason="torch lacks half precision on the CPU")
@pytest.mark.parametrize(
    ("name", "policy"),
    [
        # Its range is the smaller one.
        *((name, "mixed_float16") for name in DAY),
        ("liquid", "mixed_bfloat16"),
        ("ltc-ncp", "mixed_bfloat16"),
        *(pytest.param(name, "mixed_bfloat16", marks=pytest.mark.slow) for name in DAY[2:]),
    ],
)
def test_a_day_in_seconds_in_half_precision(name, policy, random):
    x = random.standard_normal((3, 4, 4)).astype("float32")
    elapsed = (86_400 * random.random((3, 4))).astype("float32")
    single = LiquidRNN(CELLS[name]())
    expected = numbers(single(x, elapsed=elapsed))
    # A layer of half precision, and a cell of single precision within one.
    for cell_policy, atol in ((policy, 0.05), ("float32", 0.01)):
        layer = LiquidRNN(CELLS[name](dtype=cell_policy), dtype=policy)
        layer.build(x.shape)
        layer.set_weights(single.get_weights())
        output = layer(x, elapsed=elapsed)
        assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
        np.testing.assert_allclose(numbers(keras.ops.cast(output, "float32")), expected, atol=atol)


@pytest.mark.skipif(BACKEND == "torch", reason="torch lacks half precision on the CPU")
def test_keras_rnn_rounds_the_last_feature_in_half_precision(random):
    cell = LiquidCell(3, elapsed="last_feature", dtype="mixed_float16")
    x = random.standard_normal((2, 3, 4)).astype("float32")
    x[..., -1] = 86_400
    if BACKEND != "jax":  # JAX traces the steps.
        with pytest.raises(
            ValueError, match=r"In float16, times above .*keras.layers.RNN\(cell, dtype="
        ):
            keras.layers.RNN(cell, dtype="mixed_float16")(x)
    same(keras.layers.RNN(cell, dtype="float32")(x), LiquidRNN(cell)(x), atol=1e-3)


@pytest.mark.skipif(BACKEND == "torch", reason="the rollouts are compiled")
@pytest.mark.parametrize("name", ["liquid", "lef-gaussian"])
def test_long_rollouts(name):
    """`python -m tests.stress "long rollouts"` runs every cell over 100,000 steps."""
    assert roll_out(name, 300, 0) == []
