"""Damage to the files of a preset or an archive: each by its format, or byte by byte."""

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.stress.archive_damage import Files, damaged_archive
from tests.stress.h5_damage import H5_ATTACKS
from tests.stress.trials import JSON_VALUES, damaged_bytes, damaged_json


@st.composite
def damaged_files(draw: st.DrawFn, files: Files, names: list[str]) -> Files:
    """Files with one of them damaged, by its format or byte by byte."""
    name = draw(st.sampled_from(names))
    content = files[name]
    if name.endswith(".json") and draw(st.integers(0, 9)) < 8:
        content = draw(_damaged_json_text(content))
    elif name.endswith(".h5") and draw(st.booleans()):
        content = draw(st.sampled_from(H5_ATTACKS))(content, draw(st.integers(0, 2**16)))
    elif name.endswith(".npz") and draw(st.booleans()):
        content = draw(damaged_archive(content))
    else:
        content = draw(damaged_bytes(content))
    return {**files, name: content}


@st.composite
def _damaged_json_text(draw: st.DrawFn, content: bytes) -> bytes:
    near_the_top = draw(st.integers(0, 9)) < 2
    damage = damaged_json if near_the_top else _damaged_nodes
    value = draw(damage(json.loads(content)))
    text = json.dumps(value)
    edit = draw(st.sampled_from([""] * 12 + ["deep", "twice", "utf-16", "huge", "mark"]))
    if edit == "deep":
        depth = draw(st.sampled_from([200, 10_000, 200_000]))
        text = '{"class_name": ' + "[" * depth + "]" * depth + "}"
    elif edit == "twice":
        text = text[:-1] + ', "config": 1, "config": 2}'
    elif edit == "utf-16":
        return text.encode("utf-16")
    elif edit == "huge":
        text = text[:-1] + ', "n": ' + "9" * draw(st.sampled_from([30, 5_000])) + "}"
    elif edit == "mark":
        return b"\xef\xbb\xbf" + text.encode()
    return text.encode("utf-8", "surrogatepass")


@st.composite
def _damaged_nodes(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one or two nodes replaced or removed, at any depth alike."""
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(value))
        if not places:
            return value
        container, key = places[draw(st.integers(0, len(places) - 1))]
        if draw(st.integers(0, 9)) == 0:
            del container[key]
        elif isinstance(container[key], int | float) and draw(st.booleans()):
            container[key] = draw(st.sampled_from(_NUMBERS))
        else:
            container[key] = copy.deepcopy(draw(JSON_VALUES | st.sampled_from(OBJECTS)))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """All containers of a JSON value with each of their keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _object(module: str | None, kind: str, config: Any, **more: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None, **more}


_NUMBERS = [0, -1, 1, 2, 3, 7, 100, 255, 4096, 10**5, 10**6, 10**9, 0.5, 1e-9, -1.5, 1e30]
# Objects of a config that run code, read files, name functions, or are no objects at all.
OBJECTS: list[Any] = [
    _object("keras.layers", "Lambda", {"function": "os.system"}),
    _object(None, "__lambda__", {"value": "4wEAAAA="}),
    _object("keras.layers", "TFSMLayer", {"filepath": "/tmp/x", "name": "x"}),
    _object("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
    _object("keras.layers", "TextVectorization", {"vocabulary": "/etc/passwd"}),
    _object("builtins", "function", "eval", registered_name="function"),
    _object("os", "function", "system", registered_name="system"),
    _object("keras.utils", "function", "get_file", registered_name="get_file"),
    _object("keras.ops", "function", "relu", registered_name="relu"),
    _object("builtins", "function", "softplus", registered_name="function"),
    _object("keras", "Sequential", {"name": "s", "layers": []}),
    _object("keras.layers", "RepeatVector", {"n": 10**6}),
    _object("keras.layers", "Embedding", {"input_dim": 10**6, "output_dim": 8}),
    _object("keras.initializers", "Constant", {"value": "x"}),
    _object("keras.src.ops.core", "WhileLoop", {}),
    _object("keras.src.ops.numpy", "Operation", {}),
    _object("lnn_keras", "LiquidCell", {"units": 3}, registered_name="lnn_keras>LiquidCell"),
    _object("lnn_keras", "LTCCell", {}, registered_name="lnn_keras>LTCCell"),
    _object(None, "__numpy__", {"value": [[1.0], ["a"]], "dtype": "float32"}),
    _object(None, "__numpy__", {"value": [1.0, 2.0], "dtype": "object"}),
    _object(None, "__tensor__", {"value": [1.0, 2.0], "dtype": "float32"}),
    _object(None, "__typespec__", ["x"], spec_name="TensorSpec"),
    {"class_name": "Dense", "config": {"units": 2}},
    {"class_name": "__slice__", "config": {"start": None}},
]


def write_folder(folder: Path, files: Files, recomputed: bool) -> None:
    """Write a preset folder.

    Args:
        folder: An empty folder.
        files: Its files by name.
        recomputed: Whether metadata.json gets the digests of the files, as an attacker would.
    """
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if not recomputed:
        return
    try:
        recorded = json.loads(files.get("metadata.json", b""))
    except (ValueError, RecursionError):
        return
    if isinstance(recorded, dict) and isinstance(recorded.get("sha256"), dict):
        for name in recorded["sha256"]:
            if name in files:
                recorded["sha256"][name] = hashlib.sha256(files[name]).hexdigest()
        (folder / "metadata.json").write_text(json.dumps(recorded))
