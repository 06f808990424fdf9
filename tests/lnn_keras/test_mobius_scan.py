"""All steps of a diagonal cell at once: outputs, derivatives and options are those of the loop."""

import keras
import numpy as np
import pytest
from gradients import gradients
from keras import ops
from matrix import numbers, same

from lnn_keras import Bidirectional, DiagonalLiquidCell, LiquidCell, LiquidRNN
from lnn_keras.autodiff.vjp import vjp
from lnn_keras.layers import mobius_recurrence
from lnn_keras.layers.mobius_recurrence import in_blocks, states_of, step_by_step
from lnn_keras.solvers.mobius import LARGEST, Mobius

BACKEND = keras.backend.backend()
UNITS = 5
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="forward mode of JAX")
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="graphs of TensorFlow")
SOLVERS = {"exact": {}, "semi_implicit": {"solver": "semi_implicit", "unfolds": 3}}
every_solver = pytest.mark.parametrize("options", SOLVERS.values(), ids=SOLVERS)


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch):
    monkeypatch.setattr(mobius_recurrence, "BLOCK", 3)


def pair(options, **layer_options):
    """A loop and a scan with one cell."""
    cell = DiagonalLiquidCell(UNITS, **options)
    return LiquidRNN(cell, **layer_options), LiquidRNN(cell, parallel="scan", **layer_options)


def maps(random, time, dtype="float32", batch=2):
    """Maps that keep [0, 1]."""
    p, q, t = (random.uniform(0, 1, (batch, time, UNITS)).astype(dtype) for _ in range(3))
    return [
        (1 + t * (q - p)) / (1 + t * p + t),
        t * p / (1 + t * p + t),
        t * (q - p) / (1 + t * p + t),
    ]


@every_solver
def test_all_options(options, x, elapsed):
    mask = np.array([[0, 1, 1, 0, 1, 1, 0], [1] * 7, [0] * 7], bool)
    state = [np.full((3, UNITS), 0.3, "float32")]
    for layer_options in (
        {"go_backwards": True},
        {"zero_output_for_mask": True},
        {"return_sequences": False},
        {"remat": None},
    ):
        layer_options = {"return_sequences": True, "return_state": True, **layer_options}
        loop, scan = pair(options, **layer_options)
        arguments = {"elapsed": elapsed, "mask": mask, "initial_state": state}
        for a, b in zip(scan(x, **arguments), loop(x, **arguments), strict=True):
            same(a, b, 2e-6)


@every_solver
@pytest.mark.skipif(BACKEND == "jax", reason="its keras.layers.RNN outputs states of masked steps")
def test_the_loop_is_that_of_keras(options, x, elapsed):
    loop, _ = pair(options, return_sequences=True, return_state=True)
    cell = DiagonalLiquidCell(UNITS, elapsed="last_feature", **options)
    stock = keras.layers.RNN(cell, return_sequences=True, return_state=True)
    inputs = np.concatenate([x, elapsed[..., None]], axis=-1)
    mask = np.array([[0, 1, 1, 0, 1, 1, 0], [1] * 7, [0] * 7], bool)
    loop.build(x.shape)
    stock.build(inputs.shape)
    stock.set_weights(loop.get_weights())
    expected = stock(inputs, mask=mask)
    for a, b in zip(loop(x, elapsed=elapsed, mask=mask), expected, strict=True):
        same(a, b, 5e-6)


def test_long_irregular_sequences(random, monkeypatch):
    """65,536 steps, whose elapsed times differ by a factor of 10,000."""
    monkeypatch.setattr(mobius_recurrence, "BLOCK", 128)
    p, q = random.uniform(0, 1, (2, 65536, 3)) ** 2
    t = 10 ** random.uniform(-3, 1, p.shape)
    parts = [part / (1 + t * p + t) for part in (1 + t * (q - p), t * p, t * (q - p))]
    parts = [part.astype("float32") for part in parts]
    tensors = [ops.convert_to_tensor(part[None]) for part in parts]
    blocks = numbers(states_of(Mobius(*tensors), ops.zeros((1, 3)), in_blocks))[0]
    u, loop = np.zeros(3, "float32"), []
    for a, b, c in zip(*parts, strict=True):
        u = (a * u + b) / (c * u + 1)
        loop.append(u)
    assert np.abs(np.array(loop) - blocks).max() < 1e-5
    assert blocks.std() > 0.05


