"""Newton's method over all steps gives the outputs, gradients and training of the scan."""

import keras
import numpy as np
import pytest
from keras import ops
from matrix import CELLS, numbers, same

from lnn_keras import CfCCell, LiquidCell, LiquidRNN
from lnn_keras.layers.parallel_scan import METHODS, parallel_scan

on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="runs on JAX only")

LENGTH, UNITS = 300, 8
LONG = {
    "liquid, 1 unfold": (lambda: LiquidCell(UNITS, unfolds=1), ["newton"]),
    "liquid, 6 unfolds": (lambda: LiquidCell(UNITS, unfolds=6), ["quasi_newton"]),
    "cfc": (lambda: CfCCell(UNITS, backbone_units=16), METHODS),
}
# Cells that do not support it, and the reason in the error message.
REFUSED = {
    "liquid-adjoint": "adjoint=False; received solver='semi_implicit', adjoint=True",
    "node-dopri5": "a solver of fixed steps .* received solver='dopri5'",
    "ct-gru": "CTGRUCell has none",
    "mixed-ltc": "a cell with one state; MixedMemoryCell has 2",
}


def pair(cell, method, **options):
    """A layer that scans and a layer that does not, with one cell."""
    return LiquidRNN(cell, **options), LiquidRNN(cell, parallel=method, **options)


def recurrence(recurrent_kernel):
    """A step tanh(h U + x), as `parallel_scan` takes it."""
    return lambda h, x: ops.tanh(ops.matmul(h, recurrent_kernel) + x)


