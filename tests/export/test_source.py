"""Generated C++: compiled without a warning, it does on a device what the runtime recorded."""

import re
import shutil
import subprocess

import keras
import numpy as np
import pytest
from tflm_device import STUB, Device

import export
from export import targets
from export.runtimes.micro import Micro
from export.source import DeviceFile, Recording, source_files
from export.source.identifiers import identifiers
from export.source.recording_header import TOLERANCES, UNITS
from export.source.resolver import METHODS, op_resolver_header
from export.tflite_file import flatbuffer
from export.tflite_file.layout import TensorLayout
from lnn_keras import LiquidCell, LiquidRNN

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler here")
layers = keras.layers
FILES = {
    *(
        "model.tflite",
        "report.json",
        "report.html",
        "README.md",
        "CMakeLists.txt",
        "main.cc",
        "recording.h",
    ),
    *("model.h", "model_data.cc", "lnn_model.h", "lnn_op_resolver.h"),
}


class WarmCell(keras.layers.SimpleRNNCell):
    """A cell whose state does not start at zero."""

    def get_initial_state(self, batch_size=None):
        (state,) = super().get_initial_state(batch_size)
        return [state + 0.5]


RECURRENT = {
    "liquid": lambda: LiquidRNN(LiquidCell(8, unfolds=2), return_sequences=True),
    "lstm": lambda: layers.LSTM(6, return_sequences=True),
    "warm": lambda: layers.RNN(WarmCell(5), return_sequences=True),
    "stateless": lambda: layers.Dense(4, activation="tanh"),
}


@pytest.fixture
def data(random):
    """A slow signal with noise, of features that differ in size: (sequences, time, features)."""
    time = np.arange(150)[None, :, None] / 9 + random.random((4, 1, 3)) * 6
    signal = np.sin(time) + 0.1 * random.standard_normal((4, 150, 3))
    return (signal * [1, 100, 0.01] + [0, 1000, 0]).astype("float32")


def exported(name, recipe, data, folder):
    normalize = layers.Normalization()
    normalize.adapt(data)
    model = keras.Sequential(
        [keras.Input((None, 3), name="x"), normalize, RECURRENT[name](), layers.Dense(2)], name=name
    )
    return export.to_tflite(model, folder, recipe=recipe, calibration=data)


def device_of(folder):
    """The generated sources with the real TFLite Micro as their interpreter."""
    runtime = Micro((folder / "model.tflite").read_bytes())
    described = [
        [(tensor.shape, tensor.dtype) for tensor in tensors]
        for tensors in (runtime.signature.inputs, runtime.signature.outputs)
    ]
    return Device(folder, *described, runtime.invoke)


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
def test_a_device_repeats_the_recording(name, recipe, data, tmp_path, capfd):
    folder = tmp_path / "out"
    exported(name, recipe, data, folder)
    status, printed = device_of(folder).replay(capfd)
    assert printed.startswith("PASS: 32 steps, largest difference 0 ")
    assert f"allowed {0 if recipe == 'int8' else 100}, in" in printed
    assert status == 0


@needs_compiler
@pytest.mark.parametrize("recipe", ["int8", "float32"])
def test_one_changed_number_fails_the_replay(recipe, data, tmp_path, capfd):
    folder = tmp_path / "out"
    exported("liquid", recipe, data, folder)
    header = (folder / "recording.h").read_text()
    start, outputs = header.split("kRecordedOutputs", 1)
    rows = outputs.split("    {\n")
    number = re.search(r"-?[\d.e-]+", rows[8])[0]
    changed = f"{int(number) ^ 1}" if recipe == "int8" else f"{float(number) + 1e-3}"
    rows[8] = rows[8].replace(number, changed, 1)
    (folder / "recording.h").write_text(start + "kRecordedOutputs" + "    {\n".join(rows))
    status, printed = device_of(folder).replay(capfd)
    assert printed.startswith("FAIL: 32 steps") and "(step 7)" in printed
    assert status == 1


