"""Damage to the structure and the values of HDF5 files."""

import io
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np


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
