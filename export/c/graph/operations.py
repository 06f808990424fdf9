"""The nodes of each TensorFlow operation, by its type."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from export.c.graph.composed import (
    erfc,
    exponential_unit,
    is_infinite,
    log_softmax,
    relu6,
    sign,
    softmax,
    softsign,
    squared_difference,
    swapped,
)
from export.c.graph.convolution import OUTSIDE, windows


def _elementwise(name: str) -> Callable[..., np.ndarray]:
    def run(lowering, operation):
        return lowering.builder.elementwise(
            name, *(lowering.tensor(tensor) for tensor in operation.inputs)
        )

    return run


def _composed(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """An operation that is composed of others: `function(builder, *tensors)`."""

    def run(lowering, operation):
        arguments = [lowering.tensor(tensor) for tensor in operation.inputs]
        return function(lowering.builder, *arguments)

    return run


def _matmul(lowering, operation):
    builder = lowering.builder
    left, right = operation.inputs
    attributes = operation.node_def.attr
    names = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    swapped = [attributes[name].b for name in names]
    if right.name in lowering.constants and left.name not in lowering.constants:
        weights = np.asarray(lowering.constants[right.name], "float64")
        if weights.ndim == 2 and not swapped[0]:
            weights = weights if swapped[1] else weights.T
            codes = lowering.tensor(left)
            return builder.product(codes.reshape(-1, codes.shape[-1]), weights)
    a, b = (
        np.swapaxes(codes, -1, -2) if swap else codes
        for codes, swap in zip(map(lowering.tensor, operation.inputs), swapped, strict=True)
    )
    terms = builder.elementwise(
        "mul", a[..., :, np.newaxis, :], np.swapaxes(b, -1, -2)[..., np.newaxis, :, :]
    )
    return builder.reduction("add", terms)


def _layout(operation) -> tuple[tuple[int, int], tuple[int, int], bool]:
    """Strides, dilations and padding of a convolution or a pooling."""
    padding = operation.get_attr("padding").decode()
    if operation.get_attr("data_format") != b"NHWC" or padding not in ("SAME", "VALID"):
        raise ValueError(
            f"{operation.type} with padding {padding!r} has no form in C; use padding 'same' or "
            "'valid' and channels in the last axis."
        )
    strides = operation.get_attr("strides")[1:3]
    is_convolution = "Conv" in operation.type
    dilations = operation.get_attr("dilations")[1:3] if is_convolution else (1, 1)
    (rows, columns), (down, across) = strides, dilations
    return (rows, columns), (down, across), padding == "SAME"


def _convolution(lowering, operation):
    kernel = np.asarray(lowering.constant(operation.inputs[1], operation), "float64")
    picture = lowering.tensor(operation.inputs[0])[0]
    strides, dilations, is_same = _layout(operation)
    height, width = kernel.shape[:2]
    parts = windows(picture, (height, width), strides, dilations, is_same)
    parts = np.where(parts == OUTSIDE, 0, parts)  # code 0 stands for the number 0
    rows, columns = parts.shape[:2]
    if operation.type == "Conv2D":
        flat = parts.reshape(rows * columns, -1)
        result = lowering.builder.product(flat, kernel.reshape(flat.shape[1], -1).T)
        return result.reshape(1, rows, columns, -1)
    # Each channel has kernels of its own: (height, width, channels, multiplier).
    channels = [
        lowering.builder.product(
            parts[..., channel].reshape(rows * columns, -1),
            kernel[:, :, channel].reshape(-1, kernel.shape[3]).T,
        )
        for channel in range(kernel.shape[2])
    ]
    return np.stack(channels, axis=1).reshape(1, rows, columns, -1)


def _pooling(lowering, operation):
    picture = lowering.tensor(operation.inputs[0])[0]
    strides, dilations, is_same = _layout(operation)
    height, width = operation.get_attr("ksize")[1:3]
    parts = windows(picture, (height, width), strides, dilations, is_same)
    parts = np.moveaxis(parts, -1, 2).reshape(*parts.shape[:2], parts.shape[-1], -1)
    if operation.type == "MaxPool":
        # The first element inside stands for those outside, which change no maximum.
        inside = np.take_along_axis(parts, np.argmax(parts != OUTSIDE, -1)[..., None], -1)
        parts = np.where(parts == OUTSIDE, inside, parts)
        return lowering.builder.reduction("max", parts)[np.newaxis]
    counts = (parts != OUTSIDE).sum(axis=-1)
    sums = lowering.builder.reduction("add", np.where(parts == OUTSIDE, 0, parts))
    factors = lowering.builder.constant(1.0 / counts, "counts")
    return lowering.builder.elementwise("mul", sums, factors)[np.newaxis]


def _reduction(name: str, mean: bool = False) -> Callable[..., np.ndarray]:
    def run(lowering, operation):
        builder = lowering.builder
        codes = lowering.tensor(operation.inputs[0])
        axes = np.atleast_1d(lowering.constant(operation.inputs[1], operation))
        axes = sorted(int(axis) % codes.ndim for axis in axes)
        kept = [axis for axis in range(codes.ndim) if axis not in axes]
        count = math.prod(codes.shape[axis] for axis in axes)
        rows = codes.transpose(*kept, *axes).reshape(*(codes.shape[axis] for axis in kept), count)
        result = builder.reduction(name, rows)
        return builder.elementwise("mul", result, builder.number(1 / count)) if mean else result

    return run


def _power(lowering, operation):
    builder = lowering.builder
    exponent = lowering.constants.get(operation.inputs[1].name)
    x = lowering.tensor(operation.inputs[0])
    if exponent is None or np.size(exponent) != 1:
        logarithm = builder.elementwise("log", x)
        exponents = lowering.tensor(operation.inputs[1])
        return builder.elementwise("exp", builder.elementwise("mul", logarithm, exponents))
    power = float(np.ravel(exponent)[0])
    if power == int(power) and 1 <= abs(power) <= 8:
        result = x
        for _ in range(int(abs(power)) - 1):
            result = builder.elementwise("mul", result, x)
    elif abs(power) == 0.5:
        result = builder.elementwise("sqrt", x)
    else:
        logarithm = builder.elementwise("log", x)
        scaled = builder.elementwise("mul", logarithm, builder.number(abs(power)))
        result = builder.elementwise("exp", scaled)
    return result if power > 0 else builder.elementwise("div", builder.number(1.0), result)


def _cast(lowering, operation):
    builder, x = lowering.builder, lowering.tensor(operation.inputs[0])
    source, target = operation.inputs[0].dtype, operation.outputs[0].dtype
    if not (source.is_floating and target.is_integer):
        return x
    # Towards 0.
    whole = builder.elementwise("floor", builder.elementwise("abs", x))
    opposite = builder.elementwise("mul", whole, builder.number(-1.0))
    is_negative = builder.elementwise("less", x, builder.number(0.0))
    return builder.elementwise("select", is_negative, opposite, whole)


def _leaky(lowering, operation):
    builder, x = lowering.builder, lowering.tensor(operation.inputs[0])
    alpha = builder.number(operation.get_attr("alpha"))
    positive = builder.elementwise("max", x, builder.number(0.0))
    negative = builder.elementwise("min", x, builder.number(0.0))
    return builder.elementwise("add", positive, builder.elementwise("mul", negative, alpha))


OPERATIONS: dict[str, Callable[..., np.ndarray]] = {
    "Abs": _elementwise("abs"),
    "Add": _elementwise("add"),
    "AddV2": _elementwise("add"),
    "BatchMatMulV2": _matmul,
    "BiasAdd": _elementwise("add"),
    "Cast": _cast,
    "AvgPool": _pooling,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "MaxPool": _pooling,
    "Cos": _elementwise("cos"),
    "Elu": _composed(exponential_unit(1.0, 1.0)),
    "Equal": _elementwise("equal"),
    "Erf": _elementwise("erf"),
    "Erfc": _composed(erfc),
    "Exp": _elementwise("exp"),
    "Expm1": _composed(lambda b, x: b.elementwise("sub", b.elementwise("exp", x), b.number(1.0))),
    "Floor": _elementwise("floor"),
    "Greater": _composed(swapped("less")),
    "GreaterEqual": _composed(swapped("less_equal")),
    "IsFinite": _elementwise("is_finite"),
    "IsInf": _composed(is_infinite),
    "IsNan": _elementwise("is_nan"),
    "LeakyRelu": _leaky,
    "Less": _elementwise("less"),
    "LessEqual": _elementwise("less_equal"),
    "Log": _elementwise("log"),
    "Log1p": _composed(lambda b, x: b.elementwise("log", b.elementwise("add", x, b.number(1.0)))),
    "LogSoftmax": _composed(log_softmax),
    "LogicalAnd": _elementwise("and"),
    "LogicalNot": _elementwise("not"),
    "LogicalOr": _elementwise("or"),
    "MatMul": _matmul,
    "Max": _reduction("max"),
    "Maximum": _elementwise("max"),
    "Mean": _reduction("add", mean=True),
    "Minimum": _elementwise("min"),
    "Mul": _elementwise("mul"),
    "Neg": _composed(lambda b, x: b.elementwise("mul", x, b.number(-1.0))),
    "NotEqual": _composed(lambda b, x, y: b.elementwise("not", b.elementwise("equal", x, y))),
    "Pow": _power,
    "RealDiv": _elementwise("div"),
    "Reciprocal": _composed(lambda b, x: b.elementwise("div", b.number(1.0), x)),
    "Relu": _composed(lambda b, x: b.elementwise("max", x, b.number(0.0))),
    "Relu6": _composed(relu6),
    "Round": _elementwise("round"),
    "Rsqrt": _composed(lambda b, x: b.elementwise("div", b.number(1.0), b.elementwise("sqrt", x))),
    "Select": _elementwise("select"),
    "SelectV2": _elementwise("select"),
    "Selu": _composed(exponential_unit(1.0507009873554805, 1.6732632423543772)),
    "Sigmoid": _elementwise("sigmoid"),
    "Sign": _composed(sign),
    "Sin": _elementwise("sin"),
    "Softmax": _composed(softmax),
    "Softplus": _elementwise("softplus"),
    "Softsign": _composed(softsign),
    "Sqrt": _elementwise("sqrt"),
    "Square": _composed(lambda b, x: b.elementwise("mul", x, x)),
    "SquaredDifference": _composed(squared_difference),
    "Sub": _elementwise("sub"),
    "Sum": _reduction("add"),
    "Tanh": _elementwise("tanh"),
}
