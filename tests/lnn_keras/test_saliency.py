"""Saliency methods: finite differences, completeness, known attributions, bad inputs."""

import importlib

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lnn_keras
from lnn_keras.inspect import (
    gradients,
    integrated_gradients,
    occlusion,
    temporal_saliency_rescaling,
)

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 5, 3)).astype("float32")
METHODS = [gradients, integrated_gradients, occlusion]


def model_of(cell, units=1, sequences=False):
    layer = lnn_keras.LiquidRNN(cell, return_sequences=sequences)
    return keras.Sequential([keras.layers.Input((None, 3)), layer, keras.layers.Dense(units)])


class Linear(keras.layers.Layer):
    """The sum of weights * inputs, (batch, 1)."""

    def __init__(self, weights):
        super().__init__()
        self.factors = weights

    def call(self, x):
        factors = keras.ops.convert_to_tensor(self.factors)
        return keras.ops.sum(x * factors, axis=(1, 2))[:, None]


WEIGHTS = RANDOM.normal(size=(5, 3)).astype("float32")


@pytest.fixture(scope="module")
def liquid():
    keras.utils.set_random_seed(0)
    return model_of(lnn_keras.LiquidCell(4), units=2)


def test_gradients_are_the_differences_of_outputs(liquid):
    found, h = gradients(liquid, X, target=1), 1e-2
    for step, feature in ((0, 0), (2, 1), (4, 2)):
        ends = []
        for sign in (1, -1):
            moved = X.copy()
            moved[:, step, feature] += sign * h
            ends.append(liquid.predict(moved, verbose=0)[:, 1])
        slope = (ends[0] - ends[1]) / (2 * h)
        np.testing.assert_allclose(found[:, step, feature], slope, rtol=2e-2, atol=1e-4)


