"""Models that learn on the device: the file learns what Keras learns, and keeps it."""

import re
import shutil
import subprocess
from dataclasses import replace

import keras
import numpy as np
import pytest
from tflm_device import STUB, Device

import export
from export import targets
from export.adaptation import adaptation_of, adaptive_data, delayed
from export.data import as_arrays
from export.forms.adaptive_readout import MISSING
from export.forms.model_graph import read_graph
from export.readout_pair import readout_pair
from export.recipes import RECIPES
from export.remedies import remedies_of_pair
from export.runtimes.micro import Micro
from export.tflite_file.flatbuffer import read_signature
from export.verification.failures import learned_failures
from export.verification.report import RuntimeResult
from export.verification.report_text import facts
from lnn_keras import LiquidCell, LiquidRNN, adapt

needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler here")
STEPS = 300


@pytest.fixture(scope="module")
def stream():
    """A stream and its true outputs: (1, time, 3), (1, time, 2)."""
    random = np.random.default_rng(0)
    inputs = np.sin(np.cumsum(random.standard_normal((1, STEPS + 50, 3)), axis=1) / 5)
    first = inputs[..., :1] * inputs[..., 1:2] + 0.5
    return inputs.astype("float32"), np.concatenate([first, inputs[..., 2:] - first], axis=-1)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    cell = LiquidCell(6, unfolds=1)
    layers = [LiquidRNN(cell, return_sequences=True), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input((None, 3)), *layers])


@pytest.fixture(scope="module")
def learned(model, stream):
    """What Keras learns from the stream: the predictions (time, 2), and the weights (7 + 3, 2)."""
    inputs, true_outputs = stream
    adaptive = adapt.AdaptiveModel(model, adapt.RecursiveLeastSquares(), delay=1)
    targets = np.concatenate([np.full((1, 2), np.nan), true_outputs[0, :-1]])
    predictions = adaptive.observe(inputs[0, :STEPS], targets[:STEPS])
    (weights,) = (state for state in adaptive.state if state.shape == (1, 20))
    return predictions, weights


@pytest.fixture(scope="module")
def micro(model, stream, tmp_path_factory):
    """The report and the folder of an export for microcontrollers."""
    folder = tmp_path_factory.mktemp("adaptive") / "out"
    report = export.to_tflite(
        model, folder, recipe="float32", adapt="readout", evaluation=stream, steps=STEPS
    )
    return report, folder


@pytest.fixture(scope="module")
def device(micro, tmp_path_factory):
    """The generated C++ with TensorFlow Lite Micro."""
    pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
    runtime = Micro((micro[1] / "model.tflite").read_bytes())
    tensors = [runtime.signature.inputs, runtime.signature.outputs]
    shapes = [[(tensor.shape, tensor.dtype) for tensor in listed] for listed in tensors]
    build = tmp_path_factory.mktemp("build")
    return Device(micro[1], build, *shapes, runtime.invoke)


def predictions_of(device, inputs, targets, layout):
    """The outputs of a device for rows of inputs and targets."""
    names = [tensor.name for tensor in layout if tensor.kind == "input"]
    outputs = []
    for row, target in zip(inputs, targets, strict=True):
        numbers = np.zeros(5, "float32")
        for index, name in enumerate(names):
            values = target if name == "target" else row
            assert device.quantize(index, values, numbers) == 0
        outputs.append(device.step(numbers, 2))
    return np.array(outputs)


def test_every_runtime_learns_the_weights_that_keras_learns(micro, model, learned, stream):
    report, _ = micro
    assert report.passed and report.steps == STEPS
    assert report.model_sha256 == export.model_sha256(model)
    reference, *runtimes = [r for r in report.results if not r.note]
    assert len(runtimes) >= 2
    assert all(result.learned_error <= 1e-4 for result in runtimes)
    # The report's Keras is the adaptive model that a user observes, with the target a step later.
    expected = np.mean((learned[0] - stream[1][0, :STEPS]) ** 2)
    assert reference.metric == pytest.approx(expected, rel=1e-4)
    assert f"weights learned in {STEPS} steps" in facts(report)["adaptation"]


