"""recording.h: recorded steps, and the accepted difference of a device's outputs."""

import numpy as np

from export.source.device_file import DeviceFile
from export.source.literals import comment, comment_lines, float_literal, lines, number_literal
from export.source.templates import fill
from export.tflite_file import flatbuffer

UNITS = {
    "int8": "quantization steps of the outputs",
    "int16": "quantization steps of the outputs",
    "float32": "millionths of the output's largest value",
}
# For kernels that round differently; differences accumulate in the states.
TOLERANCES = {"int8": 8, "int16": 64, "float32": 100}


def recording_header(file: DeviceFile) -> str:
    """Return the text of recording.h."""
    recording = file.require_recording()
    inputs = _rows(recording.inputs, file.tensors("input"))
    outputs = _rows(recording.outputs, file.tensors("output"))
    return fill(
        "recording.h.in",
        steps=len(inputs),
        runtime=comment(recording.runtime),
        unit=UNITS[file.dtype],
        why=comment_lines(tolerance_note(file)),
        tolerance=tolerance(file),
        output_count=len(file.tensors("output")),
        units=f"{{{', '.join(float_literal(unit) for unit in _units(file))}}}",
        inputs=_table(inputs, file.dtype),
        outputs=_table(outputs, file.dtype),
    )


def tolerance(file: DeviceFile) -> int:
    """Return the largest accepted difference, in `UNITS`."""
    exact = file.require_recording().is_exact and not _computes_in_floats(file)
    return 0 if exact else TOLERANCES[file.dtype]


def tolerance_note(file: DeviceFile) -> str:
    """Return the reason for that tolerance, in one sentence."""
    recording = file.require_recording()
    if _computes_in_floats(file):
        return "Float operations may run in another order."
    if recording.is_exact:
        return (
            "The reference kernels return the same integers; others, for example CMSIS-NN, may "
            f"round differently and need {TOLERANCES[file.dtype]}."
        )
    return f"{recording.runtime} rounds differently than TensorFlow Lite Micro."


def _computes_in_floats(file):
    return any(dtype == "float32" for _, dtype in flatbuffer.read_operations(file.content))


def _rows(named, tensors):
    return np.concatenate([named[tensor.name] for tensor in tensors], axis=1)


def _table(rows, dtype):
    return "\n".join(
        f"    {{\n{lines([number_literal(n, dtype) for n in row], 12, ' ' * 8)}\n    }},"
        for row in rows
    )


def _units(file):
    if file.dtype != "float32":
        return [1.0 for _ in file.tensors("output")]
    outputs = file.require_recording().outputs
    largest = [np.abs(outputs[t.name]).max() for t in file.tensors("output")]
    return [1e-6 * (float(value) or 1.0) for value in largest]
