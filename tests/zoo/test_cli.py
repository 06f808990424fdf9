"""The command line, called as users call it."""

import json
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from command_line import lnn

import lnn_keras
import zoo
from zoo.hub import store

NAME = "half-cheetah-micro"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The demo, run once, without a network and without data."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {"LNN_DATA_DIR": str(folder / "none"), "http_proxy": "http://127.0.0.1:9"}
    return lnn("demo", cwd=folder, **environment), folder / "build" / NAME


@pytest.fixture
def first_sequences(recorded_test_split, monkeypatch):
    """Function that limits the test split of a preset to its first sequences."""

    def limit(name, count):
        preset = zoo.PRESETS[name]
        first = keras.tree.map_structure(lambda a: a[:count], recorded_test_split(preset))
        limited = replace(preset, load_splits=lambda seed: {"test": first})
        monkeypatch.setitem(zoo.PRESETS, name, limited)

    return limit


def test_demo(exported):
    result, folder = exported
    assert result.returncode == 0, result.stderr
    for text in ("MSE", "Keras", "LiteRT", "arena", "operations", "verification passed"):
        assert text in result.stdout
    assert {path.name for path in folder.iterdir()} == {
        "model.tflite",
        "model.h",
        "model_data.cc",
        "lnn_model.h",
        "lnn_op_resolver.h",
        "recording.h",
        "main.cc",
        "CMakeLists.txt",
        "README.md",
        "report.json",
        "report.html",
    }
    assert f"build/{NAME}/model.tflite" in result.stdout
    assert "C, int16x8" in result.stdout and f"build/{NAME}-c" in result.stdout
    assert (folder.parent / f"{NAME}-c/half_cheetah.c").is_file()


def test_verify(exported):
    _, folder = exported
    result = lnn("verify", folder / "model.tflite", "--model", NAME, "--steps", "100")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "100 closed-loop steps" in result.stdout


def test_verify_fails_with_status_1_for_other_weights(exported, tmp_path):
    _, folder = exported
    model = zoo.load(NAME)
    model.get_layer("readout").kernel.assign(model.get_layer("readout").kernel * 1.5)
    model.save(tmp_path / "other.keras")
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, x=zoo.samples(NAME)["inputs"])
    arguments = ["--model", tmp_path / "other.keras", "--input", inputs, "--steps", "100"]
    result = lnn("verify", folder / "model.tflite", *arguments)
    assert result.returncode == 1, result.stderr
    assert "verification FAILED" in result.stdout


def test_evaluate_model_and_file(exported, first_sequences):
    _, folder = exported
    first_sequences(NAME, 200)
    result = lnn("evaluate", NAME, "--tflite", folder / "model.tflite")
    assert result.returncode == 0, result.stderr
    keras_line, *runtime_lines = result.stdout.strip().splitlines()
    assert keras_line.startswith("Keras: test MSE") and "on 200 sequences" in keras_line
    reference = float(keras_line.split()[3])
    assert runtime_lines
    for line in runtime_lines:
        assert float(line.split(": test MSE ")[1].split()[0]) <= 1.03 * reference


def test_evaluate_a_shipped_file_in_closed_loop(first_sequences):
    """The number of collisions is 0, so no percentage is printed."""
    first_sequences("car-following-micro", 5)
    file = store.find("car-following-micro") / "int8.tflite"
    result = lnn("evaluate", "car-following-micro", "--tflite", file)
    assert result.returncode == 0, result.stderr
    assert "Keras: test collisions 0.0000" in result.stdout
    assert "LiteRT (XNNPACK): test collisions 0.0000\n" in result.stdout + "\n"


def test_presets_and_info():
    assert NAME in lnn("presets").stdout
    card = lnn("info", NAME).stdout
    assert "LTC, 32 units" in card and "Limits" in card


def test_predict(tmp_path):
    samples = zoo.samples(NAME)
    np.savez(tmp_path / "x.npz", x=samples["inputs"][None, :40])
    result = lnn("predict", NAME, "--input", tmp_path / "x.npz", "--out", tmp_path / "y.npz")
    assert result.returncode == 0, result.stderr
    predicted = np.load(tmp_path / "y.npz")["prediction"]
    np.testing.assert_allclose(
        predicted, zoo.load(NAME).predict(samples["inputs"][None, :40], verbose=0), atol=1e-5
    )


def test_predict_from_a_table(tmp_path):
    """A CSV file with the columns of the preset; the error names a wrong column."""
    header = "holiday,temp,rain_1h,snow_1h,clouds_all,weather_main,weather_description,date_time"
    rows = [f"None,28{hour},0,0,40,Clouds,few clouds,2018-06-04 0{hour}:00:00" for hour in range(9)]
    path = tmp_path / "hours.csv"
    path.write_text("\n".join([header, *rows]))
    result = lnn("predict", "metro-traffic", "--input", path, "--out", tmp_path / "y.npz")
    assert result.returncode == 0, result.stderr
    volume = np.load(tmp_path / "y.npz")["prediction"][0, :, 0]
    # A Monday's rush hour against its night.
    assert volume.shape == (9,) and volume[7] > volume[2] + 1
    path.write_text("\n".join([header.replace("temp", "temperature"), *rows]))
    result = lnn("predict", "metro-traffic", "--input", path)
    assert result.returncode == 2
    assert "missing 'temp'; not known 'temperature'" in result.stderr


