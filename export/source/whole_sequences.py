"""README.md of a phone file that runs whole sequences and has no step."""

from export.recipes import Recipe
from export.source.literals import comment
from export.source.phone import runtime_note
from export.source.templates import fill
from export.targets import SEQUENCE
from export.tflite_file.flatbuffer import Tensor, read_signature


def sequence_files(content: bytes, model: str, recipe: Recipe) -> dict[str, str]:
    """Return the files that accompany model.tflite: text by file name.

    Args:
        content: The .tflite file, with the signature `sequence`.
        model: Name of the model.
        recipe: Its recipe.
    """
    signature = read_signature(content, SEQUENCE)
    return {
        "README.md": fill(
            "sequence.md.in",
            model=comment(model),
            recipe=comment(recipe.name),
            runtime_note=runtime_note(recipe.runtime),
            file_bytes=f"{len(content):,}",
            inputs="\n".join(map(_row, signature.inputs)),
            outputs="\n".join(map(_row, signature.outputs)),
            kotlin_inputs=", ".join(
                f'"{t.name}" to input{i}' for i, t in enumerate(signature.inputs)
            ),
            kotlin_outputs=", ".join(
                f'"{t.name}" to output{i}' for i, t in enumerate(signature.outputs)
            ),
        )
    }


def _row(tensor: Tensor) -> str:
    sizes = ", ".join("any" if size < 0 else str(size) for size in tensor.shape_signature)
    return f"| `{tensor.name}` | ({sizes}) | {tensor.dtype} |"
