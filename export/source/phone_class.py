"""The template of a phone's class, the same for Kotlin and Swift."""

from collections.abc import Callable, Mapping

from export.forms.adaptive_readout import MISSING
from export.forms.names import NEXT
from export.source.device_file import DeviceFile
from export.source.literals import float_literal
from export.source.templates import fill
from export.tflite_file.layout import TensorLayout


def phone_class(
    language: str,
    file: DeviceFile,
    texts: Mapping[str, object],
    layout: Callable[[TensorLayout], str],
    state: Callable[[TensorLayout], str],
) -> str:
    """Return the source of the class `LiquidModel`.

    Args:
        language: Extension of the language's templates: "kt" or "swift".
        file: The .tflite file and its facts.
        texts: Texts of the language and of comments, by name in the template.
        layout: Returns the declaration of an input or output.
        state: Returns the declaration of a state.
    """
    return fill(
        f"LiquidModel.{language}.in",
        **texts,
        next=NEXT,
        sequence=fill(f"sequence.{language}.in") if file.has_sequence else "",
        saved_state=fill(f"saved_state.{language}.in"),
        digest=f"0x{file.digest:016x}",
        # Literals of Kotlin's Long have a sign.
        digest_long=file.digest - (file.digest >> 63 << 64),
        missing=float_literal(MISSING),
        missing_float=float_literal(MISSING).removesuffix("f"),
        inputs="\n".join(map(layout, file.tensors("input"))),
        outputs="\n".join(map(layout, file.tensors("output"))),
        states="\n".join(map(state, file.tensors("state"))),
    )
