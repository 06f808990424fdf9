"""Compression: what becomes zero, shared or rounded, and what must not."""

import keras
import numpy as np
import pytest

import export
from export import recipes, targets
from export.calibration import closed_loop_samples
from export.compress import cluster, prune, quantize_aware, sparsity, strip
from export.compress.kernels import kernels_of
from export.convert import convert
from export.tflite_file import flatbuffer
from lnn_keras import CfCCell, LiquidCell, LiquidRNN, LTCCell, WiredCfCCell, wirings

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers
RECURRENT = {
    "liquid": lambda: LiquidRNN(LiquidCell(8, unfolds=2), return_sequences=True),
    "ltc": lambda: LiquidRNN(LTCCell(wirings.AutoNCP(12, 4), unfolds=1), return_sequences=True),
    "wired-cfc": lambda: LiquidRNN(WiredCfCCell(wirings.AutoNCP(12, 4)), return_sequences=True),
    "lstm": lambda: layers.LSTM(8, return_sequences=True),
    "stacked": lambda: layers.RNN(
        [layers.GRUCell(4), LiquidCell(8, unfolds=1)], return_sequences=True
    ),
}


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    time = np.arange(33)[None, :, None] / 4 + random.random((64, 1, 4)) * 6
    return np.sin(time).astype("float32")


def make_model(name="liquid", rows=4):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((None, rows), name="x"),
            layers.Conv1D(4, 3, padding="causal"),
            RECURRENT[name](),
            layers.Dense(4),
        ],
        name=name,
    )


def fit(model, data, *callbacks, epochs=3, jit_compile=False):
    # Compiling takes seconds, training here a fraction of one.
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
    history = model.fit(
        data[:, :-1], data[:, 1:], epochs=epochs, verbose=0, callbacks=list(callbacks)
    )
    return history.history["loss"]


def weights_of(model):
    return {kernel.variable.path: kernel.variable.numpy() for kernel in kernels_of(model)}


def test_kernels_are_what_multiplies_inputs_and_states():
    names = [kernel.variable.name for kernel in kernels_of(make_model("ltc"))]
    assert names == ["kernel", "sensory_weight", "weight", "kernel"]
    names = [kernel.variable.name for kernel in kernels_of(make_model("lstm"))]
    assert names == ["kernel", "kernel", "recurrent_kernel", "kernel"]


@pytest.mark.parametrize("name", ["ltc", "wired-cfc", "stacked"])
def test_pruned_then_clustered(name, data):
    """Zeros are a share of the live synapses; clusters keep them; nothing turns negative."""
    model = make_model(name)
    loss = fit(model, data)[-1]
    fit(model, data, prune(model, 0.75), epochs=4)
    for kernel in kernels_of(model):
        weights = kernel.variable.numpy()
        assert (weights[kernel.live == 0] == 0).all()
        live = weights[kernel.live > 0]
        assert np.mean(live == 0) == pytest.approx(0.75, abs=0.5 / live.size + 1e-6)
    pruned = weights_of(model)
    assert fit(model, data, cluster(model, 5), epochs=4)[-1] < 3 * loss
    for path, weights in weights_of(model).items():
        assert len(np.unique(weights)) <= 5
        np.testing.assert_array_equal(weights == 0, pruned[path] == 0)
        if path.endswith("weight"):
            assert (weights >= 0).all()


def test_zeros_grow_over_time_and_the_model_learns_to_do_without(data):
    model = make_model()
    fit(model, data, epochs=30)
    dense = model.evaluate(data[:, :-1], data[:, 1:], verbose=0)
    shares = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: shares.append(sparsity(model))
    )
    losses = fit(model, data, prune(model, 0.5), watch, epochs=20)
    assert shares == sorted(shares) and 0 < shares[1] < shares[-1]
    assert shares[-1] == pytest.approx(0.5, abs=0.01)
    cut = make_model()
    cut.set_weights(model.get_weights())
    assert losses[-1] < 2 * dense


def test_two_of_four_neighbours_are_zero(data):
    model = keras.Sequential(
        [keras.Input((None, 4)), layers.LSTM(8, return_sequences=True), layers.Dense(4)]
    )
    fit(model, data, prune(model, 0.5, pattern="2:4"))
    for weights in weights_of(model).values():
        groups = weights.T.reshape(-1, 4)
        assert ((groups == 0).sum(axis=1) == 2).all()