def test_data_check_and_get(real_data):
    result = lnn("data", "check", "half_cheetah")
    assert result.returncode == 0, result.stderr
    assert "25,000" in result.stdout
    assert "Apache-2.0" in lnn("data", "get", "half_cheetah").stdout


def test_export_of_a_stock_lstm_file(tmp_path, random):
    """A model from a file, calibrated with data from a file."""
    model = keras.Sequential(
        [keras.Input((None, 3)), keras.layers.LSTM(6), keras.layers.Dense(2)], name="own"
    )
    model.save(tmp_path / "own.keras")
    np.save(tmp_path / "x.npy", random.standard_normal((2, 250, 3)))
    arguments = ["export", tmp_path / "own.keras", "--recipe", "float32", "--out", tmp_path / "out"]
    result = lnn(*arguments, "--calibration", tmp_path / "x.npy")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out/model.tflite").is_file()


def test_export_for_phones_with_defaults(tmp_path):
    """A model with elapsed times; the step and the sequence form are verified on noise."""
    x, elapsed = keras.Input((None, 3), name="x"), keras.Input((None,), name="elapsed")
    cell = lnn_keras.LiquidCell(40, unfolds=1)
    y = lnn_keras.LiquidRNN(cell, return_sequences=True)(x, elapsed=elapsed)
    keras.Model([x, elapsed], y, name="own").save(tmp_path / "own.keras")
    result = lnn("export", "own.keras", "--target", "phone", "--recipe", "dynamic", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Gaussian noise" in result.stdout and "LiteRT, sequence" in result.stdout
    written = tmp_path / "build/own-phone-dynamic"
    assert {"model.tflite", "LiquidModel.kt", "report.html"} <= {p.name for p in written.iterdir()}
    assert "dynamic for phone, 1,000 closed-loop steps" in result.stdout
    arguments = ["--model", "own.keras", "--steps", "50"]
    result = lnn("verify", written / "model.tflite", *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "dynamic for phone, 50 closed-loop steps" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["info", "half-cheeta"],
            "Unknown preset 'half-cheeta'; allowed: car-following",
        ),
        (["train", "half"], "Unknown preset 'half'"),
        (["train", NAME, "--model", "gur"], "Unknown model 'gur'; allowed: gru, liquid, lstm. Did"),
        (["export", NAME, "--out", "x", "--recipe", "int9"], "Unknown recipe 'int9'; allowed"),
        (["export", NAME, "--out", "x", "--target", "micr"], "Unknown target 'micr'; allowed"),
        (["export", "no.keras", "--out", "x"], "There is no file no.keras"),
        (["verify", "no.tflite", "--model", NAME], "There is no file no.tflite"),
        (["predict", NAME, "--input", "no.npz"], "There is no file no.npz"),
        (["data", "check", "mitbd"], "Unknown dataset 'mitbd'; allowed: car_racing, etth1"),
        (["predict", NAME, "--input", "x.xls"], "x.xls must be a file of arrays, .npz or"),
    ],
)
def test_errors_are_one_line_and_status_2(arguments, message, tmp_path):
    result = lnn(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(f"lnn: {message}")
    assert list(tmp_path.iterdir()) == []


def test_a_process_writes_one_line_for_an_error():
    """Including the notices that TensorFlow writes to file descriptor 2."""
    program = """
import sys

# Keras imports them where they are installed, which takes seconds.
sys.modules.update(sklearn=None, matplotlib=None)
from zoo.cli.main import main

main()
"""
    result = subprocess.run(
        [sys.executable, "-c", program, "predict", "half-cheeta"], capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_wrong_option_is_status_2():
    assert lnn("demo", "--colour", "red").returncode == 2


def test_presets_fit_a_narrow_terminal():
    """No cell is truncated at 80 columns."""
    result = lnn("presets", COLUMNS="80")
    assert result.returncode == 0, result.stderr
    assert "…" not in result.stdout
    for name, preset in zoo.PRESETS.items():
        recorded = zoo.metadata(name)
        assert name in result.stdout and preset.domain in result.stdout
        for measured in recorded["exports"].values():
            assert f"{measured['bytes']:,}" in result.stdout
        for kind in preset.configs:
            assert f"{recorded['metrics'][kind]['test_mean']:#.3g}".rstrip(".") in result.stdout


def test_json_output():
    presets = json.loads(lnn("presets", "--json").stdout)
    micro = next(preset for preset in presets if preset["name"] == "half-cheetah-micro")
    assert micro["parameters"] == zoo.metadata("half-cheetah-micro")["parameters"]
    assert set(micro["test"]) == {"liquid", "lstm", "gru"}
    assert json.loads(lnn("info", "half-cheetah-micro", "--json").stdout)["name"] == micro["name"]
