"""Damage to files in memory: bytes, zip archives, and the structure of HDF5 files."""

import copy
import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

from tests.stress.trials import JSON_VALUES, damaged_bytes, damaged_json

# Files of a preset or an archive by name, as they are before any damage.
Files = dict[str, bytes]


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


@st.composite
def damaged_archive(draw: st.DrawFn, content: bytes) -> bytes:
    """A zip archive with members renamed, removed, repeated, added, damaged or inflated."""
    members = _unpacked(content)
    name = draw(st.sampled_from(sorted(members)))
    part = members.pop(name)
    edit = draw(
        st.sampled_from(["remove", "rename", "twice", "add", "bytes", "inflate", "method", "array"])
    )
    pairs = list(members.items())
    if edit == "rename":
        pairs.append((draw(st.sampled_from(_NAMES)), part))
    elif edit == "twice":
        pairs += [(name, part), (name, part)]
    elif edit == "add":
        pairs += [(name, part), (draw(st.sampled_from(_NAMES)), draw(st.binary(max_size=64)))]
    elif edit == "bytes":
        pairs.append((name, draw(damaged_bytes(part))))
    elif edit == "inflate":
        pairs.append((name, part + bytes(draw(st.sampled_from([1, 1 << 10, 1 << 22])))))
    elif edit == "array":
        pairs.append((name, draw(st.sampled_from(ODD_ARRAYS))))
    packed = _packed(pairs, zipfile.ZIP_DEFLATED if edit == "inflate" else zipfile.ZIP_STORED)
    if edit == "method":
        packed = _packed([*pairs, (name, part)], zipfile.ZIP_STORED)
        # The compression method and the flags lie behind the signature of each header.
        at = packed.find(b"PK\x01\x02") + draw(st.integers(4, 45))
        packed = packed[:at] + bytes([draw(st.integers(0, 255))]) + packed[at + 1 :]
    return packed


def packed_files(files: Files) -> bytes:
    """Files as a zip archive without compression."""
    return _packed(list(files.items()), zipfile.ZIP_STORED)


def _packed(pairs: list[tuple[str, bytes]], method: int) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")  # names that are there twice
        for name, part in pairs:
            archive.writestr(zipfile.ZipInfo(name), part, method)
    return stream.getvalue()


def _unpacked(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _array(array: np.ndarray, **arguments: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **arguments)
    return stream.getvalue()


def with_header(text: str, size: int = 0) -> bytes:
    """An .npy file with any header, and a number of zero bytes."""
    header = text.encode("latin1").ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(size)


def _header(dtype: str, shape: str) -> str:
    return f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}"


_NAMES = ["../up.json", "/etc/x", "a\\b", "x.npy", "assets/vocabulary.txt", "config.json", "é", ""]
ODD_ARRAYS = [
    b"",
    _array(np.array([{}, None], object), allow_pickle=True),
    _array(np.array(["a", "b"])),
    _array(np.zeros(3, [("a", "f4"), ("b", "i2")])),
    _array(np.array(["2020-01-01"], "datetime64[D]")),
    _array(np.zeros((0, 3), "float32")),
    _array(np.full((4, 3), np.nan)),
    _array(np.full((4, 3), 1e300)),
    _array(np.full((4, 3), 1 + 2j)),
    _array(np.zeros((4, 3), ">f8")),
    with_header(_header("'<f4'", f"({10**12},)"), 16),
    with_header(_header("'<f4'", f"({2**40}, {2**40})"), 16),
    with_header(_header("'<f4'", "(-1, -16)"), 64),
    with_header(_header("'<f4'", f"({'9' * 40},)"), 16),
    with_header(_header("'|O'", "(3,)"), 24),
    with_header(_header("'|V9999999999'", "(1,)"), 24),
    with_header("(" * 60, 24),
    with_header("__import__('os').system('true')", 24),
    with_header(_header("'<f4'", "(1,) * 80"), 4),
]


def _edited_h5(edit: Callable[[h5py.File, str, int], None]) -> Callable[[bytes, int], bytes]:
    def attack(content: bytes, seed: int) -> bytes:
        stream = io.BytesIO(content)
        with h5py.File(stream, "r+") as file:
            names: list[str] = []
            file.visititems(
                lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
            )
            edit(file, names[seed % len(names)], seed)
        return stream.getvalue()

    return attack


def _replace(**arguments: Any) -> Callable[[h5py.File, str, int], None]:
    def edit(file: h5py.File, name: str, seed: int) -> None:
        del file[name]
        file.create_dataset(name, **arguments)

    return edit


def _value(value: float) -> Callable[[h5py.File, str, int], None]:
    def edit(file: h5py.File, name: str, seed: int) -> None:
        array = np.array(file[name], "float64")
        array.reshape(-1)[seed % array.size] = value
        del file[name]
        file[name] = array

    return edit


def _external_link(file: h5py.File, name: str, seed: int) -> None:
    del file[name]
    file[name] = h5py.ExternalLink("/etc/passwd", "/x")


def _soft_link(file: h5py.File, name: str, seed: int) -> None:
    del file[name]
    file[name] = h5py.SoftLink("/" if seed % 2 else f"/{name}")


def _loop(file: h5py.File, name: str, seed: int) -> None:
    file[f"{name.rsplit('/', 1)[0]}/loop"] = file["/"]


def _external_data(file: h5py.File, name: str, seed: int) -> None:
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "float32", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File, name: str, seed: int) -> None:
    shape = file[name].shape
    layout = h5py.VirtualLayout(shape, "float32")
    if shape:
        layout[...] = h5py.VirtualSource("/tmp/other.h5", "x", shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def _second_link(file: h5py.File, name: str, seed: int) -> None:
    file["again"] = file[name]


def _type(file: h5py.File, name: str, seed: int) -> None:
    del file[name]
    file[name] = np.dtype("float32")


def _group(file: h5py.File, name: str, seed: int) -> None:
    del file[name]
    file.create_group(name)


def _deep(file: h5py.File, name: str, seed: int) -> None:
    file.create_group("/".join(["deep"] * (60 + seed % 200)))


def _remove(file: h5py.File, name: str, seed: int) -> None:
    del file[name]


def _remove_group(file: h5py.File, name: str, seed: int) -> None:
    parts = name.split("/")
    del file["/".join(parts[: 1 + seed % len(parts)])]


def _attribute(file: h5py.File, name: str, seed: int) -> None:
    file[name].attrs["dtype"] = ["bfloat16", "x", 3.0][seed % 3]


H5_ATTACKS = [
    *map(
        _edited_h5,
        (
            _external_link,
            _soft_link,
            _loop,
            _external_data,
            _virtual,
            _second_link,
            _type,
            _group,
            _deep,
            _remove,
            _remove_group,
            _attribute,
            _value(np.nan),
            _value(np.inf),
            _value(1e300),
            _value(-1e38),
            _replace(shape=(1 << 33,), dtype="float32", chunks=(1 << 20,), compression="gzip"),
            _replace(shape=(1 << 16, 1 << 16), dtype="float32"),
            _replace(shape=(3, 3), dtype="float32", maxshape=(None, None), compression="lzf"),
            _replace(data=["text", "more"]),
            _replace(data=np.zeros(3, "complex64")),
            _replace(data=h5py.Empty("float32")),
            _replace(data=np.zeros((0, 3), "float32")),
            _replace(data=np.zeros((3, 7), "float64")),
            _replace(data=np.zeros((3, 3), "int8")),
        ),
    )
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
