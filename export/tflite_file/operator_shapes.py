"""Shapes and types of operations' outputs, from their inputs; by name of the operation."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from export.tflite_file.flatbuffer import dtype_of
from export.tflite_file.operator_products import (
    batch_matmul,
    convolution,
    fully_connected,
    pool,
)
from export.tflite_file.operator_view import Operation
from export.tflite_file.tensor_checks import shape_of

# Largest number of axes that kernels of broadcasts have.
LARGEST_BROADCAST = 6


def _same(operation: Operation) -> None:
    operation.require_output(operation.shape(0))
    if operation.name not in ("QUANTIZE", "DEQUANTIZE", "CAST"):
        operation.require_same_types(range(1))
    if operation.rank(0) == 0 and operation.name in ("SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION"):
        operation.refuse("has an input without axes")


def _broadcast(operation: Operation) -> None:
    shapes = [shape_of(tensor) for tensor in operation.inputs]
    try:
        result = np.broadcast_shapes(*shapes)
    except ValueError:
        operation.refuse(f"cannot combine the shapes {shapes}")
    if len(result) > LARGEST_BROADCAST:
        operation.refuse(f"has {len(result)} axes")
    operation.require_output(result)


def _arithmetic(operation: Operation) -> None:
    _broadcast(operation)
    operation.require_same_types(range(2))


def _comparison(operation: Operation) -> None:
    _broadcast(operation)
    if operation.dtype(0) != operation.dtype(1) or dtype_of(operation.outputs[0]) != "bool":
        operation.refuse("compares tensors of several types")


def _select(operation: Operation) -> None:
    _broadcast(operation)
    if operation.dtype(0) != "bool":
        operation.refuse(f"has a condition of {operation.dtype(0)}")
    operation.require_same_types(range(1, 3))


def _reduction(operation: Operation) -> None:
    axes, shape = operation.integers(1), operation.shape(0)
    if axes is None:
        return
    reduced = {operation.axis(axis, len(shape)) for axis in axes}
    keep = operation.options is not None and operation.options.keepDims
    operation.require_output(
        [
            1 if axis in reduced else size
            for axis, size in enumerate(shape)
            if keep or axis not in reduced
        ]
    )
    operation.require_same_types(range(1))


def _concatenation(operation: Operation) -> None:
    shapes = [shape_of(tensor) for tensor in operation.inputs]
    axis = operation.axis(operation.options.axis, len(shapes[0]))
    others = {(len(s), s[:axis], s[axis + 1 :]) for s in shapes}
    if len(others) > 1:
        operation.refuse(f"joins the shapes {shapes}")
    total = sum(shape[axis] for shape in shapes)
    operation.require_output((*shapes[0][:axis], total, *shapes[0][axis + 1 :]))
    operation.require_same_types(range(len(shapes)))


def _slice(operation: Operation) -> None:
    begin, sizes, shape = operation.integers(1), operation.integers(2), operation.shape(0)
    if begin is None or sizes is None:
        return
    if not len(begin) == len(sizes) == len(shape):
        operation.refuse(f"takes {len(begin)} axes of {len(shape)}")
    ends = [b + s if s >= 0 else size for b, s, size in zip(begin, sizes, shape, strict=True)]
    if any(not 0 <= b <= e <= n for b, e, n in zip(begin, ends, shape, strict=True)):
        operation.refuse(f"begins at {begin} in the shape {shape} and takes {sizes}")
    operation.require_output([e - b for b, e in zip(begin, ends, strict=True)])
    operation.require_same_types(range(1))


def _strided_slice(operation: Operation) -> None:
    parts = [operation.integers(index) for index in (1, 2, 3)]
    options, shape = operation.options, operation.shape(0)
    if any(part is None for part in parts):
        return
    begin, end, strides = ([*(part or [])] for part in parts)
    if not len(begin) == len(end) == len(strides) or 0 in strides:
        operation.refuse("has a stride of 0, or parts of several lengths")
    if options.ellipsisMask or options.newAxisMask or options.offset or len(begin) != len(shape):
        return
    kept = []
    for axis, size in enumerate(shape):
        bit = 1 << axis
        if options.shrinkAxisMask & bit:
            operation.axis(begin[axis], size)
            continue
        first = None if options.beginMask & bit else begin[axis]
        last = None if options.endMask & bit else end[axis]
        kept.append(len(range(size)[first : last : strides[axis]]))
    operation.require_output(kept)
    operation.require_same_types(range(1))


def _split(operation: Operation) -> None:
    # SPLIT has the axis first; SPLIT_V has sizes and the axis behind its input.
    data, axis_input = (1, 0) if operation.name == "SPLIT" else (0, 2)
    shape, axes = operation.shape(data), operation.integers(axis_input)
    count = len(operation.outputs)
    if axes is None or operation.options.numSplits != count:
        operation.refuse(f"has {count} outputs, or an axis that is computed")
    (value,) = axes
    axis = operation.axis(value, len(shape))
    if operation.name == "SPLIT":
        sizes = [shape[axis] // count] * count
    else:
        sizes = operation.integers(1) or []
        rest = shape[axis] - sum(size for size in sizes if size >= 0)
        sizes = [rest if size == -1 else size for size in sizes]
    if len(sizes) != count or sum(sizes) != shape[axis] or min(sizes) < 0:
        operation.refuse(f"divides {shape[axis]} values into {sizes}")
    for index, size in enumerate(sizes):
        operation.require_output((*shape[:axis], size, *shape[axis + 1 :]), index)
    operation.require_same_types([data])


def _pack(operation: Operation) -> None:
    shapes = {shape_of(tensor) for tensor in operation.inputs}
    if len(shapes) > 1 or operation.options.valuesCount != len(operation.inputs):
        operation.refuse(f"joins {len(operation.inputs)} tensors of the shapes {shapes}")
    (shape,) = shapes
    axis = operation.axis(operation.options.axis, len(shape) + 1)
    operation.require_output((*shape[:axis], len(operation.inputs), *shape[axis:]))
    operation.require_same_types(range(len(operation.inputs)))


def _unpack(operation: Operation) -> None:
    shape, count = operation.shape(0), len(operation.outputs)
    axis = operation.axis(operation.options.axis, len(shape))
    if shape[axis] != count or operation.options.num != count:
        operation.refuse(f"divides {shape[axis]} values into {count}")
    for index in range(count):
        operation.require_output((*shape[:axis], *shape[axis + 1 :]), index)
    operation.require_same_types(range(1))


def _reshape(operation: Operation) -> None:
    output = shape_of(operation.outputs[0])
    if math.prod(output) != operation.size(0):
        operation.refuse(f"gives {operation.size(0)} values, but its output has the shape {output}")
    operation.require_same_types(range(1))


def _transpose(operation: Operation) -> None:
    order, shape = operation.integers(1), operation.shape(0)
    if order is None:
        return
    axes = [operation.axis(axis, len(shape)) for axis in order]
    if sorted(axes) != list(range(len(shape))):
        operation.refuse(f"has the order {order} of {len(shape)} axes")
    operation.require_output([shape[axis] for axis in axes])
    operation.require_same_types(range(1))


def _pad(operation: Operation) -> None:
    widths, shape = operation.integers(1), operation.shape(0)
    if widths is None:
        return
    if len(widths) != 2 * len(shape) or min(widths, default=0) < 0:
        operation.refuse(f"has the widths {widths} for {len(shape)} axes")
    pairs = zip(shape, widths[::2], widths[1::2], strict=True)
    operation.require_output([size + before + behind for size, before, behind in pairs])
    operation.require_same_types(range(1))


def _gather(operation: Operation) -> None:
    shape, indices = operation.shape(0), operation.integers(1)
    axis = operation.axis(operation.options.axis if operation.options else 0, len(shape))
    if operation.options is not None and operation.options.batchDims:
        return
    if indices is not None and not all(0 <= index < shape[axis] for index in indices):
        operation.refuse(f"takes values beyond the {shape[axis]} of its input")
    operation.require_output((*shape[:axis], *operation.shape(1), *shape[axis + 1 :]))
    operation.require_same_types(range(1))


def _each(names: str, rule: Callable[[Operation], None]) -> dict[str, Callable[[Operation], None]]:
    return dict.fromkeys(names.split(), rule)


SHAPES: Mapping[str, Callable[[Operation], None]] = {
    **_each(
        "LOGISTIC TANH RELU RELU6 RELU_N1_TO_1 LEAKY_RELU ABS NEG EXP LOG SQRT RSQRT SQUARE SIN "
        "COS FLOOR ROUND CEIL ELU HARD_SWISH LOGICAL_NOT L2_NORMALIZATION SOFTMAX LOG_SOFTMAX "
        "ZEROS_LIKE GELU SIGN QUANTIZE DEQUANTIZE CAST",
        _same,
    ),
    **_each("ADD SUB MUL DIV MAXIMUM MINIMUM SQUARED_DIFFERENCE POW PRELU", _arithmetic),
    **_each("FLOOR_DIV FLOOR_MOD LOGICAL_AND LOGICAL_OR", _arithmetic),
    **_each("EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL", _comparison),
    **_each("SELECT SELECT_V2", _select),
    **_each("SUM MEAN REDUCE_MAX REDUCE_MIN REDUCE_PROD REDUCE_ANY REDUCE_ALL", _reduction),
    **_each("SPLIT SPLIT_V", _split),
    **_each("RESHAPE SQUEEZE EXPAND_DIMS", _reshape),
    **_each("PAD PADV2", _pad),
    **_each("CONV_2D DEPTHWISE_CONV_2D", convolution),
    **_each("AVERAGE_POOL_2D MAX_POOL_2D", pool),
    "FULLY_CONNECTED": fully_connected,
    "BATCH_MATMUL": batch_matmul,
    "CONCATENATION": _concatenation,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "PACK": _pack,
    "UNPACK": _unpack,
    "TRANSPOSE": _transpose,
    "GATHER": _gather,
}
