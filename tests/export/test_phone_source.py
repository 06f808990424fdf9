"""Kotlin and Swift sources hold every name and value of the file, and their syntax is complete."""

import json
import re
import shutil
import subprocess

import pytest

from export.source import DeviceFile, source_files
from export.tflite_file.layout import TensorLayout

SIZES = {"int8": (1, "Int8"), "int16": (2, "Int16"), "float32": (4, "Float")}
AWKWARD = 'di\\r "$x'


def phone_file(dtype, has_sequence=True):
    zero_point = -7 if dtype == "int8" else 0
    initial = (0.625, -2.5) if dtype == "float32" else (41, -42)

    def tensor(name, kind, input, output, scale, initial=()):
        offset = (3.5,) * len(scale)
        size = len(scale)
        return TensorLayout(
            name, kind, input, output, size, dtype, zero_point, scale, offset, initial
        )

    layout = (
        tensor("sensors", "input", 0, None, (0.125, 1e-9, -2.0)),
        tensor(AWKWARD, "input", 2, None, (0.75,)),
        tensor("steering", "output", None, 0, (0.0625, 640.0)),
        tensor("liquid_state_0", "state", 1, 1, (1.0, 1.0), initial),
    )
    return DeviceFile(b"x" * 1234, layout, "car /* 1", "mine", has_sequence=has_sequence)


def without_strings_and_comments(text):
    text = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("dtype", SIZES)
@pytest.mark.parametrize("name", ["LiquidModel.kt", "LiquidModel.swift"])
def test_brackets_balance_and_no_placeholder_is_left(dtype, name):
    text = source_files("phone", phone_file(dtype))[name]
    assert "@{" not in text
    open_brackets = []
    for character in without_strings_and_comments(text):
        if character in "([{":
            open_brackets.append(character)
        elif character in ")]}":
            assert open_brackets.pop() + character in ("()", "[]", "{}")
    assert open_brackets == []
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("dtype", SIZES)
def test_both_classes_hold_the_names_and_values_of_the_file(dtype):
    files = source_files("phone", phone_file(dtype))
    kotlin, swift = files["LiquidModel.kt"], files["LiquidModel.swift"]
    for text in (kotlin, swift):
        for name in ("sensors", "steering", "liquid_state_0", "next_", "step", "sequence"):
            assert f'"{name}"' in text
        for value in ("0.125", "1e-09", "-2.0", "0.75", "0.0625", "640.0", "3.5"):
            assert re.search(rf"[ (]{re.escape(value)}f?,", text)
        initial = ("0.625", "-2.5") if dtype == "float32" else ("41", "-42")
        assert re.search(rf"{initial[0]}(\.0f|f)?, {initial[1]}(\.0f|f)?,", text)
    size, swift_type = SIZES[dtype]
    assert f"allocateDirect({size} * size)" in kotlin
    assert f"typealias Number = {swift_type}\n" in swift
    # Quotes and dollar signs in names are escaped.
    assert json.dumps(AWKWARD) in swift
    assert json.dumps(AWKWARD).replace("$", "\\$") in kotlin


def test_only_integer_types_are_rounded_and_clamped():
    for dtype in SIZES:
        files = source_files("phone", phone_file(dtype))
        assert ("coerceIn" in files["LiquidModel.kt"]) == (dtype != "float32")
        assert ("rounded(" in files["LiquidModel.swift"]) == (dtype != "float32")


def test_a_file_without_a_sequence_has_no_such_method():
    files = source_files("phone", phone_file("int8", has_sequence=False))
    assert all("sequence(" not in text for text in files.values())
    assert "`sequence` runs" not in files["README.md"]


def test_readme_names_inputs_outputs_and_dependencies():
    readme = source_files("phone", phone_file("int16"))["README.md"]
    assert "1,234 bytes, recipe `mine`, numbers of type int16" in readme
    assert "| outputs | steering (2) |" in readme
    assert "com.google.ai.edge.litert:litert:" in readme and "TensorFlowLiteSwift" in readme
    assert 'mapOf("sensors" to values, ' in readme


@pytest.mark.skipif(not shutil.which("swiftc"), reason="no Swift compiler here")
@pytest.mark.parametrize("dtype", SIZES)
def test_swift_parses(dtype, tmp_path):
    path = tmp_path / "LiquidModel.swift"
    path.write_text(source_files("phone", phone_file(dtype))[path.name])
    subprocess.run(["swiftc", "-parse", str(path)], check=True)
