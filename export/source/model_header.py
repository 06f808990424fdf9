"""lnn_model.h: scales and initial states of a file, and a class that runs it step by step."""

from collections.abc import Iterable

import numpy as np

from export.forms.adaptive_readout import MISSING
from export.source.device_file import DeviceFile
from export.source.identifiers import identifiers
from export.source.literals import comment, comment_lines, float_literal, lines, number_literal
from export.source.templates import fill
from export.tflite_file import arena

CPP_TYPES = {"int8": "std::int8_t", "int16": "std::int16_t", "float32": "float"}


def model_header(file: DeviceFile) -> str:
    """Return the text of lnn_model.h."""
    inputs, outputs, states = (file.tensors(kind) for kind in ("input", "output", "state"))
    arrays = [
        _array(f"{kind}_{field}_{index}", "float", map(float_literal, getattr(tensor, field)))
        for kind, tensors in (("input", inputs), ("output", outputs))
        for index, tensor in enumerate(tensors)
        for field in ("scale", "offset")
    ]
    arrays += [
        _array(f"state_{index}", "Number", (number_literal(n, file.dtype) for n in state.initial))
        for index, state in enumerate(states)
    ]
    return fill(
        "lnn_model.h.in",
        model=comment(file.model),
        recipe=comment(file.recipe),
        arena=_arena_macro(file),
        number=CPP_TYPES[file.dtype],
        arrays="\n".join(arrays),
        inputs=_tensors(inputs, "input"),
        outputs=_tensors(outputs, "output"),
        states=_states(states),
        saved_state=fill("saved_state.h.in", digest=f"0x{file.digest:016x}"),
        missing=float_literal(MISSING),
        **_counts_and_lists(input=inputs, output=outputs, state=states),
    )


def arena_bytes(file: DeviceFile) -> int:
    """Return the arena size that the generated code reserves."""
    used = file.require_recording().arena_bytes
    return (
        arena.bytes_of_unknown_file(len(file.content))
        if used is None
        else (arena.bytes_to_reserve(used))
    )


def arena_note(file: DeviceFile) -> str:
    """Return the reason for that size, and a smaller one for devices, in a few sentences."""
    used = file.require_recording().arena_bytes
    if used is None:
        return "The arena was not measured; this is more than enough."
    return (
        f"On a 32-bit device {arena.bytes_to_reserve_on_32_bits(used)} are enough. Of "
        f"{arena_bytes(file)}, {arena.rounded_use(used)} stay in use on a host with 8-byte "
        "pointers, of which a 32-bit device uses 56 to 73 %; allocation needs 1.2 to 1.7 times "
        "the bytes that stay in use."
    )


def _counts_and_lists(**kinds):
    """`input_count`, `input_list`, `input_numbers`, and the same for outputs and states."""
    texts = {}
    for kind, tensors in kinds.items():
        names = identifiers(tensor.name for tensor in tensors).values()
        texts[f"{kind}_count"] = len(tensors)
        texts[f"{kind}_numbers"] = sum(tensor.size for tensor in tensors)
        # The template has the braces of std::array; these are those of its inner array.
        listed = ", ".join(f"{kind}::{name}" for name in names)
        texts[f"{kind}_list"] = f"{{{listed}}}" if listed else ""
    return texts


def _array(name: str, kind: str, items: Iterable[str]) -> str:
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
        f"    internal::{kind}_scale_{index}, internal::{kind}_offset_{index}, "
        f"{str(tensor.may_be_missing).lower()}}};"
        for index, (tensor, start) in enumerate(zip(tensors, starts, strict=False))
    )


def _states(states):
    names = identifiers(state.name for state in states)
    return "\n".join(
        f"// {comment(state.name)}: scale {float_literal(state.scale[0])}, "
        f"zero point {state.zero_point}\n"
        f"inline constexpr State {names[state.name]} = {{{state.input}, {state.output}, "
        f"{state.size}, internal::state_{index}, {str(state.is_learned).lower()}}};"
        for index, state in enumerate(states)
    )


def _arena_macro(file):
    return (
        f"// Size of the tensor arena in bytes.\n{comment_lines(arena_note(file))}\n"
        f"#ifndef LNN_ARENA_BYTES\n#define LNN_ARENA_BYTES {arena_bytes(file)}\n#endif"
    )
