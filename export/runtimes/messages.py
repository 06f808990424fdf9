"""Messages between this process and one that runs files: JSON, and arrays as plain bytes.

No object is unpickled, since the other process runs files that nobody vouches for.
"""

import json
import math
import struct
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

DTYPES = "float32 float16 float64 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool".split()
LARGEST_HEADER, LARGEST_ARRAY = 2**24, 2**33


def send(stream: IO[bytes], header: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> None:
    """Write a message."""
    arrays = [np.ascontiguousarray(array) for array in arrays]
    described = [[array.dtype.name, list(array.shape)] for array in arrays]
    text = json.dumps({**header, "arrays": described}).encode()
    parts = [struct.pack("<I", len(text)), text, *(array.tobytes() for array in arrays)]
    stream.write(b"".join(parts))
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[np.ndarray]] | None:
    """Read a message; None if the other process has ended.

    Raises:
        ValueError: The bytes are no message.
    """
    size = stream.read(4)
    if len(size) < 4:
        return None
    (length,) = struct.unpack("<I", size)
    if length > LARGEST_HEADER:
        raise ValueError(f"A message has a header of {length} bytes.")
    header = json.loads(stream.read(length))
    arrays = []
    for dtype, shape in header["arrays"]:
        if dtype not in DTYPES or any(size < 0 for size in shape):
            raise ValueError(f"A message has an array of {dtype!r} and shape {shape!r}.")
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > LARGEST_ARRAY:
            raise ValueError(f"A message has an array of {size} bytes.")
        data = stream.read(size)
        arrays.append(np.frombuffer(data, dtype).reshape(shape))
    return header, arrays