@pytest.mark.slow
def test_the_weights_of_1000_steps_are_those_that_keras_learns(model, stream, tmp_path):
    inputs, true_outputs = (np.tile(values, (1, 3, 1)) for values in stream)
    report = export.to_tflite(
        model, tmp_path / "out", recipe="float32", adapt="readout",
        evaluation=(inputs, true_outputs),
    )  # fmt: skip
    assert report.passed and report.steps == 1000
    assert all(result.learned_error <= 1e-4 for result in report.results if not result.note)


def test_adaptation_lowers_the_error_of_the_frozen_model(micro, model, stream):
    inputs, true_outputs = stream
    frozen = np.mean((model(inputs) - true_outputs) ** 2)
    assert all(r.metric < 0.3 * frozen for r in micro[0].results if not r.note)


@needs_compiler
def test_a_device_learns_the_same_and_continues_from_its_saved_state(
    device, micro, learned, stream
):
    inputs, true_outputs = stream[0][0], delayed(stream[1], 1)[0]
    layout = micro[0].layout
    assert device.start() == 0
    outputs = predictions_of(device, inputs[:STEPS], true_outputs[:STEPS], layout)
    np.testing.assert_allclose(outputs, learned[0], atol=1e-4)
    saved = device.save()
    states = np.frombuffer(saved[16:-4], "<f4")
    sizes = [(tensor.name, tensor.size) for tensor in layout if tensor.kind == "state"]
    starts = np.cumsum([0, *(size for _, size in sizes)])
    found = {
        name: states[start : start + size]
        for (name, size), start in zip(sizes, starts, strict=False)
    }
    np.testing.assert_allclose(found["adaptive_readout_state_0"], learned[1][0], atol=1e-4)
    rest = predictions_of(device, inputs[STEPS:], true_outputs[STEPS:], layout)
    device.reset()
    fresh = predictions_of(device, inputs[STEPS:], true_outputs[STEPS:], layout)
    assert not np.allclose(rest, fresh, atol=1e-2)
    assert device.restore(saved) == 0
    again = predictions_of(device, inputs[STEPS:], true_outputs[STEPS:], layout)
    np.testing.assert_array_equal(again, rest)


@needs_compiler
def test_a_device_begins_another_sequence_with_what_it_learned(device, micro, model, stream):
    inputs, truth = stream[0][0, :150], delayed(stream[1], 1)[0, :150]
    layout = micro[0].layout
    adaptive = adapt.AdaptiveModel(model, adapt.RecursiveLeastSquares(), delay=1)
    assert device.start() == 0
    predictions_of(device, inputs, truth, layout)
    adaptive.observe(inputs, truth)
    device.restart()
    adaptive.restart()
    unknown = np.full((50, 2), np.nan)
    found = predictions_of(device, inputs[:50], unknown, layout)
    expected = adaptive.observe(inputs[:50], unknown)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    frozen = model(inputs[None, :50])[0]
    assert not np.allclose(found, frozen, atol=0.1)


@needs_compiler
def test_nothing_is_learned_from_missing_targets(device, micro, stream):
    rows, layout = stream[0][0, :40], micro[0].layout
    assert device.start() == 0
    start = np.frombuffer(device.save()[16:-4], "<f4").copy()
    for missing in (np.nan, np.inf, -np.inf):
        predictions_of(device, rows, np.full((40, 2), missing), layout)
    end = np.frombuffer(device.save()[16:-4], "<f4")
    sizes = [(tensor.name, tensor.size) for tensor in layout if tensor.kind == "state"]
    starts = np.cumsum([0, *(size for _, size in sizes)])
    changed = {
        name
        for (name, size), first in zip(sizes, starts, strict=False)
        if not np.array_equal(start[first : first + size], end[first : first + size])
    }
    # The states of the model, the count of missing targets, and the predictions that wait.
    counts, waiting = "adaptive_readout_state_7", "adaptive_readout_state_8"
    assert changed == {"liquid_rnn_state_0", counts, waiting}
    # Other inputs must be finite.
    (index,) = (i for i, t in enumerate(layout[:2]) if t.name != "target")
    assert device.quantize(index, [np.nan, 0, 0], np.zeros(5, "float32")) == 1


