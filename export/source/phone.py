"""Kotlin and Swift source of a file for LiteRT on Android and iOS."""

import textwrap

from export.recipes import MinimumRuntime
from export.source.adaptation_note import adaptation_note
from export.source.device_file import DeviceFile
from export.source.kotlin import kotlin_class, kotlin_string
from export.source.literals import comment
from export.source.swift import swift_class, swift_string
from export.source.templates import fill

# The types of tensors that TensorFlowLiteSwift can read and write.
SWIFT_DTYPES = ("float32", "int16")
# By whether releases that were called TensorFlow Lite run the file.
ANDROID_NOTES = {
    True: "`org.tensorflow:tensorflow-lite:2.14.0` or later has the same "
    "`org.tensorflow.lite.Interpreter`.",
    False: "`org.tensorflow:tensorflow-lite` has the same `org.tensorflow.lite.Interpreter`, but "
    "no release\nthat is new enough for this file.",
}
IOS_NOTES = {
    True: "Releases from 2.14 run this file.",
    False: "Its releases up to 2.17 are too old for this file: take a build of TensorFlow 2.19 or "
    "later, or\nexport the model in recipe `float32` or `int16x8`.",
}
SEQUENCE_NOTE = (
    "`sequence` runs a whole sequence from the initial states, with one row per time step. It\n"
    "does not change the states of `step`."
)


def source_files(file: DeviceFile) -> dict[str, str]:
    """Return LiquidModel.kt, LiquidModel.swift and README.md: text by file name.

    TensorFlowLiteSwift has no 8-bit integers with a sign, so int8 files have no Swift class.
    """
    comments = {
        "model": comment(file.model),
        "recipe": comment(file.recipe),
        **{f"{kind}_sizes": _sizes(file.tensors(kind)) for kind in ("input", "output", "state")},
    }
    texts = {
        "LiquidModel.kt": kotlin_class(file, comments),
        "LiquidModel.swift": swift_class(file, comments),
        "README.md": _readme(file, comments),
    }
    if file.dtype not in SWIFT_DTYPES:
        del texts["LiquidModel.swift"]
    return texts


def runtime_note(runtime: MinimumRuntime) -> str:
    """Return the earliest runtime of a file and the reason, as wrapped lines of Markdown."""
    text = f"**Runtime.** {runtime.name} or later, with or without XNNPACK. {runtime.reason}"
    return textwrap.fill(text, 100)


def _sizes(tensors):
    return ", ".join(f"{comment(tensor.name)} ({tensor.size})" for tensor in tensors) or "none"


def _readme(file, comments):
    inputs, output = file.tensors("input"), file.tensors("output")[0]
    variables = [f"values{index or ''}" for index in range(len(inputs))]
    named = list(zip(inputs, variables, strict=True))
    is_early = file.runtime.name.startswith("TensorFlow Lite")
    ios = "phone_ios.md.in" if file.dtype in SWIFT_DTYPES else "phone_ios_int8.md.in"
    return fill(
        "phone.md.in",
        **comments,
        file_bytes=f"{len(file.content):,}",
        dtype=file.dtype,
        window_note=file.window_note,
        adaptation=adaptation_note(file, is_cpp=False),
        sequence_note=SEQUENCE_NOTE if file.has_sequence else "",
        kotlin_inputs=", ".join(f"{kotlin_string(t.name)} to {name}" for t, name in named),
        kotlin_output=kotlin_string(output.name),
        runtime_note=runtime_note(file.runtime),
        android_note=ANDROID_NOTES[is_early],
        ios=fill(
            ios,
            ios_note=IOS_NOTES[is_early],
            swift_inputs=", ".join(f"{swift_string(t.name)}: {name}" for t, name in named),
            swift_output=swift_string(output.name),
        ),
    )
