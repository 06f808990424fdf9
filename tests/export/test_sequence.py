"""The phone file: steps, and sequences of any batch and length, of built-in operations alone."""

import keras
import numpy as np
import pytest

from export import recipes, targets, to_sequence, to_step
from export.convert import convert
from export.runtimes.litert import make_interpreter
from export.tflite_file import flatbuffer
from lnn_keras import (
    CfCCell,
    CTGRUCell,
    CTRNNCell,
    LEFCell,
    LiquidCell,
    LiquidRNN,
    LRCCell,
    LTCCell,
    MixedMemoryCell,
    NODECell,
    ODERNNCell,
    WiredCfCCell,
    wirings,
)

layers = keras.layers
WIRING = wirings.AutoNCP(10, 2)
CELLS = {
    "liquid": lambda: LiquidCell(6, unfolds=2),
    "liquid-adjoint": lambda: LiquidCell(6, unfolds=2, adjoint=True),
    "ltc": lambda: LTCCell(WIRING, unfolds=2),
    "cfc": lambda: CfCCell(6),
    "cfc-pure": lambda: CfCCell(6, mode="pure"),
    "wired-cfc": lambda: WiredCfCCell(WIRING),
    "lrc": lambda: LRCCell(6),
    "ctrnn": lambda: CTRNNCell(6, unfolds=2),
    "ctgru": lambda: CTGRUCell(6),
    "node-rk4": lambda: NODECell(6, solver="rk4", unfolds=2),
    "node-dopri5": lambda: NODECell(6, solver="dopri5"),
    "ode-rnn": lambda: ODERNNCell(6, unfolds=2),
    "lef-gaussian": lambda: LEFCell(3, family="gaussian", unfolds=2),
    "lef-gamma": lambda: LEFCell(3, family="gamma", unfolds=2),
    "mixed-memory": lambda: MixedMemoryCell(CfCCell(6)),
}
STOCK = {
    "lstm": lambda: layers.LSTM(4, return_sequences=True),
    "gru": lambda: layers.GRU(4, return_sequences=True, reset_after=False),
    "simple": lambda: layers.SimpleRNN(4, return_sequences=True),
    "stacked": lambda: layers.RNN([layers.LSTMCell(4), LiquidCell(5)], return_sequences=True),
    "last": lambda: LiquidRNN(CfCCell(4)),
}


def irregular(cell):
    """A model of irregularly sampled data: elapsed times are an input."""
    x, elapsed = keras.Input((None, 3), name="x"), keras.Input((None,), name="elapsed")
    hidden = LiquidRNN(cell, return_sequences=True)(x, elapsed=elapsed)
    return keras.Model([x, elapsed], layers.Dense(2)(hidden))


def stock(layer):
    return keras.Sequential([keras.Input((None, 3), name="x"), layer, layers.Dense(2)])


def phone_file(model, recipe="float32"):
    return convert(
        to_step(model), recipes.get(recipe), targets.get("phone"), sequence=to_sequence(model)
    )


def draw(model, random, batch, time):
    """Inputs by name; elapsed times are positive."""
    return {
        tensor.name: np.abs(random.standard_normal((batch, time, *tensor.shape[2:]))).astype("f4")
        for tensor in model.inputs
    }


def require_equal(model, content, random, shapes):
    run = make_interpreter(content).get_signature_runner("sequence")
    for batch, time in shapes:
        inputs = draw(model, random, batch, time)
        outputs = run(**inputs)["output"]
        # Without predict, whose traced TimeDistributed mixes batch and time.
        expected = model(list(inputs.values()) if len(inputs) > 1 else inputs["x"])
        np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_sequences_of_any_batch_and_length(name, random):
    model = irregular(CELLS[name]())
    content = phone_file(model)
    assert set(flatbuffer.signature_names(content)) == {"step", "sequence"}
    require_equal(model, content, random, [(1, 1), (7, 50), (1, 50), (7, 1)])
    require_steps_equal_sequence(model, content, random)


def require_steps_equal_sequence(model, content, random):
    interpreter = make_interpreter(content)
    inputs = draw(model, random, 2, 9)
    whole = interpreter.get_signature_runner("sequence")(**inputs)["output"]
    step, run = to_step(model), interpreter.get_signature_runner("step")
    states = {state.name: np.repeat(state.initial, 2, axis=0) for state in step.states}
    for t in range(9):
        now = {name: value[:, t].reshape(2, -1) for name, value in inputs.items()}
        results = run(**now, **states)
        states = {name: results["next_" + name] for name in states}
        np.testing.assert_allclose(results["output"], whole[:, t], atol=1e-5)


@pytest.mark.parametrize("name", STOCK)
def test_stock_layers(name, random):
    model = stock(STOCK[name]())
    require_equal(model, phone_file(model), random, [(1, 50), (7, 3)])


def test_a_thousand_steps(random):
    model = irregular(LiquidCell(8))
    require_equal(model, phone_file(model), random, [(2, 1000)])


def test_layers_around_and_the_last_step(random):
    """A convolutional front end, normalisation, a wrapped layer, two branches, a last-step head."""
    x = keras.Input((None, 4), name="x")
    normalize = layers.Normalization()
    normalize.adapt(random.standard_normal((50, 6, 4)) * 3 + 1)
    z = layers.Conv1D(6, 3, padding="causal", dilation_rate=2, groups=2)(normalize(x))
    z = layers.Conv1D(6, 3, padding="causal", strides=2, activation="relu")(z)
    z = layers.LayerNormalization()(layers.BatchNormalization()(z))
    h = layers.TimeDistributed(layers.Dense(5))(layers.Dropout(0.5)(z))
    h = layers.Concatenate()(
        [layers.GRU(4, return_sequences=True)(h), layers.Activation("tanh")(z)]
    )
    h = LiquidRNN(CfCCell(5), return_sequences=True)(h)
    model = keras.Model(x, layers.Dense(2)(h[:, -1]))
    content = phone_file(model)
    require_equal(model, content, random, [(1, 1), (7, 50), (3, 51)])
    assert not {name for name, _ in flatbuffer.read_operations(content) if "Flex" in name}


@pytest.mark.parametrize("name", ["liquid", "node-dopri5"])
def test_adjoints_and_adaptive_steps_leave_no_trace_in_the_model(name):
    cell = CELLS["liquid-adjoint"]() if name == "liquid" else CELLS[name]()
    model = irregular(cell)
    to_sequence(model), to_step(model)
    assert cell.adjoint is (name == "liquid")
    assert model.count_params() == to_sequence(model).count_params()
