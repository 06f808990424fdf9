"""C++ source of a file for TensorFlow Lite Micro."""

import numpy as np

from export import flatbuffer
from export.source.device_file import DeviceFile
from export.source.identifiers import identifiers
from export.source.literals import comment, comment_lines, floating, lines, number
from export.source.resolver import op_resolver_header
from export.source.templates import fill

NUMBERS = {"int8": "std::int8_t", "int16": "std::int16_t", "float32": "float"}
UNITS = {
    "int8": "units of the outputs",
    "int16": "units of the outputs",
    "float32": "millionths of the output's largest value",
}
# Between two sets of kernels that both round; differences compound through the states.
TOLERANCES = {"int8": 8, "int16": 64, "float32": 100}


def source_files(file: DeviceFile) -> dict[str, str]:
    """Return name -> text of the C++ files, their CMakeLists.txt and README.md.

    Raises:
        ValueError: The file has no recording, or an operation that TensorFlow Lite
            Micro has no method to register.
    """
    if file.recording is None:
        raise ValueError("Target 'micro' needs a recording of the file; received None.")
    operations = {name for name, _ in flatbuffer.read_operations(file.content)}
    model = comment(file.model)
    data = lines([f"0x{byte:02x}" for byte in file.content], per_line=12)
    return {
        "model.h": fill("model.h.in", model=model),
        "model_data.cc": fill("model_data.cc.in", bytes=data, size=len(file.content)),
        "lnn_op_resolver.h": op_resolver_header(operations),
        "lnn_model.h": _model_header(file),
        "recording.h": _recording_header(file),
        "main.cc": fill("main.cc.in", model=model, unit=UNITS[file.dtype]),
        "CMakeLists.txt": fill("CMakeLists.txt.in", model=model),
        "README.md": _readme(file, len(operations)),
    }


def _model_header(file):
    inputs, outputs, states = (file.tensors(kind) for kind in ("input", "output", "state"))
    arrays = [
        _array(f"{kind}_{field}_{index}", "float", map(floating, getattr(tensor, field)))
        for kind, tensors in (("input", inputs), ("output", outputs))
        for index, tensor in enumerate(tensors)
        for field in ("scale", "offset")
    ]
    arrays += [
        _array(f"state_{index}", "Number", (number(n, file.dtype) for n in state.initial))
        for index, state in enumerate(states)
    ]
    return fill(
        "lnn_model.h.in",
        model=comment(file.model),
        recipe=comment(file.recipe),
        arena=_arena_macro(file),
        number=NUMBERS[file.dtype],
        arrays="\n".join(arrays),
        inputs=_tensors(inputs, "input"),
        outputs=_tensors(outputs, "output"),
        states=_states(states),
        **_counts_and_lists(input=inputs, output=outputs, state=states),
    )


def _counts_and_lists(**kinds):
    """`input_count`, `input_list`, `input_numbers`, and the same of outputs and states."""
    texts = {}
    for kind, tensors in kinds.items():
        names = identifiers(tensor.name for tensor in tensors).values()
        texts[f"{kind}_count"] = len(tensors)
        texts[f"{kind}_numbers"] = sum(tensor.size for tensor in tensors)
        # One pair of braces for the std::array, one for the array within it.
        listed = ", ".join(f"{kind}::{name}" for name in names)
        texts[f"{kind}_list"] = f"{{{listed}}}" if listed else ""
    return texts


def _array(name, kind, items):
    items = list(items)
    per_line = 6 if kind == "float" else 12
    return f"inline constexpr {kind} {name}[{len(items)}] = {{\n{lines(items, per_line)}\n}};"


def _tensors(tensors, kind):
    names = identifiers(tensor.name for tensor in tensors)
    starts = np.cumsum([0, *(tensor.size for tensor in tensors)])
    return "\n".join(
        f"// {comment(tensor.name)}\n"
        f"inline constexpr Tensor {names[tensor.name]} = {{{getattr(tensor, kind)}, {start}, "
        f"{tensor.size}, {tensor.zero_point},\n"
        f"    internal::{kind}_scale_{index}, internal::{kind}_offset_{index}}};"
        for index, (tensor, start) in enumerate(zip(tensors, starts, strict=False))
    )