@settings(max_examples=2, deadline=None)
@given(st.floats(-2.0, 2.0), st.integers(0, 1))
def test_integrated_gradients_are_complete(liquid, baseline, target):
    found = integrated_gradients(liquid, X, target, baseline=baseline, steps=32)
    ends = [liquid.predict(x, verbose=0)[:, target] for x in (X, np.full_like(X, baseline))]
    np.testing.assert_allclose(found.sum((1, 2)), ends[0] - ends[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", [integrated_gradients, occlusion])
def test_contributions_to_a_linear_model_are_exact(method):
    baseline = RANDOM.normal(size=(5, 3)).astype("float32")
    found = method(Linear(WEIGHTS), X, baseline=baseline)
    np.testing.assert_allclose(found, WEIGHTS * (X - baseline), rtol=1e-4, atol=1e-5)


def test_occlusion_by_windows_and_of_all_features():
    effects = WEIGHTS * X
    wide = occlusion(Linear(WEIGHTS), X, width=2)
    sums = effects[:, :4:2] + effects[:, 1:4:2]
    np.testing.assert_allclose(wide[:, 0], sums[:, 0], rtol=1e-4, atol=1e-5)
    # The last window starts at step 3: step 3 is in two windows.
    last = effects[:, 3] + effects[:, 4]
    np.testing.assert_allclose(wide[:, 4], last, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(wide[:, 3], (sums[:, 1] + last) / 2, rtol=1e-4, atol=1e-5)
    at_once = occlusion(Linear(WEIGHTS), X, by_feature=False)
    expected = np.repeat(effects.sum(-1, keepdims=True), 3, axis=-1)
    np.testing.assert_allclose(at_once, expected, rtol=1e-4, atol=1e-5)
    whole = occlusion(Linear(WEIGHTS), X, width=9, by_feature=False)
    np.testing.assert_allclose(whole[:, 0, 0], effects.sum((1, 2)), rtol=1e-4, atol=1e-5)


class Product(keras.layers.Layer):
    """The product of feature 0 at steps 1 and 3, (batch, 1)."""

    def call(self, x):
        return (x[:, 1, 0] * x[:, 3, 0])[:, None]


def test_temporal_rescaling_finds_the_steps_and_features_of_a_product():
    x = np.abs(X) + 0.5
    found = temporal_saliency_rescaling(Product(), x, method=gradients, threshold=0.4)
    assert found.shape == x.shape
    # Without step 1, the gradient by step 3 changes by x[1]; so time = feature = |x|.
    for step, other in ((1, 3), (3, 1)):
        np.testing.assert_allclose(found[:, step, 0], x[:, step, 0] ** 2, rtol=1e-4)
        assert other != step
    salient = np.zeros_like(x, dtype=bool)
    salient[:, [1, 3], 0] = True
    assert (found[salient] > 0).all() and not found[~salient].any()


def test_temporal_rescaling_takes_integrated_gradients_from_the_baseline_by_default():
    x = np.abs(X) + 0.5
    baseline = np.stack([np.full((5, 3), 0.2), np.full((5, 3), 0.4)])
    found = temporal_saliency_rescaling(Product(), x, baseline=baseline, threshold=0.4)
    # Contributions to x1 x3 from b: (x1 - b)(x3 + b)/2 and (x3 - b)(x1 + b)/2.
    b = baseline[:, 0, 0]
    for step, other in ((1, 3), (3, 1)):
        own, rest = x[:, step, 0] - b, x[:, other, 0]
        # Without the step its own contribution is gone, and the other's (rest - b)(own + 2 b)/2
        # becomes (rest - b) b.
        change = own * (rest + b) / 2 + (rest - b) * own / 2
        np.testing.assert_allclose(found[:, step, 0], change**2, rtol=1e-4)
    assert not found[..., 1:].any() and not found[:, [0, 2, 4]].any()


def test_temporal_rescaling_calls_its_method_three_times_however_many_sequences(monkeypatch):
    """Each call compiles a function, which takes longer than to run it."""
    calls = []

    def method(model, inputs, target, batch_size):
        calls.append(len(inputs))
        return gradients(model, inputs, target, batch_size=batch_size)

    x = RANDOM.normal(size=(6, 5, 3)).astype("float32")
    found = temporal_saliency_rescaling(Product(), x, method=method, baseline=0.2, threshold=0.7)
    # All sequences, their 5 steps, and the 3 features of the 2 steps that matter.
    assert calls == [6, 6 * 5, 6 * 2 * 3]
    # The package has a function of the module's name.
    module = importlib.import_module("lnn_keras.inspect.temporal_saliency_rescaling")
    monkeypatch.setattr(module, "MOST_VALUES", 7 * x[0].size)
    in_parts = temporal_saliency_rescaling(Product(), x, method=method, baseline=0.2, threshold=0.7)
    assert max(calls[3:]) == 7
    np.testing.assert_array_equal(in_parts, found)


@pytest.mark.parametrize("method", METHODS)
def test_several_inputs_and_outputs(method):
    features, times = keras.Input((5, 3), name="x"), keras.Input((5,), name="elapsed")
    h = lnn_keras.LiquidRNN(lnn_keras.CfCCell(3), return_sequences=True)(features, elapsed=times)
    dense = keras.layers.Dense(2, name="a")(h)
    model = keras.Model({"x": features, "elapsed": times}, {"a": dense, "b": h})
    inputs = {"x": X, "elapsed": np.full((2, 5), 0.5, "float32")}
    with pytest.raises(ValueError, match="2 outputs: `target` must be a function"):
        method(model, inputs)
    options = {} if method is gradients else {"baseline": {"x": 0.0, "elapsed": inputs["elapsed"]}}
    found = method(model, inputs, target=lambda outputs: outputs["a"][:, 2, 0], **options)
    assert found["x"].shape == (2, 5, 3) and found["elapsed"].shape == (2, 5)
    # Step 2 does not see the later ones.
    assert np.abs(found["x"][:, :3]).min(axis=(0, 2)).max() > 0
    assert np.abs(found["x"][:, 3:]).max() < 1e-6
    if options:
        assert np.abs(found["elapsed"]).max() < 1e-6


def test_targets_of_sequences():
    model = model_of(lnn_keras.LiquidCell(4), units=2, sequences=True)
    last = gradients(model, X, target=1)
    np.testing.assert_allclose(gradients(model, X, target=(4, 1)), last, rtol=1e-5)
    np.testing.assert_allclose(gradients(model, X, target=(-1, -1)), last, rtol=1e-5)
    assert not gradients(model, X, target=(0, 0))[:, 1:].any()
    assert gradients(model, X[:, :1], target=0).shape == (2, 1, 3)


def test_integer_inputs_have_no_gradient_but_can_be_occluded():
    tokens = np.array([[1, 2, 3], [3, 2, 1]])
    embedding = keras.layers.Embedding(5, 4)
    rnn = lnn_keras.LiquidRNN(lnn_keras.LiquidCell(4))
    model = keras.Sequential(
        [keras.layers.Input((3,), dtype="int32"), embedding, rnn, keras.layers.Dense(1)]
    )
    for method in (gradients, integrated_gradients):
        with pytest.raises(ValueError, match="Inputs of integers have no gradient; use"):
            method(model, tokens)
    found = occlusion(model, tokens)
    changed = tokens.copy()
    changed[:, 1] = 0
    outputs = [model.predict(x, verbose=0)[:, 0] for x in (tokens, changed)]
    np.testing.assert_allclose(found[:, 1], outputs[0] - outputs[1], rtol=1e-4, atol=1e-6)
    assert gradients(model_of(lnn_keras.LiquidCell(2)), np.ones((1, 3, 3), int)).shape == (1, 3, 3)


@pytest.mark.parametrize("method", [*METHODS, temporal_saliency_rescaling])
def test_bad_inputs_are_refused(method, liquid):
    broken = X.copy()
    broken[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match=r"1 values that are not finite.*sequence 1, step 2, fea"):
        method(liquid, broken, 0)
    with pytest.raises(ValueError, match="at least one sequence and one step"):
        method(liquid, X[:0], 0)
    with pytest.raises(ValueError, match="must be a Keras model or layer; received str"):
        method("liquid", X, 0)
    # Without Keras's "Exception encountered when calling".
    with pytest.raises(ValueError, match=r"^The model has 2 output numbers: `target` must be"):
        method(liquid, X)
    with pytest.raises(ValueError, match="number of `target` must be below 2; received 2"):
        method(liquid, X, 2)
    with pytest.raises(ValueError, match="no output at each step"):
        method(liquid, X, (0, 1))
    with pytest.raises(ValueError, match="received 'N' as the number"):
        method(liquid, X, "N")
    if method is not gradients:
        with pytest.raises(ValueError, match=r"`baseline` of shape \(4,\) does not fit"):
            method(liquid, X, 0, baseline=np.zeros(4))


def test_other_arguments_are_refused(liquid):
    with pytest.raises(ValueError, match="steps"):
        integrated_gradients(liquid, X, 0, steps=0)
    with pytest.raises(ValueError, match="`stride` must be at most `width`"):
        occlusion(liquid, X, 0, width=1, stride=2)
    with pytest.raises(ValueError, match="threshold"):
        temporal_saliency_rescaling(liquid, X, 0, threshold=1.0)
    with pytest.raises(ValueError, match="takes 1 inputs; received 2"):
        temporal_saliency_rescaling(liquid, {"a": X, "b": X}, 0)
    with pytest.raises(ValueError, match="takes one input"):
        temporal_saliency_rescaling(Linear(WEIGHTS), X[..., 0])


@pytest.mark.parametrize("method", [integrated_gradients, occlusion])
def test_baselines_of_several_inputs_have_their_structure(method):
    features, times = keras.Input((5, 3)), keras.Input((5,))
    h = lnn_keras.LiquidRNN(lnn_keras.CfCCell(3))(features, elapsed=times)
    model = keras.Model([features, times], keras.layers.Dense(1)(h))
    inputs = [X, np.full((2, 5), 0.5, "float32")]
    found = method(model, inputs, baseline=[np.zeros_like(X), inputs[1]])
    assert np.abs(found[0]).max() > 1e-3 and np.abs(found[1]).max() < 1e-6
