"""A .tflite file with the facts that the source code generators need."""

import hashlib
from dataclasses import dataclass

from export.forms.step import window_note
from export.recipes import MinimumRuntime, Recipe
from export.source.recording import Recording
from export.tflite_file.layout import TensorLayout

DTYPES = ("float32", "int8", "int16")


@dataclass(frozen=True)
class DeviceFile:
    """A .tflite file with the facts that the source code generators need.

    Attributes:
        content: The bytes of the file.
        layout: Inputs, outputs and states of its step.
        model: Name of the model.
        recipe: Name of the recipe.
        recording: Steps that a device replays; required for the target "micro".
        has_sequence: Whether the file has the signature `sequence`, on float32 values.
        window: Number of steps after which the states start anew, if the model has a fixed length.
        runtime: The earliest runtime on phones.
        delay: Number of steps after which a model that learns gets the target of a prediction.

    Raises:
        ValueError: Its inputs, outputs and states have several dtypes, or an unsupported one.
    """

    content: bytes
    layout: tuple[TensorLayout, ...]
    model: str
    recipe: str
    recording: Recording | None = None
    has_sequence: bool = False
    window: int | None = None
    runtime: MinimumRuntime = Recipe.runtime
    delay: int | None = None

    def __post_init__(self):
        dtypes = sorted({tensor.dtype for tensor in self.layout})
        if len(dtypes) != 1 or dtypes[0] not in DTYPES:
            raise ValueError(
                "The inputs, outputs and states must have the same dtype, one of "
                f"{', '.join(DTYPES)}; received {', '.join(dtypes) or 'none'}."
            )

    @property
    def dtype(self) -> str:
        """Dtype of all inputs, outputs and states."""
        return self.layout[0].dtype

    @property
    def digest(self) -> int:
        """The first 8 bytes of the file's SHA-256, little-endian: its saved states hold them."""
        return int.from_bytes(hashlib.sha256(self.content).digest()[:8], "little")

    @property
    def window_note(self) -> str:
        """A sentence on the length of sequences, or "" if it is any."""
        return window_note(self.window)

    def tensors(self, kind: str) -> tuple[TensorLayout, ...]:
        """Return the layouts of one kind: "input", "output" or "state"."""
        return tuple(tensor for tensor in self.layout if tensor.kind == kind)

    def require_recording(self) -> Recording:
        """Return the recording.

        Raises:
            ValueError: The file has none.
        """
        if self.recording is None:
            raise ValueError("Target 'micro' needs a recording of the file; received None.")
        return self.recording
