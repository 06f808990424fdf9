"""lnn_model.h: the scales and states of a file, and a class that runs it step after step."""

import numpy as np

from export.source.device_file import DeviceFile
from export.source.identifiers import identifiers
from export.source.literals import comment, comment_lines, floating, lines, number
from export.source.templates import fill

NUMBERS = {"int8": "std::int8_t", "int16": "std::int16_t", "float32": "float"}


def model_header(file: DeviceFile) -> str:
    """Return the text of lnn_model.h."""
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


def arena_bytes(file: DeviceFile) -> int:
    """Return the working memory that a file is given."""
    if file.arena_bytes is None:
        return 10 * len(file.content) + 65536
    # Half as much again as is in use in the end, in whole units of alignment.
    return -(-file.arena_bytes * 3 // 2 // 16) * 16


def arena_note(file: DeviceFile) -> str:
    """Return what that memory is for, in a sentence or two."""
    if file.arena_bytes is None:
        return "The arena was not measured; this is more than enough."
    return (
        f"In use with 8-byte pointers: {file.arena_bytes}; a 32-bit device needs about half. "
        "Half as much again is for placing the tensors."
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


def _arena_macro(file):
    return (
        f"// Bytes of working memory.\n{comment_lines(arena_note(file))}\n"
        f"#ifndef LNN_ARENA_BYTES\n#define LNN_ARENA_BYTES {arena_bytes(file)}\n#endif"
    )
