"""`to_tflite`: a model becomes a verified folder, or an error that leaves nothing behind."""

import errno
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from export_models import compiled, sequential

import export
from export.runtimes.interpreters import make_interpreter

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers


def test_folder_and_report(exported):
    out, report = exported("gru").folder, exported("gru").report
    assert {path.name for path in out.iterdir()} == set(report.files)
    assert {path.name for path in out.parent.iterdir()} == {"out"}
    assert json.loads((out / "report.json").read_text())["passed"] is True
    assert report.bytes == (out / "model.tflite").stat().st_size


def test_report_suffices_to_run_the_file(exported, mixed_units):
    """A program that has report.json and an interpreter, and nothing of this package."""
    model, folder = exported("gru").model, exported("gru").folder
    x, output, state = json.loads((folder / "report.json").read_text())["layout"]
    interpreter = make_interpreter((folder / "model.tflite").read_bytes())
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    held = np.full((1, state["size"]), state["zero_point"], "int8")
    predicted = []
    for real in mixed_units[0]:
        quantized = np.round((real - x["offset"]) / x["scale"]) + x["zero_point"]
        quantized = np.clip(quantized, -128, 127).astype("int8")
        interpreter.set_tensor(inputs[x["input"]]["index"], quantized[None])
        interpreter.set_tensor(inputs[state["input"]]["index"], held)
        interpreter.invoke()
        held = interpreter.get_tensor(outputs[state["output"]]["index"])
        quantized = interpreter.get_tensor(outputs[output["output"]]["index"])[0].astype("float32")
        predicted.append((quantized - output["zero_point"]) * output["scale"] + output["offset"])
    expected = model(mixed_units[:1])[0]
    # Per feature, so that the error of the smallest one counts.
    error = np.sqrt(np.mean((np.array(predicted) - expected) ** 2, axis=0))
    assert (error < 0.08 * np.std(expected, axis=0)).all()


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("gru", 40),
        *(pytest.param(name, 60, marks=pytest.mark.slow) for name in ("gru", "lstm", "liquid")),
    ],
)
def test_int8_follows_a_trained_model(name, epochs, signal, tmp_path):
    model = compiled(sequential(name), optimizer=keras.optimizers.Adam(0.02))
    inputs, outputs = signal[:, :-1], signal[:, 1:, :2]
    model.fit(inputs, outputs, epochs=epochs, verbose=0)
    report = export.to_tflite(
        model, tmp_path / "out", calibration=signal, evaluation=(inputs, outputs)
    )
    assert report.passed
    quantized = report.results[3]
    assert 1e-4 < quantized.output_error < 0.05
    assert quantized.metric <= report.results[0].metric * 1.03
    assert report.arena_bytes > 1000


def test_a_file_outside_tolerance_is_an_error_that_leaves_its_report(signal, tmp_path):
    # Calibrated on a thousandth of the range, every input saturates.
    with pytest.raises(export.VerificationError, match="failed verification: LiteRT") as raised:
        export.to_tflite(
            sequential("simple"), tmp_path / "out", calibration=signal / 1000, evaluation=signal
        )
    assert not raised.value.report.passed
    assert [path.name for path in tmp_path.iterdir()] == ["out.failed"]
    written = sorted(path.name for path in raised.value.folder.iterdir())
    assert written == ["report.html", "report.json"]


