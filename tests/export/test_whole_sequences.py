"""Layers without a step form: phone files of whole sequences, and refusals for the rest."""

import keras
import numpy as np
import pytest
from independent_runner import interpreter_of, largest_difference, run_sequence

import export
import lnn_keras
from lnn_keras import CfCCell, LiquidCell, LiquidRNN

layers = keras.layers
EQUAL = 3e-6


def sequential(*inner, shape=(None, 3), **options):
    return keras.Sequential([keras.Input(shape, **options), *inner, layers.Dense(2)])


def attention(length=None):
    x = keras.Input((length, 3))
    hidden = layers.LSTM(4, return_sequences=True)(x)
    mixed = layers.MultiHeadAttention(2, 3)(hidden, hidden)
    return keras.Model(x, layers.Attention()([hidden, mixed]))


def initial_state():
    x, start = keras.Input((None, 3), name="x"), keras.Input((4,), name="start")
    return keras.Model([x, start], layers.GRU(4)(x, initial_state=start))


def both_ways_in_time():
    """Elapsed times forwards and backwards, as an argument and as the last feature, with a mask."""
    x, times = keras.Input((None, 3), name="x"), keras.Input((None,), name="times")
    elapsed = keras.ops.abs(times)
    masked = layers.Masking()(x)
    rnn = LiquidRNN(LiquidCell(4, unfolds=2), return_sequences=True)
    hidden = lnn_keras.Bidirectional(rnn)(masked, elapsed=elapsed)
    timed = layers.Concatenate()([hidden, keras.ops.expand_dims(elapsed, -1)])
    back = LiquidRNN(CfCCell(3, backbone_units=4, elapsed="last_feature"), go_backwards=True)
    return keras.Model([x, times], back(timed))


def static_input():
    x, static = keras.Input((None, 3), name="x"), keras.Input((5,), name="static")
    joined = layers.Concatenate()([layers.GRU(4)(x), layers.Dense(3)(static)])
    return keras.Model([x, static], layers.Dense(2)(joined))


MODELS = {
    "bidirectional": lambda: sequential(
        layers.Bidirectional(LiquidRNN(LiquidCell(4, unfolds=2), return_sequences=True)),
        layers.Bidirectional(layers.GRU(3), merge_mode="mul"),
    ),
    "masking": lambda: sequential(
        layers.Masking(), layers.GRU(4, return_sequences=True), layers.LSTM(3)
    ),
    "both ways in time": both_ways_in_time,
    "embedding": lambda: sequential(
        layers.Embedding(10, 4, mask_zero=True), layers.LSTM(3), shape=(None,), dtype="int32"
    ),
    "average": lambda: sequential(
        layers.LSTM(4, return_sequences=True), layers.GlobalAveragePooling1D()
    ),
    "convolutions": lambda: sequential(
        layers.Conv1D(4, 3, padding="same"), layers.Conv1D(4, 2), layers.LSTM(4)
    ),
    "attention": attention,
    "flatten": lambda: sequential(
        layers.LSTM(4, return_sequences=True), layers.Flatten(), shape=(8, 3)
    ),
    "static input": static_input,
}
MORE_MODELS = {
    "masked bidirectional": lambda: sequential(
        layers.Masking(), layers.Bidirectional(layers.GRU(4), merge_mode="sum")
    ),
    "maximum": lambda: sequential(
        layers.LSTM(4, return_sequences=True), layers.GlobalMaxPooling1D()
    ),
    "pooling": lambda: sequential(
        layers.MaxPooling1D(2), layers.LSTM(4, return_sequences=True), layers.AveragePooling1D(2)
    ),
    "attention of a fixed length": lambda: attention(8),
    "reshape": lambda: sequential(layers.Reshape((4, 6)), layers.LSTM(4), shape=(8, 3)),
    "a vector as a sequence": lambda: sequential(layers.Reshape((8, 1)), layers.GRU(4), shape=(8,)),
    "initial state": initial_state,
    "backwards": lambda: sequential(layers.LSTM(4, go_backwards=True, return_sequences=True)),
    "encoder and decoder": lambda: sequential(
        layers.LSTM(4), layers.RepeatVector(5), layers.LSTM(3, return_sequences=True)
    ),
    "ConvLSTM1D": lambda: sequential(layers.ConvLSTM1D(3, 3), layers.Flatten(), shape=(8, 6, 2)),
    "ConvLSTM2D": lambda: sequential(
        layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True),
        layers.GlobalAveragePooling3D(),
        shape=(8, 6, 5, 2),
    ),
}
ALL = {**MODELS, **MORE_MODELS}
PARAMETERS = [*MODELS, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_MODELS)]


