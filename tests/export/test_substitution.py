"""What a target lacks is named with its layer, or becomes products and sums."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export import as_sequences, recipes, targets, to_step
from export.calibration import closed_loop_samples
from export.convert import convert, converter
from export.converter_process import SAMPLES
from export.graph import polynomial, tf_graph
from export.runtimes.keras_step import KerasStep
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import rollout
from export.tflite_file import flatbuffer
from lnn_keras import (
    CfCCell,
    CTGRUCell,
    LEFCell,
    LiquidCell,
    LiquidRNN,
    LRCCell,
    LTCCell,
    NODECell,
    WiredCfCCell,
    wirings,
)

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers
CELLS = {
    "liquid": lambda: LiquidCell(8),
    "liquid-adjoint": lambda: LiquidCell(8, unfolds=2, adjoint=True),
    "ltc": lambda: LTCCell(wirings.AutoNCP(10, 2), unfolds=2),
    "cfc-pure": lambda: CfCCell(6, mode="pure"),
    "wired-cfc": lambda: WiredCfCCell(wirings.AutoNCP(10, 2)),
    "lrc": lambda: LRCCell(6),
    "ctgru": lambda: CTGRUCell(6),
    "node-rk4": lambda: NODECell(6, solver="rk4", unfolds=2),
    "lef-gaussian": lambda: LEFCell(3, family="gaussian", unfolds=2),
    "lef-gamma": lambda: LEFCell(3, family="gamma", unfolds=2),
}


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    time = np.arange(150)[None, :, None] / 9 + random.random((2, 1, 3)) * 6
    return (np.sin(time) + 0.1 * random.standard_normal((2, 150, 3))).astype("float32")


def make_model(cell):
    layer = LiquidRNN(cell, return_sequences=True)
    return keras.Sequential([keras.Input((None, 3), name="x"), layer, layers.Dense(2)])


def step_file(model, recipe, data, target="micro"):
    recipe = recipes.get(recipe)
    step = to_step(model, fold_scaling=recipe.is_integer)
    samples = closed_loop_samples(step, as_sequences(step, data)) if recipe.is_integer else []
    return step, convert(step, recipe, targets.get(target), samples)


@pytest.mark.parametrize("name", CELLS)
def test_int16x8_has_no_float_island(name, data):
    """16-bit integers throughout, states of one scale, and the numbers of the model."""
    model = make_model(CELLS[name]())
    step, content = step_file(model, "int16x8", data)
    assert {dtype for _, dtype in flatbuffer.read_operations(content)} == {"int16"}
    for state, following in flatbuffer.read_signature(content).states:
        assert state.scale == following.scale > 0
        assert state.zero_point == following.zero_point == 0
    initial = {state.name: state.initial for state in step.states}
    expected = rollout(KerasStep(step), {"x": data[0]}, initial).outputs["output"]
    for runtime in (LiteRT(content), Micro(content)):
        outputs = rollout(runtime, {"x": data[0]}, initial).outputs["output"]
        # Weights as drawn hardly move the outputs; eight bits of weight are most of the error.
        assert np.abs(outputs - expected).max() < 0.02 * np.abs(expected).max()


@given(
    low=st.floats(0.05, 5), width=st.floats(0, 4), name=st.sampled_from(["1/x", "log", "sqrt", "e"])
)
def test_polynomials_follow_their_function(low, width, name):
    function = {"1/x": np.reciprocal, "log": np.log, "sqrt": np.sqrt, "e": np.exp}[name]
    high = low * (1 + width)
    bounds = np.array([[low, 2 * low]]), np.array([[high, 2 * high]])
    try:
        found = polynomial.fit(function, *bounds, domain=(0.0, np.inf))
    except ValueError:
        # Wide ranges near 0 are refused, not followed badly.
        assert width > 0.5
        return
    x = bounds[0] + np.linspace(0, 1, 50)[:, None] * (bounds[1] - bounds[0])
    largest = np.abs(function(x)).max()
    # Coefficients are stored as float32.
    assert np.abs(found(x) - function(x)).max() <= (polynomial.TOLERANCE + 1e-5) * 3 * largest


def test_a_denominator_that_comes_to_zero_is_named(data):
    x = keras.Input((None, 3), name="x")
    hidden = layers.SimpleRNN(3, return_sequences=True)(x)
    inverse = keras.Model(x, layers.UnitNormalization(name="unit")(hidden))
    with pytest.raises(ValueError, match=r"in layer 'unit' has no integer form: no polynomial"):
        step_file(inverse, "int16x8", data)


@pytest.mark.parametrize(
    ("activation", "recipe", "named"),
    [
        ("gelu", "float32", "GELU on float32 in layer 'head'"),
        ("relu6", "int8", "RELU6 on int8 in layer 'head'"),
        ("elu", "int16x8", "ELU on int16 in layer 'head'"),
    ],
)
def test_what_a_target_lacks_is_named_before_the_converter_runs(
    activation, recipe, named, data, monkeypatch
):
    model = keras.Sequential(
        [
            keras.Input((None, 3), name="x"),
            layers.SimpleRNN(4, name="body"),
            layers.Dense(2, activation=activation, name="head"),
        ]
    )
    monkeypatch.setattr(converter, "convert", None)
    with pytest.raises(ValueError, match=f"Target 'micro' has no kernel for: {named}"):
        step_file(model, recipe, data)


def test_a_loop_cannot_be_calibrated(data):
    model = make_model(NODECell(4, solver="dopri5"))
    with pytest.raises(ValueError, match=r"within the loop in layer 'liquid_rnn.*rk4"):
        step_file(model, "int8", data, target="phone")


def test_a_crash_of_the_converter_is_an_error_and_the_next_one_works(data, tmp_path):
    """Calibration of a loop ends the converter's process."""
    step = to_step(make_model(NODECell(4, solver="dopri5")))
    samples = closed_loop_samples(step, as_sequences(step, data[:1, :3]))
    tf_graph.save({"step": tf_graph.trace(step.model, 1)}, tmp_path)
    stacked = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
    np.savez(tmp_path / SAMPLES, **stacked)
    with pytest.raises(RuntimeError, match=r"crashed on the loop \(signal \d+\)"):
        converter.convert(
            str(tmp_path), ["step"], {"activations": "int8", "weights": "int8"}, "the loop"
        )
    assert len(step_file(make_model(CfCCell(4)), "int8", data)[1]) > 1000


def test_a_failure_of_the_converter_is_an_error_with_its_words(tmp_path):
    with pytest.raises(RuntimeError, match=r"failed on nothing\.\nSavedModel file does not exist"):
        converter.convert(
            str(tmp_path), ["step"], {"activations": "float32", "weights": "int8"}, "nothing"
        )
