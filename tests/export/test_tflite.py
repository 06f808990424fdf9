"""From a model to a verified folder: what the files do, and what is refused."""

import json
import sys

import keras
import numpy as np
import pytest

import export
from export import recipes, targets
from export.calibration import closed_loop_samples
from export.convert import convert
from export.data import as_sequences
from export.runtimes.litert import LiteRT, make_interpreter
from export.runtimes.micro import Micro
from export.runtimes.rollout import rollout
from export.tflite_file import flatbuffer
from export.verification.error_metrics import relative_rms
from lnn_keras import LiquidCell, LiquidRNN, NODECell

micro = pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers
RECURRENT = {
    "liquid": lambda: LiquidRNN(LiquidCell(8, unfolds=2), return_sequences=True),
    "node": lambda: LiquidRNN(NODECell(8, unfolds=2), return_sequences=True),
    "lstm": lambda: layers.LSTM(8, return_sequences=True),
    "gru": lambda: layers.GRU(8, return_sequences=True),
    "simple": lambda: layers.SimpleRNN(8, return_sequences=True),
    "stacked": lambda: layers.RNN([layers.LSTMCell(4), LiquidCell(8, unfolds=1)]),
}


@pytest.fixture
def data(random):
    """A slow signal with noise, as sensors give: (sequences, time, features)."""
    time = np.arange(150)[None, :, None] / 9 + random.random((4, 1, 3)) * 6
    return (np.sin(time) + 0.1 * random.standard_normal((4, 150, 3))).astype("float32")


def make_model(name="liquid"):
    return keras.Sequential(
        [keras.Input((None, 3), name="x"), RECURRENT[name](), layers.Dense(2)], name=name
    )


@pytest.mark.parametrize("name", RECURRENT)
def test_float32_is_the_model(name, data, tmp_path):
    report = export.to_tflite(
        make_model(name), tmp_path / "out", recipe="float32", calibration=data
    )
    assert report.passed and report.steps == 600
    assert [result.name for result in report.results] == [
        "Keras",
        "LiteRT (XNNPACK)",
        "LiteRT (built-in)",
        "TFLite Micro",
    ]
    assert max(result.output_error for result in report.results) < 1e-5
    assert report.disagreement < 1e-5


@pytest.mark.parametrize("name", ["lstm", "gru", "liquid"])
def test_int8_follows_a_trained_model(name, data, tmp_path):
    model = make_model(name)
    model.compile(keras.optimizers.Adam(0.02), "mse")
    model.fit(data[:, :-1], data[:, 1:, :2], epochs=60, verbose=0)
    report = export.to_tflite(
        model, tmp_path / "out", calibration=data, evaluation=(data[:, :-1], data[:, 1:, :2])
    )
    assert report.passed
    quantized = report.results[3]
    assert 1e-4 < quantized.output_error < 0.05
    assert quantized.metric <= report.results[0].metric * 1.03
    assert report.arena_bytes > 1000


def test_folder_and_report(data, tmp_path):
    report = export.to_tflite(make_model("gru"), tmp_path / "out", calibration=data)
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == set(report.files)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert json.loads((out / "report.json").read_text())["passed"] is True
    assert report.bytes == (out / "model.tflite").stat().st_size


def normalized_model(data):
    """Features of very different size, normalized first and restored last."""
    normalize, restore = layers.Normalization(), layers.Normalization(invert=True)
    normalize.adapt(data)
    restore.adapt(data)
    return keras.Sequential(
        [keras.Input((None, 3), name="x"), normalize, RECURRENT["gru"](), layers.Dense(3), restore]
    )


def test_report_is_enough_to_run_the_file(data, tmp_path):
    """What a user's program does, from report.json and the interpreter alone."""
    data = data * [1, 100, 0.01] + [0, 1000, 0]
    model = normalized_model(data)
    export.to_tflite(model, tmp_path / "out", calibration=data)
    x, output, state = json.loads((tmp_path / "out/report.json").read_text())["layout"]
    interpreter = make_interpreter((tmp_path / "out/model.tflite").read_bytes())
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    held = np.full((1, state["size"]), state["zero_point"], "int8")
    predicted = []
    for real in data[0]:
        number = np.round((real - x["offset"]) / x["scale"]) + x["zero_point"]
        number = np.clip(number, -128, 127).astype("int8")
        interpreter.set_tensor(inputs[x["input"]]["index"], number[None])
        interpreter.set_tensor(inputs[state["input"]]["index"], held)
        interpreter.invoke()
        held = interpreter.get_tensor(outputs[state["output"]]["index"])
        number = interpreter.get_tensor(outputs[output["output"]]["index"])[0].astype("float32")
        predicted.append((number - output["zero_point"]) * output["scale"] + output["offset"])
    expected = model.predict(data[:1], verbose=0)[0]
    # Each feature for itself: the smallest, too, must have kept its numbers.
    error = np.sqrt(np.mean((np.array(predicted) - expected) ** 2, axis=0))
    assert (error < 0.08 * expected.std(axis=0)).all()


