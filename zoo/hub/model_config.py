"""The check of a model's config before Keras sees it: allowed classes, no names of code, limits.

Keras finds classes and functions by the names in a config and calls them with its values. So every
part of a config must be one that this module knows.
"""

from dataclasses import dataclass
from typing import Any

from zoo.hub import model_classes as classes
from zoo.readers.files import FileError
from zoo.readers.text import has_control

MAX_LAYERS = 1_000
MAX_CALLS = 4_000
# Models and wrappers within each other; a wrapper may build the layer within it twice.
MAX_NESTED_LAYERS = 8
MAX_INTEGER = 1_000_000
MAX_TEXT = 1_000
# Repeated parts of a computation, which are built one by one; per layer, and in a whole model.
MAX_UNFOLDS, MAX_ALL_UNFOLDS = 256, 1_024
MAX_SOLVER_STEPS = 10_000
# Largest size in a model with a loop that is built step by step, or with states of a fixed batch.
MAX_UNROLLED = 4_096
# A wiring holds a matrix of its neurons; NCP draws synapses one by one.
MAX_NEURONS, MAX_DRAWS = 4_096, 100_000
# Matrices that layers for sound compute before they have weights.
MAX_FRAME = 8_192

_LOOPS = ("unroll", "stateful")
_UNFOLDS = ("unfolds", "backbone_layers")
_WEIGHTED = ("units", "filters", "output_dim", "backbone_units")
_NEURONS = ("units", "inter", "command", "motor")
_LIMITS = {
    **dict.fromkeys(_UNFOLDS, MAX_UNFOLDS),
    "max_steps": MAX_SOLVER_STEPS,
    "recurrent_synapses": MAX_DRAWS,
    **dict.fromkeys(("fft_length", "frame_length", "num_mel_bins", "sequence_length"), MAX_FRAME),
}
# Numbers without a size: seeds, identities of objects, positions of outputs.
_FREE = ("seed", "shared_object_id")
# Names of layers and equations of sums are never looked up among classes and functions.
_NOT_LOOKED_UP = ("name", "keras_history", "equation", "subscripts", "pattern")
_HINT = "If you trust the file, load it in Python with keras.saving.load_model"


@dataclass
class _Counts:
    """The counts of the walk through a config so far."""

    layers: int = 0
    calls: int = 0
    unfolds: int = 0
    largest: int = 0
    has_loops: bool = False


def checked(config: dict[str, Any], name: str, weights: int) -> dict[str, Any]:
    """Return a config without its training settings if Keras may build a model from it.

    Args:
        config: The parsed config.json.
        name: Name of the file, for errors.
        weights: How many numbers the file of weights holds.

    Raises:
        FileError: The config names a class, a function or a value that is not allowed. The message
            names it and its place.
    """
    check = _Check(weights)
    try:
        clean = check.value(config, "", "", 0)
        check.require_small()
    except FileError as error:
        raise FileError(f"{name}: {error}") from None
    if not _is_model(config):
        raise FileError(f"{name} describes no model, but {str(config.get('class_name'))[:80]!r}.")
    return clean


def without_states(config: Any) -> Any:
    """A copy of a config whose layers keep no state between calls; the weights are as large."""
    if isinstance(config, dict):
        return {
            key: False if key == "stateful" else without_states(value)
            for key, value in config.items()
        }
    return [without_states(value) for value in config] if isinstance(config, list) else config


def names_package(config: Any, package: str) -> bool:
    """Whether a checked config names a class that is registered under a package."""
    if isinstance(config, dict):
        registered = config.get("registered_name")
        if isinstance(registered, str) and registered.startswith(f"{package}>"):
            return True
        return any(names_package(value, package) for value in config.values())
    return isinstance(config, list) and any(names_package(value, package) for value in config)


def _is_model(config: dict[str, Any]) -> bool:
    return config.get("class_name") in classes.MODELS


