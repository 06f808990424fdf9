"""OnlineDynamics: exact gradients forwards in time, the adapted weights, and bad arguments."""

import math

import keras
import numpy as np
import pytest
from gradients import compiled, gradients
from keras import ops
from matrix import numbers, same
from online import CELLS, FEATURES, UNITS, built, compiled_if_long, learned, stream

from lnn_keras import DiagonalLiquidCell, LiquidCell, LiquidRNN, LRCCell, LTCCell
from lnn_keras.adapt import OnlineDynamics
from lnn_keras.adapt.eligibility import LocalStep
from lnn_keras.autodiff.functional import pure
from lnn_keras.autodiff.vjp import vjp
from lnn_keras.wirings import FullyConnected

BACKEND = keras.backend.backend()
ISOLATED = {
    "liquid": lambda: LiquidCell(UNITS, unfolds=2, recurrent_initializer="identity"),
    "liquid-midpoint": lambda: LiquidCell(
        UNITS, unfolds=2, solver="midpoint", recurrent_initializer="identity"
    ),
    "ltc": lambda: LTCCell(FullyConnected(1), unfolds=2),
}
every_cell = pytest.mark.parametrize("name", CELLS)


def summed_gradients(online, x, elapsed, upstream):
    """The sum of the gradients of all steps, compensated for rounding (Kahan), and the state."""
    length = x.shape[0]

    def step(i, state, sums, lost):
        _, state = online.advance(x[i], state, elapsed[i])
        terms = [g - c for g, c in zip(online.gradients(upstream[i], state), lost, strict=True)]
        new = tuple(s + term for s, term in zip(sums, terms, strict=True))
        lost = tuple(n - s - term for n, s, term in zip(new, sums, terms, strict=True))
        return i + 1, state, new, lost

    def run():
        state = online.initial_state()
        zeros = tuple(ops.zeros_like(parameter) for parameter in state.parameters)
        start = (ops.zeros((), "int32"), state, zeros, zeros)
        _, state, sums, _ = ops.while_loop(lambda i, *_: i < length, step, start)
        return sums, state

    sums, state = compiled_if_long(run, length)()
    return [numbers(value) for value in sums], state


def backpropagated(cell, x, elapsed, upstream):
    """The gradients of sum(upstream * outputs) by backpropagation through time."""
    layer = LiquidRNN(cell, return_sequences=True)
    layer.build((1, None, FEATURES))
    arguments = [ops.expand_dims(tensor, 0) for tensor in (x, elapsed, upstream)]

    def loss(x, elapsed, upstream):
        return ops.sum(layer(x, elapsed=elapsed) * upstream)

    if BACKEND != "jax":
        loss = compiled_if_long(loss, x.shape[0])
    names = {weight.name for weight in cell.weights} - {"input_scale", "input_bias"}
    weights = [weight for weight in cell.weights if weight.name in names]
    return gradients(lambda: loss(*arguments), weights)


def relative_errors(actual, expected):
    return [
        np.linalg.norm(a - e) / np.linalg.norm(e) for a, e in zip(actual, expected, strict=True)
    ]


def exactness(random, cell, length):
    """The largest relative difference of the summed gradients and backpropagation's."""
    x, elapsed, upstream = stream(random, length, UNITS)
    online = OnlineDynamics(built(cell), learning_rate=0)
    sums, _ = summed_gradients(online, x, elapsed, upstream)
    return max(relative_errors(sums, backpropagated(cell, x, elapsed, upstream)))


@pytest.mark.parametrize("name", ["exact", "semi-implicit"])
def test_gradients_of_a_diagonal_cell_are_those_of_backpropagation(name, random):
    assert exactness(random, CELLS[name](), 300 if BACKEND == "torch" else 2000) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exact", "semi-implicit"])
@pytest.mark.skipif(BACKEND == "torch", reason="torch runs loops in Python")
def test_gradients_over_100_000_steps_are_those_of_backpropagation(name, random):
    assert exactness(random, CELLS[name](), 100_000) < 1e-5


@pytest.mark.parametrize("name", ISOLATED)
def test_traces_of_neurons_that_see_themselves_only_are_exact(name, random):
    cell = built(ISOLATED[name]())
    x, elapsed, upstream = stream(random, 6, cell.output_size)
    elapsed = elapsed * 0.1
    sums, _ = summed_gradients(OnlineDynamics(cell, 0.0), x, elapsed, upstream)
    expected = backpropagated(cell, x, elapsed, upstream)
    assert max(relative_errors(sums, expected)) < 1e-4