def test_the_folder_explains_targets_delay_and_saved_states(micro):
    readme = " ".join((micro[1] / "README.md").read_text().split())
    for words in (
        "`target` holds the true outputs, NaN where they are unknown",
        "outputs of the step before (`delay` is 1)",
        "model.SaveState(saved);",
        "model.RestoreState(saved, sizeof(saved))",
    ):
        assert words in readme


def test_phones_learn_too(model, stream, tmp_path):
    inputs, true_outputs = (values[:, :100] for values in stream)
    method = export.Adaptation(adapt.LeastMeanSquares(0.1), delay=0)
    report = export.to_tflite(
        model, tmp_path / "out", target="phone", recipe="float32", adapt=method,
        evaluation=(inputs[0], true_outputs[0]), steps=100,
    )  # fmt: skip
    assert [r.name for r in report.results if r.learned_error is not None] == [
        "Keras", "LiteRT (XNNPACK)", "LiteRT (built-in)",
    ]  # fmt: skip
    assert all(r.learned_error <= 1e-4 for r in report.results if r.learned_error is not None)
    kotlin = (tmp_path / "out/LiquidModel.kt").read_text()
    inputs_of_kotlin, states = re.split("val INPUTS|val OUTPUTS|val STATES", kotlin)[1::2]
    assert inputs_of_kotlin.count("true,") == 1
    # The map, the guard of five states, and nothing of the model.
    assert states.count("true,") == 6 and states.count("false,") == 1
    assert (
        "the same step, and are learned after its prediction"
        in (tmp_path / "out/README.md").read_text()
    )


def test_data_may_lack_targets_but_no_inputs(model):
    adaptive = adapt.adaptive_model(model, adapt.LeastMeanSquares())
    graph = read_graph(adaptive)
    inputs, targets = np.zeros((1, 4, 3)), np.ones((1, 4, 2))
    targets[0, 1], targets[0, 2, 0] = np.nan, -np.inf
    arrays = as_arrays(graph, [inputs, targets])
    expected = [[1, 1], [MISSING, MISSING], [MISSING, 1], [1, 1]]
    np.testing.assert_array_equal(arrays["target"][0], np.float32(expected))
    with pytest.raises(ValueError, match="must be finite"):
        as_arrays(graph, [np.full((1, 4, 3), np.nan), targets])


def test_a_delayed_target_is_the_truth_of_an_earlier_prediction():
    truth = np.arange(5.0).reshape(1, 5, 1)
    np.testing.assert_array_equal(delayed(truth, 2)[0, :, 0], [np.nan, np.nan, 0, 1, 2])
    np.testing.assert_array_equal(delayed(truth, 0), truth)
    assert np.isnan(delayed(truth, 9)).all() and delayed(truth, 9).shape == truth.shape


@pytest.mark.parametrize(
    ("recipe", "error", "fails"),
    [
        ("float32", 0.9e-4, False),
        ("float32", 1.2e-4, True),
        ("float32", float("nan"), True),
        ("float32", None, False),
        # These learn from other features than the model.
        ("float16", 0.01, False),
        ("int8", 0.01, False),
    ],
)
def test_other_weights_fail_the_verification_of_float32(recipe, error, fails):
    result = RuntimeResult("LiteRT", learned_error=error)
    found = list(learned_failures([result], 0.0, RECIPES[recipe]))
    assert bool(found) == fails


