"""From the TensorFlow graph of a step to nodes.

A tensor is an array of codes, one for each element: the number of its node, and its index in that
node. Views run on the codes themselves, by TensorFlow, so each keeps its meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from export.c.graph.builder import Builder
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
from export.c.graph.nodes import Graph
from export.forms.form import Form
from export.graph.tf_graph import FlatGraph, layer_of, varying_tensors

if TYPE_CHECKING:
    import tensorflow as tf

# By type of a view, the attribute with the dtype of its values.
VIEWS = {
    "BroadcastTo": "T",
    "ConcatV2": "T",
    "ExpandDims": "T",
    "GatherV2": "Tparams",
    "Identity": "T",
    "Pack": "T",
    "Pad": "T",
    "Reshape": "T",
    "ReverseV2": "T",
    "Slice": "T",
    "Split": "T",
    "SplitV": "T",
    "Squeeze": "T",
    "StopGradient": "T",
    "StridedSlice": "T",
    "Tile": "T",
    "Transpose": "T",
    "Unpack": "T",
}
_LOOPS = ("While", "StatelessWhile", "If", "StatelessIf")


def lower(flat: FlatGraph, model: Form) -> Graph:
    """Return a step's graph as nodes.

    Args:
        flat: The step's graph, with batch 1.
        model: The step's model; errors name its layers.

    Raises:
        ValueError: An operation has no form in C; the message names its layer.
    """
    return _Lowering(flat, model).graph()


def require_no_loops(flat: FlatGraph, model: Form) -> None:
    """Raise a ValueError that names the layers whose loops depend on the data."""
    layers = {layer_of(o.name, model) for o in flat.operations if o.type in _LOOPS}
    if layers:
        raise ValueError(
            f"Layer {', '.join(map(repr, sorted(layers)))} has a loop whose number of iterations "
            "depends on the data, such as a solver with adaptive steps, and C code has only loops "
            "of a fixed length. Use a solver with fixed steps: 'semi_implicit' or 'rk4'."
        )


class _Lowering:
    def __init__(self, flat: FlatGraph, model: Form):
        self._flat, self._model = flat, model
        self._builder = Builder()
        self._codes: dict[str, np.ndarray] = {}
        self._constants: dict[str, np.ndarray] = {}

    def graph(self) -> Graph:
        """All operations as nodes."""
        builder = self._builder
        for tensor in self._flat.inputs:
            self._codes[tensor.name] = builder.input(tensor.op.name, _static_shape(tensor))
        varying = varying_tensors(self._flat)
        operations = [
            op for op in self._flat.operations if any(t.name in varying for t in op.outputs)
        ]
        self._evaluate_constants(operations, varying)
        for operation in operations:
            if operation.type != "Placeholder":
                self._lower(operation)
        outputs = {
            name: builder.reference(self._tensor(tensor).reshape(-1))
            for name, tensor in self._flat.outputs.items()
        }
        return builder.graph(outputs)

    def _evaluate_constants(self, operations, varying):
        import tensorflow as tf

        tensors = [t for op in operations for t in op.inputs] + [*self._flat.outputs.values()]
        constant = {t.name: t for t in tensors if t.name not in varying}
        if not constant:
            return
        graph = next(iter(constant.values())).graph
        with tf.compat.v1.Session(graph=graph) as session:
            self._constants = session.run({name: name for name in constant})

    def _tensor(self, tensor: tf.Tensor) -> np.ndarray:
        """The codes of a tensor."""
        if tensor.name not in self._codes:
            values = np.asarray(self._constants[tensor.name], "float64")
            self._codes[tensor.name] = self._builder.constant(values, tensor.op.name)
        return self._codes[tensor.name]

    def _lower(self, operation: tf.Operation):
        builder, kind = self._builder, operation.type
        layer = layer_of(operation.name, self._model)
        builder.scope(operation.name, "" if layer == operation.name else layer)
        if kind in VIEWS:
            results = self._view(operation)
        elif kind in _LOWERINGS:
            results = [_LOWERINGS[kind](self, operation)]
        else:
            self._refuse(operation, layer)
        for tensor, codes in zip(operation.outputs, results, strict=True):
            shape = _static_shape(tensor)
            self._codes[tensor.name] = np.broadcast_to(codes, shape).reshape(shape)

    @staticmethod
    def _refuse(operation, layer):
        raise ValueError(
            f"Layer {layer!r} uses the operation {operation.type}, which has no form in C. Use "
            "another layer or activation, or export to target 'micro'."
        )

    def _view(self, operation) -> list[np.ndarray]:
        """Run a view on the codes of its arguments."""
        import tensorflow as tf

        attribute = VIEWS[operation.type]
        graph = tf.Graph()
        with graph.as_default():
            inputs = [
                # Only values have codes; the others are indices, sizes and axes.
                tf.constant(self._tensor(tensor))
                if _is_value(operation, position)
                else tf.constant(self._constants[tensor.name])
                for position, tensor in enumerate(operation.inputs)
            ]
            attributes = dict(operation.node_def.attr.items())
            attributes[attribute] = tf.compat.v1.AttrValue(type=tf.int64.as_datatype_enum)
            copied = graph.create_op(
                operation.type,
                inputs,
                [tf.int64 for _ in operation.outputs],
                attrs=attributes,
                op_def=operation.op_def,
            )
            with tf.compat.v1.Session(graph=graph) as session:
                return session.run(list(copied.outputs))


def _static_shape(tensor) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.shape)


def _is_value(operation, position):
    """Whether an input of a view holds values, not indices, sizes or axes."""
    count = len(operation.inputs)
    values: Mapping[str, range] = {
        "ConcatV2": range(count - 1),
        "Pack": range(count),
        "Split": range(1, 2),
    }
    return position in values.get(operation.type, range(1))


def _elementwise(name: str) -> Callable[..., np.ndarray]:
    def run(lowering, operation):
        return lowering._builder.elementwise(
            name, *(lowering._tensor(tensor) for tensor in operation.inputs)
        )

    return run


def _composed(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """An operation that is composed of others: `function(builder, *tensors)`."""

    def run(lowering, operation):
        arguments = [lowering._tensor(tensor) for tensor in operation.inputs]
        return function(lowering._builder, *arguments)

    return run


def _matmul(lowering, operation):
    builder = lowering._builder
    left, right = operation.inputs
    attributes = operation.node_def.attr
    names = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    swapped = [attributes[name].b for name in names]
    if right.name in lowering._constants and left.name not in lowering._constants:
        weights = np.asarray(lowering._constants[right.name], "float64")
        if weights.ndim == 2 and not swapped[0]:
            weights = weights if swapped[1] else weights.T
            codes = lowering._tensor(left)
            return builder.product(codes.reshape(-1, codes.shape[-1]), weights)
    a, b = (
        np.swapaxes(codes, -1, -2) if swap else codes
        for codes, swap in zip(map(lowering._tensor, operation.inputs), swapped, strict=True)
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
    kernel = np.asarray(lowering._constants[operation.inputs[1].name], "float64")
    picture = lowering._tensor(operation.inputs[0])[0]
    strides, dilations, is_same = _layout(operation)
    height, width = kernel.shape[:2]
    parts = windows(picture, (height, width), strides, dilations, is_same)
    parts = np.where(parts == OUTSIDE, 0, parts)  # code 0 stands for the number 0
    rows, columns = parts.shape[:2]
    if operation.type == "Conv2D":
        flat = parts.reshape(rows * columns, -1)
        result = lowering._builder.product(flat, kernel.reshape(flat.shape[1], -1).T)
        return result.reshape(1, rows, columns, -1)
    # Each channel has kernels of its own: (height, width, channels, multiplier).
    channels = [
        lowering._builder.product(
            parts[..., channel].reshape(rows * columns, -1),
            kernel[:, :, channel].reshape(-1, kernel.shape[3]).T,
        )
        for channel in range(kernel.shape[2])
    ]
    return np.stack(channels, axis=1).reshape(1, rows, columns, -1)


def _pooling(lowering, operation):
    picture = lowering._tensor(operation.inputs[0])[0]
    strides, dilations, is_same = _layout(operation)
    height, width = operation.get_attr("ksize")[1:3]
    parts = windows(picture, (height, width), strides, dilations, is_same)
    parts = np.moveaxis(parts, -1, 2).reshape(*parts.shape[:2], parts.shape[-1], -1)
    if operation.type == "MaxPool":
        # The first element inside stands for those outside, which change no maximum.
        inside = np.take_along_axis(parts, np.argmax(parts != OUTSIDE, -1)[..., None], -1)
        parts = np.where(parts == OUTSIDE, inside, parts)
        return lowering._builder.reduction("max", parts)[np.newaxis]
    counts = (parts != OUTSIDE).sum(axis=-1)
    sums = lowering._builder.reduction("add", np.where(parts == OUTSIDE, 0, parts))
    factors = lowering._builder.constant(1.0 / counts, "counts")
    return lowering._builder.elementwise("mul", sums, factors)[np.newaxis]


def _reduction(name: str, mean: bool = False) -> Callable[..., np.ndarray]:
    def run(lowering, operation):
        builder = lowering._builder
        codes = lowering._tensor(operation.inputs[0])
        axes = np.atleast_1d(lowering._constants[operation.inputs[1].name])
        axes = sorted(int(axis) % codes.ndim for axis in axes)
        kept = [axis for axis in range(codes.ndim) if axis not in axes]
        count = math.prod(codes.shape[axis] for axis in axes)
        rows = codes.transpose(*kept, *axes).reshape(*(codes.shape[axis] for axis in kept), count)
        result = builder.reduction(name, rows)
        return builder.elementwise("mul", result, builder.number(1 / count)) if mean else result

    return run


def _power(lowering, operation):
    builder = lowering._builder
    exponent = lowering._constants.get(operation.inputs[1].name)
    x = lowering._tensor(operation.inputs[0])
    if exponent is None or np.size(exponent) != 1:
        logarithm = builder.elementwise("log", x)
        exponents = lowering._tensor(operation.inputs[1])
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


def _leaky(lowering, operation):
    builder, x = lowering._builder, lowering._tensor(operation.inputs[0])
    alpha = builder.number(operation.get_attr("alpha"))
    positive = builder.elementwise("max", x, builder.number(0.0))
    negative = builder.elementwise("min", x, builder.number(0.0))
    return builder.elementwise("add", positive, builder.elementwise("mul", negative, alpha))


_LOWERINGS: dict[str, Callable[..., np.ndarray]] = {
    "Abs": _elementwise("abs"),
    "Add": _elementwise("add"),
    "AddV2": _elementwise("add"),
    "BatchMatMulV2": _matmul,
    "BiasAdd": _elementwise("add"),
    "Cast": _composed(lambda builder, x: x),
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
