"""Operations that a target lacks, found in the graph before conversion and named by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.forms.form import Form
from export.graph.normalization import NATIVE
from export.graph.tf_graph import FlatGraph, layer_of, variable_operations
from export.recipes import Recipe
from export.targets import Target

if TYPE_CHECKING:
    import tensorflow as tf

# TFLite operation of each TensorFlow operation. The converter fuses some and drops no-ops;
# operations that are missing here are checked in the converted file.
CONVERTED = {
    "Abs": "ABS",
    "AddV2": "ADD",
    "Any": "REDUCE_ANY",
    "AvgPool": "AVERAGE_POOL_2D",
    "BatchMatMulV2": "BATCH_MATMUL",
    "BiasAdd": "ADD",
    "Ceil": "CEIL",
    "ConcatV2": "CONCATENATION",
    "Conv2D": "CONV_2D",
    "Cos": "COS",
    "DepthwiseConv2dNative": "DEPTHWISE_CONV_2D",
    "Elu": "ELU",
    "Equal": "EQUAL",
    "Erf": "GELU",
    "Erfc": "GELU",
    "Exp": "EXP",
    "Expm1": "EXP",
    "Floor": "FLOOR",
    "GatherV2": "GATHER",
    "Greater": "GREATER",
    "GreaterEqual": "GREATER_EQUAL",
    "Inv": "DIV",
    "LeakyRelu": "LEAKY_RELU",
    "Less": "LESS",
    "LessEqual": "LESS_EQUAL",
    "Log": "LOG",
    "Log1p": "LOG",
    "LogSoftmax": "LOG_SOFTMAX",
    "LogicalAnd": "LOGICAL_AND",
    "LogicalNot": "LOGICAL_NOT",
    "LogicalOr": "LOGICAL_OR",
    "MatMul": "FULLY_CONNECTED",
    "Max": "REDUCE_MAX",
    "MaxPool": "MAX_POOL_2D",
    "Maximum": "MAXIMUM",
    "Mean": "MEAN",
    "Minimum": "MINIMUM",
    "Mul": "MUL",
    "Neg": "NEG",
    "NotEqual": "NOT_EQUAL",
    "Pack": "PACK",
    "Pow": "POW",
    "RealDiv": "DIV",
    "Reciprocal": "DIV",
    "Relu": "RELU",
    "Relu6": "RELU6",
    "Round": "ROUND",
    "Rsqrt": "RSQRT",
    "Select": "SELECT_V2",
    "SelectV2": "SELECT_V2",
    "Selu": "SELU",
    "Sigmoid": "LOGISTIC",
    "Sign": "SIGN",
    "Sin": "SIN",
    "Softmax": "SOFTMAX",
    "Softplus": "LOG",
    "Softsign": "DIV",
    "Split": "SPLIT",
    "SplitV": "SPLIT_V",
    "Sqrt": "SQRT",
    "Square": "SQUARE",
    "SquaredDifference": "SQUARED_DIFFERENCE",
    "StatelessWhile": "WHILE",
    "StridedSlice": "STRIDED_SLICE",
    "Sub": "SUB",
    "Sum": "SUM",
    "Tanh": "TANH",
    "Transpose": "TRANSPOSE",
    "While": "WHILE",
}
LOOPS = {"StatelessWhile", "While"}
# How to do without an operation.
ADVICE = {
    "LOG_SOFTMAX": "Return softmax, or its logits, and take the logarithm outside of the model.",
    "SELECT_V2": "Replace the comparison by relu, maximum or minimum.",
}
_REAL_TYPES = ("float32", "float64", "float16")


def lacking(flat: FlatGraph, recipe: Recipe, target: Target) -> list[tuple[tf.Operation, str, str]]:
    """Return the operations of a graph for which a target has no kernel.

    Returns:
        (operation of the graph, name of its TFLite operation, dtype), in order.
    """
    missing = []
    for operation in variable_operations(flat):
        converted = CONVERTED.get(operation.type)
        if converted is None or not operation.outputs or NATIVE in operation.name:
            continue
        dtype = operation.outputs[0].dtype.name
        if dtype in _REAL_TYPES:
            dtype = recipe.activations
        if not target.runs(converted, dtype):
            missing.append((operation, converted, dtype))
    return missing


def require_read_inputs(flat: FlatGraph, recipe: Recipe) -> None:
    """Raise a ValueError that names the inputs and states without effect, which stay floats."""
    read = {tensor.name for operation in flat.operations for tensor in operation.inputs}
    unread = [repr(tensor.op.name) for tensor in flat.inputs if tensor.name not in read]
    if unread:
        raise ValueError(
            f"Nothing reads {', '.join(unread)} in a step of the model, so recipe {recipe.name!r} "
            "cannot quantize it. Remove this input or state from the model, or use a float recipe."
        )


def require_no_loops(flat: FlatGraph, model: Form, recipe: Recipe) -> None:
    """Raise a ValueError that names the layers with loops, where ranges cannot be calibrated."""
    loops = {layer_of(o.name, model) for o in flat.operations if o.type in LOOPS}
    if loops:
        raise ValueError(
            f"Recipe {recipe.name!r} calibrates the range of every tensor, which the converter "
            f"cannot do within the loop in layer {', '.join(map(repr, sorted(loops)))}. Give its "
            "cell a fixed-step solver, such as 'semi_implicit' or 'rk4', or use a float recipe."
        )


def require_kernels(flat: FlatGraph, model: Form, recipe: Recipe, target: Target) -> None:
    """Check that a target has a kernel for every operation of a model's graph.

    Raises:
        ValueError: Kernels are missing; the message names each with its dtype and layer.
    """
    missing = sorted(
        {
            (converted, dtype, layer_of(operation.name, model))
            for operation, converted, dtype in lacking(flat, recipe, target)
        }
    )
    if missing:
        named = "; ".join(f"{name} on {dtype} in layer {layer!r}" for name, dtype, layer in missing)
        others = ", ".join(name for name in target.recipes if name != recipe.name)
        advice = [ADVICE[name] for name in dict.fromkeys(n for n, *_ in missing) if name in ADVICE]
        raise ValueError(
            f"Target {target.name!r} has no kernel for: {named}. "
            f"{' '.join([*advice, f'Other recipes of this target: {others}.'])}"
        )