def draw(model, random, batch, length=8):
    """Random inputs by name; the last steps of sequences are zeros, which masks skip."""
    inputs = {}
    for tensor in model.inputs:
        shape = (batch, *(size or length for size in tensor.shape[1:]))
        if tensor.dtype == "int32":
            values = random.integers(1, 10, shape).astype("int32")
        else:
            values = random.standard_normal(shape).astype("float32")
        if len(shape) > 2 or tensor.dtype == "int32":
            values[:, length - 2 :] = 0
        inputs[tensor.name if len(model.inputs) > 1 else "input"] = values
    return inputs


@pytest.mark.parametrize("name", PARAMETERS)
def test_phone_files_equal_keras(name, random, tmp_path):
    model = ALL[name]()
    data = draw(model, random, 6)
    report = export.to_tflite(
        model, tmp_path / "out", target="phone", recipe="float32", calibration=data
    )
    assert report.passed
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.tflite",
        "README.md",
        "report.json",
        "report.html",
    }
    content = (tmp_path / "out/model.tflite").read_bytes()
    assert list(interpreter_of(content).get_signature_list()) == ["sequence"]
    for batch in (1, 3):
        inputs = draw(model, random, batch)
        values = list(inputs.values())
        (output,) = run_sequence(content, inputs).values()
        expected = model(values if len(values) > 1 else values[0])
        assert largest_difference(output, expected) < EQUAL
    for predicted in export.predict_file(content, model, inputs).values():
        assert largest_difference(predicted, expected) < EQUAL


@pytest.mark.parametrize("name", ["bidirectional", "masking", "attention", "static input"])
def test_microcontrollers_and_integers_are_refused_by_layer(name, random, tmp_path):
    model = ALL[name]()
    data = draw(model, random, 6)
    part = {"attention": "multi_head_attention", "static input": "static"}.get(name, name)
    for target, recipe in (("micro", "float32"), ("phone", "int8")):
        with pytest.raises(ValueError, match=rf"'{part}'.*Target 'phone' takes it"):
            export.to_tflite(
                model, tmp_path / "out", target=target, recipe=recipe, calibration=data
            )
    assert list(tmp_path.iterdir()) == []


def two_lengths():
    fast, slow = keras.Input((8, 3), name="fast"), keras.Input((4, 2), name="slow")
    return keras.Model(
        [fast, slow], layers.Concatenate()([layers.GRU(3)(fast), layers.LSTM(2)(slow)])
    )


def test_sequences_of_different_fixed_lengths(random, tmp_path):
    model = two_lengths()
    data = {
        "fast": random.standard_normal((5, 8, 3)).astype("float32"),
        "slow": random.standard_normal((5, 4, 2)).astype("float32"),
    }
    arguments = {"target": "phone", "recipe": "float32"}
    assert export.to_tflite(model, tmp_path / "out", calibration=data, **arguments).passed
    with pytest.raises(ValueError, match=r"different lengths: \[4, 8\].*Target 'phone' takes it"):
        export.to_tflite(model, tmp_path / "micro", recipe="float32", calibration=data)
    with pytest.raises(ValueError, match="'slow' has 3 time steps; the model takes 4"):
        short = {**data, "slow": data["slow"][:, :3]}
        export.to_tflite(model, tmp_path / "short", calibration=short, **arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_true_outputs_decide_for_whole_sequences(random, tmp_path):
    model = MODELS["average"]()
    data = draw(model, random, 20)
    truth = np.asarray(model(data["input"])) + 1
    report = export.to_tflite(
        model, tmp_path / "out", target="phone", recipe="dynamic", evaluation=(data, truth)
    )
    assert report.passed
    assert report.results[1].metric == pytest.approx(1, rel=0.05)
    with pytest.raises(ValueError, match=r"\(20, 2\)|\(None, 2\)"):
        export.to_tflite(
            model,
            tmp_path / "other",
            target="phone",
            recipe="dynamic",
            evaluation=(data, truth[:3]),
        )
