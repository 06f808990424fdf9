"""Kotlin and Swift source of a file for LiteRT on Android and iOS."""

from export.source.device_file import DeviceFile
from export.source.kotlin import kotlin_class, kotlin_string
from export.source.literals import comment
from export.source.swift import swift_class, swift_string
from export.source.templates import fill

SEQUENCE = (
    "`sequence` runs a whole sequence at once from the start, a row for each time step; the\n"
    "states of `step` stay as they are."
)


def source_files(file: DeviceFile) -> dict[str, str]:
    """Return name -> text of LiquidModel.kt, LiquidModel.swift and README.md."""
    described = {
        "model": comment(file.model),
        "recipe": comment(file.recipe),
        **{f"{kind}_sizes": _sizes(file.tensors(kind)) for kind in ("input", "output", "state")},
    }
    return {
        "LiquidModel.kt": kotlin_class(file, described),
        "LiquidModel.swift": swift_class(file, described),
        "README.md": _readme(file, described),
    }


def _sizes(tensors):
    return ", ".join(f"{comment(tensor.name)} ({tensor.size})" for tensor in tensors) or "none"


def _readme(file, described):
    inputs, output = file.tensors("input"), file.tensors("output")[0]
    values = [f"values{index or ''}" for index in range(len(inputs))]
    named = list(zip(inputs, values, strict=True))
    return fill(
        "phone.md.in",
        **described,
        file_bytes=f"{len(file.content):,}",
        dtype=file.dtype,
        sequence_note=SEQUENCE if file.has_sequence else "",
        kotlin_inputs=", ".join(f"{kotlin_string(t.name)} to {value}" for t, value in named),
        kotlin_output=kotlin_string(output.name),
        swift_inputs=", ".join(f"{swift_string(t.name)}: {value}" for t, value in named),
        swift_output=swift_string(output.name),
    )
