"""Arrays of numbers in .npy and .npz files; no pickles."""

import io
import math
from pathlib import Path

import numpy as np

from zoo.readers import archive, files
from zoo.readers.files import FileError, reason, shown

_NUMBERS = "biuf"
_SUFFIX = ".npy"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(path: str | Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of an .npy file, or the arrays of an .npz file by name.

    Raises:
        FileError: There is no such file, it is damaged, holds no arrays, or holds something else
            than numbers. The message names the array.
    """
    content, name = files.content(path), shown(path)
    if content.startswith(np.lib.format.MAGIC_PREFIX):
        return _parse(content, name)
    if content.startswith(b"PK"):
        arrays = {}
        for member, part in archive.members(content, name).items():
            if not member.endswith(_SUFFIX):
                raise FileError(f"{name} holds {member[:80]!r}, which is no array.")
            key = member.removesuffix(_SUFFIX)
            arrays[key] = _parse(part, f"{name}, array {key[:80]!r},")
        if not arrays:
            raise FileError(f"{name} holds no arrays.")
        return arrays
    raise FileError(
        f"{name} is neither an .npy nor an .npz file. Write it with numpy.save or numpy.savez."
    )


def read_named(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name.

    Raises:
        FileError: See `read`; or the file holds one array without a name.
    """
    arrays = read(path)
    if not isinstance(arrays, dict):
        raise FileError(f"{shown(path)} must be an .npz file; it is an .npy file.")
    return arrays


def read_array(path: str | Path) -> np.ndarray:
    """The array of an .npy file.

    Raises:
        FileError: See `read`; or the file holds arrays by name.
    """
    array = read(path)
    if isinstance(array, dict):
        raise FileError(f"{shown(path)} must be an .npy file; it is an .npz file.")
    return array


def _parse(content: bytes, name: str) -> np.ndarray:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"its format version is {version}")
        shape, is_fortran, dtype = _HEADERS[version](stream)
    # The header is parsed as a Python literal, which raises errors of many types.
    except Exception as error:
        raise FileError(f"{name} is damaged: {reason(error)}.") from error
    if dtype.kind not in _NUMBERS or dtype.subdtype is not None:
        raise FileError(f"{name} must hold numbers; it holds dtype {reason(ValueError(dtype))}.")
    start = stream.tell()
    expected, received = math.prod(shape) * dtype.itemsize, len(content) - start
    if any(size < 0 for size in shape) or expected != received:
        raise FileError(
            f"{name} is damaged: shape {shape} of {dtype} needs {expected:,} bytes; "
            f"it holds {received:,}."
        )
    try:
        values = np.frombuffer(content, dtype, offset=start)
        if dtype.kind == "b":
            # Bytes other than 0 and 1 are no truth values of numpy.
            values = values.view("uint8") != 0
        shaped = values.reshape(shape, order="F" if is_fortran else "C")
        return shaped.astype(dtype.newbyteorder("="), order="C")
    except (ValueError, MemoryError) as error:
        raise FileError(f"{name} cannot be read: {reason(error)}.") from error