@pytest.mark.parametrize("time", [1, 2, 3, 4, 10])
def test_blocks_of_any_length(time, random):
    tensors = [ops.convert_to_tensor(part) for part in maps(random, time)]
    start = ops.convert_to_tensor(random.uniform(0, 1, (2, UNITS)).astype("float32"))
    results = [states_of(Mobius(*tensors), start, f) for f in (step_by_step, in_blocks)]
    same(*results)


def test_unstable_fixed_points_do_not_overflow():
    """The slope of the composition at 0 is 3^300."""
    steps = ops.ones((1, 300, 1))
    steep = Mobius(3 * steps, 0 * steps, 2 * steps)
    for start, end in ((0.0, 0.0), (1e-3, 1.0)):
        states = states_of(steep, ops.zeros((1, 1)) + start, in_blocks)
        same(states[:, -1], [[end]])
    composed = Mobius(*(part[:, 0] for part in steep)).power(100)
    assert float(numbers(composed.c)[0, 0]) == pytest.approx(LARGEST, rel=1e-4)


@every_solver
def test_gradients_of_all_weights(options, x, elapsed):
    results = []
    for layer in pair(options, return_sequences=True):
        layer.build(x.shape)
        loss = lambda layer=layer: ops.sum(ops.square(layer(x, elapsed=elapsed)))  # noqa: E731
        results.append(gradients(loss, layer.trainable_variables))
    for a, b in zip(*results, strict=True):
        same(a, b, 1e-5 * max(1, np.abs(b).max()))
        assert np.abs(b).max() > 1e-3


@pytest.mark.parametrize("recurrence", [step_by_step, in_blocks])
def test_first_and_second_derivatives_are_finite_differences(recurrence, random):
    dtype, size, rtol = (
        ("float64", 1e-5, 1e-6) if BACKEND == "tensorflow" else ("float32", 1e-2, 2e-2)
    )
    weights = ops.convert_to_tensor(random.standard_normal((2, 7, UNITS)).astype(dtype))
    values = [*maps(random, 7, dtype), random.uniform(0, 1, (2, UNITS)).astype(dtype)]
    arguments = [ops.convert_to_tensor(v) for v in values]

    def loss(*tensors):
        states = states_of(Mobius(*tensors[:3]), tensors[3], recurrence)
        return [ops.sum(ops.square(states) * weights)]

    def penalty(*tensors):
        one = ops.ones((), dtype)
        return [sum(ops.sum(ops.square(g)) for g in vjp(loss, tensors, [one]))]

    directions = [random.standard_normal(v.shape).astype(dtype) for v in values]
    for function in (loss, penalty):
        one = ops.ones((), dtype)
        if BACKEND == "torch":
            arguments = [a.detach().requires_grad_() for a in arguments]
        found = vjp(function, arguments, [one])
        if BACKEND == "torch":
            found = [g.detach() for g in found]
        exact = sum((numbers(g) * d).sum() for g, d in zip(found, directions, strict=True))

        def at(length, function=function):
            moved = [
                ops.convert_to_tensor(v + length * d)
                for v, d in zip(values, directions, strict=True)
            ]
            if BACKEND == "torch":
                moved = [m.requires_grad_() for m in moved]
            result = function(*moved)[0]
            return float(numbers(result.detach() if BACKEND == "torch" else result))

        difference = (at(size) - at(-size)) / (2 * size)
        assert exact == pytest.approx(difference, rel=rtol)


@on_jax
def test_forward_mode(random):
    import jax

    values = [*maps(random, 7), random.uniform(0, 1, (2, UNITS)).astype("float32")]
    tangents = [random.standard_normal(v.shape).astype("float32") for v in values]

    def states(recurrence):
        return lambda *t: states_of(Mobius(*t[:3]), t[3], recurrence)

    def plain(*t):
        h, found = t[3], []
        for i in range(7):
            h = Mobius(*(part[:, i] for part in t[:3]))(h)
            found.append(h)
        return jax.numpy.stack(found, axis=1)

    expected = jax.jvp(plain, tuple(values), tuple(tangents))[1]
    for recurrence in (step_by_step, in_blocks):
        same(jax.jvp(states(recurrence), tuple(values), tuple(tangents))[1], expected, 1e-5)
        # Forward over reverse.
        loss = lambda *t, r=recurrence: (states(r)(*t) ** 2).sum()  # noqa: E731
        actual = jax.jvp(jax.grad(loss), tuple(values), tuple(tangents))[1]
        reference = jax.jvp(
            jax.grad(lambda *t: (plain(*t) ** 2).sum()), tuple(values), tuple(tangents)
        )
        same(actual, reference[1], 1e-4)