def test_the_error_of_the_traces_is_proportional_to_weak_connections(random):
    cell = built(CELLS["liquid"]())
    x, elapsed, upstream = stream(random, 8, UNITS)
    kernel, errors = numbers(cell.recurrent_kernel), []
    for strength in (0.04, 0.02):
        cell.recurrent_kernel.assign(kernel * strength)
        sums, _ = summed_gradients(OnlineDynamics(cell, 0.0), x, elapsed, upstream)
        expected = backpropagated(cell, x, elapsed, upstream)
        parts = [np.concatenate([g.ravel() for g in gradient]) for gradient in (sums, expected)]
        errors.append(np.linalg.norm(parts[0] - parts[1]) / np.linalg.norm(parts[1]))
    assert errors[0] < 0.1
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("name", ["liquid", "ltc", "ltc-ncp"])
def test_traces_keep_the_diagonal_of_the_jacobian(name, random):
    """With one solver step, nothing is dropped but the other neurons' share of dh'/dh."""
    cell = built(CELLS[name]())
    cell.unfolds = 1
    step = LocalStep(cell)
    h, x = (random.standard_normal((1, n)).astype("float32") for n in (cell.units, FEATURES))
    parameters = [cell.weights[index].value for index in step.indices]
    new, slopes, immediate = step(parameters, ops.convert_to_tensor(x), ops.convert_to_tensor(h), 1)
    same(new, cell(x, [h])[1][0])

    def whole(h, *parameters):
        weights = step.weights(parameters)
        return [pure(cell, lambda: cell(x, [h])[1][0])(weights)]

    arguments = [ops.convert_to_tensor(h), *parameters]
    rows = [vjp(whole, arguments, [ops.eye(cell.units)[None, i]])[0] for i in range(cell.units)]
    same(slopes[0], np.diag(np.concatenate([numbers(row) for row in rows])), 1e-5)
    expected = vjp(whole, arguments, [ops.ones_like(new)])[1:]
    for derivative, gradient in zip(immediate, expected, strict=True):
        same(derivative, gradient, 1e-5)


@every_cell
def test_outputs_and_sizes(name, random):
    """The outputs are the cell's; the state never grows; traces are as many as parameters."""
    cell = built(CELLS[name]())
    x, elapsed, upstream = stream(random, 4, cell.output_size)
    online = OnlineDynamics(cell, 0.0, method="sgd")
    state, h = online.initial_state(), cell.get_initial_state(1)
    shapes = keras.tree.map_structure(lambda tensor: tuple(tensor.shape), state)
    for i in range(4):
        output, state = online.advance(x[i], state, elapsed[i])
        expected, h = cell(x[i][None], h, elapsed=elapsed[i])
        same(output, expected)
        state = online.learn(upstream[i], state, error=1.0)
        assert keras.tree.map_structure(lambda tensor: tuple(tensor.shape), state) == shapes
    assert [trace.shape for trace in state.traces] == [p.shape for p in state.parameters]
    assert state.squares == ()
    adapted = sum(math.prod(parameter.shape) for parameter in state.parameters)
    fixed = 2 * FEATURES if name.startswith("ltc") else 0
    assert adapted == sum(math.prod(weight.shape) for weight in cell.weights) - fixed


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="torch runs loops in Python")
def test_state_after_100_and_10_000_steps_has_equal_size(random):
    online = OnlineDynamics(built(DiagonalLiquidCell(2)), 1e-3)

    def size(length):
        x, elapsed, _ = stream(random, length, 2)
        _, state = summed_gradients(online, x, elapsed, ops.zeros((length, 2)))
        tensors = keras.tree.flatten(state)
        assert all(np.isfinite(numbers(tensor)).all() for tensor in tensors)
        return [(tuple(tensor.shape), tensor.dtype) for tensor in tensors]

    assert size(100) == size(10_000)


@pytest.mark.parametrize("method", ["sgd", "rmsprop"])
def test_learning_reduces_the_error(method, random):
    """A cell learns the outputs of the same cell with other time constants."""
    cell, teacher = built(DiagonalLiquidCell(2)), built(DiagonalLiquidCell(2))
    teacher.set_weights([*cell.get_weights()[:2], cell.log_tau + 0.5, cell.log_reversal])
    rate = {"sgd": 0.1, "rmsprop": 0.005}[method]
    online = OnlineDynamics(cell, rate, method=method)

    @compiled
    def step(x, target_state, state):
        output, state = online.advance(x, state)
        target, target_state = teacher(x[None], target_state)
        residual = output - target
        error = ops.mean(ops.square(residual))
        return error, target_state, online.learn(residual, state, error=error)

    state, target_state, errors = online.initial_state(), teacher.get_initial_state(1), []
    for x in random.standard_normal((200, FEATURES)).astype("float32"):
        error, target_state, state = step(ops.convert_to_tensor(x), target_state, state)
        errors.append(float(numbers(error)))
    assert np.mean(errors[-80:]) < 0.4 * np.mean(errors[:50])


