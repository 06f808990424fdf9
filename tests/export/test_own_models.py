"""Models that users bring: fixed windows, any names, layers around, types, own cells."""

import re

import keras
import numpy as np
import pytest
from independent_runner import largest_difference, run_sequence, run_steps

import export
from lnn_keras import CfCCell, LiquidCell, LiquidRNN

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers
ops = keras.ops
EQUAL = 3e-6


def sequential(*inner, shape=(None, 3), **options):
    return keras.Sequential([keras.Input(shape, **options), *inner])


class OwnCell(layers.Layer):
    """A user's cell, without `output_size`."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.state_size = units

    def build(self, input_shape):
        self.first = self.add_weight(shape=(input_shape[-1], self.state_size))
        self.second = self.add_weight(shape=(self.state_size, self.state_size))

    def call(self, inputs, states):
        state = ops.tanh(inputs @ self.first + states[0] @ self.second)
        return state, [state]


def with_elapsed(shape=(None, 3), scale=None, **options):
    x, t = keras.Input(shape, name="x"), keras.Input(shape[:1], name="class")
    elapsed = t if scale is None else t * scale
    y = LiquidRNN(LiquidCell(4, unfolds=2), **options)(x, elapsed=elapsed)
    return keras.Model([x, t], layers.Dense(2)(y))


def two_inputs():
    a, b = keras.Input((6, 2)), keras.Input((6, 3))
    return keras.Model([a, b], layers.GRU(4)(layers.Concatenate()([a, b])))


def functional(build, shape=(None, 3)):
    x = keras.Input(shape)
    return keras.Model(x, build(x))


def nested():
    inner = keras.Sequential([layers.Dense(4), layers.LSTM(5, return_sequences=True)])
    part = keras.Input((None, 5))
    return functional(lambda x: keras.Model(part, layers.GRU(3)(part))(inner(x)))


MODELS = {
    "last step of a window": lambda: sequential(layers.LSTM(6), layers.Dense(1), shape=(24, 5)),
    "liquid window": lambda: sequential(LiquidRNN(LiquidCell(4)), layers.Dense(1), shape=(5, 3)),
    "length 1": lambda: sequential(layers.GRU(4), layers.Dense(2), shape=(1, 3)),
    "window with elapsed times": lambda: with_elapsed((6, 3)),
    "two inputs": two_inputs,
    "the output is the state": lambda: sequential(layers.Dense(3), layers.LSTM(4, name="decoder")),
    "the outputs are the states": lambda: functional(layers.LSTM(5, return_sequences=True)),
    "cells of different sizes": lambda: sequential(layers.RNN([CfCCell(4), layers.GRUCell(6)])),
    "an output given twice": lambda: functional(lambda x: [layers.GRU(4)(x)] * 2),
    "normalization after the last step": lambda: sequential(
        layers.LSTM(4), layers.BatchNormalization(), layers.Softmax(), layers.Dense(2)
    ),
    "operators": lambda: functional(
        lambda x: layers.Dense(2)(ops.tanh(layers.LSTM(4)(x * 2.0) / 2) - 1.0)
    ),
    "slices": lambda: functional(
        lambda x: layers.GRU(3, return_sequences=True)(x[:, :, :2])[:, -1, :]
    ),
    "features of the last step": lambda: functional(
        lambda x: layers.Add()([layers.Dense(1)(layers.GRU(3)(x)), x[:, -1, -1:]])
    ),
    "features of the last step, reversed": lambda: functional(
        lambda x: layers.GRU(3, return_sequences=True)(x)[:, -1, ::-1]
    ),
    "a lambda of the last step": lambda: functional(
        lambda x: layers.Lambda(lambda t: 2 * t[:, -1] + 1)(layers.GRU(3, return_sequences=True)(x))
    ),
    "the last step as a sequence": lambda: functional(
        lambda x: layers.GRU(3, return_sequences=True)(x)[:, -1:]
    ),
    "lambda": lambda: sequential(
        layers.Lambda(lambda x: x[..., ::-1] + 1), layers.LSTM(3), layers.Reshape((3, 1))
    ),
    "scaled elapsed times": lambda: with_elapsed(scale=0.5, return_sequences=True),
    "a constant elapsed time": lambda: functional(
        lambda x: layers.Dense(2)(LiquidRNN(LiquidCell(4, unfolds=2))(x, elapsed=0.5))
    ),
    "nested models": nested,
    "own cell": lambda: sequential(layers.RNN(OwnCell(4), return_sequences=True)),
}


def draw(model, random, batch, length):
    """Positive random inputs, in the order of the model's inputs."""
    return [
        np.abs(random.standard_normal((batch, t.shape[1] or length, *t.shape[2:]))).astype(
            "float32"
        )
        for t in model.inputs
    ]


