"""Verification: the errors it measures, the wrong files it notices, the data it warns about."""

import logging
import re

import keras
import numpy as np
import pytest
from export_models import normalized, sequential

import export
from export import recipes, targets
from export.convert import convert
from export.data import noise
from export.forms.model_graph import read_graph
from export.verification import check_forms, error_metrics
from lnn_keras import LiquidCell, LiquidRNN

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers


def test_relative_rms():
    reference = np.array([[0.0, 10.0], [2.0, 10.0]])  # standard deviations 1 and 0
    error = error_metrics.relative_rms(reference + 0.1, reference)
    assert error == pytest.approx(0.1 / np.sqrt(0.5))
    constant = np.ones((4, 2))
    assert error_metrics.relative_rms(constant + 0.1, constant) == pytest.approx(0.1)


def test_errors_of_steps():
    reference = {"y": np.array([[0.0], [2.0], [0.0], [2.0]])}  # a standard deviation of 1
    values = {"y": reference["y"] + [[0.0], [0.3], [0.0], [-0.4]]}
    errors = error_metrics.step_errors(values, reference)
    np.testing.assert_allclose(errors, [0, 0.3, 0, 0.4])
    assert error_metrics.largest_rms(values, reference) == pytest.approx(0.25)
    np.testing.assert_allclose(error_metrics.curve(errors), errors)


def test_a_curve_keeps_the_mean_square():
    errors = np.random.default_rng(0).random(1500)
    curve = error_metrics.curve(errors)
    assert len(curve) == 500
    assert np.mean(np.square(curve)) == pytest.approx(np.mean(errors**2))


def test_a_last_step_is_measured_relative_to_the_variation_of_all_steps(signal, random, tmp_path):
    """Two nearly equal features: relative to their difference, any error would be large."""
    model = sequential(layers.GRU(8))
    kernel = random.standard_normal((8, 1)) * [1, 1.001]
    model.layers[-1].set_weights([kernel, np.zeros(2)])
    folder = tmp_path / "out"
    report = export.to_tflite(model, folder, target="phone", recipe="float16", calibration=signal)
    errors = {result.name: result.output_error for result in report.results}
    assert 0 < errors["LiteRT, sequence"] < 10 * errors["LiteRT (XNNPACK)"]


def test_a_file_of_other_weights_or_another_model_is_noticed(exported, mixed_units):
    content = exported("gru", "float32").content
    keras.utils.set_random_seed(1)
    same_names_and_sizes = normalized("gru", mixed_units)
    report = export.verify(same_names_and_sizes, content, mixed_units)
    assert not report.passed
    assert "RMS error" in report.failures[0]
    with pytest.raises(ValueError, match="was not made of model"):
        export.verify(sequential("lstm"), content, mixed_units)


def test_a_sequence_signature_of_other_weights_is_noticed(signal):
    model, other = sequential("gru"), sequential("gru")
    step = export.to_step(model)
    recipe, phone = recipes.get("float32"), targets.get("phone")
    content = convert(step, recipe, phone, sequence=export.to_sequence(model))
    report = export.verify(model, content, signal)
    assert report.passed and report.target == "phone"
    assert report.results[-1].name == "LiteRT, sequence"
    content = convert(step, recipe, phone, sequence=export.to_sequence(other))
    (failure,) = export.verify(model, content, signal).failures
    assert failure.startswith("LiteRT, sequence: the outputs' RMS error")


def test_verification_does_not_look_like_retracing(signal, caplog):
    """TensorFlow warns of functions that are traced again and again."""
    graph = read_graph(sequential("gru"))
    (name,) = graph.inputs
    with caplog.at_level(logging.WARNING, "tensorflow"):
        for _ in range(6):
            check_forms.model_outputs(graph, {name: signal[:1, :3]})
    assert not caplog.records


def test_noise_has_positive_times_and_the_scale_of_the_data(signal):
    x, elapsed = keras.Input((None, 3), name="x"), keras.Input((None,), name="elapsed")
    normalize = layers.Normalization()
    normalize.adapt(signal * 100 + 1000)
    y = LiquidRNN(LiquidCell(4))(normalize(x), elapsed=elapsed)
    model = keras.Model([x, elapsed], y)
    rows = noise(model, 500)
    assert rows["elapsed"].shape == (1, 500) and rows["elapsed"].min() >= 0
    assert rows["x"].mean() == pytest.approx(1000, rel=0.02)


def with_outlier(data):
    data = data.copy()
    data[1, 2, 0] = 1e6
    return data


def with_constant(data):
    data = data.copy()
    data[..., 2] = 3.0
    return data


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            with_outlier,
            ["Feature 0 of input 'x': 98 % of its calibration values .* is 1e\\+06. Rem"],
        ),
        (with_constant, ["Feature 2 of input 'x' is always 3 in the calibration data"]),
        (
            np.zeros_like,
            [
                "State 'gru.*_state_0' never leaves its initial value",
                "Tensor '.*' is constant on all of the calibration data",
            ],
        ),
    ],
)
def test_warnings_name_the_gaps_of_the_calibration_data(change, messages, signal, tmp_path):
    try:
        report = export.to_tflite(
            sequential("gru"),
            tmp_path / "out",
            calibration=change(signal),
            evaluation=signal,
            steps=20,
        )
    except export.VerificationError as error:
        # On the unchanged data such a file may well fail; the warnings say why.
        report = error.report
    for message in messages:
        assert any(re.match(message, warning) for warning in report.warnings)