@needs_compiler
def test_sources_of_another_file_are_refused(data, tmp_path, capfd):
    exported("liquid", "int8", data, tmp_path / "out")
    exported("warm", "int8", data, tmp_path / "other")
    shutil.copy(tmp_path / "other/lnn_model.h", tmp_path / "out/lnn_model.h")
    status, printed = device_of(tmp_path / "out").replay(capfd)
    assert (status, printed) == (
        1,
        "FAIL: lnn_model.h was not made for the model in model_data.cc.\n",
    )


def test_folder_holds_the_file(data, tmp_path):
    report = exported("warm", "int8", data, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES == set(report.files)
    content = (tmp_path / "out/model.tflite").read_bytes()
    # The array holds the file, byte for byte.
    body = (tmp_path / "out/model_data.cc").read_text().split("{")[1].split("}")[0]
    assert bytes(int(byte, 16) for byte in body.replace(",", " ").split()) == content
    state = report.layout[-1]
    (tensor, _), *_ = flatbuffer.read_signature(content).states
    assert state.initial == (tensor.quantize(np.float32(0.5)).item(),) * 5
    assert state.initial[0] > state.zero_point
    readme = (tmp_path / "out/README.md").read_text()
    assert "recipe `int8`, numbers of type `int8_t`" in readme
    assert "lnn::Quantize(lnn::input::x, x, inputs);   // float x[3]" in readme
    # Placing the tensors takes more than stays in use.
    arena = int(re.search(r"define LNN_ARENA_BYTES (\d+)", header_of(tmp_path / "out"))[1])
    assert arena >= 1.5 * report.arena_bytes and arena % 16 == 0


def header_of(folder):
    return (folder / "lnn_model.h").read_text()


@needs_compiler
def test_real_values_become_the_numbers_that_the_layout_says(data, tmp_path):
    report = exported("liquid", "int8", data, tmp_path / "out")
    x, output, _ = report.layout
    device = device_of(tmp_path / "out")
    assert device.model_bytes == report.bytes
    for real in [*data[0, :20], [1e9, -1e9, np.nan], [np.inf, -np.inf, 0]]:
        numbers = np.zeros(3, "int8")
        device.quantize(0, real, numbers)
        exact = (np.asarray(real) - x.offset) / x.scale + x.zero_point
        expected = np.clip(np.nan_to_num(exact, nan=-128), -128, 127)
        # float32 on the device may round a tie the other way.
        np.testing.assert_allclose(numbers, expected, atol=0.501)
    numbers = np.array([-128, 127], "int8")
    expected = (numbers - np.float64(output.zero_point)) * output.scale + output.offset
    np.testing.assert_allclose(device.dequantize(0, numbers, 2), expected, rtol=1e-5)


# A file as others may be: several of everything, names that clash or are no identifiers.
LIMITS = {"int8": (-128, 127), "int16": (-32768, 32767), "float32": (-np.inf, np.inf)}


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


TOY_INPUTS, TOY_OUTPUTS = [(1, 1), (1, 2), (1, 1), (1, 3)], [(1, 3), (1, 2), (1, 1), (1, 1)]


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
def some_content():
    """A real file, for its operations."""
    from export import recipes
    from export.convert import convert

    model = keras.Sequential([keras.Input((None, 2)), layers.Dense(1, activation="sigmoid")])
    return convert(export.to_step(model), recipes.get("float32"), targets.get("micro"))


def toy_file(dtype, content, random):
    inputs = random.integers(-120, 120, (20, 3)).astype(dtype)
    outputs = toy_rollout(dtype, inputs)
    recording = Recording(
        "TFLite Micro",
        {"a b": inputs[:, :2], "a-b": inputs[:, 2:]},
        {"1st": outputs[:, :2], "int": outputs[:, 2:]},
    )
    return DeviceFile(content, toy_layout(dtype), "toy */ \\", "own", recording=recording)


@needs_compiler
@pytest.mark.parametrize("dtype", LIMITS)
def test_several_inputs_outputs_and_states(dtype, some_content, random, tmp_path, capfd):
    file = toy_file(dtype, some_content, random)
    for name, text in source_files("micro", file).items():
        (tmp_path / name).write_text(text)
    working, broken = toy_invoke(dtype), []

    def invoke(inputs):
        if broken:
            raise ArithmeticError
        return working(inputs)

    described = [[(shape, dtype) for shape in shapes] for shapes in (TOY_INPUTS, TOY_OUTPUTS)]
    device = Device(tmp_path, *described, invoke)
    status, printed = device.replay(capfd)
    assert (status, printed[:4]) == (0, "PASS")
    # The file's own operation is one on floats.
    assert printed.endswith(f"allowed {TOLERANCES[dtype]}, in {UNITS[dtype]}\n")
    inputs = np.concatenate(list(file.recording.inputs.values()), axis=1)
    expected = toy_rollout(dtype, inputs)
    assert device.start() == 0
    for row, outputs in zip(inputs[:5], expected, strict=False):
        np.testing.assert_array_equal(device.step(row, 3), outputs)
    # A step that fails leaves the states as they were.
    broken.append(True)
    assert device.step(inputs[5], 3) is None
    broken.clear()
    np.testing.assert_array_equal(device.step(inputs[5], 3), expected[5])
    device.reset()
    np.testing.assert_array_equal(device.step(inputs[0], 3), expected[0])
    # Inputs lie one after another, each with its own scale.
    numbers = np.zeros(3, dtype)
    device.quantize(1, [1e30], numbers)
    device.quantize(0, [1.0, 2.0], numbers)
    zero_point = file.layout[0].zero_point
    largest = numbers[2] if dtype == "float32" else LIMITS[dtype][1]
    assert numbers.tolist() == [zero_point, zero_point + 4, largest] and largest > 0


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


def test_identifiers_are_of_their_own():
    names = ["x", "x/", "été", "1st", "", "int", "a__b", "x_2", "_"]
    found = identifiers(names)
    assert len(set(found.values())) == len(names)
    assert found["x"] == "x" and found["a__b"] == "a_b"
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", n) for n in found.values())


@needs_compiler
@pytest.mark.skipif(not shutil.which("cmake"), reason="no CMake here")
def test_cmake_takes_a_target_or_a_folder_or_says_what_is_missing(some_content, random, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name, text in source_files("micro", toy_file("int8", some_content, random)).items():
        (out / name).write_text(text)

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
    assert cmake("-S", out, "-B", built, f"-DTFLM_DIR={checkout}").returncode == 0
    assert cmake("--build", built).returncode == 0
    # As part of a project that builds it itself.
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(firmware CXX)\n"
        f"add_library(mine STATIC {STUB}/stub.cc)\ntarget_include_directories(mine PUBLIC {STUB})\n"
        "add_subdirectory(out)\n"
    )
    project = tmp_path / "project"
    assert cmake("-S", tmp_path, "-B", project, "-DTFLM_TARGET=mine").returncode == 0
    assert cmake("--build", project, "--target", "lnn_replay").returncode == 0


def test_what_cannot_be_written_is_named(some_content, random):
    file = toy_file("int8", some_content, random)
    with pytest.raises(ValueError, match="target 'watch'; allowed: micro, phone"):
        source_files("watch", file)
    with pytest.raises(ValueError, match="needs a recording"):
        source_files("micro", DeviceFile(some_content, file.layout, "toy", "own"))
    mixed = (*file.layout[1:], toy_layout("int16")[0])
    with pytest.raises(ValueError, match="one of float32, int8, int16; received int16, int8"):
        DeviceFile(some_content, mixed, "toy", "own")
