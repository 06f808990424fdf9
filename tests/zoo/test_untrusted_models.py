"""Models from strangers: what Keras would run, read or allocate is refused before it sees it."""

import copy
import json
import os
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import lnn_keras
import zoo
from lnn_keras import LiquidCell, LiquidRNN, wirings
from zoo.hub import model_classes, model_config, model_file, verified_folder
from zoo.local_files import sha256
from zoo.readers.files import FileError

L = keras.layers
WEIGHTS = 10_000


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small model in a folder and in a `.keras` file."""
    layer = LiquidRNN(LiquidCell(4), return_sequences=True, name="liquid")
    model = keras.Sequential([keras.Input((None, 3)), layer, L.Dense(2, "relu", name="readout")])
    model.compile("adam", "mse")
    path = tmp_path_factory.mktemp("saved")
    zoo.save(model, path / "folder", card="# Card", samples={"inputs": np.ones((1, 5, 3))})
    model.save(path / "model.keras")
    return path


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the preset folder, to damage."""
    for path in (saved / "folder").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def config(saved):
    """The parsed config, to damage."""
    return json.loads((saved / "folder/config.json").read_text())


def record_digests(folder):
    """Let the metadata of a folder list its files, as an attacker would."""
    path = folder / "metadata.json"
    recorded = json.loads(path.read_text())
    names = [other.name for other in folder.iterdir() if other != path]
    recorded["sha256"] = {name: sha256(folder / name) for name in names}
    path.write_text(json.dumps(recorded))


def refused(config, match):
    with pytest.raises(FileError, match=match) as caught:
        model_config.checked(config, "x/config.json", WEIGHTS)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("x/config.json: ")


def with_layer(config, module, kind, inner, **more):
    """A config with another last layer."""
    config["config"]["layers"][-1] = {
        "module": module,
        "class_name": kind,
        "config": inner,
        "registered_name": None,
        **more,
    }
    return config


def cell_of(config):
    return config["config"]["layers"][1]["config"]["cell"]["config"]


@pytest.mark.parametrize(
    ("module", "kind", "inner"),
    [
        ("keras.layers", "Lambda", {"function": {"class_name": "__lambda__", "config": {}}}),
        ("keras.layers", "TFSMLayer", {"filepath": "/tmp/model"}),
        ("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
        ("keras.layers", "TextVectorization", {"vocabulary": "/etc/passwd"}),
        ("keras.layers", "TorchModuleWrapper", {"module": "x"}),
        ("keras.layers", "JaxLayer", {}),
        ("keras.src.layers.core.lambda_layer", "Lambda", {}),
        ("keras.src.ops.core", "WhileLoop", {}),
        ("keras.src.ops.numpy", "Operation", {}),
        ("keras.src.ops.function", "Function", {}),
        ("keras.optimizers", "Adam", {}),
        ("keras_hub.models", "Backbone", {}),
        ("os", "system", {}),
        ("keras.layers", "__typespec__", {}),
        ("keras.layers", "__lambda__", {}),
        ("keras.layers", "__bytes__", {"value": "x"}),
        (None, "Dense", {"units": 2}),
        ("keras.layers", "dense", {"units": 2}),
    ],
)
def test_classes_that_are_not_on_the_list(config, module, kind, inner):
    refused(with_layer(config, module, kind, inner), rf"{kind}' is not allowed: .*load_model")


@pytest.mark.parametrize(
    "node",
    [
        {"class_name": "Dense", "config": {"units": 2}},
        {"class_name": "Lambda", "module": "keras.layers"},
        {"class_name": ["Dense"], "config": {}, "module": "keras.layers"},
        {"class_name": "Dense", "module": "keras.layers", "config": []},
        {
            "class_name": "Dense",
            "module": "keras.layers",
            "config": {},
            "registered_name": "user>Evil",
        },
        {
            "class_name": "LiquidCell",
            "module": "x",
            "config": {},
            "registered_name": "lnn_keras>Evil",
        },
        {
            "class_name": "Evil",
            "module": "x",
            "config": {},
            "registered_name": "lnn_keras>LiquidCell",
        },
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
        {"class_name": "function", "module": "keras.utils", "config": "get_file"},
        {"class_name": "function", "module": "builtins", "config": "eval"},
        {"class_name": "function", "module": "builtins", "config": ["relu"]},
        {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "object"}},
        {"class_name": "__numpy__", "config": {"value": ["x"], "dtype": "float32"}},
        "user>evil",
        "line\nbreak",
        "\x1b[31m",
        "x" * 2_000,
    ],
)
@pytest.mark.parametrize("place", ["layer", "activation", "initializer", "call"])
def test_objects_that_keras_would_look_up(config, node, place):
    """In all places alike, also deep inside of arguments."""
    layer = config["config"]["layers"][-1]
    if place == "layer":
        config["config"]["layers"][-1] = node
    elif place == "activation":
        layer["config"]["activation"] = node
    elif place == "initializer":
        layer["config"]["kernel_initializer"] = node
    else:
        layer["inbound_nodes"] = [{"args": [[{"x": [node]}]], "kwargs": {}}]
    refused(config, "not allowed|damaged|must be|too long or not printable")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("units", 10**9, r"units` is 1,000,000,000; the limit is"),
        ("units", 20_000, r"units` is 20,000, but the weights are 10,000 numbers in all"),
        ("unfolds", 10**5, r"unfolds` is 100,000; the limit is 256"),
        ("max_steps", 10**6, r"max_steps` is 1,000,000; the limit is 10,000"),
        ("anything", -(10**7), r"the limit is 1,000,000"),
    ],
)
def test_numbers_that_eat_memory_or_time(config, key, value, match):
    cell_of(config)[key] = value
    refused(config, match)