def test_methods_and_names_are_taken():
    assert adaptation_of(None) is None
    default = adaptation_of("readout")
    assert isinstance(default.method, adapt.RecursiveLeastSquares) and default.delay == 1
    method = adapt.LeastMeanSquares()
    assert adaptation_of(method) == export.Adaptation(method, delay=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adapt": "redout"}, "Unknown adaptation 'redout'.*Did you mean 'readout'"),
        ({"adapt": adapt.LeastMeanSquares}, "must be 'readout', a method of lnn_keras.adapt"),
        ({"adapt": True}, "received True"),
        ({"evaluation": None}, r"give evaluation=\(inputs, true outputs\); received None"),
        ({"evaluation": np.zeros((1, 9, 3))}, "received no true outputs"),
        ({"evaluation": (np.zeros((1, 9, 3)), np.zeros((1, 9, 5)))}, "must have shape"),
        ({"evaluation": (np.zeros((1, 9, 3)), np.full((1, 9, 2), np.nan))}, "must be finite"),
        ({"calibration": np.zeros((1, 9, 7))}, "`calibration` for input"),
        ({"recipe": "float16"}, "does not take recipe 'float16'"),
    ],
)
def test_bad_arguments_are_named(change, message, model, stream, tmp_path):
    arguments = {"recipe": "float32", "adapt": "readout", "evaluation": stream, **change}
    with pytest.raises(ValueError, match=message):
        export.to_tflite(model, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([keras.layers.SimpleRNN(2, return_sequences=True)], "no linear readout"),
        ([keras.layers.SimpleRNN(4), keras.layers.Dense(2)], "must have one output"),
    ],
)
def test_models_without_a_readout_are_named(layers, message, stream, tmp_path):
    model = keras.Sequential([keras.Input((None, 3), name="x"), *layers], name="mine")
    with pytest.raises(ValueError, match=f"Model 'mine'.*{message}"):
        export.to_tflite(
            model, tmp_path / "out", recipe="float32", adapt="readout", evaluation=stream
        )


@pytest.mark.parametrize(
    ("shape", "name", "message"),
    [((9, 3), "x", "sequences of 9 steps"), ((None, 3), "target", "has a layer or input 'target'")],
)
def test_models_that_cannot_learn_are_named(shape, name, message, tmp_path):
    inputs = keras.Input(shape, name=name)
    outputs = keras.layers.Dense(2)(keras.layers.SimpleRNN(3, return_sequences=True)(inputs))
    data = (np.zeros((1, 9, 3)), np.zeros((1, 9, 2)))
    with pytest.raises(ValueError, match=message):
        export.to_tflite(
            keras.Model(inputs, outputs), tmp_path / "out", recipe="float32", adapt="readout",
            evaluation=data,
        )  # fmt: skip


def test_a_method_and_its_delay_are_checked():
    with pytest.raises(ValueError, match="`method` must be RecursiveLeastSquares"):
        export.Adaptation("readout")
    with pytest.raises(ValueError, match="`delay`"):
        export.Adaptation(delay=-1)


@pytest.fixture(scope="module")
def normalized(model, stream):
    """The model behind a normalization of its inputs, and the stream in other units."""
    inputs = 10 * stream[0] + 1
    normalization = keras.layers.Normalization()
    normalization.adapt(inputs)
    layers = [keras.Input((None, 3), name="sensors"), normalization, *model.layers]
    return keras.Sequential(layers), inputs


@pytest.fixture(scope="module")
def pair(normalized, stream, tmp_path_factory):
    """The report and the folder of an export in integers."""
    folder = tmp_path_factory.mktemp("pair") / "out"
    model, inputs = normalized
    report = export.to_tflite(
        model,
        folder,
        adapt="readout",
        calibration=inputs,
        evaluation=(inputs, stream[1]),
        steps=STEPS,
    )
    return report, folder


def test_integer_files_learn_with_a_readout_in_floats(pair, normalized, stream):
    report, folder = pair
    assert report.passed and report.steps == STEPS and report.recipe == "int8"
    adaptive = adapt.AdaptiveModel(normalized[0], adapt.RecursiveLeastSquares(), delay=1)
    targets = delayed(stream[1], 1)[0, :STEPS]
    predictions = adaptive.observe(normalized[1][0, :STEPS], targets)
    expected = np.mean((predictions - stream[1][0, :STEPS]) ** 2)
    reference, *runtimes = [r for r in report.results if not r.note]
    assert reference.metric == pytest.approx(expected, rel=1e-4)
    # The weights are learned from features of 8 bits.
    assert all(1e-5 < result.learned_error < 0.03 for result in runtimes)
    assert all(result.metric < 1.03 * expected for result in runtimes)
    contents = [(folder / name).read_bytes() for name in ("model.tflite", "readout.tflite")]
    assert report.bytes == sum(map(len, contents))
    types = [
        {tensor.dtype for tensor in (*signature.inputs, *signature.outputs)}
        for signature in map(read_signature, contents)
    ]
    assert types == [{"int8"}, {"float32"}]