def require_equal_to_keras(model, content, random, step):
    """The file equals Keras on batches and lengths that it was not verified on."""
    for batch, length in ((1, 1), (3, 7)):
        values = draw(model, random, batch, length)
        expected = keras.tree.flatten(model(values if len(values) > 1 else values[0]))
        inputs = dict(zip(step.inputs, values, strict=True))
        outputs = run_sequence(content, inputs)
        stepped = run_steps(content, inputs)
        for name, reference in zip(step.outputs, expected, strict=True):
            assert largest_difference(outputs[name], reference) < EQUAL
            compared = stepped[name] if name in step.sequences else stepped[name][:, -1]
            assert largest_difference(compared, reference) < EQUAL


@pytest.mark.parametrize("name", MODELS)
def test_phone_files_equal_keras(name, random, tmp_path):
    model = MODELS[name]()
    data = draw(model, random, 6, 9)
    calibration = data if len(data) > 1 else data[0]
    weights = [value.copy() for value in model.get_weights()]
    report = export.to_tflite(
        model, tmp_path / "out", target="phone", recipe="float32", calibration=calibration
    )
    assert report.passed
    for value, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(value, before)
    content = (tmp_path / "out/model.tflite").read_bytes()
    require_equal_to_keras(model, content, random, export.to_step(model))


MICRO = ("last step of a window", "cells of different sizes", "own cell", "an output given twice")


@pytest.mark.parametrize("name", MICRO)
def test_micro_files_equal_keras(name, random, tmp_path):
    """Verified on TensorFlow Lite Micro, whose outputs are read by position."""
    model = MODELS[name]()
    (data,) = draw(model, random, 4, 9)
    report = export.to_tflite(model, tmp_path / "out", recipe="float32", calibration=data)
    assert report.passed and report.results[3].output_error < 1e-5
    content = (tmp_path / "out/model.tflite").read_bytes()
    if len(model.outputs) == 1:
        for values in export.predict_file(content, model, data).values():
            assert largest_difference(values, model(data)) < EQUAL
        (stepper, *_) = export.steppers(content, model)
        stepped = [stepper(row) for row in data[0]]
        expected = np.asarray(model(data[:1]))[0]
        last = expected[-1] if model.output_shape == (None, None, 4) else expected
        assert largest_difference(stepped[-1], last) < EQUAL


@pytest.mark.parametrize(
    ("dtype", "target"),
    [
        ("uint8", "micro"),
        ("int32", "phone"),
        ("float64", "micro"),
        ("float16", "phone"),
        *(
            pytest.param(dtype, target, marks=pytest.mark.slow)
            for dtype, target in (
                ("uint8", "phone"),
                ("int32", "micro"),
                ("float64", "phone"),
                ("float16", "micro"),
            )
        ),
    ],
)
def test_inputs_of_any_dtype(dtype, target, random, tmp_path):
    model = sequential(layers.Rescaling(1 / 255), layers.LSTM(4), shape=(10, 3), dtype=dtype)
    data = random.integers(0, 255, (30, 10, 3)).astype(dtype)
    report = export.to_tflite(
        model, tmp_path / "out", target=target, recipe="float32", calibration=data
    )
    assert report.passed


@pytest.mark.parametrize(("deviation", "mean"), [(0.21, 293.0), (128.0, 101_356.0)])
def test_offsets_leave_room_for_the_rounding_of_float32(deviation, mean, random, tmp_path):
    model = sequential(
        layers.LSTM(6, return_sequences=True), layers.Dense(1), layers.Rescaling(deviation, mean)
    )
    data = random.standard_normal((4, 50, 3)).astype("float32")
    report = export.to_tflite(model, tmp_path / "out", recipe="float32", calibration=data)
    assert report.passed
    # A difference of 1 % of the variation is far above the rounding.
    content = (tmp_path / "out/model.tflite").read_bytes()
    model.layers[-1].offset = mean + 0.01 * deviation
    assert not export.verify(model, content, data).passed


def trained(model, random, length, epochs=20):
    """A model trained briefly to return the mean of the first feature over a window."""
    x = random.standard_normal((200, length, 3)).astype("float32")
    x += 2 * random.standard_normal((200, 1, 3)).astype("float32")
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    model.fit(x, x[..., 0].mean(axis=1), epochs=epochs, batch_size=100, verbose=0)
    return model, x


def test_integers_are_measured_window_by_window(random, tmp_path):
    model, x = trained(sequential(layers.LSTM(8), layers.Dense(1), shape=(5, 3)), random, 5)
    report = export.to_tflite(model, tmp_path / "out", calibration=x)
    assert report.passed and report.steps == 1000
    content = (tmp_path / "out/model.tflite").read_bytes()
    expected = np.asarray(model(x))
    for values in export.predict_file(content, model, x).values():
        error = np.sqrt(np.mean((values - expected) ** 2)) / expected.std()
        assert error < 0.05


