"""The saliency benchmark: known salient inputs, scores by hand, and the same model in PyTorch."""

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import saliency, saliency_models, saliency_peers, saliency_tasks
from benchmarks.saliency_scores import scaled, scores
from lnn_keras import inspect

RANDOM = np.random.default_rng(0)
MAPS = RANDOM.gamma(0.5, size=(3, 5, 2))
TRUTH = RANDOM.random((3, 5, 2)) < 0.3


def one_sequence(*values):
    return np.array(values)[None, :, None]


def as_tuple(found):
    return found.average_precision, found.precision, found.recall


def adjacent(steps):
    """Whether the true steps of each sequence follow one another."""
    return (np.diff(steps.astype(int), axis=1) != 0).sum(axis=1) <= 2


def test_noise_follows_its_equation():
    x = saliency_tasks.autoregressive_noise(np.random.default_rng(1), (2, 6, 3))
    e = np.random.default_rng(1).normal(size=(2, 6, 3))
    np.testing.assert_allclose(x[:, 0], e[:, 0])
    np.testing.assert_allclose(x[:, 1], 0.25 * x[:, 0] + e[:, 1])
    later = 0.25 * x[:, 2:-1] + 0.1 * x[:, 1:-2] + 0.05 * x[:, :-3] + e[:, 3:]
    np.testing.assert_allclose(x[:, 3:], later)


@pytest.mark.parametrize("task", saliency_tasks.TASKS)
def test_tasks_depend_on_the_seed_only(task):
    first, again, other = (saliency_tasks.TASKS[task](4, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.inputs != other.inputs).any()
    assert first.salient.shape == first.inputs.shape


@pytest.mark.parametrize("task, length, features", [("rare time", 3, 6), ("rare feature", 20, 2)])
def test_labels_are_shifts_of_the_salient_values(task, length, features):
    samples = saliency_tasks.TASKS[task](2000, seed=0)
    steps = samples.salient.any(axis=2)
    assert (steps.sum(axis=1) == length).all() and adjacent(steps).all()
    # All positions occur.
    assert set(steps.argmax(axis=1)) == set(range(40 - length + 1))
    assert (samples.salient.sum(axis=(1, 2)) == length * features).all()
    assert samples.salient[..., :features].any() and not samples.salient[..., features:].any()
    upwards = samples.inputs * (2 * samples.labels[..., None] - 1)
    assert upwards[samples.salient].mean() == pytest.approx(1.5, abs=0.05)
    assert upwards[~samples.salient].mean() == pytest.approx(0, abs=0.05)
    sums = samples.inputs.sum(axis=(1, 2))
    np.testing.assert_array_equal(samples.simple_rule[:, 0], sums > 0)


def test_a_switching_state_decides_which_feature_matters():
    samples = saliency_tasks.switching_state(2000, seed=0)
    assert (samples.salient.sum(axis=2) == 1).all() and not samples.salient[..., 0].any()
    states = samples.salient[..., 2].astype(int)
    assert states[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    assert (np.diff(states, axis=1) != 0).mean() == pytest.approx(0.05, abs=0.005)
    for state, means in enumerate(([0.1, 1.6, 0.5], [-0.1, -0.4, -1.5])):
        chosen = samples.inputs[states == state]
        np.testing.assert_allclose(chosen.mean(axis=0), means, atol=0.02)
        np.testing.assert_allclose(chosen.var(axis=0), 0.8, atol=0.02)
    decisive = np.where(states == 0, samples.inputs[..., 1], samples.inputs[..., 2])
    chance = 1 / (1 + np.exp(-2 * decisive))
    for low in (0.1, 0.4, 0.7):
        chosen = (chance > low) & (chance < low + 0.2)
        expected = chance[chosen].mean()
        assert samples.labels[..., 0][chosen].mean() == pytest.approx(expected, abs=0.02)
    correct = (samples.simple_rule == samples.labels).mean()
    assert correct == pytest.approx(np.maximum(chance, 1 - chance).mean(), abs=0.01)


def test_scores_by_hand():
    # Thresholds 0, 1/4, 1/2, 1: precisions 1/2, 2/3, 1/2, 1 and recalls 1, 1, 1/2, 1/2.
    found = scores(one_sequence(4.0, 2.0, 0.0, 1.0), one_sequence(1, 0, 0, 1) > 0)
    area_precision = 0.25 * (1 / 2 + 2 / 3) / 2 + 0.25 * (2 / 3 + 1 / 2) / 2 + 0.5 * (1 / 2 + 1) / 2
    area_recall = 0.25 * 1 + 0.25 * 3 / 4 + 0.5 * 1 / 2
    average = 1 / 2 * 1 + 1 / 2 * 2 / 3
    assert as_tuple(found) == pytest.approx((average, area_precision, area_recall))


def test_scores_of_perfect_and_of_constant_saliency():
    salient = one_sequence(1, 0, 0, 1) > 0
    # Thresholds 0 and 1: precisions 1/2 and 1.
    assert as_tuple(scores(1.0 * salient, salient)) == pytest.approx((1, 3 / 4, 1))
    assert as_tuple(scores(0.0 * salient + 3, salient)) == pytest.approx((1 / 2, 0, 0))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-8, 8), min_size=3, max_size=3), st.sampled_from((0.0, 2.0, 64.0)))