def test_models_that_are_too_large_to_build(config):
    layers = config["config"]["layers"]
    many = copy.deepcopy(config)
    many["config"]["layers"] = layers * 400
    refused(many, "1,601 layers; the limit is 1,000")
    unfolded = copy.deepcopy(config)
    cell_of(unfolded)["unfolds"] = 200
    unfolded["config"]["layers"] = unfolded["config"]["layers"] * 6
    refused(unfolded, "1,200 unfolds and backbone layers in all; the limit is 1,024")
    calls = copy.deepcopy(config)
    calls["config"]["layers"][-1]["inbound_nodes"] = [{}] * 5_000
    refused(calls, "5,000 calls of layers")
    unrolled = copy.deepcopy(config)
    unrolled["config"]["layers"][1]["config"]["unroll"] = True
    unrolled["config"]["layers"][0]["config"]["batch_shape"] = [None, 10**5, 3]
    refused(unrolled, "unroll=True")
    nested = layers[-1]
    for _ in range(10):
        nested = {
            "module": "keras.layers",
            "class_name": "Bidirectional",
            "config": {"layer": nested},
            "registered_name": None,
        }
    refused(
        with_layer(config, **{"module": "keras", "kind": "Sequential", "inner": nested}), "deep"
    )


@pytest.mark.parametrize(
    ("kind", "inner", "match"),
    [
        ("AutoNCP", {"units": 9_000, "outputs": 2}, "9,000 neurons"),
        ("NCP", {"inter": 4_000, "command": 90, "motor": 90}, "4,180 neurons"),
        ("NCP", {"recurrent_synapses": 10**6}, "the limit is 100,000"),
    ],
)
def test_wirings(config, kind, inner, match):
    node = {"module": "x", "class_name": kind, "config": inner}
    cell_of(config)["wiring"] = {**node, "registered_name": f"lnn_keras>{kind}"}
    refused(config, match)


def test_every_class_of_keras_and_of_ours_is_decided():
    """A new class of layers is refused until it stands on the list, or here."""
    refused_layers = set(
        """
        FlaxLayer HashedCrossing Hashing InputSpec IntegerLookup JaxLayer Lambda Layer
        MaxNumBoundingBoxes Pipeline StringLookup TFSMLayer TextVectorization TorchModuleWrapper
        Wrapper
        """.split()
    )
    known = model_classes.LAYERS["keras.layers"]
    of_keras = {name for name, value in vars(L).items() if isinstance(value, type)}
    assert of_keras - known == refused_layers & of_keras
    registered = keras.saving.get_custom_objects()
    ours = {name for name in registered if name.startswith("lnn_keras>")}
    allowed = {f"lnn_keras>{name}" for name in model_classes.REGISTERED["lnn_keras"]}
    functions = {*model_classes.REGISTERED_FUNCTIONS, "lnn_keras>NegativeLogLikelihood"}
    assert ours == allowed | functions


@pytest.mark.parametrize(
    ("attack", "match"),
    [
        (lambda file, name: file.update({name: h5py.ExternalLink("/etc/passwd", "x")}), "link"),
        (lambda file, name: file.update({name: h5py.SoftLink("/layers")}), "link"),
        (lambda file, name: file.update({name: np.full(2, np.nan)}), r"2 values of .* are NaN"),
        (lambda file, name: file.update({name: np.full(2, 1e300)}), r"2 values of .* infinite"),
        (lambda file, name: file.update({name: np.ones(3)}), "does not fit config.json"),
        (lambda file, name: None, "does not fit config.json"),
    ],
)
def test_weights(folder, attack, match):
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        del file["layers/dense/vars/1"]
        attack(file, "layers/dense/vars/1")
    record_digests(folder)
    with pytest.raises(FileError, match=f"model.weights.h5.*{match}"):
        zoo.load(folder)


