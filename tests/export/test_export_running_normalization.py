"""Running normalization on devices: floats follow Keras, and integers say what they cannot do."""

import keras
import numpy as np
import pytest
from export_models import calibrated, reset_names_and_seeds, step_file

import export
from export import recipes
from export.calibration import closed_loop_samples, slow_state_warnings
from export.forms.step import to_step
from export.runtimes.litert import LiteRT
from export.runtimes.rollout import feed_back, rollout
from export.tflite_file import flatbuffer
from export.verification.error_metrics import relative_rms
from lnn_keras import LiquidCell, LiquidRNN
from lnn_keras.adapt import RunningNormalization

MEMORY = 200


def readings(length, seed, drift=1.0):
    """Sines with noise of three sensors, whose gains or biases change at the step 50."""
    random = np.random.default_rng(seed)
    phase = random.random((4, 1, 3)) * 6
    x = np.sin(np.arange(length)[:, None] / 9 + phase) * 4 + random.standard_normal((4, length, 3))
    x += np.array([20, 0, 5])
    x[::2, 50:] *= 1 + 0.5 * drift
    x[1::2, 50:] += 2 * drift
    return x.astype("float32")


def normalizer(memory=MEMORY, **kwargs):
    reset_names_and_seeds()
    inputs = keras.Input((None, 3), name="x")
    layer = RunningNormalization(3, memory=memory, name="norm", **kwargs)
    model = keras.Model(inputs, layer(inputs))
    layer.adapt(readings(300, 0, drift=0))
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A float32 file of a liquid network behind running normalization."""
    front = normalizer()
    x = LiquidRNN(LiquidCell(4, unfolds=1), return_sequences=True, name="liquid")(front.output)
    model = keras.Model(front.input, keras.layers.Dense(2)(x))
    folder = tmp_path_factory.mktemp("running") / "out"
    report = export.to_tflite(
        model, folder, target="micro", recipe="float32", evaluation=readings(150, 1)
    )
    return model, report, (folder / "model.tflite").read_bytes()


def outputs(runtime, x):
    """The outputs of a float file in closed loop. A `Stepper` takes finite values only."""
    (read,), (written,) = runtime.signature.data_inputs, runtime.signature.data_outputs
    values = [np.zeros(tensor.shape, tensor.dtype) for tensor in runtime.signature.inputs]
    rows = []
    for row in x:
        values[read.position] = row.reshape(read.shape)
        results = runtime.invoke(values)
        feed_back(runtime.signature, values, results)
        rows.append(results[written.position].reshape(-1))
    return np.stack(rows)


def test_statistics_are_states_of_the_file(exported):
    _, report, _ = exported
    assert report.passed and max(result.output_error for result in report.results) < 1e-5
    states = {t.name: t.initial for t in report.layout if t.kind == "state"}
    assert states["norm_state_0"] == states["norm_state_1"] == (0.0, 0.0, 0.0)


def test_missing_values_and_outliers_on_each_runtime(exported):
    """Readings that verification cannot contain: NaN, infinite ones, 3e38 and 1e6."""
    model, _, content = exported
    x = readings(80, 2)[0]
    x[10, 0], x[11, 1], x[12, 2], x[13], x[14, 1] = np.nan, np.inf, -np.inf, np.nan, 1e6
    # Generated code refuses NaN: there a missing value is a number beyond 1e15.
    x[15, 0], x[16] = 3e38, -1e15
    wanted = model.predict(x[None], verbose=0)[0]
    assert np.isfinite(wanted).all()
    runtimes = [stepper.runtime for stepper in export.steppers(content, model)]
    assert runtimes
    for runtime in runtimes:
        np.testing.assert_allclose(outputs(runtime, x), wanted, atol=1e-5, err_msg=runtime.name)


def test_whole_sequences_with_elapsed_times(tmp_path):
    reset_names_and_seeds()
    inputs, gaps = keras.Input((None, 3), name="x"), keras.Input((None,), name="gaps")
    layer = RunningNormalization(3, 20.0, 16.0, memory=50, statistics=True)
    model = keras.Model([inputs, gaps], layer(inputs, elapsed=gaps))
    times = np.random.default_rng(0).uniform(0, 20, (4, 60)).astype("float32")
    data = {"x": readings(60, 3), "gaps": times}
    report = export.to_tflite(
        model, tmp_path / "out", target="phone", recipe="float32", evaluation=data
    )
    assert report.passed


def test_int16x8_follows_a_drift(tmp_path):
    """Within the range of the calibration data, which therefore drift further."""
    report = export.to_tflite(
        normalizer(),
        tmp_path / "out",
        target="micro",
        recipe="int16x8",
        calibration=readings(250, 1, drift=1.3),
        evaluation=readings(150, 2),
    )
    assert report.passed and max(result.output_error for result in report.results) < 0.005
    assert not report.warnings
    assert not {"LESS_EQUAL", "SELECT_V2", "SQRT", "DIV"} & set(report.operations)


def test_int8_does_not_follow_a_drift():
    """Its error is beyond the tolerance of the recipe, which an export refuses."""
    model, data = normalizer(), readings(150, 1)
    content = step_file(*calibrated(model, data))
    data = data.reshape(1, -1, 3)
    (found,) = rollout(LiteRT(content), {"x": data}).outputs.values()
    expected = model.predict(data, verbose=0)[0]
    assert relative_rms(found[0], expected) > recipes.get("int8").tolerance


@pytest.mark.parametrize(
    "recipe, slow", [("int8", ["norm_state_0", "norm_state_1"]), ("int16x8", [])]
)
def test_slow_states_are_reported(recipe, slow):
    """One step of a long memory is below the resolution of 8 bits, not of 16."""
    step = to_step(normalizer(memory=1000))
    samples = closed_loop_samples(step, {"x": readings(2000, 1)})
    warnings = slow_state_warnings(step, samples, recipes.get(recipe))
    assert [warning.split("'")[1] for warning in warnings] == slow
    assert all("Use a recipe with finer activations" in warning for warning in warnings)


def test_integer_files_need_no_tests_for_missing_values():
    """Also in a user's own model; a test that stayed would be an operation of the file."""
    reset_names_and_seeds()
    ops = keras.ops
    x = keras.Input((None, 3), name="x")
    values = ops.where(ops.isnan(x), 0.0, x)
    values = ops.where(ops.isinf(values), 0.0, values)
    values = ops.where(ops.isfinite(values), values, 0.0)
    values = ops.where(ops.abs(values) < 1e30, values, 0.0)
    model = keras.Model(x, keras.layers.GRU(3, return_sequences=True)(values))
    data = np.random.default_rng(0).standard_normal((2, 30, 3)).astype("float32")
    content = step_file(*calibrated(model, data))
    names = {name for name, _ in flatbuffer.read_operations(content)}
    assert "FULLY_CONNECTED" in names
    assert not any(name.startswith(("SELECT", "LESS", "IS_", "ABS")) for name in names)
    (outputs,) = rollout(LiteRT(content), {"x": data}).outputs.values()
    np.testing.assert_allclose(outputs, model(data), atol=0.05)