@on_tensorflow
def test_unknown_batch_and_length(random):
    """Gradients in graphs whose shapes are unknown, also compiled by XLA."""
    import tensorflow as tf

    loop, scan = pair({}, return_sequences=True)
    for layer in (loop, scan):
        layer.build((None, None, 4))

    def step(layer, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return [loss, *tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])]

    signature = [tf.TensorSpec((None, None, 4))]
    functions = [
        tf.function(lambda x, layer=layer: step(layer, x), signature, jit_compile=jit_compile)
        for layer, jit_compile in ((loop, False), (scan, False), (scan, True))
    ]
    for length in (2, 7):
        x = tf.constant(random.standard_normal((2, length, 4)), "float32")
        expected, *ours = (function(x) for function in functions)
        for results in ours:
            for a, b in zip(results, expected, strict=True):
                same(a, b, 1e-4 * max(1, float(tf.reduce_max(tf.abs(b)))))


@on_tensorflow
@pytest.mark.slow
def test_second_gradients_compile(random):
    import tensorflow as tf

    _, scan = pair({}, return_sequences=True)
    scan.build((None, None, 4))

    def penalty(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(scan(x) ** 2)
            first = tape.gradient(loss, [v.value for v in scan.trainable_variables])
            norm = sum(tf.reduce_sum(g**2) for g in first)
        return outer.gradient(norm, x)

    x = tf.constant(random.standard_normal((2, 7, 4)), "float32")
    signature = [tf.TensorSpec((None, None, 4))]
    same(tf.function(penalty, signature, jit_compile=True)(x), penalty(x), 1e-3)


def test_stateful_continues_a_sequence(x):
    cell = DiagonalLiquidCell(UNITS)
    whole = LiquidRNN(cell, return_sequences=True)(x)
    layer = LiquidRNN(cell, return_sequences=True, parallel="scan", stateful=True)
    parts = [numbers(layer(x[:, :3])), numbers(layer(x[:, 3:]))]
    same(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_scans_in_single_precision(dtype, random):
    x = random.standard_normal((2, 20, 4)).astype("float32")
    cell = DiagonalLiquidCell(UNITS, dtype=dtype)
    layer = LiquidRNN(cell, return_sequences=True, parallel="scan")
    outputs = layer(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == dtype.removeprefix("mixed_")
    reference = LiquidRNN(DiagonalLiquidCell(UNITS), return_sequences=True)
    reference.build(x.shape)
    reference.set_weights(layer.get_weights())
    error = np.abs(numbers(ops.cast(outputs, "float32")) - numbers(reference(x))).max()
    assert error < (0.01 if "bfloat" not in dtype else 0.1)


def test_both_directions_and_training(random):
    x = random.standard_normal((32, 6, 3)).astype("float32")
    y = np.cumsum(x, axis=1).mean(axis=-1, keepdims=True).astype("float32")
    layer = LiquidRNN(DiagonalLiquidCell(8), return_sequences=True, parallel="scan")
    model = keras.Sequential([keras.Input((None, 3)), Bidirectional(layer), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    losses = model.fit(x, y, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_auto_and_configs(x):
    """On processors "auto" is the loop, and any cell may have it."""
    for cell in (DiagonalLiquidCell(UNITS), LiquidCell(UNITS)):
        layer = LiquidRNN(cell, parallel="auto")
        assert LiquidRNN.from_config(layer.get_config()).parallel == "auto"
        assert layer(x).shape == (3, UNITS)
    layer = LiquidRNN(DiagonalLiquidCell(UNITS), parallel="scan")
    assert LiquidRNN.from_config(layer.get_config()).parallel == "scan"
    assert layer.with_cell(layer.cell).parallel == "scan"


def test_other_cells_are_refused():
    message = r"neurons do not mix within a step: DiagonalLiquidCell; received LiquidCell\."
    with pytest.raises(ValueError, match=message):
        LiquidRNN(LiquidCell(3), parallel="scan")


@pytest.mark.parametrize("cell", [LiquidCell, DiagonalLiquidCell])
def test_no_steps_are_refused(cell):
    with pytest.raises(ValueError, match=r"at least one time step; received .* \(2, 0, 3\)"):
        LiquidRNN(cell(4))(np.zeros((2, 0, 3), "float32"))
