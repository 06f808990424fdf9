"""Phone files: a step and sequences of any batch and length, of built-in operations."""

import keras
import numpy as np
import pytest
from export_models import CELLS, RECURRENT, irregular, sequential

from export import recipes, targets, to_sequence, to_step
from export.convert import convert
from export.runtimes.interpreters import make_interpreter
from export.tflite_file import flatbuffer
from lnn_keras import CfCCell, LiquidCell, LiquidRNN

layers = keras.layers
STOCK = {
    **{name: RECURRENT[name] for name in ("lstm", "gru-reset-before", "simple", "stacked")},
    "last": lambda: LiquidRNN(CfCCell(4)),
}


def phone_file(model):
    recipe, phone = recipes.get("float32"), targets.get("phone")
    return convert(to_step(model), recipe, phone, sequence=to_sequence(model))


def draw(model, random, batch, time):
    """Random inputs by name; elapsed times are positive."""
    return {
        tensor.name: np.abs(random.standard_normal((batch, time, *tensor.shape[2:]))).astype("f4")
        for tensor in model.inputs
    }


def require_equal(model, content, random, shapes, call=None):
    """The file's sequences are those of the model, which `call` may run in another way."""
    run = make_interpreter(content).get_signature_runner("sequence")
    for batch, time in shapes:
        inputs = draw(model, random, batch, time)
        outputs = run(**inputs)["output"]
        # `predict` would trace TimeDistributed, which then mixes batch and time.
        expected = (call or model)(list(inputs.values()) if len(inputs) > 1 else inputs["x"])
        np.testing.assert_allclose(outputs, expected, atol=1e-5)


# Cells that differ from a fast one in their equations only; test_substitute_ops.py converts them.
SLOW = {"cfc-pure", "wired-cfc", "lrc", "ctgru", "node-rk4", "lef-gamma"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
        for name in CELLS
        if name != "liquid-six-unfolds"
    ],
)
def test_sequences_of_any_batch_and_length(name, random):
    model = irregular(CELLS[name]())
    content = phone_file(model)
    assert set(flatbuffer.signature_names(content)) == {"step", "sequence"}
    require_equal(model, content, random, [(1, 1), (3, 6), (1, 6), (3, 1)])
    require_steps_equal_sequence(model, content, random)


def require_steps_equal_sequence(model, content, random):
    interpreter = make_interpreter(content)
    inputs = draw(model, random, 2, 6)
    sequence = interpreter.get_signature_runner("sequence")(**inputs)["output"]
    step, run = to_step(model), interpreter.get_signature_runner("step")
    states = {state.name: np.repeat(state.initial, 2, axis=0) for state in step.states}
    for t in range(6):
        now = {name: value[:, t].reshape(2, -1) for name, value in inputs.items()}
        results = run(**now, **states)
        states = {name: results["next_" + name] for name in states}
        np.testing.assert_allclose(results["output"], sequence[:, t], atol=1e-5)


@pytest.mark.parametrize("name", STOCK)
def test_stock_layers(name, random):
    model = sequential(STOCK[name]())
    require_equal(model, phone_file(model), random, [(1, 12), (7, 3)])


def test_a_thousand_steps(random):
    model = irregular(LiquidCell(8))
    predict = model.predict
    require_equal(
        model, phone_file(model), random, [(2, 1000)], call=lambda x: predict(x, verbose=0)
    )


def test_layers_around_and_the_last_step(random):
    """A convolutional front end, normalization, a wrapped layer, two branches, a last-step head."""
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
    require_equal(model, content, random, [(1, 1), (7, 12), (3, 13)])
    assert not {name for name, _ in flatbuffer.read_operations(content) if "Flex" in name}


@pytest.mark.parametrize("name", ["liquid-adjoint", "node-dopri5"])
def test_forms_leave_adjoints_and_adaptive_steps_of_the_model_unchanged(name):
    cell = CELLS[name]()
    model = irregular(cell)
    to_sequence(model), to_step(model)
    assert cell.adjoint is (name == "liquid-adjoint")
    assert model.count_params() == to_sequence(model).count_params()