@every_cell
def test_adapted_weights_are_assigned(name, random):
    cell = built(CELLS[name]())
    online = OnlineDynamics(cell, 0.01)
    before = cell.get_weights()
    state = learned(online, np.ones((3, FEATURES)), np.ones((3, cell.output_size)))
    for kept, weight in zip(before, cell.get_weights(), strict=True):
        same(weight, kept, 0)
    adapted = online.adapted_weights(state)
    online.assign(state)
    for weight, expected in zip(cell.get_weights(), adapted, strict=True):
        same(weight, expected, 0)
    assert max(np.abs(a - b).max() for a, b in zip(adapted, before, strict=True)) > 1e-4


def test_elapsed_time_as_the_last_feature(random):
    cell = built(DiagonalLiquidCell(2))
    timed = DiagonalLiquidCell(2, elapsed="last_feature")
    timed.build((None, FEATURES + 1))
    timed.set_weights(cell.get_weights())
    one, other = OnlineDynamics(cell), OnlineDynamics(timed)
    x = random.standard_normal(FEATURES).astype("float32")
    expected, _ = one.advance(x, one.initial_state(), elapsed=0.3)
    output, _ = other.advance(np.append(x, np.float32(0.3)), other.initial_state())
    same(output, expected)


@pytest.mark.skipif(BACKEND != "torch", reason="only torch keeps graphs")
def test_states_keep_no_graph():
    """The graphs of earlier steps would fill the memory."""
    cell = built(LTCCell(2, unfolds=1))
    online = OnlineDynamics(cell)
    output, state = online.advance(np.ones(FEATURES, "float32"), online.initial_state())
    error = ops.mean(keras.layers.Dense(1)(output) ** 2)
    state = online.learn(output, state, error=error)
    assert not any(tensor.requires_grad for tensor in keras.tree.flatten(state))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float64"])
def test_precisions(dtype):
    """Traces are float32 in half precision."""
    if dtype == "float64" and BACKEND != "tensorflow":
        pytest.skip("steps are float32 on JAX and torch")
    cell = built(DiagonalLiquidCell(2, dtype=dtype))
    online = OnlineDynamics(cell, 0.01)
    output, state = online.advance(np.ones(FEATURES, "float32"), online.initial_state())
    state = online.learn(np.ones(2, "float32"), state, error=1.0)
    assert online.log(state)["learned"] == 1
    assert output.dtype == cell(ops.ones((1, FEATURES)), cell.get_initial_state(1))[0].dtype
    expected = "float64" if dtype == "float64" else "float32"
    assert {keras.backend.standardize_dtype(t.dtype) for t in state.traces} == {expected}


def test_bad_arguments(random):
    with pytest.raises(ValueError, match="DiagonalLiquidCell, LiquidCell or LTCCell; received LRC"):
        OnlineDynamics(built(LRCCell(2)))
    with pytest.raises(ValueError, match=r"received LiquidRNN\. Give the cell"):
        OnlineDynamics(LiquidRNN(LiquidCell(2)))
    with pytest.raises(ValueError, match="is not built"):
        OnlineDynamics(LiquidCell(2))
    with pytest.raises(ValueError, match="solver 'dopri5'"):
        OnlineDynamics(built(LiquidCell(2, solver="dopri5")))
    cell = built(DiagonalLiquidCell(2))
    for name, values in {
        "learning_rate": (-1e-3, float("nan"), float("inf"), "fast", True),
        "trust_region": (0, -1, float("nan"), None),
        "largest_step": (0, float("inf")),
        "return_above": (1, float("nan")),
        "horizon": (9, 10.5),
        "method": ("adam",),
    }.items():
        for value in values:
            with pytest.raises(ValueError, match=name.split("_")[0]):
                OnlineDynamics(cell, **{name: value})
    OnlineDynamics(cell, return_above=math.inf)


def test_bad_steps(random):
    online = OnlineDynamics(built(DiagonalLiquidCell(2)))
    x, state = np.ones(FEATURES, "float32"), online.initial_state()
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(3,\) or \(1, 3\)"):
        online.advance(np.ones((2, FEATURES), "float32"), state)
    with pytest.raises(ValueError, match="`elapsed` must be finite"):
        online.advance(x, state, elapsed=-1.0)
    for upstream in (np.ones(3), np.ones((2, 2)), np.float32(1)):
        with pytest.raises(ValueError, match=r"`upstream` must have shape \(2,\)"):
            online.learn(upstream, state)
    others = (
        DiagonalLiquidCell(3),
        DiagonalLiquidCell(2, bias_initializer="ones"),
        LiquidCell(2),
    )
    for other in others:
        foreign = OnlineDynamics(built(other)).initial_state()
        with pytest.raises(ValueError, match="belongs to another cell"):
            online.advance(x, foreign)
        with pytest.raises(ValueError, match="belongs to another cell"):
            online.assign(foreign)
    with pytest.raises(ValueError, match="must come from `initial_state`"):
        online.advance(x, [state.h])