def test_sizes_that_the_weights_do_not_have_allocate_nothing(folder, config):
    """Each number fits alone; the product of both does not."""
    layers = config["config"]["layers"]
    size = 10_000
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        file["layers/extra/vars/0"] = np.zeros(size, "float32")
    wide = {"module": "keras.layers", "class_name": "Dense", "registered_name": None}
    config["config"]["layers"] = [
        layers[0],
        {**wide, "config": {"units": size, "name": "a"}},
        {**wide, "config": {"units": size, "name": "b"}},
    ]
    config.pop("build_config", None)
    (folder / "config.json").write_text(json.dumps(config))
    record_digests(folder)
    with pytest.raises(FileError, match=r"describes 100,050,000 weights, but model.weights.h5"):
        zoo.load(folder)


def test_huge_tensors_between_layers(folder, config):
    repeated = {"module": "keras.layers", "class_name": "UpSampling1D", "registered_name": None}
    layers = config["config"]["layers"]
    layers[0]["config"]["batch_shape"] = [None, 1_000, 3]
    layers += [{**repeated, "config": {"size": 900_000, "name": "up"}}]
    config.pop("build_config", None)
    (folder / "config.json").write_text(json.dumps(config))
    record_digests(folder)
    with pytest.raises(FileError, match="layer 'up' returns a tensor of shape"):
        zoo.load(folder)


class TestFolder:
    def refused(self, folder, match):
        with pytest.raises(zoo.CorruptPresetError, match=match) as caught:
            zoo.load(folder)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["x.py", ".hidden", "assets"])
    def test_files_that_are_not_listed(self, folder, name):
        (folder / name).mkdir() if name == "assets" else (folder / name).touch()
        self.refused(folder, f"holds '{name}', which metadata.json does not list")

    def test_links_pipes_and_folders_in_the_place_of_files(self, folder):
        card = folder / "card.md"
        card.rename(folder.parent / "outside.md")
        card.symlink_to(folder.parent / "outside.md")
        self.refused(folder, "card.md is a link")
        card.unlink()
        os.mkfifo(card)
        self.refused(folder, "card.md is no regular file")
        card.unlink()
        card.mkdir()
        self.refused(folder, "card.md is a folder")

    @pytest.mark.parametrize(
        "change", [str.upper, lambda d: d[:-1], lambda d: d + "\n", lambda d: 7]
    )
    def test_digests_have_64_lower_case_digits(self, folder, change):
        path = folder / "metadata.json"
        recorded = json.loads(path.read_text())
        recorded["sha256"]["card.md"] = change(recorded["sha256"]["card.md"])
        path.write_text(json.dumps(recorded))
        self.refused(folder, r"sha256 of card.md must be 64 digits")

    @pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "", ".", "..", "a\\b", "\x1b"])
    def test_names_of_files(self, folder, name):
        path = folder / "metadata.json"
        recorded = json.loads(path.read_text())
        recorded["sha256"][name] = "0" * 64
        path.write_text(json.dumps(recorded))
        self.refused(folder, "which is no file of a preset")

    def test_many_files(self, folder):
        path = folder / "metadata.json"
        recorded = json.loads(path.read_text())
        recorded["sha256"] |= {f"x{n}": "0" * 64 for n in range(verified_folder.MAX_FILES)}
        path.write_text(json.dumps(recorded))
        self.refused(folder, "the limit is 16")

    @pytest.mark.parametrize("text", ["[]", "{", '{"sha256": []}', "[" * 10_000, "\x00", ""])
    def test_damaged_metadata(self, folder, text):
        (folder / "metadata.json").write_text(text)
        self.refused(folder, "metadata.json")

    def test_text_that_is_shown_controls_no_terminal(self, folder):
        (folder / "card.md").write_text("# \x1b[2JTitle\u202e\n\ttext\x9b")
        path = folder / "metadata.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "license": "M\x1bIT"}))
        record_digests(folder)
        assert zoo.card(folder) == "# [2JTitle\n\ttext"
        assert zoo.metadata(folder)["license"] == "MIT"


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
        evil = json.dumps(with_layer(config, "keras.layers", "Lambda", {}))
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


@pytest.mark.parametrize("name", zoo.PRESETS)
def test_bundled_metadata_are_pinned(name):
    folder = Path(zoo.__file__).parent / zoo.PRESETS[name].domain / name
    assert sha256(folder / "metadata.json") == zoo.PRESETS[name].metadata_sha256


def test_a_check_of_sizes_leaves_nothing_behind(saved):
    before = keras.config.floatx(), keras.config.dtype_policy().name
    model_file.load_folder(saved / "folder")
    assert before == (keras.config.floatx(), keras.config.dtype_policy().name)
