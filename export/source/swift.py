"""LiquidModel.swift: a class that runs a file on iOS."""

import json
from collections.abc import Iterable, Mapping

from export.source.device_file import DeviceFile
from export.source.literals import float_literal, lines
from export.source.phone_class import phone_class
from export.tflite_file.layout import TensorLayout

SWIFT_TYPES = {"int8": "Int8", "int16": "Int16", "float32": "Float"}
_QUANTIZED = {
    "float": "return number",
    "integer": """\
let rounded = number.rounded(.toNearestOrEven) + zeroPoint
      return Number(min(max(rounded, Float(Number.min)), Float(Number.max)))""",
}
INDENT = " " * 6


def swift_class(file: DeviceFile, comments: Mapping[str, str]) -> str:
    """Return the text of LiquidModel.swift.

    Args:
        file: The .tflite file and its facts.
        comments: Texts of comments, by name in the template.
    """
    texts = {
        **comments,
        "number": SWIFT_TYPES[file.dtype],
        "quantized": _QUANTIZED["float" if file.dtype == "float32" else "integer"],
    }
    return phone_class("swift", file, texts, _layout, _state)


def swift_string(text: str) -> str:
    """Return a string literal."""
    return json.dumps(text, ensure_ascii=False)


def _layout(tensor: TensorLayout) -> str:
    return (
        f"{INDENT[2:]}Layout(\n"
        f"{INDENT}name: {swift_string(tensor.name)},\n"
        f"{INDENT}zeroPoint: {tensor.zero_point},\n"
        f"{INDENT}scale: {_array(tensor.scale)},\n"
        f"{INDENT}offset: {_array(tensor.offset)},\n"
        f"{INDENT}mayBeMissing: {str(tensor.may_be_missing).lower()}),"
    )


def _state(tensor: TensorLayout) -> str:
    return (
        f"{INDENT[2:]}State(\n"
        f"{INDENT}name: {swift_string(tensor.name)},\n"
        f"{INDENT}initial: {_array(tensor.initial)},\n"
        f"{INDENT}isLearned: {str(tensor.is_learned).lower()}),"
    )


def _array(values: Iterable[float]) -> str:
    items = lines(map(_literal, values), per_line=6, indent=INDENT + "  ")
    return f"[\n{items}\n{INDENT}]"


def _literal(value: float) -> str:
    # In Swift an integer literal fits every numeric type, a float literal only Float.
    return str(value) if isinstance(value, int) else float_literal(value).removesuffix("f")
