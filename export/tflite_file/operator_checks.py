"""Checks of a file's operations: number, types and shapes of their tensors.

TFLite Micro computes with the shapes in the file, so a shape that does not follow from the inputs
reads or writes foreign memory. Where a size is unknown until a file runs, LiteRT computes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from export import compat
from export.tflite_file.operator_shapes import SHAPES
from export.tflite_file.operator_view import Operation
from export.tflite_file.structure import FileError
from export.tflite_file.tensor_checks import has_unknown_size

ANY_COUNT = 1_000


@dataclass(frozen=True)
class Arguments:
    """Numbers of an operation's inputs, of those that may be absent, and of its outputs."""

    least: int
    most: int
    outputs: int = 1
    most_outputs: int = 1


_ONE, _TWO = Arguments(1, 1), Arguments(2, 2)
_MANY_IN, _MANY_OUT = Arguments(1, ANY_COUNT), Arguments(1, 3, 1, ANY_COUNT)
_ELEMENTWISE = (
    "LOGISTIC TANH RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 LEAKY_RELU ABS NEG EXP LOG SQRT RSQRT "
    "SQUARE SIN COS FLOOR ROUND CEIL ELU HARD_SWISH LOGICAL_NOT L2_NORMALIZATION SOFTMAX "
    "LOG_SOFTMAX ZEROS_LIKE GELU SIGN QUANTIZE DEQUANTIZE CAST"
).split()
_BINARY = (
    "ADD SUB MUL DIV MAXIMUM MINIMUM SQUARED_DIFFERENCE POW FLOOR_DIV FLOOR_MOD PRELU EQUAL "
    "NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR ATAN2 BITWISE_XOR "
    "RIGHT_SHIFT"
).split()
_REDUCTIONS = "SUM MEAN REDUCE_MAX REDUCE_MIN REDUCE_PROD REDUCE_ANY REDUCE_ALL".split()
ARGUMENTS: Mapping[str, Arguments] = {
    **dict.fromkeys(_ELEMENTWISE, _ONE),
    **dict.fromkeys(_BINARY, _TWO),
    **dict.fromkeys(_REDUCTIONS, _TWO),
    **dict.fromkeys(("SQUEEZE", "SHAPE", "RANK", "AVERAGE_POOL_2D", "MAX_POOL_2D"), _ONE),
    **dict.fromkeys(("GATHER", "GATHER_ND", "TRANSPOSE", "PAD", "MIRROR_PAD", "FILL"), _TWO),
    **dict.fromkeys(("BROADCAST_TO", "TILE", "CUMSUM", "EXPAND_DIMS", "BATCH_MATMUL"), _TWO),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN", "REVERSE_V2", "BROADCAST_ARGS"), _TWO),
    **dict.fromkeys(("SELECT", "SELECT_V2", "SLICE", "RANGE", "PADV2"), Arguments(3, 3)),
    **dict.fromkeys(("CONCATENATION", "PACK", "ADD_N"), _MANY_IN),
    **dict.fromkeys(("SPLIT", "SPLIT_V", "UNPACK"), _MANY_OUT),
    "RESHAPE": Arguments(1, 2),
    "FULLY_CONNECTED": Arguments(2, 3),
    "CONV_2D": Arguments(2, 3),
    "DEPTHWISE_CONV_2D": Arguments(2, 3),
    "TRANSPOSE_CONV": Arguments(3, 4),
    "STRIDED_SLICE": Arguments(4, 4),
    "DYNAMIC_UPDATE_SLICE": Arguments(3, 3),
    "ONE_HOT": Arguments(4, 4),
    "TOPK_V2": Arguments(2, 2, 2, 2),
    "WHILE": Arguments(0, ANY_COUNT, 0, ANY_COUNT),
    "IF": Arguments(1, ANY_COUNT, 0, ANY_COUNT),
}
# Operations that keep values between calls, call code of others, or have tensors of other kinds.
REFUSED = frozenset(
    "CALL CALL_ONCE CUSTOM DELEGATE DENSIFY EMBEDDING_LOOKUP_SPARSE HASHTABLE HASHTABLE_FIND "
    "HASHTABLE_IMPORT HASHTABLE_LOOKUP HASHTABLE_SIZE LSH_PROJECTION LSTM RNN SVDF SKIP_GRAM "
    "UNIDIRECTIONAL_SEQUENCE_LSTM UNIDIRECTIONAL_SEQUENCE_RNN BIDIRECTIONAL_SEQUENCE_LSTM "
    "BIDIRECTIONAL_SEQUENCE_RNN VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE MULTINOMIAL "
    "RANDOM_UNIFORM RANDOM_STANDARD_NORMAL PLACEHOLDER_FOR_GREATER_OP_CODES CONCAT_EMBEDDINGS "
    "FAKE_QUANT L2_POOL_2D SPARSE_TO_DENSE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5".split()
)
# Enumerations of the schema, by the names of the options that hold them.
_ENUMERATIONS = {
    "fusedActivationFunction": "ActivationFunctionType",
    "padding": "Padding",
    "mode": "MirrorPadMode",
    "weightsFormat": "FullyConnectedOptionsWeightsFormat",
    "inDataType": "TensorType",
    "outDataType": "TensorType",
    "outType": "TensorType",
    "quantizedBiasType": "TensorType",
}
_OPTIONS = {
    **dict.fromkeys(_REDUCTIONS, "ReducerOptions"),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "MaximumMinimumOptions"),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), "Pool2DOptions"),
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "ATAN2": "ATan2Options",
}


