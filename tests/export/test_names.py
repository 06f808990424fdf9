"""Names in files and sources come from the model's structure, not from Keras's counters."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import export
from export.forms import names
from export.forms.model_graph import read_graph
from export.tflite_file.flatbuffer import unpack

layers = keras.layers


def sequential(**names_of):
    return keras.Sequential(
        [
            keras.Input((None, 3), name=names_of.get("input")),
            layers.LSTM(4, return_sequences=True, name=names_of.get("first")),
            layers.LSTM(4, name=names_of.get("second")),
            layers.Dense(2),
        ],
        name=names_of.get("model"),
    )


def functional(**names_of):
    a = keras.Input((None, 3), name=names_of.get("input"))
    b = keras.Input((None, 2))
    hidden = layers.GRU(4, return_sequences=True)(layers.Concatenate()([a, b]))
    return keras.Model([a, b], layers.Dense(2)(layers.GRU(3)(hidden)))


NAMED = {"input": "class", "first": "encoder", "second": "lstm", "model": "gesture-net"}


def files(model, folder):
    data = [np.ones((2, 6, t.shape[-1]), "float32") for t in model.inputs]
    report = export.to_tflite(
        model,
        folder,
        recipe="float32",
        calibration=data if len(data) > 1 else data[0],
        steps=12,
    )
    texts = {path.name: path.read_text() for path in folder.iterdir() if path.suffix == ".h"}
    return report, texts


@pytest.mark.parametrize(("build", "named"), [(sequential, {}), (functional, NAMED)])
def test_rebuilt_models_have_the_same_sources(build, named, tmp_path):
    """Other models move the counters in between."""
    keras.utils.set_random_seed(0)
    _, first = files(build(**named), tmp_path / "first")
    sequential(), functional()
    keras.utils.set_random_seed(0)
    _, second = files(build(**named), tmp_path / "second")
    assert first == second and {"lnn_model.h", "recording.h"} <= set(first)
    tensors = [
        sorted(tensor.name for tensor in unpack(path.read_bytes()).subgraphs[0].tensors)
        for path in (tmp_path / "first/model.tflite", tmp_path / "second/model.tflite")
    ]
    assert tensors[0] == tensors[1]


def test_names_that_the_user_gave_are_kept():
    layers.LSTM(1), layers.LSTM(1)
    graph = read_graph(sequential(**NAMED))
    assert graph.name == "gesture-net" and list(graph.inputs) == ["class_"]
    assert list(graph.layer_names.values()) == ["encoder", "lstm", "dense"]
    graph = read_graph(sequential())
    assert graph.name == "model" and list(graph.inputs) == ["input"]
    assert list(graph.layer_names.values()) == ["lstm", "lstm_1", "dense"]
    graph = read_graph(functional())
    assert list(graph.inputs) == ["input_0", "input_1"]


def test_names_are_identifiers_without_collisions():
    assert names.unique(["a b", "a-b", "class", "1st", "температура", "x"]) == [
        "a_b",
        "a_b_1",
        "class_",
        "t_1st",
        "t____________",
        "x",
    ]
    taken = {"h_state_0", "next_h_state_1"}
    assert names.state_names("h", 2, taken) == ["h_state_0_", "h_state_1_"]


def test_outputs_that_look_like_states_or_inputs(random, tmp_path):
    """A model that forecasts its input, with names that the file gives a meaning."""
    x = keras.Input((None, 2), name="x")
    hidden = layers.GRU(4, return_sequences=True, name="next_x")(x)
    y = layers.Dense(2)(hidden)
    model = keras.Model(x, {"next_x": y, "x": hidden})
    data = random.standard_normal((3, 8, 2)).astype("float32")
    for target in ("micro", "phone"):
        report = export.to_tflite(
            model, tmp_path / target, target=target, recipe="float32", calibration=data
        )
        assert report.passed
        outputs = [tensor.name for tensor in report.layout if tensor.kind == "output"]
        assert sorted(outputs) == ["output_next_x", "output_x"]


def test_data_are_named_as_in_the_model_or_in_the_file(random):
    a, b = keras.Input((None, 3), name="class"), keras.Input((None, 2))
    model = keras.Model({"left side": a, "b": b}, layers.GRU(2)(layers.Concatenate()([a, b])))
    step = export.to_step(model)
    x, y = random.standard_normal((2, 5, 3)), random.standard_normal((2, 5, 2))
    assert step.inputs == ("b", "left_side")
    for data in ({"left side": x, "b": y}, {"left_side": x, "b": y}, [y, x]):
        assert export.as_sequences(step, data)["left_side"].shape == (2, 5, 3)
    with pytest.raises(ValueError, match="must have the keys b, left_side; received b, right"):
        export.as_sequences(step, {"b": y, "right": x})


VERIFY = """
import sys
import keras
import export
for name in sys.argv[1:]:
    model = keras.models.load_model(f"{name}.keras", safe_mode=False)
    report = export.verify(model, open(f"{name}/model.tflite", "rb").read(), steps=50)
    assert report.passed, report.failures
"""


@pytest.mark.slow
def test_a_file_verifies_against_the_saved_model_in_a_new_process(tmp_path):
    models = {
        "sequential": sequential(),
        "named_sequential": sequential(**NAMED),
        "functional": functional(),
        "named_functional": functional(**NAMED),
    }
    for name, model in models.items():
        files(model, tmp_path / name)
        model.save(tmp_path / f"{name}.keras")
    result = subprocess.run(
        [sys.executable, "-c", VERIFY, *models], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