def test_blocks_are_zero_together(data):
    model = keras.Sequential(
        [keras.Input((None, 4)), layers.LSTM(8, return_sequences=True), layers.Dense(4)]
    )
    with pytest.warns(UserWarning, match=r"stay dense: .*dense.*/kernel \(8, 4\)"):
        callback = prune(model, 0.5, block=(2, 4))
    fit(model, data, callback)
    *recurrent, dense = weights_of(model).values()
    assert (dense != 0).all()
    for weights in recurrent:
        rows, columns = weights.shape
        blocks = (weights == 0).reshape(rows // 2, 2, columns // 4, 4).sum(axis=(1, 3))
        assert set(np.unique(blocks)) == {0, 8}


def test_an_int8_file_keeps_clusters(data):
    model = keras.Sequential(
        [
            keras.Input((None, 4), name="x"),
            layers.SimpleRNN(16, return_sequences=True),
            layers.Dense(4),
        ]
    )
    fit(model, data, cluster(model, 8))
    step = export.to_step(model)
    samples = closed_loop_samples(step, export.as_sequences(step, data[:2]))
    content = convert(step, recipes.get("int8"), targets.get("micro"), samples)
    file = flatbuffer.unpack(content)
    kernels = [
        np.frombuffer(bytes(file.buffers[tensor.buffer].data), "int8").reshape(tensor.shape)
        for tensor in file.subgraphs[0].tensors
        if tensor.shape is not None
        and len(tensor.shape) == 2
        and flatbuffer.is_constant(file, tensor)
    ]
    assert sorted(kernel.shape for kernel in kernels) == [(4, 16), (16, 4), (16, 16)]
    for kernel in kernels:
        # Each unit has a scale of its own, and at most the values of the clusters.
        assert max(len(np.unique(row)) for row in kernel) <= 8


def test_a_schedule_of_tfmot(data):
    import tensorflow_model_optimization as tfmot

    model = make_model()
    schedule = tfmot.sparsity.keras.ConstantSparsity(0.4, begin_step=1, frequency=1)
    fit(model, data, prune(model, schedule), epochs=1)
    assert sparsity(model) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("initialization", ["linear", "kmeans++", "density"])
def test_clusters_of_weights_that_are_not_zero(initialization, data):
    model = make_model("lstm")
    fit(model, data, cluster(model, 6, initialization=initialization), epochs=1)
    for weights in weights_of(model).values():
        assert 2 <= len(np.unique(weights)) <= 6


@pytest.mark.parametrize("name", ["ltc", "lstm", "stacked"])
def test_quantize_aware(name, data, tmp_path):
    model = make_model(name)
    fit(model, data)
    aware = quantize_aware(model)
    losses = fit(aware, data, prune(aware, 0.5), epochs=3)
    # Half of its weights go meanwhile.
    assert losses[-1] < 1.1 * losses[0]
    assert sparsity(aware) == pytest.approx(0.5, abs=0.03)
    inputs = data[:2, :-1]
    rounded, plain = (m.predict(inputs, verbose=0) for m in (aware, strip(aware)))
    assert 1e-4 < np.abs(rounded - plain).max() < 0.5
    # The weights are shared, so the model has learned as well.
    np.testing.assert_allclose(model.predict(inputs, verbose=0), plain, atol=1e-6)
    aware.save(tmp_path / "aware.keras")
    loaded = keras.saving.load_model(tmp_path / "aware.keras")
    np.testing.assert_allclose(loaded.predict(inputs, verbose=0), rounded, atol=1e-6)
    # Predicting moves no range.
    np.testing.assert_array_equal(aware.predict(inputs, verbose=0), rounded)


def test_all_three_in_turn(data):
    """As README has it: pruned, then clustered, then trained with rounding; also compiled."""
    model = make_model()
    fit(model, data, prune(model, 0.5), jit_compile=True)
    fit(model, data, cluster(model, 6))
    zeros = {path: weights == 0 for path, weights in weights_of(model).items()}
    aware = quantize_aware(model)
    fit(aware, data, cluster(aware, 6), jit_compile=True)
    for path, weights in weights_of(model).items():
        assert len(np.unique(weights)) <= 6
        np.testing.assert_array_equal(weights == 0, zeros[path])


def test_gradients_pass_the_quantizers(data):
    import tensorflow as tf

    aware = quantize_aware(make_model())
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(aware(data[:4, :-1], training=True) ** 2)
    gradients = tape.gradient(loss, [v.value for v in aware.trainable_variables])
    assert len(gradients) == len(make_model().trainable_variables)
    for variable, gradient in zip(aware.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.abs(gradient).max() > 0, variable.path


def test_kernels_are_rounded_as_a_file_rounds_them(data):
    """Each unit's weights on 255 numbers, symmetric, of a scale of its own."""
    dense = layers.Dense(3, use_bias=False)
    model = keras.Sequential([keras.Input((None, 4)), dense])
    kernel = np.array([[1.0, 10.0, 0.1]] * 4) * np.linspace(-1, 0.83, 4)[:, None]
    dense.kernel.assign(kernel)
    layer = quantize_aware(model).layers[-1]
    with layer._quantizers.rounded(layer._kernels, dense, training=True):
        rounded = dense.kernel.numpy()
    scale = np.abs(kernel).max(axis=0) / 127
    np.testing.assert_allclose(rounded, np.round(kernel / scale) * scale, rtol=1e-6)
    assert np.abs(rounded - kernel).max() > 0.01
    np.testing.assert_allclose(dense.kernel.numpy(), kernel, rtol=1e-6)


def test_outputs_of_any_size_are_learned(data):
    """Ranges are those of the data, however large; until there are any, nothing is rounded."""
    model = keras.Sequential([keras.Input((None, 4)), layers.Dense(4)])
    aware = quantize_aware(model)
    inputs = data[:, :-1]
    np.testing.assert_array_equal(
        aware.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )
    aware.compile(keras.optimizers.Adam(1.0), "mse", jit_compile=False)
    aware.fit(inputs, 50 * inputs, epochs=60, verbose=0)
    predicted = aware.predict(inputs, verbose=0)
    assert np.abs(predicted - 50 * inputs).max() < 3


def test_irregular_time_trains_and_exports(data, tmp_path):
    x, elapsed = keras.Input((None, 4), name="x"), keras.Input((None,), name="elapsed")
    h = LiquidRNN(CfCCell(6), return_sequences=True)(x, elapsed=elapsed)
    model = keras.Model([x, elapsed], layers.Dense(4)(h))
    inputs = [data[:, :-1], np.random.default_rng(0).random((64, 32)).astype("float32")]
    aware = quantize_aware(model)
    aware.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    first, *_, last = aware.fit(inputs, data[:, 1:], epochs=8, verbose=0).history["loss"]
    assert last < first
    named = {"x": inputs[0][:8], "elapsed": inputs[1][:8]}
    report = export.to_tflite(aware, tmp_path / "out", recipe="float32", calibration=named)
    assert report.passed and report.results[1].output_error < 1e-5


def test_packed_files_are_smaller(data, tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 4), name="x"), layers.LSTM(32, return_sequences=True), layers.Dense(4)]
    )
    fit(model, data)
    sizes = []
    for number, callback in enumerate((None, prune(model, 0.75), cluster(model, 16))):
        if callback:
            fit(model, data, callback)
        report = export.to_tflite(
            model, tmp_path / str(number), recipe="float32", calibration=data[:2]
        )
        sizes.append(report.gzip_bytes)
    assert sizes[1] < 0.5 * sizes[0] and sizes[2] < sizes[1]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda m: prune(m, 1.0), "`schedule` must lie between 0 and 1, .*; received 1.0"),
        (lambda m: prune(m, "0.5"), "a schedule of TFMOT; received '0.5'"),
        (lambda m: prune(m, 0.5, block=4), "two positive numbers; received 4"),
        (lambda m: prune(m, 0.5, block=(0, 4)), r"two positive numbers; received \(0, 4\)"),
        (lambda m: prune(m, 0.5, pattern="1:4"), "pattern '1:4'; allowed: 2:4"),
        (lambda m: prune(m, 0.5, pattern="2:4", block=(2, 2)), "exclude each other"),
        (lambda m: cluster(m, 1), "whole number from 2 on; received 1"),
        (lambda m: cluster(m, 4, initialization="lienar"), "initialization 'lienar'; allowed"),
        (lambda m: prune(keras.Sequential([layers.LSTM(2)]), 0.5), "is not built"),
        (
            lambda m: cluster(keras.Sequential([keras.Input((None, 2)), layers.ReLU()]), 4),
            "has no trainable kernel",
        ),
        (
            lambda m: prune(
                keras.Sequential([keras.Input((None, 3)), layers.LSTM(1)]), 0.5, pattern="2:4"
            ),
            r"made of groups of 2:4; received .*lstm.*kernel \(3, 4\)",
        ),
        (
            lambda m: quantize_aware(
                keras.Sequential([keras.Input((None, 3)), layers.Bidirectional(layers.LSTM(2))])
            ),
            "Bidirectional",
        ),
    ],
)
def test_bad_input_is_named(make, named):
    with pytest.raises(ValueError, match=named):
        make(make_model())
