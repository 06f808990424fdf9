"""Quantization-aware training: models learn with the rounding of an int8 file."""

import keras
import numpy as np
import pytest
from export_models import compiled, convolutional, fit, irregular, sequential, weights_of

import export
from export.compress import cluster, prune, quantize_aware, sparsity, strip
from lnn_keras import CfCCell, EachStep, LiquidRNN, LTCCell, WiredCfCCell
from lnn_keras.compat import parts_of
from lnn_keras.wirings import Adjacency, FullyConnected

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers


@pytest.mark.parametrize(
    "name",
    [
        "stacked",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("cfc", "lstm", "ltc")),
    ],
)
def test_quantize_aware(name, waves, tmp_path):
    model, waves = convolutional(name), waves[:, :7]
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
    model, waves = sequential(name, outputs=4, features=4), waves[:, :5]
    # Without XLA, few steps run faster than they are traced.
    compiled(model, jit_compile=jit_compile, run_eagerly=not jit_compile)
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


BIDIRECTIONAL = {
    "lstm": lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
    "gru": lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="sum"),
    "liquid": lambda: layers.Bidirectional(LiquidRNN(CfCCell(3), return_sequences=True)),
    "two kinds": lambda: layers.Bidirectional(
        layers.SimpleRNN(3, return_sequences=True),
        backward_layer=LiquidRNN(CfCCell(3), return_sequences=True, go_backwards=True),
    ),
}


@pytest.mark.parametrize(
    "name",
    # A GRU trains below.
    [pytest.param(name, marks=pytest.mark.slow if name == "gru" else ()) for name in BIDIRECTIONAL],
)
def test_bidirectional(name, waves, tmp_path):
    model = keras.Sequential([keras.Input((4, 4)), BIDIRECTIONAL[name](), layers.Dense(4)])
    inputs = waves[:2, :4]
    aware = quantize_aware(model)
    np.testing.assert_allclose(aware(inputs), model(inputs), atol=1e-6)
    aware(inputs, training=True)
    rounded = np.asarray(aware(inputs))
    assert 1e-4 < np.abs(rounded - np.asarray(model(inputs))).max() < 0.2
    assert {id(v) for v in aware.trainable_variables} == {id(v) for v in model.trainable_variables}
    np.testing.assert_allclose(strip(aware)(inputs), model(inputs), atol=1e-6)
    assert not any("quantiz" in type(part).__name__.lower() for part in parts_of(strip(aware)))
    aware.save(tmp_path / "aware.keras")
    loaded = keras.saving.load_model(tmp_path / "aware.keras")
    np.testing.assert_allclose(loaded(inputs), rounded, atol=1e-6)


def test_a_bidirectional_model_learns(waves):
    model = keras.Sequential([keras.Input((2, 4)), BIDIRECTIONAL["gru"](), layers.Dense(4)])
    before = weights_of(model)
    aware = compiled(quantize_aware(model), run_eagerly=True)
    losses = fit(aware, waves[:8, :3], prune(aware, 0.5), epochs=3)
    assert losses[-1] < losses[0]
    assert sparsity(model) == sparsity(aware) == pytest.approx(0.5, abs=0.03)
    assert all((weights != before[path]).any() for path, weights in weights_of(model).items())