def with_nan(data):
    data = data.copy()
    data[1, 2, 0] = np.nan
    return data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"recipe": "int9"},
            "recipe 'int9'; allowed: dynamic, float16, float32, int16, int16x8, int8. .*'int8'",
        ),
        ({"target": "macro"}, "target 'macro'; allowed: c, micro, phone. .*'micro'"),
        ({"target": "c"}, r"Target 'c' is C source, which export.to_c\(model"),
        ({"recipe": "int16"}, "Target 'micro' does not take recipe 'int16'; allowed: float32"),
        ({"calibration": None}, "'int8' needs `calibration`"),
        ({"calibration": with_nan}, r"received 1 NaN .*\(1, 2, 0\)"),
        ({"calibration": lambda d: d[..., :2]}, r"\(batch, time, 3\).*\(3, 40, 2\)"),
        ({"calibration": lambda d: d[:0]}, "is empty"),
        ({"calibration": lambda d: {"y": d}}, "must have the keys x; received y"),
        ({"calibration": lambda d: d.astype(str)}, "must hold numbers"),
        ({"steps": 1}, "`steps` must be an integer of at least 2; received 1"),
    ],
)
def test_bad_arguments_are_named_and_leave_nothing(arguments, message, signal, tmp_path):
    if callable(arguments.get("calibration")):
        arguments = {**arguments, "calibration": arguments["calibration"](signal)}
    with pytest.raises(ValueError, match=message):
        export.to_tflite(
            sequential("simple"), tmp_path / "out", **{"calibration": signal, **arguments}
        )
    assert list(tmp_path.iterdir()) == []


def test_a_layer_without_a_step_form_is_refused_before_anything_is_written(signal, tmp_path):
    model = sequential(layers.Bidirectional(layers.LSTM(2)))
    with pytest.raises(ValueError, match=r"'bidirectional.*' \(Bidirectional\)"):
        export.to_tflite(model, tmp_path / "out", calibration=signal)
    assert list(tmp_path.iterdir()) == []


def test_an_operation_that_the_target_lacks_is_named(signal, tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 3)), layers.SimpleRNN(4), layers.Dense(2, activation="gelu")]
    )
    with pytest.raises(ValueError, match=r"Target 'micro' has no kernel for: .*GELU"):
        export.to_tflite(model, tmp_path / "out", recipe="float32", calibration=signal)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["micro", "phone"])
def test_stateful_layers_keep_their_states(target, random, tmp_path):
    """The file has any batch, or one; the model's states are neither used nor changed."""
    model = keras.Sequential([keras.Input((5, 3), batch_size=4), layers.GRU(4, stateful=True)])
    x = random.standard_normal((4, 5, 3)).astype("float32")
    model.predict(x, verbose=0)
    before = [variable.numpy() for variable in model.variables]
    report = export.to_tflite(
        model, tmp_path / "out", target=target, recipe="float32", calibration=x
    )
    assert report.passed and report.steps == 20
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def export_float32(name, folder, signal):
    """The cheapest export that writes a folder."""
    return export.to_tflite(
        sequential(name), folder, recipe="float32", calibration=signal[:1], steps=5
    )


def test_unwritable_and_foreign_folders(signal, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="Cannot write the folder"):
        export_float32("simple", tmp_path / "file/out", signal)
    with pytest.raises(FileExistsError, match="a file has that name"):
        export_float32("simple", tmp_path / "file", signal)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"other files \(thesis.txt\)"):
        export_float32("simple", tmp_path / "full", signal)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/README.md").write_text("mine")
    with pytest.raises(FileExistsError, match=r"other files \(README.md\)"):
        export_float32("simple", tmp_path / "mine", signal)
    assert (tmp_path / "mine/README.md").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "full", "mine"}
    assert (tmp_path / "full/thesis.txt").read_text() == "mine"


def test_an_earlier_export_is_replaced(signal, tmp_path):
    for name in ("simple", "gru"):
        export_float32(name, tmp_path / "out", signal)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert json.loads((tmp_path / "out/report.json").read_text())["model"] == "gru"


def test_a_full_disk_leaves_nothing(signal, tmp_path, monkeypatch):
    write = Path.write_text

    def full(self, text, encoding=None):
        if self.name == "report.html":
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, text, encoding)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"Cannot write the folder .*out: No space left on device"):
        export_float32("simple", tmp_path / "out", signal)
    assert list(tmp_path.iterdir()) == []