def test_one_scale_per_feature_keeps_the_small_ones(data):
    """Without folding, a feature far smaller than one unit of the tensor is lost."""
    data = data * [1, 100, 0.01]
    model = normalized_model(data)
    errors = {}
    for fold in (True, False):
        step = export.to_step(model, fold_scaling=fold)
        samples = closed_loop_samples(step, as_sequences(step, data))
        content = convert(step, recipes.get("int8"), targets.get("micro"), samples)
        rows = {"x": as_sequences(step, data)["x"][0]}
        values = rollout(LiteRT(content), rows).outputs["output"]
        real = step.scalings["output"].to_real(values)
        expected = model.predict(data[:1], verbose=0)[0]
        errors[fold] = np.sqrt(np.mean((real - expected) ** 2, axis=0)) / expected.std(axis=0)
    assert errors[True].max() < 0.08
    assert errors[False].max() > 0.5


def quantized_states(model, sequences):
    step = export.to_step(model)
    samples = closed_loop_samples(step, as_sequences(step, sequences))
    content = convert(step, recipes.get("int8"), targets.get("micro"), samples)
    return flatbuffer.read_signature(content).states, samples


@pytest.mark.parametrize("name", ["liquid", "lstm", "simple"])
def test_states_have_one_scale(name, data):
    """A state is fed back as a copy; TANH fixes the range of some outputs."""
    model = make_model(name)
    states, _ = quantized_states(model, data)
    assert len(states) == len(export.to_step(model).states)
    for state, following in states:
        assert state.scale == following.scale > 0
        assert state.zero_point == following.zero_point


def test_calibration_visits_the_states_of_the_loop(data):
    """The samples are what the model itself would see, not noise."""
    model = make_model("gru")
    step = export.to_step(model)
    samples = closed_loop_samples(step, as_sequences(step, data))
    (state,) = step.states
    hidden = keras.Model(model.inputs, model.layers[0].output).predict(data, verbose=0)
    visited = np.concatenate([sample[state.name] for sample in samples])
    np.testing.assert_allclose(visited[1:100], hidden[0, :99], atol=1e-6)
    assert (visited[0] == 0).all()
    assert len(samples) == 600


def test_a_state_that_grows_to_the_end_has_one_scale():
    """Its largest value is an output alone, so calibration must widen the input's range."""
    growing = np.linspace(0, 1, 50, dtype="float32")[:, None] * np.ones((1, 3), "float32")
    states, samples = quantized_states(make_model("node"), growing)
    ((state, following),) = states
    starts = np.abs([sample[state.name] for sample in samples])
    assert starts.max() == starts[-1].max()
    assert (state.scale, state.zero_point) == (following.scale, following.zero_point)


def test_verification_notices_a_file_of_another_model(data, tmp_path):
    export.to_tflite(make_model("gru"), tmp_path / "out", recipe="float32", calibration=data)
    content = (tmp_path / "out/model.tflite").read_bytes()
    keras.utils.clear_session()
    other = make_model("gru")  # has the same names and sizes, and other weights
    report = export.verify(other, content, data)
    assert not report.passed
    assert "RMS error" in report.failures[0]
    with pytest.raises(ValueError, match="was not made of model"):
        export.verify(make_model("lstm"), content, data)


def test_a_file_outside_tolerance_is_an_error_and_leaves_nothing(data, tmp_path):
    # Calibrated on a thousandth of the range, every input saturates.
    with pytest.raises(export.VerificationError, match="failed verification: LiteRT") as raised:
        export.to_tflite(
            make_model("simple"), tmp_path / "out", calibration=data / 1000, evaluation=data
        )
    assert not raised.value.report.passed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", ["int8", "float32"])
def test_sequences_start_from_their_initial_state(recipe, data, tmp_path):
    model = make_model("gru")
    export.to_tflite(model, tmp_path / "out", recipe=recipe, calibration=data)
    content = (tmp_path / "out/model.tflite").read_bytes()
    targets = model.predict(data, verbose=0) + 1.0
    metrics = export.evaluate_file(content, model, data, targets)
    assert set(metrics) == {"LiteRT (XNNPACK)", "TFLite Micro"}
    for value in metrics.values():
        assert value == pytest.approx(1.0, abs=1e-4 if recipe == "float32" else 0.05)


