"""Kotlin and Swift source of a file for LiteRT on Android and iOS."""

import json

from export.source.device_file import DeviceFile
from export.source.literals import comment, lines
from export.source.templates import fill

# How each language holds the numbers, reads and writes them.
KOTLIN = {
    "int8": {"bytes": 1, "put": "put(number.toByte())", "get": "get().toFloat()"},
    "int16": {"bytes": 2, "put": "putShort(number.toShort())", "get": "getShort().toFloat()"},
    "float32": {"bytes": 4, "put": "putFloat(number)", "get": "getFloat()"},
}
SWIFT_NUMBERS = {"int8": "Int8", "int16": "Int16", "float32": "Float"}


def source_files(file: DeviceFile) -> dict[str, str]:
    """Return name -> text of LiquidModel.kt, LiquidModel.swift and README.md."""
    tables = {"model": comment(file.model), "recipe": comment(file.recipe)}
    quantized = "float" if file.dtype == "float32" else "integer"
    kotlin = {
        **tables,
        **KOTLIN[file.dtype],
        **_tables(file, _kotlin_string, "floatArrayOf({})", "Tensor({})", "State({})"),
        "quantize": _part(f"quantize_{quantized}.kt.in"),
        "sequence": _part("sequence.kt.in") if file.has_sequence else "",
    }
    swift = {
        **tables,
        "number": SWIFT_NUMBERS[file.dtype],
        **_tables(
            file,
            _swift_string,
            "[{}]",
            "Tensor(name: {}, size: {}, zeroPoint: {}, scale: {}, offset: {})",
            "State(name: {}, initial: {})",
        ),
        "quantize": _part(f"quantize_{quantized}.swift.in"),
        "sequence": _part("sequence.swift.in") if file.has_sequence else "",
        "sequence_runner": "",
    }
    return {
        "LiquidModel.kt": fill("LiquidModel.kt.in", **kotlin),
        "LiquidModel.swift": fill("LiquidModel.swift.in", **swift),
        "README.md": _readme(file),
    }
