"""Generated C++ of exported models: a device replays the recording of the runtime exactly."""

import hashlib
import re
import shutil
import struct
import zlib
from importlib.metadata import metadata

import numpy as np
import pytest
from tflm_device import Device

from export.runtimes.micro import Micro
from export.source.micro import TESTED_COMMIT
from export.tflite_file import flatbuffer
from export.verification.report_text import facts

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler here")
# lnn::Status
INPUT_NOT_FINITE, STATE_DAMAGED, STATE_OF_OTHER_MODEL = 1, 4, 5
FILES = {
    "model.tflite",
    "report.json",
    "report.html",
    "README.md",
    "CMakeLists.txt",
    "main.cc",
    "recording.h",
    "model.h",
    "model_data.cc",
    "lnn_model.h",
    "lnn_op_resolver.h",
}


def device_of(sources, build):
    """The generated sources, with the real TFLite Micro as their interpreter."""
    runtime = Micro((sources / "model.tflite").read_bytes())
    inputs, outputs = (
        [(tensor.shape, tensor.dtype) for tensor in tensors]
        for tensors in (runtime.signature.inputs, runtime.signature.outputs)
    )
    return Device(sources, build, inputs, outputs, runtime.invoke)


@needs_compiler
@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("liquid", "int8"),
        ("lstm", "float32"),
        ("lstm", "int8"),
        ("warm", "int8"),
        ("stateless", "float32"),
    ],
)
def test_a_device_repeats_the_recording(name, recipe, exported, tmp_path, capfd):
    status, printed = device_of(exported(name, recipe).folder, tmp_path).replay(capfd)
    assert printed.startswith("PASS: 32 steps, largest difference 0 ")
    assert f"allowed {0 if recipe == 'int8' else 100}, in" in printed
    assert status == 0


@needs_compiler
@pytest.mark.parametrize(("name", "recipe"), [("liquid", "int8"), ("lstm", "float32")])
def test_one_changed_output_fails_the_replay(name, recipe, exported, tmp_path, capfd):
    folder = tmp_path / "out"
    shutil.copytree(exported(name, recipe).folder, folder)
    header = (folder / "recording.h").read_text()
    start, outputs = header.split("kRecordedOutputs", 1)
    rows = outputs.split("    {\n")
    value = re.search(r"-?[\d.e-]+", rows[8])[0]
    changed = f"{int(value) ^ 1}" if recipe == "int8" else f"{1.1 * float(value) + 0.1}"
    rows[8] = rows[8].replace(value, changed, 1)
    (folder / "recording.h").write_text(start + "kRecordedOutputs" + "    {\n".join(rows))
    status, printed = device_of(folder, tmp_path).replay(capfd)
    assert printed.startswith("FAIL: 32 steps") and "(step 7)" in printed
    assert status == 1


@needs_compiler
def test_sources_of_another_file_are_refused(exported, tmp_path, capfd):
    folder = tmp_path / "out"
    shutil.copytree(exported("liquid").folder, folder)
    shutil.copy(exported("lstm").folder / "lnn_model.h", folder)
    status, printed = device_of(folder, tmp_path).replay(capfd)
    assert (status, printed) == (
        1,
        "FAIL: lnn_model.h was not made for the model in model_data.cc.\n",
    )


def test_folder_holds_the_file(exported):
    folder, report, content = (
        getattr(exported("warm"), n) for n in ("folder", "report", "content")
    )
    assert {path.name for path in folder.iterdir()} == FILES == set(report.files)
    # The array holds the bytes of the file.
    body = (folder / "model_data.cc").read_text().split("{")[1].split("}")[0]
    assert bytes(int(byte, 16) for byte in body.replace(",", " ").split()) == content
    state = report.layout[-1]
    (tensor, _), *_ = flatbuffer.read_signature(content).states
    assert state.initial == (tensor.quantize(np.float32(0.5)).item(),) * 6
    assert state.initial[0] > state.zero_point
    readme = (folder / "README.md").read_text()
    assert "recipe `int8`, numbers of type `int8_t`" in readme
    assert "float x[3];" in readme
    assert "if (lnn::Quantize(lnn::input::x, x, inputs) != lnn::Status::kOk) {" in readme
    # Allocating the tensors takes more memory than stays in use.
    header = (folder / "lnn_model.h").read_text()
    arena = int(re.search(r"define LNN_ARENA_BYTES (\d+)", header)[1])
    assert arena >= 1.75 * report.arena_bytes and arena % 16 == 0
    # Fewer are enough where pointers are smaller: the same number everywhere.
    fewer = int(re.search(r"On a 32-bit device (\d+) are enough", header.replace("\n// ", " "))[1])
    assert 0.73 * 1.7 * report.arena_bytes < fewer < arena
    assert f"On a 32-bit device {fewer} are enough" in readme
    assert f"reserve {arena:,} to allocate, or {fewer:,} on a 32-bit" in facts(report)["arena"]
    # It is enough on this host, where pointers are larger than on devices.
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena)
    for position, tensor in enumerate(flatbuffer.read_signature(content).inputs):
        interpreter.set_input(np.zeros(tensor.shape, tensor.dtype), position)
    interpreter.invoke()


