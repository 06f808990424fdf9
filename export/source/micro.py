"""C++ source of a file for TensorFlow Lite Micro."""

import numpy as np

from export.source.adaptation_note import adaptation_note
from export.source.device_file import DeviceFile
from export.source.identifiers import identifiers
from export.source.literals import comment, lines
from export.source.model_header import CPP_TYPES, arena_bytes, arena_note, model_header
from export.source.recording_header import UNITS, recording_header, tolerance, tolerance_note
from export.source.resolver import op_resolver_header
from export.source.templates import fill
from export.tflite_file import flatbuffer

# Commit of github.com/tensorflow/tflite-micro that the wheel of pyproject.toml was built from.
TESTED_COMMIT = "8f6596d"


def source_files(file: DeviceFile) -> dict[str, str]:
    """Return the C++ files, their CMakeLists.txt and README.md: text by file name.

    Raises:
        ValueError: The file has no recording, or an operation that TensorFlow Lite Micro
            cannot register.
    """
    file.require_recording()
    operations = {name for name, _ in flatbuffer.read_operations(file.content)}
    model = comment(file.model)
    data = lines([f"0x{byte:02x}" for byte in file.content], per_line=12)
    return {
        "model.h": fill("model.h.in", model=model),
        "model_data.cc": fill("model_data.cc.in", bytes=data, size=len(file.content)),
        "lnn_op_resolver.h": op_resolver_header(operations),
        "lnn_model.h": model_header(file),
        "recording.h": recording_header(file),
        "main.cc": fill("main.cc.in", model=model, unit=UNITS[file.dtype]),
        "CMakeLists.txt": fill("CMakeLists.txt.in", model=model),
        "README.md": _readme(file, len(operations)),
    }


def _speed_note(file):
    # Instructions per step were counted on an emulated Cortex-M4, with the reference kernels.
    if file.dtype == "float32":
        return ""
    return (
        "\nOn a processor with a floating-point unit, such as a Cortex-M4F, recipe `float32` is "
        "faster than\n`int8` under TensorFlow Lite Micro, in each of six measured models. Choose "
        "integers for their size,\nor for a processor without such a unit.\n"
    )


def _readme(file, operation_count):
    conversions = " ||\n      ".join(
        f"lnn::Quantize(lnn::input::{name}, {name}, inputs) != lnn::Status::kOk"
        for name, _ in _names_and_sizes(file, "input")
    )
    loop = [
        *_declarations(file, "input"),
        f"  if ({conversions}) {{",
        "    continue;                         // a sensor is broken: report it",
        "  }",
        "  if (model.Step(inputs, outputs) != lnn::Status::kOk) break;",
        *_declarations(file, "output"),
        *(
            f"  lnn::Dequantize(lnn::output::{name}, outputs, {name});"
            for name, _ in _names_and_sizes(file, "output")
        ),
    ]
    states = sum(tensor.size for tensor in file.tensors("state"))
    recording = file.require_recording()
    return fill(
        "micro.md.in",
        model=comment(file.model),
        recipe=comment(file.recipe),
        number=CPP_TYPES[file.dtype].removeprefix("std::"),
        file_bytes=f"{len(file.content):,}",
        operation_count=operation_count,
        steps=len(next(iter(recording.inputs.values()))),
        runtime=recording.runtime,
        state_bytes=f"{states * np.dtype(file.dtype).itemsize:,}",
        arena=f"`LNN_ARENA_BYTES` is {arena_bytes(file)}. {arena_note(file)}",
        tolerance=(
            f"The accepted difference is {tolerance(file)} {UNITS[file.dtype]}. "
            + tolerance_note(file)
        ),
        speed=_speed_note(file),
        commit=TESTED_COMMIT,
        loop="\n".join(loop),
        adaptation=adaptation_note(file, is_cpp=True),
        saved_bytes=f"{20 + states * np.dtype(file.dtype).itemsize:,}",
        window_note=file.window_note,
    )


def _declarations(file, kind):
    """Declarations of the real values of all inputs or outputs."""
    return [f"  float {name}[{size}];" for name, size in _names_and_sizes(file, kind)]


def _names_and_sizes(file, kind):
    tensors = file.tensors(kind)
    names = identifiers(tensor.name for tensor in tensors)
    return [(names[tensor.name], tensor.size) for tensor in tensors]