class BareCell(layers.Layer):
    """A cell as Keras's guides write it: no output_size, no initial state, own names."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.A = self.add_weight(shape=(input_shape[-1], self.units), name="a")
        self.B = self.add_weight(shape=(self.units, self.units), name="b")

    def call(self, inputs, states):
        h = keras.ops.tanh(inputs @ self.A + states[0] @ self.B)
        return h, [h]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.mark.parametrize("stacked", [False, True])
def test_a_cell_without_output_size(stacked, waves, tmp_path):
    cell = [layers.GRUCell(3), BareCell(3)] if stacked else BareCell(3)
    rnn = layers.RNN(cell, return_sequences=True)
    model = keras.Sequential([keras.Input((4, 4)), rnn, layers.Dense(4)])
    inputs = waves[:2, :4]
    aware = quantize_aware(model)
    aware(inputs, training=True)
    rounded = np.asarray(aware(inputs))
    assert rounded.shape == (2, 4, 4)
    assert 1e-4 < np.abs(rounded - np.asarray(model(inputs))).max() < 0.2
    rounded_names = {weight.name.removesuffix("_max") for weight in aware.weights}
    assert {"kernel_0", "kernel_1"} <= rounded_names
    aware.save(tmp_path / "aware.keras")
    objects = {"BareCell": BareCell}
    loaded = keras.saving.load_model(tmp_path / "aware.keras", custom_objects=objects)
    np.testing.assert_allclose(loaded(inputs), rounded, atol=1e-6)


def test_nested_models(waves):
    inner = keras.Sequential(
        [keras.Input((4, 4)), layers.Bidirectional(layers.GRU(2, return_sequences=True))],
        name="inner",
    )
    signal = keras.Input((4, 4))
    outputs = layers.Dense(4)(inner(signal * 2.0) + inner(signal))
    model = keras.Model(signal, outputs)
    aware = quantize_aware(model)
    inputs = waves[:2, :4]
    aware(inputs, training=True)
    assert 1e-4 < np.abs(np.asarray(aware(inputs)) - np.asarray(model(inputs))).max() < 0.2
    kinds = [type(part).__name__ for part in parts_of(aware)]
    assert kinds.count("QuantizedCell") == 2 and kinds.count("QuantizedLayer") == 1
    np.testing.assert_allclose(strip(aware)(inputs), model(inputs), atol=1e-6)


def test_images_of_each_step_are_rounded(waves):
    model = keras.Sequential([keras.Input((None, 4)), EachStep(layers.Dense(3))])
    aware = quantize_aware(model)
    inputs = waves[:2, :4]
    aware(inputs, training=True)
    assert np.abs(np.asarray(aware(inputs)) - np.asarray(model(inputs))).max() > 1e-4


def test_masks_pass_rounded_layers(waves):
    model = keras.Sequential(
        [
            keras.Input((4, 4)),
            layers.Masking(),
            layers.Dense(3),
            layers.TimeDistributed(layers.Dense(3)),
            layers.LSTM(3),
        ]
    )
    inputs = np.where(np.arange(4)[:, None] < 2, waves[:2, :4], 0)
    expected = np.asarray(model(inputs))
    np.testing.assert_allclose(quantize_aware(model)(inputs), expected, atol=1e-6)
    assert np.abs(np.asarray(model(inputs + 1e-6)) - expected).max() > 1e-3


def test_wirings_without_synapses(waves):
    wiring = Adjacency(np.zeros((3, 3), int), np.ones((4, 3), int))
    cells = [LTCCell(wiring, unfolds=1), WiredCfCCell(FullyConnected(4, 2))]
    model = keras.Sequential([keras.Input((4, 4)), layers.RNN(cells)])
    aware = quantize_aware(model)
    inputs = waves[:2, :4]
    aware(inputs, training=True)
    difference = np.abs(np.asarray(aware(inputs)) - np.asarray(model(inputs))).max()
    assert 1e-5 < difference < 0.2


def test_time_distributed_over_any_length(waves):
    model = keras.Sequential(
        [keras.Input((None, 4)), layers.TimeDistributed(layers.Dense(3)), layers.GRU(2)]
    )
    aware = quantize_aware(model)
    inputs = waves[:3, :5]
    aware(inputs, training=True)
    assert {"kernel_0_max"} <= {w.name for w in aware.layers[1].weights}
    assert np.abs(np.asarray(aware(inputs)) - np.asarray(model(inputs))).max() > 1e-5


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def attention():
    inputs = keras.Input((4, 4))
    return keras.Model(inputs, layers.MultiHeadAttention(2, 2, name="heads")(inputs, inputs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "must be a keras.Model; received NoneType"),
        (lambda: keras.Sequential([layers.LSTM(2)]), "is not built"),
        (lambda: Subclassed(name="own"), "'own' .* is subclassed"),
        (attention, r"'heads' \(MultiHeadAttention\) has kernels that quantize_aware cannot round"),
        (
            lambda: keras.Sequential(
                [keras.Input((4, 6, 3)), layers.ConvLSTM1D(2, 2, name="pictures")]
            ),
            r"'pictures' \(ConvLSTM1D\) has kernels that quantize_aware cannot",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((4, 3)), layers.Dense(2, name="half", dtype="mixed_float16")]
            ),
            "'half' computes in float16",
        ),
    ],
)
def test_what_cannot_be_quantized_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        quantize_aware(make())


def test_model_with_an_unregistered_loss(waves):
    """The model with quantizers is not compiled, so Keras need not know the loss."""
    model = sequential("simple", outputs=4, features=4)
    model.compile("sgd", loss=lambda targets, outputs: abs(targets - outputs))
    assert not quantize_aware(model).compiled
    wrapped = keras.Sequential([keras.Input((None, 4)), model, layers.Dense(1)])
    wrapped.compile("sgd", loss=lambda targets, outputs: abs(targets - outputs))
    aware = quantize_aware(wrapped)
    assert not strip(aware).compiled
    inputs = waves[:2, :5]
    np.testing.assert_allclose(strip(aware)(inputs), wrapped(inputs), atol=1e-6)