def test_the_folder_says_how_to_build_it_for_a_board(exported, recipe="int16x8"):
    readme = (exported("gru", recipe).folder / "README.md").read_text()
    for named in (
        "TARGET_ARCH=cortex-m4+fp",
        "CMAKE_TOOLCHAIN_FILE",
        "TF_LITE_STRIP_ERROR_STRINGS",
    ):
        assert named in readme
    assert "recipe `float32` is faster" in readme and f"checkout {TESTED_COMMIT}" in readme


def test_the_tested_commit_is_that_of_the_wheel():
    assert f"[{TESTED_COMMIT}]" in metadata("tflite-micro").get_payload()


@needs_compiler
def test_the_device_quantizes_and_dequantizes_as_the_layout_says(exported, mixed_units, tmp_path):
    report = exported("liquid").report
    x, output, _ = report.layout
    device = device_of(exported("liquid").folder, tmp_path)
    assert device.model_bytes == report.bytes
    for broken in ([0, 0, np.nan], [np.inf, 0, 0], [0, -np.inf, 0]):
        quantized = np.zeros(3, "int8")
        assert device.quantize(0, broken, quantized) == INPUT_NOT_FINITE
    for real in [*mixed_units[0, :20], [1e9, -1e9, 1e38], [3e38, -3e38, 0]]:
        quantized = np.zeros(3, "int8")
        assert device.quantize(0, real, quantized) == 0
        exact = (np.asarray(real) - x.offset) / x.scale + x.zero_point
        expected = np.clip(exact, -128, 127)
        # float32 on the device may round a tie the other way.
        np.testing.assert_allclose(quantized, expected, atol=0.501)
    quantized = np.array([-128, 127, 5], "int8")
    expected = (quantized - np.float64(output.zero_point)) * output.scale + output.offset
    np.testing.assert_allclose(device.dequantize(0, quantized, 3), expected, rtol=1e-5)


def with_checksum(body):
    return body + struct.pack("<I", zlib.crc32(body))


@needs_compiler
@pytest.mark.parametrize(
    ("name", "recipe"),
    [("liquid", "int8"), ("liquid", "int16x8"), ("lstm", "float32"), ("stateless", "float32")],
)
def test_a_device_saves_its_states_and_continues_from_them(name, recipe, exported, tmp_path):
    exports = exported(name, recipe)
    device = device_of(exports.folder, tmp_path)
    dtype = exports.report.layout[0].dtype
    states = [tensor for tensor in exports.report.layout if tensor.kind == "state"]
    random = np.random.default_rng(0)
    rows = (random.uniform(-1, 1, (9, 3)) * (1 if recipe == "float32" else 100)).astype(dtype)
    size = sum(tensor.size for tensor in exports.report.layout if tensor.kind == "output")
    assert device.start() == 0
    initial = device.save()
    assert initial == with_checksum(
        struct.pack("<4sI", b"LNNS", 1)
        + hashlib.sha256(exports.content).digest()[:8]
        + b"".join(np.array(state.initial, np.dtype(dtype).newbyteorder("<")) for state in states)
    )
    for row in rows[:5]:
        device.step(row, size)
    saved = device.save()
    assert (saved == initial) == (not states)
    expected = [device.step(row, size) for row in rows[5:]]
    # What is damaged or foreign changes nothing.
    other = saved[:8] + bytes(8) + saved[16:-4]
    newer = saved[:4] + struct.pack("<I", 2) + saved[8:-4]
    longer = saved[:-4] + bytes(4)
    refused = {
        STATE_DAMAGED: [
            b"", saved[:-1], saved + b"\0", b"\xff" * len(saved), bytes(len(saved)),
            with_checksum(b"LNNX" + saved[4:-4]),
            *(saved[:i] + bytes([saved[i] ^ 4]) + saved[i + 1 :] for i in range(len(saved))),
        ],
        STATE_OF_OTHER_MODEL: [with_checksum(body) for body in (other, newer, longer)],
    }  # fmt: skip
    assert device.restore(saved) == 0
    for status, every in refused.items():
        assert {device.restore(bytes_) for bytes_ in every} == {status}
    for row, outputs in zip(rows[5:], expected, strict=True):
        np.testing.assert_array_equal(device.step(row, size), outputs)
