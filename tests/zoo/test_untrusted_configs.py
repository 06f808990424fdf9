"""Configs of models from strangers: what Keras would run, read or allocate is refused before it."""

import copy

import keras
import pytest

from zoo.hub import model_classes, model_config
from zoo.readers.files import FileError

WEIGHTS = 10_000


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
    of_keras = {name for name, value in vars(keras.layers).items() if isinstance(value, type)}
    assert of_keras - known == refused_layers & of_keras
    registered = keras.saving.get_custom_objects()
    ours = {name for name in registered if name.startswith("lnn_keras>")}
    listed = model_classes.REGISTERED["lnn_keras"] | model_classes.REGISTERED_PARTS["lnn_keras"]
    allowed = {f"lnn_keras>{name}" for name in listed}
    functions = {*model_classes.REGISTERED_FUNCTIONS, "lnn_keras>NegativeLogLikelihood"}
    assert ours == allowed | functions
