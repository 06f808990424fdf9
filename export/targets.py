"""Targets: the recipes, runtimes and kernels of each kind of device."""

from dataclasses import dataclass

from lnn_keras.argument_checks import require_choice

STEP, SEQUENCE = "step", "sequence"
XNNPACK, BUILT_IN, MICRO = "LiteRT (XNNPACK)", "LiteRT (built-in)", "TFLite Micro"
C = "C"
ANY = "*"  # every operation of the converter


@dataclass(frozen=True)
class Target:
    """The recipes, runtimes and kernels of a kind of device.

    Attributes:
        name: The name that users pass.
        description: Description in one line.
        recipes: Names of the supported recipes.
        forms: Signatures of its files. Integer files have only the step, because the converter
            cannot calibrate ranges within a loop.
        batch: Number of sequences per call; None for any number.
        runtimes: Names of the runtimes that its files are verified on.
        operations: The (operation, dtype) pairs with a kernel; the dtype is that of the
            operation's first output.
        imprecise: Pairs with a kernel that a file must not use.
    """

    name: str
    description: str
    recipes: tuple[str, ...]
    forms: tuple[str, ...]
    batch: int | None
    runtimes: tuple[str, ...]
    operations: frozenset[tuple[str, str]]
    imprecise: frozenset[tuple[str, str]] = frozenset()

    def runs(self, operation: str, dtype: str) -> bool:
        """Return whether there is a precise kernel for an operation on a dtype."""
        if (operation, dtype) in self.imprecise:
            return False
        return (operation, dtype) in self.operations or (ANY, dtype) in self.operations


def _pairs(operations: str, *dtypes: str) -> frozenset[tuple[str, str]]:
    return frozenset((operation, dtype) for operation in operations.split() for dtype in dtypes)


_INTEGER_OPERATIONS = (
    "ADD SUB MUL LOGISTIC TANH FULLY_CONNECTED BATCH_MATMUL MEAN CONCATENATION SLICE "
    "STRIDED_SLICE SPLIT SPLIT_V RESHAPE MAXIMUM MINIMUM SOFTMAX QUANTIZE DEQUANTIZE PACK UNPACK "
    "TRANSPOSE RELU LEAKY_RELU ABS CONV_2D DEPTHWISE_CONV_2D AVERAGE_POOL_2D MAX_POOL_2D PAD"
)
# Kernels that the TensorFlow Lite Micro interpreter accepts. The converter also emits others,
# for example int8 EXP, LOG, SQUARE and SQRT. Left out are 16-bit SUM, because the converter gives
# its output the scale of its input, in which a sum overflows; 16-bit SQUARED_DIFFERENCE, which
# LiteRT rejects; and ELU, which the converter surrounds with DEQUANTIZE and QUANTIZE.
_MICRO_OPERATIONS = (
    _pairs(_INTEGER_OPERATIONS, "float32", "int8", "int16")
    | _pairs("SUM DIV GATHER REDUCE_MAX SQUARED_DIFFERENCE LOG_SOFTMAX", "float32", "int8")
    | _pairs("HARD_SWISH L2_NORMALIZATION", "float32", "int8")
    | _pairs("SELECT_V2", "float32", "int8")
    | _pairs("EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL", "bool")
    | _pairs("LOGICAL_AND LOGICAL_OR LOGICAL_NOT", "bool")
    | _pairs("EXP NEG LOG SQRT RSQRT SQUARE RELU6 ELU SIN COS FLOOR ROUND CEIL", "float32")
)
# LiteRT has every kernel, except on 16-bit integers, where it has those of TFLite Micro.
_PHONE_OPERATIONS = _pairs(ANY, "float32", "float16", "int8", "int32", "int64", "bool") | _pairs(
    _INTEGER_OPERATIONS, "int16"
)
# 8 bits do not hold the values of these within the range of a usual argument, or the converter
# surrounds them with DEQUANTIZE and QUANTIZE.
_IMPRECISE = _pairs("EXP NEG LOG SQRT RSQRT SQUARE ELU SELU POW SIN COS", "int8")

TARGETS = {
    target.name: target
    for target in (
        Target(
            name="phone",
            description="phones: one time step and whole sequences of any batch and length, LiteRT",
            recipes=("float32", "float16", "dynamic", "int8", "int16x8"),
            forms=(STEP, SEQUENCE),
            batch=None,
            runtimes=(XNNPACK, BUILT_IN),
            operations=_PHONE_OPERATIONS,
            imprecise=_IMPRECISE,
        ),
        Target(
            name="micro",
            description="microcontrollers: one time step, static shapes, TensorFlow Lite Micro",
            recipes=("float32", "int8", "int16x8"),
            forms=(STEP,),
            batch=1,
            runtimes=(XNNPACK, BUILT_IN, MICRO),
            operations=_MICRO_OPERATIONS,
        ),
        Target(
            name="c",
            description="microcontrollers: one time step as C99 without an interpreter",
            recipes=("int16x8", "int16", "float32"),
            forms=(STEP,),
            batch=1,
            runtimes=(C,),
            operations=_pairs(ANY, "float32", "int16"),
        ),
    )
}


def get(target: str | Target) -> Target:
    """Return the target with that name, or the target itself.

    Raises:
        ValueError: No target has that name.
    """
    if isinstance(target, Target):
        return target
    return TARGETS[require_choice("target", target, TARGETS)]
