"""Operations without an integer kernel become products and sums, or are named with their layer."""

import keras
import numpy as np
import pytest
from export_models import CELLS, calibrated, sequential, step_file

from export import to_step
from export.convert import converter
from export.runtimes.keras_step import keras_rollout
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import rollout
from export.tflite_file import flatbuffer
from lnn_keras import LiquidRNN, NODECell

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers
CONVERTED = [
    "liquid-six-unfolds",
    "liquid-adjoint",
    "ltc",
    "cfc-pure",
    "wired-cfc",
    "lrc",
    "ctgru",
    "node-rk4",
    "lef-gaussian",
    "lef-gamma",
]


def recurrent(cell):
    return sequential(LiquidRNN(cell, return_sequences=True))


@pytest.mark.parametrize(
    "name",
    # Forms drop the adjoint, so that its file is the other one of the cell.
    [
        pytest.param(name, marks=pytest.mark.slow if name == "liquid-adjoint" else ())
        for name in CONVERTED
    ],
)
def test_int16x8_has_no_float_operation(name, signal):
    """16-bit integers throughout, states of one scale, and outputs close to the model's."""
    data = signal[:1, :20]
    step, samples = calibrated(recurrent(CELLS[name]()), data, fold_scaling=True)
    content = step_file(step, samples, "int16x8")
    assert {dtype for _, dtype in flatbuffer.read_operations(content)} == {"int16"}
    for state, following in flatbuffer.read_signature(content).states:
        assert state.scale == following.scale > 0
        assert state.zero_point == following.zero_point == 0
    initial = {state.name: state.initial for state in step.states}
    expected = keras_rollout(step, {"x": data[:1]}).outputs["output"]
    for runtime in (LiteRT(content), Micro(content)):
        outputs = rollout(runtime, {"x": data[:1]}, initial).outputs["output"]
        # Untrained weights hardly move the outputs; the 8 bits of weights are most of the error.
        assert np.abs(outputs - expected).max() < 0.02 * np.abs(expected).max()


def test_a_denominator_that_reaches_zero_is_named(signal):
    x = keras.Input((None, 3), name="x")
    hidden = layers.SimpleRNN(3, return_sequences=True)(x)
    inverse = layers.Dense(2, activation=keras.ops.reciprocal, name="inverse")(hidden)
    with pytest.raises(ValueError, match=r"in layer 'inverse' has no integer form: its denomin"):
        step_file(*calibrated(keras.Model(x, inverse), signal), "int16x8")


@pytest.mark.parametrize(
    ("activation", "recipe", "message"),
    [
        ("gelu", "float32", "GELU on float32 in layer 'head'"),
        ("log_softmax", "int16x8", "LOG_SOFTMAX on int16 in layer 'head'. Return softmax"),
        ("hard_shrink", "int16x8", "SELECT_V2 on int16 in layer 'head'. Replace the comparison"),
        (keras.ops.floor, "int8", "FLOOR on int8 in layer 'head'"),
    ],
)
def test_a_missing_kernel_is_named_before_the_converter_runs(
    activation, recipe, message, signal, monkeypatch
):
    model = keras.Sequential(
        [
            keras.Input((None, 3), name="x"),
            layers.SimpleRNN(4, name="body"),
            layers.Dense(2, activation=activation, name="head"),
        ]
    )
    monkeypatch.setattr(converter, "convert", None)
    with pytest.raises(ValueError, match=f"Target 'micro' has no kernel for: {message}"):
        step_file(*calibrated(model, signal[:1]), recipe)


def test_a_state_that_nothing_reads_is_named(signal):
    class Forgetful(layers.SimpleRNNCell):
        def call(self, sequence, states, training=False):
            output = keras.ops.matmul(sequence, self.kernel)
            return output, [output]

    model = sequential(layers.RNN(Forgetful(4), return_sequences=True, name="body"))
    with pytest.raises(ValueError, match=r"Nothing reads 'body_state_0'.*Remove this input"):
        step_file(*calibrated(model, signal[:1]))


def test_a_loop_cannot_be_calibrated():
    step = to_step(recurrent(NODECell(4, solver="dopri5")))
    with pytest.raises(ValueError, match=r"within the loop in layer 'liquid_rnn.*rk4"):
        step_file(step, target="phone")
