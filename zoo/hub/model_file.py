"""Models from files of strangers: a config and weights, checked before Keras reads them."""

import copy
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from zoo.hub import model_config
from zoo.readers import archive, files, hdf5, json_text
from zoo.readers.files import FileError, reason, shown

if TYPE_CHECKING:
    import keras

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
# Weights that Keras does not save: seeds, and the states of stateful layers.
SPARE_WEIGHTS = 1 << 20
# Largest tensor between two layers, for one sequence of one step where the length is open.
MAX_TENSOR = 1 << 26

_Result = TypeVar("_Result")


def load_folder(folder: Path) -> "keras.Model":
    """The model in a folder with a config and weights.

    Raises:
        FileError: A file is missing or damaged, or the model is not allowed.
    """
    config = json_text.read_object(folder / CONFIG)
    return _load(config, folder / WEIGHTS, shown(folder / CONFIG), shown(folder / WEIGHTS))


def load_archive(path: Path) -> "keras.Model":
    """The model in a `.keras` file.

    Raises:
        FileError: The file is missing or damaged, or the model is not allowed.
    """
    name = shown(path)
    members = archive.members(files.content(path), name)
    for member in (METADATA, CONFIG, WEIGHTS):
        if member not in members:
            raise FileError(f"{name} is no model of Keras 3: it lacks {member}.")
    others = sorted(set(members) - {METADATA, CONFIG, WEIGHTS})
    if others:
        raise FileError(
            f"{name} holds {others[0][:80]!r}; allowed are {METADATA}, {CONFIG} and {WEIGHTS}, "
            "without files of layers."
        )
    json_text.parse_object(members[METADATA], f"{name}, {METADATA},")
    config = json_text.parse_object(members[CONFIG], f"{name}, {CONFIG},")
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / WEIGHTS
        weights.write_bytes(members[WEIGHTS])
        try:
            return _load(config, weights, f"{name}, {CONFIG}", f"{name}, {WEIGHTS}")
        except FileError as error:
            raise FileError(str(error).replace(str(weights), f"{name}, {WEIGHTS}")) from error


def _load(config: dict[str, Any], weights: Path, config_name: str, name: str) -> "keras.Model":
    """Build a model without weights first, so that a wrong size allocates nothing."""
    count = hdf5.count_weights(weights)
    config = model_config.checked(config, config_name, count)
    # Loading requires that the classes are registered with Keras.
    import lnn_keras  # noqa: F401
    from zoo import compat

    if model_config.names_package(config, "lnn_export"):
        import export.compress  # noqa: F401

    fault = f"{config_name}: Keras cannot build a model from it"
    # States have values from the start; the model is sized without them.
    stateless = model_config.without_states(config)
    with compat.object_sharing(), compat.without_values():
        _require_small(_call(lambda: _build(stateless), fault), count, config_name)
    with compat.object_sharing():
        model = _call(lambda: _build(config), fault)
    _call(lambda: _load_weights(model, weights), f"{name} does not fit {CONFIG}")
    _require_finite(model, name)
    return model


def _build(config: dict[str, Any]) -> "keras.Model":
    import keras

    # Keras changes configs while it reads them.
    model: Any = keras.saving.deserialize_keras_object(copy.deepcopy(config))
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError("it describes no model with known input shapes")
    return model


def _load_weights(model: "keras.Model", path: Path) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Keras leaves the weights of a list of layers at random if the file lacks them.
        warnings.filterwarnings("error", "Skipping nested container")
        try:
            model.load_weights(str(path))
        except UserWarning as error:
            raise ValueError("it lacks weights of layers that the config describes") from error


def _call(function: Callable[[], _Result], fault: str) -> _Result:
    try:
        return function()
    # A config that makes no sense fails in any line of Keras, with any error.
    except Exception as error:
        raise FileError(f"{fault}: {reason(error)}.") from error


def _require_small(model: "keras.Model", weights: int, name: str) -> None:
    """Raise a FileError if a model has more weights than its file, or a huge tensor."""
    count = sum(_size(variable.shape) for variable in model.variables)
    if count > 2 * weights + SPARE_WEIGHTS:
        raise FileError(
            f"{name} describes {count:,} weights, but {WEIGHTS} holds {weights:,} numbers."
        )
    for operation in getattr(model, "operations", model.layers):
        try:
            outputs = operation.output
        except (AttributeError, ValueError):  # called several times, or never
            continue
        for tensor in _flat(outputs):
            if _size(tensor.shape) > MAX_TENSOR:
                raise FileError(
                    f"{name}: layer {operation.name!r} returns a tensor of shape {tensor.shape}, "
                    f"which exceeds {MAX_TENSOR:,} numbers."
                )


def _flat(value: Any) -> list[Any]:
    import keras

    return [tensor for tensor in keras.tree.flatten(value) if hasattr(tensor, "shape")]


def _size(shape: Any) -> int:
    size = 1
    for dimension in shape:
        size *= dimension or 1
    return size


def _require_finite(model: "keras.Model", name: str) -> None:
    import keras

    for variable in model.variables:
        if not keras.backend.is_float_dtype(variable.dtype):
            continue
        values = np.asarray(keras.ops.convert_to_numpy(variable), "float32")
        if not np.isfinite(values).all():
            count = np.count_nonzero(~np.isfinite(values))
            raise FileError(f"{name}: {count:,} values of {variable.path!r} are NaN or infinite.")