@on_jax
@pytest.mark.parametrize(("make", "methods"), LONG.values(), ids=LONG)
def test_long_sequences_and_all_gradients(make, methods, random):
    """Gradients of inputs, state, weights, and elapsed times that differ by a factor of 1,000."""
    import jax

    cell = make()
    x = random.standard_normal((2, LENGTH, 4)).astype("float32")
    elapsed = (10 ** random.uniform(-2, 1, (2, LENGTH))).astype("float32")
    initial = random.uniform(-1, 1, (2, UNITS)).astype("float32")
    cotangents = random.standard_normal((2, LENGTH, UNITS)).astype("float32")
    results = []
    for method in (None, *methods):
        layer = LiquidRNN(cell, parallel=method, return_sequences=True)
        layer.build(x.shape)

        def outputs(x, elapsed, initial, weights, layer=layer):
            mapping = list(zip(cell.variables, weights, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return layer(x, elapsed=elapsed, initial_state=[initial])

        def evaluate(*arguments, outputs=outputs):
            values, pull_back = jax.vjp(outputs, *arguments)
            return values, jax.tree.leaves(pull_back(cotangents))

        weights = [weight.value for weight in cell.variables]
        results.append(jax.jit(evaluate)(x, elapsed, initial, weights))
    (expected, expected_gradients), *ours = results
    for values, all_gradients in ours:
        same(values, expected, atol=1e-5)
        for gradient, reference in zip(all_gradients, expected_gradients, strict=True):
            largest = np.abs(numbers(reference)).max()
            assert largest > 1e-3
            assert np.abs(numbers(gradient) - numbers(reference)).max() <= 1e-4 * largest


@on_jax
@pytest.mark.parametrize("name", ["liquid", "ltc-ncp", "lef", "cfc-wired"])
def test_other_cells_with_all_options(name, x, elapsed):
    mask = np.array([[0, 1, 1, 0, 1, 1, 0], [1] * 7, [0] * 7], bool)
    cell = CELLS[name](elapsed="last_feature")
    inputs = np.concatenate([x, elapsed[..., None]], axis=-1)
    options = {"return_sequences": True, "return_state": True, "go_backwards": True}
    results = (layer(inputs, mask=mask) for layer in pair(cell, "newton", **options))
    for a, b in zip(*results, strict=True):
        same(a, b, atol=1e-5)


@on_jax
@pytest.mark.parametrize("zero_output_for_mask", [False, True])
def test_masked_steps(zero_output_for_mask, x):
    mask = np.array([[0, 1, 1, 0, 1, 1, 0], [1] * 7, [0] * 7], bool)
    state = [np.full((3, UNITS), 0.3, "float32")]
    options = {"return_sequences": True, "zero_output_for_mask": zero_output_for_mask}
    layers = pair(LiquidCell(UNITS), "quasi_newton", **options)
    expected, outputs = (layer(x, mask=mask, initial_state=state) for layer in layers)
    same(outputs, expected)
    assert np.any(numbers(outputs)[0, 3]) != zero_output_for_mask


@on_jax
def test_a_number_as_elapsed_time_and_only_the_last_output(x):
    layers = pair(CfCCell(UNITS, backbone_units=6), "newton")
    expected, outputs = (layer(x, elapsed=0.3) for layer in layers)
    same(outputs, expected)


@on_jax
def test_stateful_continues_a_sequence(x):
    at_once, stateful = (
        LiquidRNN(cell, parallel=method, return_sequences=True, stateful=stateful)
        for cell in [LiquidCell(UNITS)]
        for method, stateful in [(None, False), ("newton", True)]
    )
    parts = [numbers(stateful(x[:, :2])), numbers(stateful(x[:, 2:4]))]
    same(np.concatenate(parts, axis=1), at_once(x[:, :4]))


@on_jax
@pytest.mark.parametrize("method", METHODS)
def test_a_scan_replaces_iterations_that_do_not_converge(method, random):
    """A chaotic recurrence: its states, and the gradients of its last steps, which are finite."""
    import jax

    kernel = 3 * random.standard_normal((UNITS, UNITS)).astype("float32")
    x = random.standard_normal((20, 2, UNITS)).astype("float32")
    initial = np.zeros((2, UNITS), "float32")

    def at_once(x, initial, kernel):
        return parallel_scan(recurrence(kernel), initial, x, method=method, max_iterations=3)

    def scan(x, initial, kernel):
        step = recurrence(kernel)
        return jax.lax.scan(lambda h, x: (step(h, x),) * 2, initial, x)[1]

    def gradients(function):
        return jax.jit(jax.grad(lambda *a: ops.sum(function(*a)[-3:] ** 2), argnums=(0, 2)))

    states, iterations, converged = jax.jit(at_once)(x, initial, kernel)
    assert not converged and iterations <= 3
    same(states, scan(x, initial, kernel))
    ours = gradients(lambda *a: at_once(*a)[0])(x, initial, kernel)
    for gradient, reference in zip(ours, gradients(scan)(x, initial, kernel), strict=True):
        atol = 1e-4 * np.abs(reference).max()
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=atol)


@on_jax
def test_states_that_overflow_are_those_of_the_scan():
    kernel, x = np.full((1, 1), 4.0, "float32"), np.ones((200, 1, 1), "float32")
    states, _, converged = parallel_scan(
        lambda h, x: ops.matmul(h, kernel) + x, np.zeros((1, 1), "float32"), x
    )
    assert not converged
    assert np.isfinite(states[:60]).all() and np.isinf(states[-1])


@on_jax
def test_a_linear_recurrence_takes_one_iteration_and_one_to_detect_convergence(random):
    kernel = 0.3 * random.standard_normal((UNITS, UNITS)).astype("float32")
    x = random.standard_normal((50, 2, UNITS)).astype("float32")
    _, iterations, converged = parallel_scan(
        lambda h, x: ops.matmul(h, kernel) + x, np.zeros((2, UNITS), "float32"), x
    )
    assert converged and iterations == 2


@on_jax
def test_states_that_forget_their_past_take_few_iterations(random):
    import jax

    cell = LiquidCell(UNITS)
    cell.build((None, 4))
    projected = cell.project(random.standard_normal((LENGTH, 1, 4)).astype("float32"))
    for method, most in (("newton", 5), ("quasi_newton", 10)):
        _, iterations, converged = jax.jit(
            lambda x, method=method: parallel_scan(
                lambda h, x: cell.advance(x, [h], 1.0)[0], ops.zeros((1, UNITS)), x, method=method
            )
        )(projected)
        assert converged and iterations <= most


@on_jax
def test_gradients_of_gradients():
    import jax

    x = np.linspace(-1, 1, 6, dtype="float32").reshape(6, 1, 1)
    initial = np.zeros((1, 1), "float32")

    def at_once(kernel):
        return parallel_scan(recurrence(kernel), initial, x)[0]

    def scan(kernel):
        step = recurrence(kernel)
        return jax.lax.scan(lambda h, x: (step(h, x),) * 2, initial, x)[1]

    kernel = np.full((1, 1), 0.7, "float32")

    def curvature(states):
        slope = jax.grad(lambda kernel: ops.sum(states(kernel) ** 2))
        return jax.jit(jax.grad(lambda kernel: ops.sum(slope(kernel))))(kernel)

    np.testing.assert_allclose(curvature(at_once), curvature(scan), rtol=1e-4)


@on_jax
def test_training_is_the_same(random):
    x = random.standard_normal((16, 12, 3)).astype("float32")
    elapsed = random.random((16, 12)).astype("float32")
    losses = []
    for method in (None, "newton"):
        keras.utils.set_random_seed(1)
        inputs, times = keras.Input((None, 3)), keras.Input((None,))
        hidden = LiquidRNN(LiquidCell(UNITS), parallel=method)(inputs, elapsed=times)
        model = keras.Model([inputs, times], keras.layers.Dense(1)(hidden))
        model.compile(keras.optimizers.Adam(0.01), "mse")
        target = x[:, :, 0].sum(axis=1, keepdims=True)
        losses.append(
            model.fit([x, elapsed], target, epochs=5, batch_size=8, verbose=0).history["loss"]
        )
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


@on_jax
def test_saved_and_loaded(tmp_path, x):
    model = keras.Sequential([LiquidRNN(LiquidCell(UNITS), parallel="newton")])
    expected = model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].parallel == "newton"
    same(loaded(x), expected)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX supports it")
def test_other_backends_refuse_it_and_load_models_saved_on_jax():
    backend = keras.backend.backend()
    with pytest.raises(ValueError, match=f"runs on '{backend}', where parallel=None is allowed"):
        LiquidRNN(LiquidCell(UNITS), parallel="newton")
    config = {**LiquidRNN(LiquidCell(UNITS)).get_config(), "parallel": "newton"}
    assert LiquidRNN.from_config(config).parallel is None


@pytest.mark.parametrize("method", [None, False])
def test_without_it_the_layer_scans(method):
    assert LiquidRNN(LiquidCell(UNITS), parallel=method).get_config()["parallel"] is None


def test_unknown_methods_are_refused():
    with pytest.raises(ValueError, match=r"Unknown parallel 'newtn'; .* mean 'newton'"):
        LiquidRNN(LiquidCell(UNITS), parallel="newtn")


@on_jax
@pytest.mark.parametrize("name", REFUSED)
def test_cells_that_are_refused(name):
    with pytest.raises(ValueError, match=REFUSED[name]):
        LiquidRNN(CELLS[name](), parallel="newton")


@on_jax
def test_options_that_are_refused():
    with pytest.raises(ValueError, match="unroll=False"):
        LiquidRNN(LiquidCell(UNITS), parallel="newton", unroll=True)
    with pytest.raises(ValueError, match=r"half precision .* received 'mixed_float16'"):
        LiquidRNN(LiquidCell(UNITS, dtype="mixed_float16"), parallel="newton")