def test_scores_ignore_the_scale_of_each_sequence(exponents, offset):
    factors = 2.0 ** np.array(exponents)[:, None, None]
    changed = scores(np.round(MAPS * 64) * factors + offset * factors, TRUTH)
    assert as_tuple(changed) == pytest.approx(as_tuple(scores(np.round(MAPS * 64), TRUTH)))


def test_bad_saliency_is_refused():
    with pytest.raises(ValueError, match=r"the same shape; received \(3, 5, 2\) and \(3, 5, 1\)"):
        scores(MAPS, TRUTH[..., :1])
    for wrong in (-1.0, np.nan, np.inf):
        broken = MAPS.copy()
        broken[0, 0, 0] = wrong
        with pytest.raises(ValueError, match="finite and at least 0; take the absolute value"):
            scores(broken, TRUTH)
    with pytest.raises(ValueError, match="no true value"):
        scores(MAPS, TRUTH & False)


def test_scores_are_those_of_time_interpret():
    torch = pytest.importorskip("torch")
    white_box = pytest.importorskip("tint.metrics.white_box")
    own = as_tuple(scores(MAPS, TRUTH))
    # It adds a small number to the divisor of its own scaling.
    tensors = torch.tensor(scaled(MAPS)), torch.tensor(TRUTH)
    names = ("auprc", "aup", "aur")
    theirs = [getattr(white_box, name)(*tensors, normalize=False) for name in names]
    assert own == pytest.approx(theirs, abs=1e-12)


def test_attributions_of_the_white_box_are_exact():
    x = RANDOM.normal(size=(2, 4, 3)).astype("float32")
    salient = RANDOM.random((4, 3)) < 0.4
    model = saliency_models.WhiteBox(salient)
    np.testing.assert_allclose(inspect.gradients(model, x), 2 * x * salient, rtol=1e-5)
    for method in (inspect.integrated_gradients, inspect.occlusion):
        np.testing.assert_allclose(method(model, x), x**2 * salient, rtol=1e-4, atol=1e-5)


def test_all_methods_find_the_salient_values_of_the_white_box():
    samples = saliency_tasks.rare_time(2, seed=0)
    inputs, salient = samples.inputs[:, :, :2], samples.salient[0, :, :2]
    truth = np.broadcast_to(salient, inputs.shape)
    found = saliency.explained_scores(saliency_models.WhiteBox(salient), inputs, truth)
    assert list(found) == list(saliency.METHODS)
    random = found.pop("random")
    assert random.average_precision < 0.5
    for method, own in found.items():
        assert own.average_precision == pytest.approx(1), method


@pytest.mark.parametrize("layer", saliency_models.LAYERS)
def test_models_have_equal_sizes(layer):
    model = saliency_models.build(layer, features=6, each_step=False)
    assert 0.9 * 1500 < model.count_params() <= 1500
    assert model.output_shape == (None, 1)
    assert saliency_models.build(layer, 3, each_step=True).output_shape == (None, None, 1)


def small_lstm():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.LSTM(4, return_sequences=True), keras.layers.Dense(1)]
    pooling = keras.layers.GlobalAveragePooling1D()
    return keras.Sequential([keras.Input((None, 2)), *layers, pooling])


def test_the_lstm_in_pytorch_has_the_same_outputs():
    torch = pytest.importorskip("torch")
    from benchmarks.saliency_peer import MeanLogit

    model = small_lstm()
    weights = dict(zip(saliency_peers.WEIGHTS, model.get_weights(), strict=True))
    # The biases start as 0 or 1.
    weights["bias"] = RANDOM.normal(size=16).astype("float32")
    model.set_weights(list(weights.values()))
    x = RANDOM.normal(size=(3, 7, 2)).astype("float32")
    theirs = MeanLogit(weights)(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(model.predict(x, verbose=0), theirs, atol=1e-5)


def test_peers_that_are_not_installed_or_fail():
    model, x = small_lstm(), np.zeros((1, 3, 2), "float32")
    assert "not installed" in saliency_peers.peer_rows(model, x, x > 0, python=None)[-1]
    with pytest.raises(RuntimeError, match=r"saliency_peer\.py .* failed"):
        saliency_peers.peer_rows(model, x, x > 0, python=Path("/bin/false"))
