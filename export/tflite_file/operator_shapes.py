"""Shapes and types of operations' outputs, from their inputs; by name of the operation."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from export.tflite_file.flatbuffer import dtype_of
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


def _fully_connected(operation: Operation) -> None:
    if operation.rank(1) != 2 or operation.rank(0) == 0:
        operation.refuse(f"has weights of shape {operation.shape(1)}")
    units, features = operation.shape(1)
    if not features or not units or operation.shape(0)[-1] != features:
        operation.refuse(f"multiplies the shapes {operation.shape(0)} and {operation.shape(1)}")
    rows = operation.size(0) // features
    output = shape_of(operation.outputs[0])
    if not output or output[-1] != units or math.prod(output) != rows * units:
        operation.refuse(f"gives {rows} rows of {units}, but its output has the shape {output}")
    _require_bias(operation, units)
    _require_product_types(operation)


def _require_bias(operation: Operation, units: int) -> None:
    if len(operation.inputs) > 2 and operation.inputs[2] is not None and operation.size(2) != units:
        operation.refuse(f"has a bias of {operation.size(2)} values for {units} units")


def _require_product_types(operation: Operation) -> None:
    """Types of an input, of weights and of a bias that kernels multiply."""
    allowed = {
        "float32": {("float32", "float32"), ("int8", "float32"), ("float16", "float32")},
        "int8": {("int8", "int32")},
        "int16": {("int8", "int64"), ("int8", "int32")},
    }
    has_bias = len(operation.inputs) > 2 and operation.inputs[2] is not None
    bias = operation.dtype(2) if has_bias else None
    pairs = allowed.get(operation.dtype(0), set())
    if not any(operation.dtype(1) == w and bias in (None, b) for w, b in pairs):
        operation.refuse(f"multiplies {operation.dtype(0)} and {operation.dtype(1)}, bias {bias}")
    operation.require_same_types(range(1))


def _batch_matmul(operation: Operation) -> None:
    first, second = operation.shape(0), operation.shape(1)
    if min(len(first), len(second)) < 2:
        operation.refuse(f"multiplies the shapes {first} and {second}")
    options = operation.options
    rows, inner = reversed(first[-2:]) if options and options.adjX else first[-2:]
    other, columns = reversed(second[-2:]) if options and options.adjY else second[-2:]
    if inner != other:
        operation.refuse(f"multiplies the shapes {first} and {second}")
    operation.require_output((*np.broadcast_shapes(first[:-2], second[:-2]), rows, columns))
    operation.require_same_types(range(1))


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


def _convolution(operation: Operation) -> None:
    options, shape, kernel = operation.options, operation.shape(0), operation.shape(1)
    output = shape_of(operation.outputs[0])
    if not len(shape) == len(kernel) == len(output) == 4 or 0 in (*shape, *kernel):
        operation.refuse(f"has the shapes {shape}, {kernel} and {output}")
    if options.dilationHFactor < 1 or options.dilationWFactor < 1:
        operation.refuse("has a dilation below 1")
    depthwise = operation.name == "DEPTHWISE_CONV_2D"
    channels = kernel[3] if depthwise else kernel[0]
    wrong = channels % shape[3] if depthwise else shape[3] % kernel[3]
    if wrong or (depthwise and options.depthMultiplier * shape[3] != channels):
        operation.refuse(f"has a kernel of shape {kernel} for {shape[3]} channels")
    dilated = [
        (kernel[1] - 1) * options.dilationHFactor + 1,
        (kernel[2] - 1) * options.dilationWFactor + 1,
    ]
    operation.require_output((shape[0], *_windows(operation, dilated), channels))
    _require_bias(operation, channels)
    _require_product_types(operation)


def _pool(operation: Operation) -> None:
    options, shape = operation.options, operation.shape(0)
    if len(shape) != 4 or 0 in shape or options.filterHeight < 1 or options.filterWidth < 1:
        operation.refuse(f"has the shape {shape}")
    windows = _windows(operation, [options.filterHeight, options.filterWidth])
    operation.require_output((shape[0], *windows, shape[3]))
    operation.require_same_types(range(1))


def _windows(operation: Operation, filters: list[int]) -> list[int]:
    """Height and width of the output of a convolution or a pooling."""
    options = operation.options
    if options.strideH < 1 or options.strideW < 1:
        operation.refuse("has a stride below 1")
    sizes, strides = operation.shape(0)[1:3], (options.strideH, options.strideW)
    # Padding 0 is SAME, 1 is VALID.
    return [
        -(-(size if options.padding == 0 else size - width + 1) // stride)
        for size, width, stride in zip(sizes, filters, strides, strict=True)
    ]


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
    **_each("CONV_2D DEPTHWISE_CONV_2D", _convolution),
    **_each("AVERAGE_POOL_2D MAX_POOL_2D", _pool),
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _batch_matmul,
    "CONCATENATION": _concatenation,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "PACK": _pack,
    "UNPACK": _unpack,
    "TRANSPOSE": _transpose,
    "GATHER": _gather,
}
