"""Quantized files: scales of inputs and states, calibration in closed loop, shared constants."""

import keras
import numpy as np
import pytest
from export_models import calibrated, normalized, sequential, step_file

import export
from export.runtimes.litert import LiteRT
from export.runtimes.rollout import rollout
from export.tflite_file import flatbuffer
from lnn_keras import LiquidCell, LiquidRNN

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")


def relative_errors(step, content, model, data):
    """Of a file's outputs on the first sequence, per feature, by its deviation."""
    rows = {"x": export.as_sequences(step, data)["x"][:1]}
    values = rollout(LiteRT(content), rows).outputs["output"][0]
    expected = keras.ops.convert_to_numpy(model(data[:1]))[0]
    difference = step.scalings["output"].to_real(values) - expected
    return np.sqrt(np.mean(difference**2, axis=0)) / expected.std(axis=0)


def test_one_scale_per_feature_keeps_the_small_ones(signal):
    """Without folding, a feature far smaller than one unit of the tensor is lost."""
    data = signal * np.float32([1, 100, 0.01])
    model = normalized("gru", data)
    errors = {}
    for fold in (True, False):
        step, samples = calibrated(model, data, fold_scaling=fold)
        content = step_file(step, samples)
        errors[fold] = relative_errors(step, content, model, data)
    assert errors[True].max() < 0.08
    assert errors[False].max() > 0.5


@pytest.mark.parametrize("name", ["liquid", "lstm", "warm"])
def test_states_have_one_scale(name, exported):
    """A state is fed back by copying, also where TANH fixes the range of the output."""
    states = flatbuffer.read_signature(exported(name).content).states
    assert len(states) == len(export.to_step(exported(name).model).states)
    for state, following in states:
        assert state.scale == following.scale > 0
        assert state.zero_point == following.zero_point


def test_calibration_samples_are_the_states_of_the_closed_loop(signal):
    model = sequential("gru")
    step, samples = calibrated(model, signal)
    (state,) = step.states
    hidden = model.layers[0](signal)
    visited = np.concatenate([sample[state.name] for sample in samples])
    np.testing.assert_allclose(visited[1:40], hidden[0, :39], atol=1e-6)
    assert (visited[0] == 0).all()
    assert len(samples) == 120


def test_a_state_that_grows_to_the_end_has_one_scale():
    """Only an output reaches the largest value, so calibration must widen the input's range."""
    growing = np.linspace(0, 1, 50, dtype="float32")[:, None] * np.ones((1, 3), "float32")
    step, samples = calibrated(sequential("node"), growing)
    ((state, following),) = flatbuffer.read_signature(step_file(step, samples)).states
    starts = np.abs([sample[state.name] for sample in samples])
    assert starts.max() == starts[-1].max()
    assert (state.scale, state.zero_point) == (following.scale, following.zero_point)


def test_equal_constants_are_stored_once(signal):
    sizes = {}
    for unfolds in (1, 6):
        layer = LiquidRNN(LiquidCell(24, unfolds=unfolds), return_sequences=True)
        content = step_file(*calibrated(sequential(layer), signal[:1]))
        buffers = [bytes(b.data) for b in flatbuffer.unpack(content).buffers if b.data is not None]
        assert len(buffers) == len(set(buffers))
        sizes[unfolds] = sum(map(len, buffers))
    # One kernel of 576 bytes per unfold would add 2,880 bytes.
    assert sizes[6] < sizes[1] + 2000