def test_micro_equals_micro_bit_for_bit(data, tmp_path):
    export.to_tflite(make_model("liquid"), tmp_path / "out", recipe="float32", calibration=data)
    content = (tmp_path / "out/model.tflite").read_bytes()
    runs = [rollout(Micro(content), {"x": data[0]}) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].outputs["output"], runs[1].outputs["output"])
    lite = rollout(LiteRT(content), {"x": data[0]})
    reference = runs[0].outputs["output"]
    assert relative_rms(lite.outputs["output"], reference, reference) < 1e-5


def test_relative_rms():
    reference = np.array([[0.0, 10.0], [2.0, 10.0]])  # standard deviations 1 and 0
    assert relative_rms(reference + 0.1, reference, reference) == pytest.approx(0.1 / np.sqrt(0.5))
    constant = np.ones((4, 2))
    assert relative_rms(constant + 0.1, constant, constant) == pytest.approx(0.1)


def nan(data):
    data = data.copy()
    data[1, 2, 0] = np.nan
    return data


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        (
            {"recipe": "int9"},
            ValueError,
            "recipe 'int9'; allowed: dynamic, float16, float32, int16x8, int8. .*'int8'",
        ),
        ({"target": "macro"}, ValueError, "target 'macro'; allowed: micro, phone. .*'micro'"),
        ({"calibration": None}, ValueError, "'int8' needs `calibration`"),
        ({"calibration": nan}, ValueError, r"received 1 NaN .*\(1, 2, 0\)"),
        ({"calibration": lambda d: d[..., :2]}, ValueError, r"\(batch, time, 3\).*\(4, 150, 2\)"),
        ({"calibration": lambda d: d[:0]}, ValueError, "is empty"),
        ({"calibration": lambda d: {"y": d}}, ValueError, "must have the keys x; received y"),
        ({"calibration": lambda d: d.astype(str)}, ValueError, "must hold numbers"),
        ({"steps": 1}, ValueError, "`steps` must be at least 2; received 1"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(arguments, error, named, data, tmp_path):
    if callable(arguments.get("calibration")):
        arguments = {**arguments, "calibration": arguments["calibration"](data)}
    with pytest.raises(error, match=named):
        export.to_tflite(
            make_model("simple"), tmp_path / "out", **{"calibration": data, **arguments}
        )
    assert list(tmp_path.iterdir()) == []


def test_bidirectional_is_refused_before_anything_is_written(data, tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 3)), layers.Bidirectional(layers.LSTM(2)), layers.Dense(1)]
    )
    with pytest.raises(ValueError, match=r"'bidirectional.*' \(Bidirectional\)"):
        export.to_tflite(model, tmp_path / "out", calibration=data)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_and_foreign_folders(data, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="Cannot write the folder"):
        export.to_tflite(make_model("simple"), tmp_path / "file/out", calibration=data)
    with pytest.raises(FileExistsError, match="a file has that name"):
        export.to_tflite(make_model("simple"), tmp_path / "file", calibration=data)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"other files \(thesis.txt\)"):
        export.to_tflite(make_model("simple"), tmp_path / "full", calibration=data)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/README.md").write_text("mine")
    with pytest.raises(FileExistsError, match=r"other files \(README.md\)"):
        export.to_tflite(make_model("simple"), tmp_path / "mine", calibration=data)
    assert (tmp_path / "mine/README.md").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "full", "mine"}
    assert (tmp_path / "full/thesis.txt").read_text() == "mine"


def test_an_earlier_export_is_replaced(data, tmp_path):
    for name in ("simple", "gru"):
        export.to_tflite(make_model(name), tmp_path / "out", calibration=data)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert json.loads((tmp_path / "out/report.json").read_text())["model"] == "gru"


def test_an_operation_that_the_target_lacks_is_named(data, tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 3)), layers.SimpleRNN(4), layers.Dense(2, activation="gelu")]
    )
    with pytest.raises(ValueError, match=r"Target 'micro' has no kernel for: .*GELU"):
        export.to_tflite(model, tmp_path / "out", recipe="float32", calibration=data)
    assert list(tmp_path.iterdir()) == []


def test_without_the_micro_wheel_the_report_says_so(data, tmp_path, monkeypatch):
    def missing(self, content):
        raise ImportError

    monkeypatch.setattr(Micro, "__init__", missing)
    report = export.to_tflite(make_model("simple"), tmp_path / "out", calibration=data)
    assert report.passed and report.arena_bytes is None
    assert report.results[3].note == "not run: no wheel for this platform"
    assert "not measured" in (tmp_path / "out/lnn_model.h").read_text()


def test_without_litert_tensorflow_takes_its_place(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    report = export.to_tflite(
        make_model("simple"), tmp_path / "out", recipe="float32", calibration=data
    )
    assert report.passed and report.results[1].name == "TensorFlow Lite (XNNPACK)"
