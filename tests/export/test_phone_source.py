"""Kotlin and Swift sources hold every name and value of the file, and their syntax is complete."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from export.recipes import RECIPES
from export.source import DeviceFile, source_files
from export.tflite_file.layout import TensorLayout

SIZES = {"int8": (1, "Int8"), "int16": (2, "Int16"), "float32": (4, "Float")}
SWIFT, KOTLIN = "LiquidModel.swift", "LiquidModel.kt"
# TensorFlowLiteSwift has no type for int8.
CLASSES = [(dtype, KOTLIN) for dtype in SIZES] + [("int16", SWIFT), ("float32", SWIFT)]
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


@pytest.mark.parametrize(("dtype", "name"), CLASSES)
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


@pytest.mark.parametrize(("dtype", "name"), CLASSES)
def test_classes_hold_the_names_and_values_of_the_file(dtype, name):
    text = source_files("phone", phone_file(dtype))[name]
    for word in ("sensors", "steering", "liquid_state_0", "next_", "step", "sequence"):
        assert f'"{word}"' in text
    for value in ("0.125", "1e-09", "-2.0", "0.75", "0.0625", "640.0", "3.5"):
        assert re.search(rf"[ (]{re.escape(value)}f?,", text)
    initial = ("0.625", "-2.5") if dtype == "float32" else ("41", "-42")
    assert re.search(rf"{initial[0]}(\.0f|f)?, {initial[1]}(\.0f|f)?,", text)
    size, swift_type = SIZES[dtype]
    # Quotes and dollar signs in names are escaped.
    if name == SWIFT:
        assert f"typealias Number = {swift_type}\n" in text and json.dumps(AWKWARD) in text
    else:
        assert f"allocateDirect({size} * size)" in text
        assert json.dumps(AWKWARD).replace("$", "\\$") in text


@pytest.mark.parametrize(("dtype", "name"), CLASSES)
def test_only_integer_types_are_rounded_and_clamped(dtype, name):
    text = source_files("phone", phone_file(dtype))[name]
    assert ("coerceIn" in text or "rounded(" in text) == (dtype != "float32")


@pytest.mark.parametrize(("dtype", "name"), CLASSES)
def test_states_are_saved_and_restored_by_the_digest_of_the_file(dtype, name):
    file = phone_file(dtype)
    text = source_files("phone", file)[name]
    assert "saveState()" in text and "restoreState(" in text
    digest = hashlib.sha256(file.content).digest()[:8]
    if name == SWIFT:
        assert f"modelDigest: UInt64 = 0x{int.from_bytes(digest, 'little'):016x}\n" in text
    else:
        assert f"MODEL_DIGEST = {int.from_bytes(digest, 'little', signed=True)}L\n" in text
        assert f"SAVED_BYTES = 20 + {SIZES[dtype][0]} * STATES" in text
    # Every check comes before the states change.
    restore = text[text.index("restoreState(") :]
    checks = ("checksum(", "ersion", "of another model", "write(buffer, read(saved))")
    if name == SWIFT:
        checks = (*checks[:3], "states = restored")
    places = [restore.index(check) for check in checks]
    assert places == sorted(places)


@pytest.mark.parametrize("name", [KOTLIN, SWIFT])
def test_only_targets_may_be_missing(name):
    file = phone_file("float32")
    awkward, *rest = sorted(file.layout, key=lambda tensor: tensor.name != AWKWARD)
    target = replace(awkward, may_be_missing=True)
    known = source_files("phone", file)[name]
    text = source_files("phone", replace(file, layout=(target, *rest), delay=3))[name]
    flag = r"mayBeMissing: true" if name == SWIFT else r"^ +true,$"
    assert not re.findall(flag, known, re.MULTILINE)
    assert len(re.findall(flag, text, re.MULTILINE)) == 1
    readme = source_files("phone", replace(file, layout=(target, *rest), delay=3))["README.md"]
    assert "of 3 steps before (`delay` is 3)" in readme
    assert "The model learns" not in source_files("phone", file)["README.md"]


@pytest.mark.parametrize(("dtype", "name"), CLASSES)
def test_a_broken_sensor_and_a_result_that_is_no_number_are_errors(dtype, name):
    text = source_files("phone", phone_file(dtype))[name]
    # Inputs before they are sent; outputs and states before the states change.
    step = text[text.index("step(") : text.index("sequence(")]
    checks = ("required(", "runSignature(", "requireFinite(", "buffer.put(next)")
    if name == SWIFT:
        checks = ("required(", "invoke(", "requireFinite(", "states = nextStates")
    places = [step.index(check) for check in checks]
    assert places == sorted(places)
    assert text.count("requireFinite(") >= 3


def test_an_int8_file_has_no_swift_class_and_says_why():
    files = source_files("phone", phone_file("int8"))
    assert set(files) == {KOTLIN, "README.md"}
    assert "no type for 8-bit integers" in " ".join(files["README.md"].split())
    assert SWIFT in source_files("phone", phone_file("int16"))


@pytest.mark.parametrize(
    ("recipe", "runtime", "words"),
    [
        ("float32", "TensorFlow Lite 2.14", "tensorflow-lite:2.14.0` or later"),
        ("int16x8", "TensorFlow Lite 2.14", "Releases from 2.14 run this file"),
        ("float16", "LiteRT 1.1.2", "wrong numbers without an error"),
        ("dynamic", "LiteRT 1.1.2", "too old for this file"),
        ("int8", "LiteRT 1.4", "DIV"),
    ],
)
def test_the_readme_states_the_earliest_runtime(recipe, runtime, words):
    dtype = {"int8": "int8", "int16x8": "int16"}.get(recipe, "float32")
    file = replace(phone_file(dtype), recipe=recipe, runtime=RECIPES[recipe].runtime)
    readme = " ".join(source_files("phone", file)["README.md"].split())
    assert f"**Runtime.** {runtime} or later" in readme and words in readme


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


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("swiftc"), reason="no Swift compiler here")
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_swift_compiles(dtype, tmp_path):
    """With Swift 5 or 6, for instance the package `swiftlang` of Debian 13."""
    stub = Path(__file__).parent / "stubs/TensorFlowLite.swift"
    module = ["-emit-module", "-module-name", "TensorFlowLite", shutil.copy(stub, tmp_path)]
    (tmp_path / SWIFT).write_text(source_files("phone", phone_file(dtype))[SWIFT])
    model = ["-c", "-I", tmp_path, tmp_path / SWIFT, "-o", tmp_path / "model.o"]
    for arguments in (["-o", tmp_path / "TensorFlowLite.swiftmodule", *module], model):
        command = ["swiftc", "-warnings-as-errors", "-parse-as-library", *arguments]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("kotlinc"), reason="no Kotlin compiler here")
@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
def test_kotlin_compiles(dtype, tmp_path):
    """With Kotlin 2, for instance `npm install kotlin-compiler`; 1.3 does not know the language."""
    (tmp_path / KOTLIN).write_text(source_files("phone", phone_file(dtype))[KOTLIN])
    stub = Path(__file__).parent / "stubs/Interpreter.kt"
    command = ["kotlinc", tmp_path / KOTLIN, stub, "-Werror", "-d", tmp_path / "model.jar"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
