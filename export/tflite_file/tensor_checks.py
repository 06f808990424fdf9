"""Checks of a file's tensors: types, shapes, sizes of constants, quantization."""

import math
from typing import Any

import numpy as np

from export.tflite_file.flatbuffer import dtype_of
from export.tflite_file.structure import FileError

# Bytes of an element, by the dtypes that exported files have.
ELEMENT_BYTES = {
    "float32": 4,
    "float16": 2,
    "float64": 8,
    "int64": 8,
    "uint64": 8,
    "int32": 4,
    "uint32": 4,
    "int16": 2,
    "uint16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
QUANTIZED = ("int8", "uint8", "int16", "int32", "int64")
LARGEST_RANK = 8
# Bytes of all tensors of a subgraph together.
LARGEST_TENSORS = 2**31 - 1
# Runtimes compute with the quotients of scales.
SMALLEST_SCALE, LARGEST_SCALE = 1e-25, 1e15


def name_of(tensor: Any) -> str:
    """Return the name of a tensor, quoted, for messages."""
    return repr((tensor.name or b"").decode())


def shape_of(tensor: Any) -> tuple[int, ...]:
    """Return the shape of a tensor; () if it has none."""
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def bytes_of(tensor: Any) -> int:
    """Return the size of a tensor's values."""
    return math.prod(shape_of(tensor)) * ELEMENT_BYTES[dtype_of(tensor)]


def has_unknown_size(tensor: Any) -> bool:
    """Return whether an axis of a tensor may have any size."""
    return tensor.shapeSignature is not None and any(size < 0 for size in tensor.shapeSignature)


def require_tensors(model: Any) -> None:
    """Raise a FileError if a tensor of a file has a wrong type, shape, buffer or quantization."""
    for graph in model.subgraphs:
        total = 0
        for tensor in graph.tensors or []:
            _require_shape(tensor)
            _require_buffer(model, tensor)
            _require_quantization(tensor)
            total += bytes_of(tensor)
        if total > LARGEST_TENSORS:
            raise FileError(f"its tensors take {total:,} bytes, more than {LARGEST_TENSORS:,}")


def _require_shape(tensor: Any) -> None:
    try:
        dtype = dtype_of(tensor)
    except KeyError:
        raise FileError(f"tensor {name_of(tensor)} has the unknown type {tensor.type}") from None
    if dtype not in ELEMENT_BYTES:
        raise FileError(f"tensor {name_of(tensor)} has the type {dtype}")
    if tensor.isVariable:
        raise FileError(f"tensor {name_of(tensor)} is a variable")
    shape = shape_of(tensor)
    if len(shape) > LARGEST_RANK or any(size < 0 for size in shape):
        raise FileError(f"tensor {name_of(tensor)} has the shape {shape}")
    if math.prod(shape) > LARGEST_TENSORS:
        raise FileError(f"tensor {name_of(tensor)} has {math.prod(shape):,} elements")
    if tensor.shapeSignature is not None:
        signature = tuple(int(size) for size in tensor.shapeSignature)
        if len(signature) != len(shape) or any(
            wanted not in (-1, size) for wanted, size in zip(signature, shape, strict=True)
        ):
            raise FileError(f"tensor {name_of(tensor)} has two shapes, {shape} and {signature}")


def _require_buffer(model: Any, tensor: Any) -> None:
    if not 0 <= tensor.buffer < len(model.buffers):
        raise FileError(f"tensor {name_of(tensor)} refers to a missing buffer {tensor.buffer}")
    data = model.buffers[tensor.buffer].data
    if data is not None and len(data) and len(data) != bytes_of(tensor):
        raise FileError(
            f"tensor {name_of(tensor)} of shape {shape_of(tensor)} takes {bytes_of(tensor)} bytes; "
            f"its buffer has {len(data)}"
        )


def _require_quantization(tensor: Any) -> None:
    table = tensor.quantization
    if table is None:
        return
    scale = np.asarray([] if table.scale is None else table.scale, "float64")
    zero_point = np.asarray([] if table.zeroPoint is None else table.zeroPoint, "int64")
    if len(scale) != len(zero_point):
        raise FileError(
            f"tensor {name_of(tensor)} has {len(scale)} scales and {len(zero_point)} zero points"
        )
    if not len(scale):
        return
    dtype, shape, axis = dtype_of(tensor), shape_of(tensor), table.quantizedDimension
    if dtype not in QUANTIZED:
        raise FileError(f"tensor {name_of(tensor)} of {dtype} has a scale")
    if not np.all((scale >= SMALLEST_SCALE) & (scale <= LARGEST_SCALE)):
        raise FileError(f"tensor {name_of(tensor)} has a scale that is no positive number in range")
    limits = np.iinfo(dtype)
    if not np.all((zero_point >= limits.min) & (zero_point <= limits.max)):
        raise FileError(f"tensor {name_of(tensor)} has a zero point that its type cannot hold")
    if not 0 <= axis < max(len(shape), 1) or (len(scale) > 1 and shape[axis] != len(scale)):
        raise FileError(
            f"tensor {name_of(tensor)} of shape {shape} has {len(scale)} scales on axis {axis}"
        )