class _Check:
    """A walk through a config that copies it, and raises a FileError at the first fault."""

    def __init__(self, weights: int):
        self._weights = weights
        self._counts = _Counts()

    def value(self, value: Any, key: str, where: str, nested: int) -> Any:
        """A checked copy of any value; `nested` counts the layers around it."""
        if isinstance(value, dict):
            if "class_name" in value:
                return self._object(value, where, nested)
            return {
                self._text(name, "", where): self.value(inner, name, _inside(where, name), nested)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [
                self.value(inner, key, f"{where}[{index}]", nested)
                for index, inner in enumerate(value)
            ]
        if isinstance(value, str):
            return self._text(value, key, where)
        if isinstance(value, int) and not isinstance(value, bool):
            self._require_integer(value, key, where)
        elif value is True and key in _LOOPS:
            self._counts.has_loops = True
        return value

    def require_small(self) -> None:
        """Raise a FileError if the model as a whole is too large to build."""
        counts = self._counts
        for count, most, noun in (
            (counts.layers, MAX_LAYERS, "layers"),
            (counts.calls, MAX_CALLS, "calls of layers"),
            (counts.unfolds, MAX_ALL_UNFOLDS, "unfolds and backbone layers in all"),
        ):
            if count > most:
                raise FileError(f"the model has {count:,} {noun}; the limit is {most:,}.")
        if counts.has_loops and counts.largest > MAX_UNROLLED:
            raise FileError(
                f"a layer has unroll=True or stateful=True, and the model a size of "
                f"{counts.largest:,}; the limit is {MAX_UNROLLED:,}."
            )

    def _object(self, node: dict[str, Any], where: str, nested: int) -> dict[str, Any]:
        kind, config = node["class_name"], node.get("config")
        if not isinstance(kind, str) or "config" not in node:
            raise FileError(f"{_at(where)} is a damaged description of an object.")
        if kind in classes.ARRAYS:
            return _array(node, where)
        if kind in (classes.TENSOR, classes.SLICE, classes.ELLIPSIS):
            return {
                "class_name": kind,
                "config": self.value(config, "", _inside(where, kind), nested),
            }
        if kind == "function":
            return _function(node, where)
        is_layer = self._require_class(node, kind, where)
        if not isinstance(config, dict):
            raise FileError(f"{_at(where)}: the config of {kind} must be an object.")
        if is_layer:
            nested += 1
            self._count_layer(node, kind, where, nested)
        # Keras looks losses, metrics and optimizers up by name: a loaded model is not compiled.
        kept = {name: inner for name, inner in node.items() if name != "compile_config"}
        return {
            self._text(name, "", where): inner
            if name in ("class_name", "module", "registered_name")
            else self.value(inner, name, _inside(where, kind if name == "config" else name), nested)
            for name, inner in kept.items()
        }

    def _require_class(self, node: dict[str, Any], kind: str, where: str) -> bool:
        """Whether an object is a layer, a model, a cell or a wiring, and not a part of one."""
        module, registered = node.get("module"), node.get("registered_name")
        if isinstance(module, str) and (registered is None or isinstance(registered, str)):
            package, _, name = (registered or "").partition(">")
            if name:
                if kind == name and name in classes.REGISTERED.get(package, ()):
                    return True
                if kind == name and name in classes.REGISTERED_PARTS.get(package, ()):
                    return False
            elif registered in (None, kind):
                if kind in classes.LAYERS.get(module, ()):
                    return True
                if kind in classes.PARTS.get(module, ()):
                    return False
        named = registered if isinstance(registered, str) and ">" in registered else kind
        why = classes.REASONS.get(kind, "it is not among the classes of layers that zoo loads")
        full = f"{str(module)[:80]}.{named[:80]}" if named == kind else named[:80]
        raise FileError(f"{_at(where)}: class {full!r} is not allowed: {why}. {_HINT}.")

    def _count_layer(self, node: dict[str, Any], kind: str, where: str, nested: int) -> None:
        self._counts.layers += 1
        calls = node.get("inbound_nodes")
        self._counts.calls += len(calls) if isinstance(calls, list) else 0
        if nested > MAX_NESTED_LAYERS:
            raise FileError(
                f"{_at(where)}: layers lie within each other more than {MAX_NESTED_LAYERS} deep."
            )
        config = node["config"]
        if kind in classes.WIRINGS:
            sizes = [config.get(key, 0) for key in _NEURONS]
            neurons = sum(size for size in sizes if isinstance(size, int))
            if neurons > MAX_NEURONS:
                raise FileError(
                    f"{_at(where)}: a wiring of {neurons:,} neurons; the limit is {MAX_NEURONS:,}."
                )

    def _require_integer(self, value: int, key: str, where: str) -> None:
        if key in _FREE:
            return
        most = _LIMITS.get(key, MAX_INTEGER)
        if abs(value) > most:
            raise FileError(f"{_at(where)} is {value:,}; the limit is {most:,}.")
        if key in _WEIGHTED and value > self._weights:
            raise FileError(
                f"{_at(where)} is {value:,}, but the weights are {self._weights:,} numbers in all."
            )
        if key in _UNFOLDS:
            self._counts.unfolds += value
        self._counts.largest = max(self._counts.largest, abs(value))

    def _text(self, text: str, key: str, where: str) -> str:
        if len(text) > MAX_TEXT or has_control(text):
            raise FileError(f"{_at(where)} holds a text that is too long or not printable.")
        # Keras looks texts of this form up among registered classes and functions.
        if ">" in text and key not in _NOT_LOOKED_UP and text not in classes.REGISTERED_FUNCTIONS:
            raise FileError(f"{_at(where)} names {text[:80]!r}, which is not allowed. {_HINT}.")
        return text


def _function(node: dict[str, Any], where: str) -> dict[str, Any]:
    name, module = node["config"], node.get("module")
    is_registered = name in classes.REGISTERED_FUNCTIONS if isinstance(name, str) else False
    is_activation = (
        isinstance(name, str)
        and name in classes.ACTIVATIONS
        and module in ("builtins", "keras.activations")
    )
    if not (is_activation or is_registered) or node.get("registered_name") not in (
        None,
        "function",
        name,
    ):
        raise FileError(
            f"{_at(where)}: function {str(name)[:80]!r} is not allowed; allowed are Keras's "
            f"activations. {_HINT}."
        )
    return dict(node)


def _array(node: dict[str, Any], where: str) -> dict[str, Any]:
    config = node["config"]
    if not isinstance(config, dict) or config.get("dtype") not in classes.DTYPES:
        raise FileError(f"{_at(where)} must be an array of numbers.")
    stack = [config.get("value")]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        elif not isinstance(item, int | float):
            raise FileError(f"{_at(where)} must be an array of numbers.")
    return {"class_name": node["class_name"], "config": config}


def _inside(where: str, key: str) -> str:
    key = str(key)[:40]
    return f"{where}.{key}" if where else key


def _at(where: str) -> str:
    """A place in the config, with its last parts only."""
    parts = where.split(".")
    place = ".".join(parts[-4:])
    return f"`{place}`" if place else "the model"
