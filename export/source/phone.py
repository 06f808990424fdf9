"""Kotlin and Swift source of a file for LiteRT on Android and iOS."""

from export.source.device_file import DeviceFile
from export.source.kotlin import kotlin_class, kotlin_string
from export.source.literals import comment
from export.source.swift import swift_class, swift_string
from export.source.templates import fill

SEQUENCE_NOTE = (
    "`sequence` runs a whole sequence from the initial states, with one row per time step. It\n"
    "does not change the states of `step`."
)


def source_files(file: DeviceFile) -> dict[str, str]:
    """Return LiquidModel.kt, LiquidModel.swift and README.md: text by file name."""
    comments = {
        "model": comment(file.model),
        "recipe": comment(file.recipe),
        **{f"{kind}_sizes": _sizes(file.tensors(kind)) for kind in ("input", "output", "state")},
    }
    return {
        "LiquidModel.kt": kotlin_class(file, comments),
        "LiquidModel.swift": swift_class(file, comments),
        "README.md": _readme(file, comments),
    }


def _sizes(tensors):
    return ", ".join(f"{comment(tensor.name)} ({tensor.size})" for tensor in tensors) or "none"


def _readme(file, comments):
    inputs, output = file.tensors("input"), file.tensors("output")[0]
    variables = [f"values{index or ''}" for index in range(len(inputs))]
    named = list(zip(inputs, variables, strict=True))
    return fill(
        "phone.md.in",
        **comments,
        file_bytes=f"{len(file.content):,}",
        dtype=file.dtype,
        window_note=file.window_note,
        sequence_note=SEQUENCE_NOTE if file.has_sequence else "",
        kotlin_inputs=", ".join(f"{kotlin_string(t.name)} to {name}" for t, name in named),
        kotlin_output=kotlin_string(output.name),
        swift_inputs=", ".join(f"{swift_string(t.name)}: {name}" for t, name in named),
        swift_output=swift_string(output.name),
    )
