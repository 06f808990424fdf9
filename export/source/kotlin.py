"""LiquidModel.kt: a class that runs a file on Android."""

import json

from export.forms.step import NEXT
from export.source.device_file import DeviceFile
from export.source.literals import floating, lines
from export.source.templates import fill

_ROUNDED = "(Math.rint(number.toDouble()).toFloat() + zeroPoint)"
# How a number, handed about as a Float, is held in a ByteBuffer.
NUMBERS = {
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


def kotlin_class(file: DeviceFile, described: dict[str, str]) -> str:
    """Return the text of LiquidModel.kt.

    Args:
        file: The .tflite file and what is known of it.
        described: Texts for comments.
    """
    return fill(
        "LiquidModel.kt.in",
        **described,
        **NUMBERS[file.dtype],
        next=NEXT,
        sequence=fill("sequence.kt.in") if file.has_sequence else "",
        inputs="\n".join(map(_layout, file.tensors("input"))),
        outputs="\n".join(map(_layout, file.tensors("output"))),
        states="\n".join(map(_state, file.tensors("state"))),
    )


def kotlin_string(text: str) -> str:
    """A string literal."""
    # In Kotlin a dollar sign begins a value to fill in.
    return json.dumps(text, ensure_ascii=False).replace("$", r"\$")


def _layout(tensor):
    return _call(
        "Layout",
        kotlin_string(tensor.name),
        floating(tensor.zero_point),
        _floats(tensor.scale),
        _floats(tensor.offset),
    )


def _state(tensor):
    return _call("State", kotlin_string(tensor.name), _floats(tensor.initial))


def _call(name, *arguments):
    listed = "".join(f"{INDENT}{argument},\n" for argument in arguments)
    return f"{INDENT[4:]}{name}(\n{listed}{INDENT[4:]}),"


def _floats(values):
    items = lines(map(floating, values), per_line=6, indent=INDENT + " " * 4)
    return f"floatArrayOf(\n{items}\n{INDENT})"
