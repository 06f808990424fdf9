"""Quantization-aware training: models learn with the rounding of an int8 file."""

import keras
import numpy as np
import pytest
from export_models import compiled, convolutional, fit, irregular, sequential, weights_of

import export
from export.compress import cluster, prune, quantize_aware, sparsity, strip
from lnn_keras import CfCCell

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers


@pytest.mark.parametrize(
    "name",
    ["stacked", "cfc", *(pytest.param(name, marks=pytest.mark.slow) for name in ("lstm", "ltc"))],
)
def test_quantize_aware(name, waves, tmp_path):
    model = convolutional(name)
    aware = compiled(quantize_aware(model))
    losses = fit(aware, waves, prune(aware, 0.5), epochs=6)
    assert losses[-1] < losses[0]
    assert sparsity(aware) == pytest.approx(0.5, abs=0.03)
    inputs = waves[:2, :-1]
    rounded, plain = np.asarray(aware(inputs)), np.asarray(strip(aware)(inputs))
    assert 1e-4 < np.abs(rounded - plain).max() < 0.5
    # The weights are shared, so the model has learned as well.
    np.testing.assert_allclose(model(inputs), plain, atol=1e-6)
    aware.save(tmp_path / "aware.keras")
    loaded = keras.saving.load_model(tmp_path / "aware.keras")
    np.testing.assert_allclose(loaded(inputs), rounded, atol=1e-6)
    # Inference does not change the ranges, whether eager or traced.
    np.testing.assert_allclose(aware.predict(inputs, verbose=0), rounded, atol=1e-6)
    np.testing.assert_array_equal(aware(inputs), rounded)


@pytest.mark.parametrize(
    ("name", "jit_compile"),
    [("simple", False), pytest.param("liquid", True, marks=pytest.mark.slow)],
)
def test_prune_cluster_and_quantize_in_turn(name, jit_compile, waves):
    """The order of README: pruned, clustered, then trained with rounding, which XLA compiles."""
    model = sequential(name, outputs=4, features=4)
    compiled(model, jit_compile=jit_compile)
    fit(model, waves, prune(model, 0.5))
    fit(model, waves, cluster(model, 6))
    zeros = {path: weights == 0 for path, weights in weights_of(model).items()}
    aware = compiled(quantize_aware(model), jit_compile=True)
    fit(aware, waves, cluster(aware, 6))
    for path, weights in weights_of(model).items():
        assert len(np.unique(weights)) <= 6
        np.testing.assert_array_equal(weights == 0, zeros[path])


def test_gradients_pass_the_quantizers(waves):
    import tensorflow as tf

    model = convolutional("liquid")
    aware = quantize_aware(model)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(aware(waves[:4, :6], training=True) ** 2)
    gradients = tape.gradient(loss, [v.value for v in aware.trainable_variables])
    assert len(gradients) == len(model.trainable_variables)
    for variable, gradient in zip(aware.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.abs(gradient).max() > 0, variable.path


def test_kernels_are_rounded_as_in_a_file():
    """The weights of each unit are rounded to 255 symmetric values of its scale."""
    dense = layers.Dense(3, use_bias=False)
    model = keras.Sequential([keras.Input((None, 4)), dense])
    kernel = np.array([[1.0, 10.0, 0.1]] * 4) * np.linspace(-1, 0.83, 4)[:, None]
    dense.kernel.assign(kernel)
    aware = quantize_aware(model)
    # Zeros set the range of the kernel and leave that of the outputs empty: not rounded.
    aware(np.zeros((1, 1, 4), "float32"), training=True)
    rounded = aware(np.eye(4, dtype="float32")[np.newaxis])[0]
    scale = np.abs(kernel).max(axis=0) / 127
    np.testing.assert_allclose(rounded, np.round(kernel / scale) * scale, rtol=1e-6)
    assert np.abs(rounded - kernel).max() > 0.01
    np.testing.assert_allclose(dense.kernel.numpy(), kernel, rtol=1e-6)


def test_outputs_of_any_magnitude_are_learned(waves):
    """Ranges follow the data; before the first data nothing is rounded."""
    model = keras.Sequential([keras.Input((None, 4)), layers.Dense(4)])
    aware = quantize_aware(model)
    inputs = waves[:, :-1]
    np.testing.assert_array_equal(aware(inputs), model(inputs))
    compiled(aware, optimizer=keras.optimizers.Adam(1.0))
    repeated = np.tile(inputs, (120, 1, 1))
    aware.fit(repeated, 50 * repeated, batch_size=len(inputs), verbose=0)
    assert np.abs(aware(inputs) - 50 * inputs).max() < 3


def test_irregular_time_trains_and_exports(waves, tmp_path):
    model = irregular(CfCCell(6))
    x, y = waves[:, :-1, :3], waves[:, 1:, :2]
    elapsed = np.random.default_rng(0).random(x.shape[:2]).astype("float32")
    aware = compiled(quantize_aware(model))
    first, *_, last = aware.fit([x, elapsed], y, epochs=8, verbose=0).history["loss"]
    assert last < first
    calibration = {"x": x[:8], "elapsed": elapsed[:8]}
    report = export.to_tflite(aware, tmp_path / "out", recipe="float32", calibration=calibration)
    assert report.passed and report.results[1].output_error < 1e-5


def test_a_layer_without_a_step_form_is_named():
    model = keras.Sequential([keras.Input((None, 3)), layers.Bidirectional(layers.LSTM(2))])
    with pytest.raises(ValueError, match="Bidirectional"):
        quantize_aware(model)
