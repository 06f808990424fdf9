"""LiquidModel.kt: a class that runs a file on Android."""

import json
from collections.abc import Iterable, Mapping

from export.source.device_file import DeviceFile
from export.source.literals import float_literal, lines
from export.source.phone_class import phone_class
from export.tflite_file.layout import TensorLayout

_ROUNDED = "(Math.rint(number.toDouble()).toFloat() + zeroPoint)"
# Conversions between a Float and an element of a ByteBuffer, by dtype.
KOTLIN_TYPES = {
    "int8": {
        "bytes": 1,
        "put": "put(number.toInt().toByte())",
        "get": "get().toFloat()",
        "quantized": f"{_ROUNDED}.coerceIn(-128f, 127f)",
    },
    "int16": {
        "bytes": 2,
        "put": "putShort(number.toInt().toShort())",
        "get": "getShort().toFloat()",
        "quantized": f"{_ROUNDED}.coerceIn(-32768f, 32767f)",
    },
    "float32": {
        "bytes": 4,
        "put": "putFloat(number)",
        "get": "getFloat()",
        "quantized": "number",
    },
}
INDENT = " " * 16


def kotlin_class(file: DeviceFile, comments: Mapping[str, str]) -> str:
    """Return the text of LiquidModel.kt.

    Args:
        file: The .tflite file and its facts.
        comments: Texts of comments, by name in the template.
    """
    return phone_class("kt", file, {**comments, **KOTLIN_TYPES[file.dtype]}, _layout, _state)


def kotlin_string(text: str) -> str:
    """Return a string literal."""
    # In Kotlin a dollar sign starts a string template.
    return json.dumps(text, ensure_ascii=False).replace("$", r"\$")


def _layout(tensor: TensorLayout) -> str:
    return _call(
        "Layout",
        kotlin_string(tensor.name),
        float_literal(tensor.zero_point),
        _float_array(tensor.scale),
        _float_array(tensor.offset),
        str(tensor.may_be_missing).lower(),
    )


def _state(tensor: TensorLayout) -> str:
    return _call(
        "State",
        kotlin_string(tensor.name),
        _float_array(tensor.initial),
        str(tensor.is_learned).lower(),
    )


def _call(name: str, *arguments: str) -> str:
    listed = "".join(f"{INDENT}{argument},\n" for argument in arguments)
    return f"{INDENT[4:]}{name}(\n{listed}{INDENT[4:]}),"


def _float_array(values: Iterable[float]) -> str:
    items = lines(map(float_literal, values), per_line=6, indent=INDENT + " " * 4)
    return f"floatArrayOf(\n{items}\n{INDENT})"
