"""Shapes and types of products: matrix products, convolutions and pooling."""

import math

import numpy as np

from export.tflite_file.operator_view import Operation
from export.tflite_file.tensor_checks import shape_of


def fully_connected(operation: Operation) -> None:
    """Raise a FileError if the shapes or types of FULLY_CONNECTED do not fit each other."""
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


def batch_matmul(operation: Operation) -> None:
    """Raise a FileError if the shapes or types of BATCH_MATMUL do not fit each other."""
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


def convolution(operation: Operation) -> None:
    """Raise a FileError if the shapes or types of a convolution do not fit each other."""
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


def pool(operation: Operation) -> None:
    """Raise a FileError if the shapes or types of a pooling do not fit each other."""
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