def _states(states):
    names = identifiers(state.name for state in states)
    return "\n".join(
        f"// {comment(state.name)}: a unit is {floating(state.scale[0])}, "
        f"the number {state.zero_point} is 0\n"
        f"inline constexpr State {names[state.name]} = {{{state.input}, {state.output}, "
        f"{state.size}, internal::state_{index}}};"
        for index, state in enumerate(states)
    )


def _arena_bytes(file):
    """Half as much again as is in use in the end: placing the tensors takes memory for a while."""
    if file.arena_bytes is None:
        return 10 * len(file.content) + 65536
    return -(-file.arena_bytes * 3 // 2 // 16) * 16


def _arena_note(file):
    if file.arena_bytes is None:
        return "The arena was not measured; this is more than enough."
    return (
        f"In use with 8-byte pointers: {file.arena_bytes}; a 32-bit device needs about half. "
        "Half as much again is for placing the tensors."
    )


def _arena_macro(file):
    return (
        f"// Bytes of working memory.\n{comment_lines(_arena_note(file))}\n"
        f"#ifndef LNN_ARENA_BYTES\n#define LNN_ARENA_BYTES {_arena_bytes(file)}\n#endif"
    )


def _recording_header(file):
    recording = file.recording
    inputs = _rows(recording.inputs, file.tensors("input"))
    outputs = _rows(recording.outputs, file.tensors("output"))
    return fill(
        "recording.h.in",
        steps=len(inputs),
        runtime=comment(recording.runtime),
        unit=UNITS[file.dtype],
        why=comment_lines(_tolerance_note(file)),
        tolerance=_tolerance(file),
        output_count=len(file.tensors("output")),
        units=f"{{{', '.join(floating(unit) for unit in _units(file))}}}",
        inputs=_table(inputs, file.dtype),
        outputs=_table(outputs, file.dtype),
    )


def _rows(named, tensors):
    return np.concatenate([named[tensor.name] for tensor in tensors], axis=1)


def _table(rows, dtype):
    return "\n".join(
        f"    {{\n{lines([number(n, dtype) for n in row], 12, ' ' * 8)}\n    }}," for row in rows
    )


def _units(file):
    if file.dtype != "float32":
        return [1.0 for _ in file.tensors("output")]
    largest = [np.abs(file.recording.outputs[t.name]).max() for t in file.tensors("output")]
    return [1e-6 * (float(value) or 1.0) for value in largest]


def _tolerance(file):
    exact = file.recording.is_exact and file.dtype != "float32"
    return 0 if exact else TOLERANCES[file.dtype]


def _tolerance_note(file):
    if file.dtype == "float32":
        return "Floats may be rounded in another order."
    if file.recording.is_exact:
        return (
            "The reference kernels give the same integers; others, such as CMSIS-NN, may round "
            f"differently: allow them {TOLERANCES[file.dtype]}."
        )
    return f"{file.recording.runtime} rounds differently than TensorFlow Lite Micro."


def _readme(file, operation_count):
    loop = [
        *(
            f"  lnn::Quantize(lnn::input::{name}, {name}, inputs);   // float {name}[{size}]"
            for name, size in _names_and_sizes(file, "input")
        ),
        "  if (!model.Step(inputs, outputs)) break;",
        *(
            f"  lnn::Dequantize(lnn::output::{name}, outputs, {name});   // float {name}[{size}]"
            for name, size in _names_and_sizes(file, "output")
        ),
    ]
    states = sum(tensor.size for tensor in file.tensors("state"))
    return fill(
        "micro.md.in",
        model=comment(file.model),
        recipe=comment(file.recipe),
        number=NUMBERS[file.dtype].removeprefix("std::"),
        file_bytes=f"{len(file.content):,}",
        operation_count=operation_count,
        steps=len(next(iter(file.recording.inputs.values()))),
        runtime=file.recording.runtime,
        state_bytes=f"{states * np.dtype(file.dtype).itemsize:,}",
        arena=f"`LNN_ARENA_BYTES` is {_arena_bytes(file)}. {_arena_note(file)}",
        tolerance=(
            f"Allowed is a difference of {_tolerance(file)} {UNITS[file.dtype]}. "
            + _tolerance_note(file)
        ),
        loop="\n".join(loop),
    )


def _names_and_sizes(file, kind):
    tensors = file.tensors(kind)
    names = identifiers(tensor.name for tensor in tensors)
    return [(names[tensor.name], tensor.size) for tensor in tensors]
