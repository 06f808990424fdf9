"""LiquidModel.swift: a class that runs a file on iOS."""

import json

from export.forms.step import NEXT
from export.source.device_file import DeviceFile
from export.source.literals import floating, lines
from export.source.templates import fill

NUMBERS = {"int8": "Int8", "int16": "Int16", "float32": "Float"}
_QUANTIZED = {
    "float": "return number",
    "integer": """\
let rounded = number.rounded(.toNearestOrEven) + zeroPoint
      return Number(min(max(rounded, Float(Number.min)), Float(Number.max)))""",
}
INDENT = " " * 6


def swift_class(file: DeviceFile, described: dict[str, str]) -> str:
    """Return the text of LiquidModel.swift.

    Args:
        file: The .tflite file and what is known of it.
        described: Texts for comments.
    """
    return fill(
        "LiquidModel.swift.in",
        **described,
        number=NUMBERS[file.dtype],
        quantized=_QUANTIZED["float" if file.dtype == "float32" else "integer"],
        next=NEXT,
        sequence=fill("sequence.swift.in") if file.has_sequence else "",
        inputs="\n".join(map(_layout, file.tensors("input"))),
        outputs="\n".join(map(_layout, file.tensors("output"))),
        states="\n".join(map(_state, file.tensors("state"))),
    )


def swift_string(text: str) -> str:
    """A string literal."""
    return json.dumps(text, ensure_ascii=False)


def _layout(tensor):
    return (
        f"{INDENT[2:]}Layout(\n"
        f"{INDENT}name: {swift_string(tensor.name)},\n"
        f"{INDENT}zeroPoint: {tensor.zero_point},\n"
        f"{INDENT}scale: {_array(tensor.scale)},\n"
        f"{INDENT}offset: {_array(tensor.offset)}),"
    )


def _state(tensor):
    # Whole numbers are literals of every type of number.
    return (
        f"{INDENT[2:]}State(\n"
        f"{INDENT}name: {swift_string(tensor.name)},\n"
        f"{INDENT}initial: {_array(tensor.initial)}),"
    )


def _array(values):
    items = lines((_literal(value) for value in values), per_line=6, indent=INDENT + "  ")
    return f"[\n{items}\n{INDENT}]"


def _literal(value):
    return str(value) if isinstance(value, int) else floating(value).removesuffix("f")