def test_a_last_step_is_judged_by_the_outputs_that_the_model_returns(random, tmp_path):
    """The outputs vary little at the ends of the sequences, and much within them."""
    model = sequential(layers.LSTM(6), layers.Dense(1))
    x = random.standard_normal((40, 20, 3)).astype("float32")
    x[:, -8:] = 0.3
    with pytest.raises(export.VerificationError, match="RMS error") as raised:
        export.to_tflite(model, tmp_path / "out", calibration=x)
    report = raised.value.report
    assert report.results[1].output_error > 0.05
    assert report.remedies[0].startswith("Use recipe 'int16x8'")


def test_the_report_says_from_which_step_on_states_leave_their_range(random, tmp_path):
    """Calibrated on short sequences, a state that sums its inputs leaves its range."""
    keras.utils.set_random_seed(0)
    cell = layers.SimpleRNNCell(
        2, activation="linear", recurrent_initializer="identity", kernel_initializer="ones"
    )
    model = sequential(layers.RNN(cell, return_sequences=True), shape=(None, 1))
    x = np.abs(random.standard_normal((20, 5, 1))).astype("float32")
    with pytest.raises(export.VerificationError) as raised:
        export.to_tflite(model, tmp_path / "out", calibration=x)
    (warning,) = [w for w in raised.value.report.warnings if "leaves its calibrated range" in w]
    assert warning.startswith("State 'rnn_state_0' leaves")
    # A sequence of five steps reaches the range's end, so the second one leaves it.
    assert 5 <= int(re.search(r"from step (\d+) of the rollout on", warning)[1]) < 15


def test_datasets_and_generators_are_calibration_data(random, tmp_path):
    import tensorflow as tf

    model = sequential(layers.GRU(4), layers.Dense(1), shape=(6, 3))
    x = random.standard_normal((12, 6, 3)).astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices((x, x[:, 0])).batch(4)
    step = export.to_step(model)
    np.testing.assert_array_equal(export.as_sequences(step, dataset)["input"], x)
    endless = (x[:2] for _ in iter(int, 1))
    assert len(export.as_sequences(step, endless)["input"]) == 256
    with pytest.raises(ValueError, match="`calibration` is an empty dataset"):
        export.as_sequences(step, dataset.take(0))
    with pytest.raises(ValueError, match=r"a tuple of 2 parts .* Give the inputs only"):
        export.as_sequences(step, (x, x[:, 0]))
    with pytest.raises(ValueError, match=r"has 5 rows per sequence; the model takes windows of 6"):
        export.as_sequences(step, x[:, :5])


class Counter(layers.Layer):
    """Counts its calls, also in inference."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return inputs * 2


def test_variables_that_layers_write_to_are_left_unchanged(random, tmp_path):
    model = sequential(Counter(), layers.GRU(3))
    data = random.standard_normal((4, 9, 3)).astype("float32")
    before = model.layers[0].calls.numpy()
    assert export.to_tflite(model, tmp_path / "out", recipe="float32", calibration=data).passed
    assert model.layers[0].calls.numpy() == before


def test_outputs_of_all_steps_and_of_the_last_one(random, tmp_path):
    def build(x):
        hidden = layers.LSTM(4, return_sequences=True)(x)
        return {"raw": x, "hidden": hidden, "last": hidden[:, -1]}

    model = functional(build)
    data = random.standard_normal((4, 9, 3)).astype("float32")
    report = export.to_tflite(model, tmp_path / "out", recipe="float32", calibration=data)
    assert report.passed and report.results[1].worst_step < 36


def test_weights_that_are_not_finite_and_unknown_sizes_are_refused(tmp_path):
    model = sequential(layers.Dense(2, name="head"))
    model.layers[0].kernel.assign(np.full((3, 2), np.nan))
    unknown = functional(lambda x: x * 2.0, shape=(None, None))
    for bad, message in ((model, "head/kernel' has 6 NaN"), (unknown, "unknown number of feat")):
        for target in ("phone", "micro"):
            with pytest.raises(ValueError, match=message):
                export.to_tflite(bad, tmp_path / "out", target=target, recipe="float32")


def test_an_output_without_an_axis_is_refused(tmp_path):
    model = functional(lambda x: layers.GRU(3, return_sequences=True)(x)[:, -1, 1])
    with pytest.raises(ValueError, match=r"of shape \(None,\) has no axis.*Reshape\(\(1,\)\)"):
        export.to_tflite(model, tmp_path / "out", target="phone", recipe="float32")
