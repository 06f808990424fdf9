"""Generated C++ of a made-up file: several inputs, outputs and states, and names that clash."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from export_models import reset_names_and_seeds, sequential, step_file
from tflm_device import STUB, Device

import export
from export import targets
from export.source import DeviceFile, Recording, source_files
from export.source.identifiers import identifiers
from export.source.recording_header import TOLERANCES, UNITS
from export.source.resolver import METHODS, op_resolver_header
from export.tflite_file.layout import TensorLayout

needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler here")
LIMITS = {"int8": (-128, 127), "int16": (-32768, 32767), "float32": (-np.inf, np.inf)}
# lnn::Status
INPUT_NOT_FINITE, INTERPRETER_FAILED, OUTPUT_NOT_FINITE = 1, 2, 3
INPUTS, OUTPUTS = [(1, 1), (1, 2), (1, 1), (1, 3)], [(1, 3), (1, 2), (1, 1), (1, 1)]


def toy_layout(dtype):
    def tensor(name, kind, input, output, size, initial=()):
        zero_point = {"int8": -3, "int16": 0, "float32": 0}[dtype]
        scale, offset = (0.25,) * size, (1.0,) * size
        return TensorLayout(
            name, kind, input, output, size, dtype, zero_point, scale, offset, initial
        )

    return (
        tensor("a b", "input", 1, None, 2),
        tensor("a-b", "input", 0, None, 1),
        tensor("1st", "output", None, 1, 2),
        tensor("int", "output", None, 3, 1),
        tensor("h/*", "state", 3, 0, 3, (5, -6, 7)),
        tensor("Tensor", "state", 2, 2, 1, (11,)),
    )


def toy_invoke(dtype):
    def invoke(inputs):
        one, two, tensor, h = (array.astype("float64") for array in inputs)
        outputs = [h[:, ::-1] + one, two + h[:, :2], -tensor + one, tensor + h[:, 2:]]
        return [np.clip(value, *LIMITS[dtype]) for value in outputs]

    return invoke


def toy_rollout(dtype, inputs):
    h, tensor = np.array([[5.0, -6.0, 7.0]]), np.array([[11.0]])
    rows = []
    for row in inputs.astype("float64"):
        h, first, tensor, second = toy_invoke(dtype)([row[None, 2:], row[None, :2], tensor, h])
        rows.append(np.concatenate([first[0], second[0]]))
    return np.array(rows).astype(dtype)


@pytest.fixture(scope="module")
def content():
    """A real file, for its operations."""
    reset_names_and_seeds()
    return step_file(export.to_step(sequential("stateless")), recipe="float32")


def toy_file(dtype, content, random):
    inputs = random.integers(-120, 120, (20, 3)).astype(dtype)
    outputs = toy_rollout(dtype, inputs)
    recording = Recording(
        "TFLite Micro",
        {"a b": inputs[:, :2], "a-b": inputs[:, 2:]},
        {"1st": outputs[:, :2], "int": outputs[:, 2:]},
    )
    return DeviceFile(content, toy_layout(dtype), "toy */ \\", "own", recording=recording)


def write(file, folder):
    folder.mkdir(exist_ok=True)
    for name, text in source_files("micro", file).items():
        (folder / name).write_text(text)


@needs_compiler
@pytest.mark.parametrize("dtype", LIMITS)
def test_several_inputs_outputs_and_states(dtype, content, random, tmp_path, capfd):
    file = toy_file(dtype, content, random)
    write(file, tmp_path)
    working, broken, infinite = toy_invoke(dtype), [], []

    def invoke(inputs):
        if broken:
            raise ArithmeticError
        outputs = working(inputs)
        return [*outputs[:3], outputs[3] * np.inf] if infinite else outputs

    inputs, outputs = ([(shape, dtype) for shape in shapes] for shapes in (INPUTS, OUTPUTS))
    device = Device(tmp_path, tmp_path, inputs, outputs, invoke)
    status, printed = device.replay(capfd)
    assert (status, printed[:4]) == (0, "PASS")
    # The operation in `content` computes in float.
    assert printed.endswith(f"allowed {TOLERANCES[dtype]}, in {UNITS[dtype]}\n")
    inputs = np.concatenate(list(file.recording.inputs.values()), axis=1)
    expected = toy_rollout(dtype, inputs)
    assert device.start() == 0
    for row, outputs in zip(inputs[:5], expected, strict=False):
        np.testing.assert_array_equal(device.step(row, 3), outputs)
    # A step that fails leaves the states unchanged.
    broken.append(True)
    assert device.step(inputs[5], 3) is None and device.status == INTERPRETER_FAILED
    broken.clear()
    if dtype == "float32":
        # So does a sensor that is broken, and a result that is no number.
        assert device.step([1, np.nan, 1], 3) is None and device.status == INPUT_NOT_FINITE
        infinite.append(True)
        assert device.step(inputs[5], 3) is None and device.status == OUTPUT_NOT_FINITE
        infinite.clear()
    np.testing.assert_array_equal(device.step(inputs[5], 3), expected[5])
    device.reset()
    np.testing.assert_array_equal(device.step(inputs[0], 3), expected[0])
    # All inputs share one array, and each has its scale.
    quantized = np.zeros(3, dtype)
    assert device.quantize(1, [1e30], quantized) == 0
    assert device.quantize(0, [1.0, 2.0], quantized) == 0
    for broken_value in (np.nan, np.inf, -np.inf):
        assert device.quantize(0, [1.0, broken_value], quantized.copy()) == INPUT_NOT_FINITE
    zero_point = file.layout[0].zero_point
    largest = quantized[2] if dtype == "float32" else LIMITS[dtype][1]
    assert quantized.tolist() == [zero_point, zero_point + 4, largest] and largest > 0


def test_every_operation_of_the_target_can_be_registered():
    needed = {operation for operation, _ in targets.get("micro").operations}
    assert needed <= set(METHODS)
    stub = STUB / "tensorflow/lite/micro/micro_mutable_op_resolver.h"
    methods = {f"Add{name}" for name in re.findall(r"\bM\((\w+)\)", stub.read_text())}
    assert set(METHODS.values()) <= methods
    for operation, method in METHODS.items():
        assert method.lower() == f"add{operation.replace('_', '').lower()}"
    with pytest.raises(ValueError, match="registers GELU; known: ABS"):
        op_resolver_header(["ADD", "GELU"])


def test_identifiers_are_unique_and_valid():
    names = ["x", "x/", "été", "1st", "", "int", "a__b", "x_2", "_"]
    identifier_of = identifiers(names)
    assert len(set(identifier_of.values())) == len(names)
    assert identifier_of["x"] == "x" and identifier_of["a__b"] == "a_b"
    pattern = r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*"
    assert all(re.fullmatch(pattern, name) for name in identifier_of.values())


def test_an_impossible_file_is_refused(content, random):
    file = toy_file("int8", content, random)
    with pytest.raises(ValueError, match="target 'watch'; allowed: micro, phone"):
        source_files("watch", file)
    with pytest.raises(ValueError, match="needs a recording"):
        source_files("micro", DeviceFile(content, file.layout, "toy", "own"))
    mixed = (*file.layout[1:], toy_layout("int16")[0])
    with pytest.raises(ValueError, match="one of float32, int8, int16; received int16, int8"):
        DeviceFile(content, mixed, "toy", "own")


@pytest.mark.slow
@needs_compiler
@pytest.mark.skipif(not shutil.which("cmake"), reason="no CMake here")
def test_cmake_takes_a_target_or_a_folder_and_names_missing_parts(content, random, tmp_path):
    out = tmp_path / "out"
    write(toy_file("int8", content, random), out)

    def cmake(*arguments):
        return subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True)

    missing = cmake("-S", out, "-B", tmp_path / "none")
    assert missing.returncode != 0
    assert "Clone https://github.com/tensorflow/tflite-micro" in missing.stderr
    # A checkout of TensorFlow Lite Micro, before and after its library is built.
    checkout = tmp_path / "tflite-micro"
    shutil.copytree(STUB, checkout)
    unbuilt = cmake("-S", out, "-B", tmp_path / "unbuilt", f"-DTFLM_DIR={checkout}")
    assert unbuilt.returncode != 0 and "microlite" in unbuilt.stderr
    library = checkout / "gen/host/lib/libtensorflow-microlite.a"
    library.parent.mkdir(parents=True)
    compiled = ["g++", "-std=c++17", "-c", f"-I{STUB}", f"{STUB}/stub.cc", "-o", f"{tmp_path}/s.o"]
    subprocess.run(compiled, check=True)
    subprocess.run(["ar", "rcs", str(library), f"{tmp_path}/s.o"], check=True)
    built = tmp_path / "built"
    # Boards have start-up code of their own, in C or assembly.
    (tmp_path / "start.c").write_text("int started(void) { return 1; }\n")
    board = f"-DLNN_BOARD_SOURCES={tmp_path}/start.c"
    assert cmake("-S", out, "-B", built, f"-DTFLM_DIR={checkout}", board).returncode == 0
    assert cmake("--build", built).returncode == 0
    assert b"started" in (built / "lnn_replay").read_bytes()
    # A library without the texts of errors needs a definition in all code that includes it.
    for folder, options, defined in (
        ("host", ("-DTFLM_DEFINITIONS=TF_LITE_STRIP_ERROR_STRINGS",), True),
        ("linux_x86_64_release_gcc", (), True),
        ("cortex_m_generic_cortex-m4+fp_release", (), True),
        ("linux_x86_64_release_with_logs_gcc", (), False),
    ):
        moved = checkout / "gen" / folder / "lib" / library.name
        if not moved.exists():
            moved.parent.mkdir(parents=True)
            shutil.copy(library, moved)
        arguments = (f"-DTFLM_DIR={checkout}", f"-DTFLM_LIBRARY={moved}", *options)
        told = "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"
        stripped = tmp_path / f"{folder}{len(options)}"
        assert cmake("-S", out, "-B", stripped, told, *arguments).returncode == 0
        commands = (stripped / "compile_commands.json").read_text()
        assert ("-DTF_LITE_STRIP_ERROR_STRINGS" in commands) == defined
    # As part of a project that builds TensorFlow Lite Micro itself.
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(firmware CXX)\n"
        f"add_library(mine STATIC {STUB}/stub.cc)\ntarget_include_directories(mine PUBLIC {STUB})\n"
        "add_subdirectory(out)\n"
    )
    project = tmp_path / "project"
    assert cmake("-S", tmp_path, "-B", project, "-DTFLM_TARGET=mine").returncode == 0
    assert cmake("--build", project, "--target", "lnn_replay").returncode == 0
