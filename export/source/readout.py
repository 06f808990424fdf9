"""Source of a second file next to model.tflite: the readout that learns, with names of its own."""

import re
from collections.abc import Mapping

from export.source.adaptation_note import adaptation_note
from export.source.device_file import DeviceFile
from export.source.files import source_files
from export.source.identifiers import identifiers
from export.source.kotlin import kotlin_string
from export.source.templates import fill

# Replaced in the sources of a single file, so that both files fit in one program.
_RENAMED = {
    "micro": (
        (r'"(model|recording)\.h"', r'"readout_\1.h"'),
        (r"\blnn(?=_|\b)", "lnn_readout"),
        (r"\bLNN_", "LNN_READOUT_"),
    ),
    "phone": ((r"\bLiquidModel\b", "LiquidReadout"), (r"\bmodel\.tflite\b", "readout.tflite")),
}
_FILE_NAMES = {
    "micro": ((r"^lnn_", "lnn_readout_"), (r"^(?=[mr])", "readout_")),
    "phone": ((r"^LiquidModel", "LiquidReadout"),),
}


def readout_files(target: str, file: DeviceFile, sources: Mapping[str, str]) -> dict[str, str]:
    """Return the source files of the readout: text by file name.

    README.md and CMakeLists.txt are what is appended to those of model.tflite.

    Args:
        target: "micro" or "phone".
        file: The file of the readout.
        sources: By name of an input, the name of the input or output of model.tflite that it takes.
    """
    texts = source_files(target, file)
    appended = {"README.md": _note(target, file, sources)}
    if target == "micro":
        appended["CMakeLists.txt"] = fill("readout_cmake.txt.in")
    renamed = {
        _replaced(name, _FILE_NAMES[target]): _replaced(text, _RENAMED[target])
        for name, text in texts.items()
        if name not in ("README.md", "CMakeLists.txt")
    }
    return renamed | appended


def _replaced(text, pairs):
    for pattern, replacement in pairs:
        text = re.sub(pattern, replacement, text)
    return text


def _note(target, file, sources):
    inputs = [tensor.name for tensor in file.tensors("input")]
    output = file.tensors("output")[0]
    names, variables = identifiers(inputs), identifiers(sources.values())
    if target == "phone":
        given = ", ".join(f"{kotlin_string(n)} to {variables[sources[n]]}" for n in inputs)
        loop = (
            f"val corrected = readout.step(mapOf({given})).getValue({kotlin_string(output.name)})"
        )
    else:
        conversions = " ||\n    ".join(
            f"lnn_readout::Quantize(lnn_readout::input::{names[n]}, {variables[sources[n]]}, "
            "numbers) != lnn_readout::Status::kOk"
            for n in inputs
        )
        target_size = next(t.size for t in file.tensors("input") if t.may_be_missing)
        loop = (
            f"float target[{target_size}];              // NaN where it is unknown\n"
            f"if ({conversions}) continue;\n"
            "if (readout.Step(numbers, corrected) != lnn_readout::Status::kOk) break;"
        )
    return fill(
        f"readout_{target}.md.in",
        adaptation=adaptation_note(file, is_cpp=target == "micro"),
        file_bytes=f"{len(file.content):,}",
        loop=loop,
    )
