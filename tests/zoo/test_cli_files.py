"""Files on the command line: one line for bad ones, and an error for predictions that are NaN."""

import json

import keras
import numpy as np
import pytest
from command_line import lnn

import zoo
from zoo.cli import input_files
from zoo.training.prediction import NotFiniteError, require_finite, require_finite_metrics

NAME = "half-cheetah-micro"


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory):
    """A model whose predictions overflow at inputs of 1e20."""
    path = tmp_path_factory.mktemp("models") / "square.keras"
    x = keras.Input((None, 2))
    keras.Model(x, keras.layers.Dense(1)(x) * 1e30).save(path)
    return path


def test_predictions_that_are_not_finite_are_an_error(overflowing, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 4, 2)))
    arguments = ["predict", overflowing, "--input", tmp_path / "x.npy", "--out", tmp_path / "y.npz"]
    assert lnn(*arguments).returncode == 0
    (tmp_path / "y.npz").unlink()
    np.save(tmp_path / "x.npy", np.full((2, 4, 2), 1e20))
    result = lnn(*arguments)
    assert result.returncode == 1 and not (tmp_path / "y.npz").exists()
    assert "8 of 8 predictions" in result.stderr
    assert "first is at (sequence, time, output) (0, 0, 0)" in result.stderr


def test_models_that_load_and_cannot_run(tmp_path):
    """TensorFlow refuses such a name when it traces the model; Keras does not."""
    x = keras.Input((None, 2))
    keras.Model(x, keras.layers.Dense(1)(x), name="\U000726c8 x").save(tmp_path / "x.keras")
    np.save(tmp_path / "x.npy", np.ones((2, 4, 2)))
    result = lnn("predict", tmp_path / "x.keras", "--input", tmp_path / "x.npy")
    assert result.returncode == 2 and "x.keras cannot predict: " in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_place_of_values_that_are_not_finite():
    require_finite([np.ones(2), np.zeros(3)], "m")
    with pytest.raises(NotFiniteError, match=r"m, output 'b', are NaN.*\(1,\)"):
        require_finite({"a": np.ones(2), "b": np.array([0, np.inf])}, "m")
    with pytest.raises(NotFiniteError, match="MSE of m is nan"):
        require_finite_metrics({"MAE": 1.0, "MSE": np.nan}, "m")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.keras", b"", "x.keras is empty: it holds 0 bytes."),
        ("x.keras", b"PK", "x.keras is no intact zip archive"),
        ("x.keras", None, "There is no file"),
    ],
)
@pytest.mark.parametrize("command", ["export", "predict", "compare"])
def test_models_that_cannot_be_read(command, name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    arguments = ["--recipe", "float32"] if command == "export" else []
    result = lnn(command, tmp_path / name, *arguments)
    assert result.returncode == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("lnn: ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"", "x.npy is empty"),
        ("x.npy", b"\x80\x04N.", "neither an .npy nor an .npz"),
        ("x.npz", b"PK\x05\x06", "no intact zip"),
        ("x.csv", b"a,\x1b[31mb\n1,2\n", "not known 'a', '[31mb'"),
        ("x.csv", "a,b\n1,2\n".encode("utf-16")[:-1], "is no text in UTF-16"),
        ("x.tsv", b"a\tb\n1\t2\n", "not known 'a', 'b'"),
        ("x.parquet", b"PAR1", "is no Parquet file"),
        ("x.xlsx", b"PK", "must be a file of arrays, .npz or .npy, or a table: .csv, .tsv"),
    ],
)
def test_input_files(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as caught:
        input_files.read(tmp_path / name, NAME)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_errors_control_no_terminal(tmp_path):
    result = lnn("predict", tmp_path / "\x1b[31m\x9b\u202ex.keras")
    assert result.returncode == 2 and f"no file {tmp_path}/[31mx.keras." in result.stderr


def test_presets_without_a_sample(small_model, tmp_path):
    zoo.save(small_model, tmp_path / "p", samples={"other": np.ones(3)})
    for command in (["predict"], ["export", "--recipe", "float32"]):
        result = lnn(command[0], tmp_path / "p", *command[1:])
        assert result.returncode == 2
        assert "give the data in a file" in result.stderr
    with pytest.raises(ValueError, match=r"There is no file .*card.md"):
        zoo.card(tmp_path / "p")


def test_samples_with_one_name_twice(small_model, tmp_path):
    samples = {"inputs": np.ones(3), "inputs/x": np.ones(2)}
    zoo.save(small_model, tmp_path / "p", samples=samples)
    with pytest.raises(ValueError, match=r"samples.npz names 'inputs' as an array and as several"):
        zoo.samples(tmp_path / "p")


def test_metadata_must_be_json(small_model, tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        zoo.save(small_model, tmp_path / "p", metric=float("nan"))
    zoo.save(small_model, tmp_path / "p", metric=1.0)
    assert json.loads((tmp_path / "p/metadata.json").read_text())["metric"] == 1.0
