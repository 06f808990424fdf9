"""A .tflite file and what the generators of source code know of it."""

from dataclasses import dataclass

from export.source.recording import Recording
from export.tflite_file.layout import TensorLayout

DTYPES = ("float32", "int8", "int16")


@dataclass(frozen=True)
class DeviceFile:
    """A .tflite file and what is known of it.

    Attributes:
        content: Its bytes.
        layout: Inputs, outputs and states of its step.
        model: Name of the model.
        recipe: Name of the recipe.
        arena_bytes: Working memory on TFLite Micro on this host, if it was measured.
        recording: Steps that a device can replay; the target "micro" needs them.
        has_sequence: Whether it has the signature `sequence`, over float32 values.

    Raises:
        ValueError: Its inputs, outputs and states do not share one type of number.
    """

    content: bytes
    layout: tuple[TensorLayout, ...]
    model: str
    recipe: str
    arena_bytes: int | None = None
    recording: Recording | None = None
    has_sequence: bool = False

    def __post_init__(self):
        dtypes = sorted({tensor.dtype for tensor in self.layout})
        if len(dtypes) != 1 or dtypes[0] not in DTYPES:
            raise ValueError(
                "The inputs, outputs and states must share one type of number, one of "
                f"{', '.join(DTYPES)}; received {', '.join(dtypes) or 'none'}."
            )

    @property
    def dtype(self) -> str:
        """Type of the numbers of all inputs, outputs and states."""
        return self.layout[0].dtype

    def tensors(self, kind: str) -> tuple[TensorLayout, ...]:
        """The layout of each "input", "output" or "state"."""
        return tuple(tensor for tensor in self.layout if tensor.kind == kind)