def require_operator(model: Any, graph: Any, name: str, operator: Any) -> None:
    """Raise a FileError if an operation's inputs, outputs or options do not fit each other.

    Args:
        model: The file.
        graph: A subgraph of it, whose indices are in range.
        name: Name of the operation.
        operator: The operation in the schema.
    """
    if name in REFUSED or name.startswith("STABLEHLO") or name == "REDUCE_WINDOW":
        raise FileError(f"it has the operation {name}, which no exported file has")
    operation = Operation(model, graph, name, operator)
    _require_counts(operation)
    _require_options(operation)
    rule: Callable[[Operation], None] | None = SHAPES.get(name)
    if rule is not None and not any(map(has_unknown_size, operation.tensors)):
        rule(operation)


def _require_counts(operation: Operation) -> None:
    known = ARGUMENTS.get(operation.name)
    inputs, outputs = operation.inputs, operation.outputs
    if known is None:
        # The number of its inputs is LiteRT's to check; none may be missing.
        if any(tensor is None for tensor in inputs) or not outputs:
            raise FileError(f"{operation.name} lacks an input or output")
        return
    if not known.least <= len(inputs) <= known.most:
        raise FileError(f"{operation.name} has {len(inputs)} inputs")
    if not known.outputs <= len(outputs) <= known.most_outputs:
        raise FileError(f"{operation.name} has {len(outputs)} outputs")
    # Only a bias may be absent.
    if any(tensor is None for tensor in inputs[: max(known.least, 2)]):
        raise FileError(f"{operation.name} lacks an input")


def _require_options(operation: Operation) -> None:
    schema = compat.tflite_schema()
    names = {code: name for name, code in vars(schema.BuiltinOptions).items()}
    received = names[operation.options_type]
    expected = _OPTIONS.get(
        operation.name, operation.name.title().replace("_", "").replace("2D", "2D") + "Options"
    )
    allowed = {"NONE", expected} if expected in names.values() else {"NONE"}
    if operation.name in ARGUMENTS and received not in allowed:
        raise FileError(f"{operation.name} has {received}")
    if received == "NONE":
        return
    for option, enumeration in _ENUMERATIONS.items():
        value = getattr(operation.options, option, 0)
        if value not in vars(getattr(schema, enumeration)).values():
            raise FileError(f"{operation.name} has the option {option} = {value}")
