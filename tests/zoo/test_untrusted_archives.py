"""`.keras` files: those of strangers are refused, and own models with layers of Keras load."""

import json
import zipfile

import keras
import numpy as np
import pytest

import lnn_keras
import zoo
from lnn_keras import LiquidRNN, wirings
from zoo.readers.files import FileError

L = keras.layers


class TestArchive:
    def rewritten(self, saved, path, **changes):
        """The `.keras` file with members replaced, added, or removed by None."""
        with zipfile.ZipFile(saved / "model.keras") as source:
            members = {name: source.read(name) for name in source.namelist()}
        with zipfile.ZipFile(path, "w") as target:
            for name, content in (members | changes).items():
                if content is not None:
                    target.writestr(name, content)
        return path

    def refused(self, path, match):
        with pytest.raises(FileError, match=match) as caught:
            zoo.load(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)

    def test_it_loads_without_its_training_settings(self, saved):
        model = zoo.load(saved / "model.keras")
        assert not model.compiled
        original = keras.saving.load_model(saved / "model.keras")
        x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("float32")
        np.testing.assert_array_equal(model(x), original(x))

    def test_other_files(self, saved, tmp_path):
        path = tmp_path / "x.keras"
        self.refused(path, "There is no file")
        path.touch()
        self.refused(path, "is empty: it holds 0 bytes")
        path.write_text("not a zip")
        self.refused(path, "no intact zip archive")
        path.unlink()
        path.mkdir()
        self.refused(path, "is a folder")

    def test_members(self, saved, tmp_path):
        path = tmp_path / "x.keras"
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            self.refused(self.rewritten(saved, path, **{name: None}), f"lacks {name}")
            self.refused(self.rewritten(saved, path, **{name: b""}), name)
        added = {"assets/layer/vocabulary.txt": b"x"}
        self.refused(self.rewritten(saved, path, **added), "holds 'assets/layer/vocabulary.txt'")
        self.refused(self.rewritten(saved, path, **{"../x": b""}), "lies outside of the archive")

    def test_config(self, saved, tmp_path, config):
        path = tmp_path / "x.keras"
        config["config"]["layers"][-1] |= {"class_name": "Lambda", "config": {}}
        evil = json.dumps(config)
        self.refused(self.rewritten(saved, path, **{"config.json": evil}), "Lambda' is not allowed")


def everything():
    """A model with many kinds of layers: own files with layers of Keras still load."""
    x = inputs = keras.Input((3, 6), name="x")
    elapsed = keras.Input((3,), name="elapsed")
    x = L.Conv1D(4, 3, padding="causal", activation="gelu")(x)
    x = L.MultiHeadAttention(2, 3)(x, x) + x
    x = L.Bidirectional(L.LSTM(3, return_sequences=True, dropout=0.1))(x)
    x = L.RNN([L.GRUCell(4), lnn_keras.CfCCell(5)], return_sequences=True)(x)
    x = LiquidRNN(lnn_keras.LTCCell(wirings.AutoNCP(8, 2), unfolds=1), return_sequences=True)(
        keras.ops.concatenate([x, x[..., :1] * 2.0], -1), elapsed=elapsed
    )
    x = L.TimeDistributed(keras.Sequential([L.Dense(3), L.LeakyReLU()]))(x)
    x = L.LayerNormalization()(L.EinsumDense("xyc,cd->xyd", (None, 4))(x))
    x = lnn_keras.EachStep(L.Dense(2, kernel_regularizer="l2", kernel_constraint="max_norm"))(x)
    shared = L.Dense(2)
    x = shared(shared(x)) + np.ones(2, "float32")
    return keras.Model([inputs, elapsed], keras.ops.einsum("abc->ac", x))


def test_own_models_of_keras_layers_load(tmp_path):
    path = tmp_path / "own.keras"
    model = everything()
    model.save(path)
    loaded = zoo.load(path)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    for a, b in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_stateful_and_quantized_models_load(tmp_path):
    stateful = keras.Sequential(
        [keras.Input((4, 3), batch_size=2), L.LSTM(2, stateful=True), L.Dense(2, dtype="bfloat16")]
    )
    quantized = keras.Sequential([keras.Input((4, 3)), L.Dense(2)])
    quantized.quantize("int8")
    for model in (stateful, quantized):
        model.save(tmp_path / "own.keras")
        loaded = zoo.load(tmp_path / "own.keras")
        assert len(loaded.weights) == len(model.weights)
    assert zoo.load(tmp_path / "own.keras").layers[0].quantization_mode == "int8"


@keras.saving.register_keras_serializable("user")
class OwnLayer(L.Dense):
    """A layer of the user."""


def test_own_layers_are_named_with_the_way_to_load_them(tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), OwnLayer(2)])
    model.save(tmp_path / "own.keras")
    message = r"own.keras, config.json: .*class 'user>OwnLayer' is not allowed.*keras.saving.load_"
    with pytest.raises(FileError, match=message):
        zoo.load(tmp_path / "own.keras")
    with pytest.raises(FileError, match="user>OwnLayer' is not allowed"):
        zoo.save(model, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
