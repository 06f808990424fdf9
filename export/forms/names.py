"""Names in files, from the model's structure: never from Keras's counters.

Keras numbers what the user did not name ("lstm_3", "keras_tensor_12"), and the numbers depend on
the models that the process has built before. Files keep the names that the user gave, and
number the rest by position.
"""

import keyword
import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import keras

NEXT = "next_"  # output `next_h` is the state that the next step takes as input `h`

_INPUT = re.compile(r"(input_layer|keras_tensor|input)(_\d+)?$")
_MODEL = re.compile(r"(sequential|functional|model)(_\d+)?(_adaptive)?$")
# Layers that were replaced by an RNN with another cell keep their name.
_RNN_STEMS = "lstm|gru|simple_rnn|rnn|liquid_rnn|stacked_rnn_cells"


def model_name(model: keras.Model) -> str:
    """Return the name that the user gave to a model, or else "model"."""
    return "model" if _MODEL.match(model.name) else model.name


def input_keys(functional: keras.Model) -> list[str]:
    """Return the names that a model has for its inputs: the keys of a dict, or tensor names."""
    structure = getattr(functional, "_inputs_struct", functional.input)
    if isinstance(structure, dict) and len(structure) == len(functional.inputs):
        return sorted(structure)
    return [tensor.name for tensor in functional.inputs]


def input_names(keys: Sequence[str]) -> list[str]:
    """Return names for inputs: those of the user, else "input", or "input_0", "input_1", ..."""
    return _named_or_numbered(["" if _INPUT.match(key) else key for key in keys], "input")


def output_names(functional: keras.Model, inputs: Sequence[str]) -> list[str]:
    """Return names for outputs: dict keys, else "output", or "output_0", "output_1", ...

    A key that would be confused with an input, or with the next value of one, gets the prefix
    "output_".
    """
    structure = functional.output
    keys = [""] * len(functional.outputs)
    if isinstance(structure, dict) and len(structure) == len(keys):
        keys = sorted(structure)
    taken = {name.lower() for name in (*inputs, *(NEXT + name for name in inputs))}
    named = _named_or_numbered(keys, "output")
    return unique(f"output_{name}" if name.lower() in taken else name for name in named)


def layer_names(layers: Sequence[Any]) -> list[str]:
    """Return names for layers: those of the user, else the type, numbered from the second on."""
    given = [layer.name for layer in layers if not _is_automatic(layer)]
    taken = set(given)
    found = []
    for layer in layers:
        if not _is_automatic(layer):
            found.append(layer.name)
            continue
        stem = _stem(layer.name)
        candidates = (f"{stem}_{number}" if number else stem for number in count())
        found.append(next(name for name in candidates if name not in taken))
        taken.add(found[-1])
    return unique(found)


def unique(names: Iterable[str]) -> list[str]:
    """Return names as identifiers of letters, digits and underscores; collisions are numbered.

    Names that differ only in case collide, since TensorFlow takes them as equal.
    """
    found: dict[str, str] = {}
    for name in names:
        base = re.sub(r"\W", "_", name, flags=re.ASCII)
        if not base.strip("_") or base[0].isdigit():
            base = f"t_{base}"
        if keyword.iskeyword(base):
            base = f"{base}_"
        candidates = (f"{base}_{number}" if number else base for number in count())
        chosen = next(name for name in candidates if name.lower() not in found)
        found[chosen.lower()] = chosen
    return list(found.values())


def state_names(layer: str, amount: int, taken: set[str]) -> list[str]:
    """Return names for a layer's states that differ from all inputs and outputs, as do the next."""
    found, lower = [], {name.lower() for name in taken}
    for index in range(amount):
        name = f"{layer}_state_{index}"
        while name.lower() in lower or f"{NEXT}{name}".lower() in lower:
            name += "_"
        found.append(name)
        taken |= {name, NEXT + name}
    return found


def _named_or_numbered(keys, stem):
    return [key or (f"{stem}_{i}" if len(keys) > 1 else stem) for i, key in enumerate(keys)]


def _is_automatic(layer):
    stems = f"{_snake_case(type(layer).__name__)}|{_RNN_STEMS}"
    return re.fullmatch(rf"({stems})(_\d+)?", layer.name) is not None


def _stem(name):
    return re.sub(r"_\d+$", "", name)


def _snake_case(name):
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
