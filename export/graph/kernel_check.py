"""What a target lacks, found in a graph before the converter runs, with the layer it comes from."""

import keras

from export.graph.tf_graph import FlatGraph, layer_of, variable_operations
from export.recipes import Recipe
from export.targets import Target

# What the converter makes of TensorFlow's operations. It merges some, and leaves out
# those that do nothing; an operation that is not here is looked for in its file.
CONVERTED = {
    "Abs": "ABS",
    "AddV2": "ADD",
    "Any": "REDUCE_ANY",
    "AvgPool": "AVERAGE_POOL_2D",
    "BatchMatMulV2": "BATCH_MATMUL",
    "BiasAdd": "ADD",
    "ConcatV2": "CONCATENATION",
    "Conv2D": "CONV_2D",
    "DepthwiseConv2dNative": "DEPTHWISE_CONV_2D",
    "Elu": "ELU",
    "Erf": "GELU",
    "Erfc": "GELU",
    "Exp": "EXP",
    "Expm1": "EXP",
    "GatherV2": "GATHER",
    "Greater": "GREATER",
    "LeakyRelu": "LEAKY_RELU",
    "Less": "LESS",
    "Log": "LOG",
    "LogSoftmax": "LOG_SOFTMAX",
    "MatMul": "FULLY_CONNECTED",
    "Max": "REDUCE_MAX",
    "MaxPool": "MAX_POOL_2D",
    "Maximum": "MAXIMUM",
    "Mean": "MEAN",
    "Minimum": "MINIMUM",
    "Mul": "MUL",
    "Neg": "NEG",
    "Pack": "PACK",
    "Pow": "POW",
    "RealDiv": "DIV",
    "Relu": "RELU",
    "Relu6": "RELU6",
    "Rsqrt": "RSQRT",
    "SelectV2": "SELECT_V2",
    "Sigmoid": "LOGISTIC",
    "Sign": "SIGN",
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
_REAL_TYPES = ("float32", "float64", "float16")


def lacking(flat: FlatGraph, recipe: Recipe, target: Target) -> list[tuple]:
    """The operations of a graph that a target has no kernel for.

    Returns:
        (operation of the graph, name of the converted one, its dtype), in order.
    """
    found = []
    for operation in variable_operations(flat):
        converted = CONVERTED.get(operation.type)
        dtype = operation.outputs[0].dtype.name if operation.outputs else None
        if dtype in _REAL_TYPES:
            dtype = recipe.activations
        if converted and not target.runs(converted, dtype):
            found.append((operation, converted, dtype))
    return found


def require_no_loops(flat: FlatGraph, model: keras.Model, recipe: Recipe) -> None:
    """Raise a ValueError that names the layers with a loop, in which no range can be measured."""
    loops = {layer_of(o.name, model) for o in flat.operations if o.type in LOOPS}
    if loops:
        raise ValueError(
            f"Recipe {recipe.name!r} measures the range of every tensor, which the converter "
            f"cannot do within the loop in layer {', '.join(map(repr, sorted(loops)))}. Give its "
            "cell a solver of fixed steps, such as 'semi_implicit' or 'rk4', or take a recipe of "
            "floats."
        )


def require_kernels(flat: FlatGraph, model: keras.Model, recipe: Recipe, target: Target) -> None:
    """Check that a target has every operation of a model's graph.

    Raises:
        ValueError: It lacks some; each is named, with its type and its layer.
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
        raise ValueError(
            f"Target {target.name!r} has no kernel for: {named}. "
            f"Other recipes of this target: {others}."
        )