@pytest.mark.slow
def test_the_readout_file_learns_what_keras_learns(pair, normalized, stream):
    rows, truth = normalized[1][:, :80], stream[1][:, :80]
    adaptation, evaluation = export.Adaptation(), (rows, truth)
    data = adaptive_data(normalized[0], adaptation, evaluation)
    parts = readout_pair(normalized[0], adaptation, data)
    # Its features are states of the model, and inputs that it normalizes itself.
    assert parts.sources == {
        "sensors": "sensors",
        "features": "features",
        "prediction": "prediction",
        "target": "target",
    }
    outputs = {name: np.asarray(values) for name, values in parts.body([rows]).items()}
    inputs = {**outputs, "sensors": rows, "target": data.inputs["target"]}
    whole = data.model.predict([rows, data.inputs["target"]], verbose=0)
    named = [inputs[name] for name in parts.sources]
    np.testing.assert_allclose(parts.readout.predict(named, verbose=0), whole, atol=1e-4)
    content = (pair[1] / "readout.tflite").read_bytes()
    report = export.verify(parts.readout, content, inputs)
    assert report.passed and report.steps == 80
    errors = [r.learned_error for r in report.results if not r.note]
    assert len(errors) > 2 and all(error <= 1e-4 for error in errors)


def test_a_pair_out_of_tolerance_names_what_helps(pair):
    *others, last = pair[0].results
    report = replace(pair[0], results=(*others, replace(last, metric=2 * last.metric)))
    finer, tolerance = remedies_of_pair(report, targets.get("micro"), RECIPES["int8"])
    assert "'int16x8' or 'float32'" in finer and "metric_tolerance=" in tolerance
    finer, _ = remedies_of_pair(report, targets.get("micro"), RECIPES["int16x8"])
    assert "recipe 'float32'" in finer


@needs_compiler
def test_both_files_of_a_pair_fit_in_one_program(pair, tmp_path):
    folder = pair[1]
    program = tmp_path / "both.cc"
    # Each file has an arena of its own; the report states their sum.
    reserved = int(1.75 * (pair[0].arena_bytes or 0))
    headers = ["lnn_model.h", "lnn_op_resolver.h", "model.h", "recording.h"]
    headers += ["lnn_readout_model.h", "lnn_readout_op_resolver.h", "readout_model.h"]
    headers += ["readout_recording.h", "tensorflow/lite/micro/micro_interpreter.h"]
    program.write_text(
        "".join(f'#include "{name}"\n' for name in headers)
        + "static_assert(lnn::kModelDigest != lnn_readout::kModelDigest);\n"
        + f"static_assert(LNN_ARENA_BYTES + LNN_READOUT_ARENA_BYTES >= {reserved} && "
        + f"LNN_ARENA_BYTES + LNN_READOUT_ARENA_BYTES < {reserved + 256});\n"
        + "const unsigned char* both[] = {lnn_model_data, lnn_readout_model_data};\n"
    )
    sources = [program, *(folder / name for name in ("model_data.cc", "readout_model_data.cc"))]
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += [f"-I{folder}", f"-I{STUB}", *map(str, sources), "-o", str(tmp_path / "both.so")]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert set(pair[0].files) == {path.name for path in folder.iterdir()}
    readme = (folder / "README.md").read_text()
    assert "lnn_readout::input::features, features," in readme and "`delay` is 1" in readme


@needs_compiler
def test_the_readout_of_a_pair_repeats_its_recording(pair, tmp_path, capfd):
    pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
    # The stub of the tests knows the names of a single file.
    for path in pair[1].iterdir():
        if "readout_" in path.name:
            text = path.read_text().replace("lnn_readout", "lnn").replace("LNN_READOUT_", "LNN_")
            name = path.name.replace("lnn_readout_", "lnn_").replace("readout_", "")
            (tmp_path / name).write_text(text.replace('"readout_', '"'))
    runtime = Micro((pair[1] / "readout.tflite").read_bytes())
    tensors = [runtime.signature.inputs, runtime.signature.outputs]
    shapes = [[(tensor.shape, tensor.dtype) for tensor in listed] for listed in tensors]
    status, printed = Device(tmp_path, tmp_path, *shapes, runtime.invoke).replay(capfd)
    assert printed.startswith("PASS: 32 steps, largest difference 0 ") and status == 0
