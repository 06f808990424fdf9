"""Provenance of a report: versions, date, and digests of the file and of the model."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

import keras
import numpy as np

from export import compat
from export.forms.model_graph import read_graph

PACKAGES = ("lnn-keras", "keras", "tensorflow", "ai-edge-litert", "tflite-micro", "numpy")

# Entries of a config that say how a model was built, trained or named, not what it computes.
_OTHER_ENTRIES = {"build_config", "compile_config", "module", "registered_name"}
# Entries of a config that refer to layers by name.
_REFERENCES = {"keras_history", "input_layers", "output_layers"}


def provenance(model: keras.Model, content: bytes) -> dict[str, Any]:
    """Return the fields of `Report` that say where its results come from.

    Args:
        model: The Keras model.
        content: The bytes of its .tflite file.

    Returns:
        "versions", "date", "file_sha256" and "model_sha256".
    """
    return {
        "versions": versions(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "file_sha256": hashlib.sha256(content).hexdigest(),
        "model_sha256": model_sha256(model),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that take part; "" if not installed."""
    return {"python": python_version()} | {name: _version(name) for name in PACKAGES}


def model_sha256(model: keras.Model) -> str:
    """Return the sha256 of a model's weights, in their order, and of its config as JSON.

    A saved and reloaded model has the same digest, and so has a model that the same program
    builds again, with the same weights. The names of layers are replaced by their positions,
    since Keras numbers unnamed layers by all that the process has built before; names of inputs
    and outputs count. States of stateful layers, the loss, the optimizer and metrics do not. Other
    versions of Keras may write other configs.

    Args:
        model: A built model.

    Returns:
        The digest in hexadecimal, as `Report.model_sha256`.

    Raises:
        ValueError: The model is no Sequential or Functional model.

    Example:
        >>> import export, zoo
        >>> len(export.model_sha256(zoo.load("half-cheetah-micro")))
        64
    """
    digest = hashlib.sha256()
    for weight in _weights(model):
        array = np.ascontiguousarray(weight)
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    graph = read_graph(model)
    described = [graph.name, list(graph.inputs), list(graph.outputs), _config(model)]
    digest.update(json.dumps(described, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        if package != "lnn-keras":
            return ""
        # A checkout that is not installed.
        import lnn_keras

        return lnn_keras.__version__


def _weights(model: keras.Model) -> Iterator[Any]:
    states = {
        id(variable)
        for layer in compat.flatten_layers(model)
        if getattr(layer, "stateful", False)
        for variable in keras.tree.flatten(getattr(layer, "states", None))
    }
    for weight in model.weights:
        if id(weight) not in states:
            yield np.asarray(keras.ops.convert_to_numpy(weight.value))


def _config(model: keras.Model) -> Any:
    try:
        config = keras.saving.serialize_keras_object(model.get_config())
    except (NotImplementedError, TypeError, ValueError):
        # A layer of the user without a config: such a model cannot be saved either.
        return [type(layer).__name__ for layer in compat.flatten_layers(model)]
    return _without_names(config, {})


def _without_names(value: Any, positions: Mapping[str, int]) -> Any:
    """A config without names, in which layers refer to each other by position.

    Args:
        value: A part of the config.
        positions: By name of a layer of the innermost model, its position.
    """
    if isinstance(value, (list, tuple)):
        return [_without_names(part, positions) for part in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "__tuple__":
        return _without_names(value["config"]["value"], positions)
    if isinstance(value.get("layers"), (list, tuple)):
        positions = _positions(value["layers"])
    # The name of a policy is its content.
    dropped = {*_OTHER_ENTRIES, "name"}
    if str(value.get("class_name")).endswith("DTypePolicy"):
        return [value["class_name"], value["config"]]
    return {
        key: _renamed(part, positions) if key in _REFERENCES else _without_names(part, positions)
        for key, part in value.items()
        if key not in dropped
    }


def _positions(layers: Any) -> dict[str, int]:
    return {
        layer.get("name") or layer.get("config", {}).get("name", ""): index
        for index, layer in enumerate(layers)
        if isinstance(layer, Mapping)
    }


def _renamed(value: Any, positions: Mapping[str, int]) -> Any:
    if isinstance(value, str):
        return positions.get(value, value)
    if isinstance(value, Mapping):
        return {key: _renamed(part, positions) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_renamed(part, positions) for part in value]
    return value
