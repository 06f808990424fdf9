"""Targets: what a device can run."""

from dataclasses import dataclass

from lnn_keras.choices import require_choice


@dataclass(frozen=True)
class Target:
    """What a device can run.

    Attributes:
        name: What users call it.
        description: One line for people.
        recipes: Names of the recipes that it takes.
        operations: The (operation, dtype) pairs that its kernels know; the dtype
            is that of an operation's first output.
    """

    name: str
    description: str
    recipes: tuple[str, ...]
    operations: frozenset[tuple[str, str]]


def _pairs(operations: str, *dtypes: str) -> frozenset[tuple[str, str]]:
    return frozenset((operation, dtype) for operation in operations.split() for dtype in dtypes)


# Kernels of TensorFlow Lite Micro, as its interpreter accepts them. The
# converter emits more: int8 EXP, LOG, SQUARE and SQRT among them.
_MICRO_OPERATIONS = (
    _pairs(
        "ADD SUB MUL LOGISTIC TANH FULLY_CONNECTED BATCH_MATMUL SUM MEAN CONCATENATION SLICE "
        "STRIDED_SLICE SPLIT RESHAPE MAXIMUM MINIMUM SQUARED_DIFFERENCE SOFTMAX QUANTIZE "
        "DEQUANTIZE PACK UNPACK TRANSPOSE RELU ABS",
        "float32",
        "int8",
    )
    | _pairs("DIV GATHER LEAKY_RELU ELU", "float32", "int8")
    | _pairs("EXP NEG LOG SQRT RSQRT SQUARE RELU6", "float32")
)

TARGETS = {
    target.name: target
    for target in (
        Target(
            name="micro",
            description="microcontrollers: one time step, static shapes, TensorFlow Lite Micro",
            recipes=("float32", "int8"),
            operations=_MICRO_OPERATIONS,
        ),
    )
}


def get(target: str | Target) -> Target:
    """Return the target of that name, or the target itself.

    Raises:
        ValueError: No target has that name.
    """
    if isinstance(target, Target):
        return target
    return TARGETS[require_choice("target", target, TARGETS)]
