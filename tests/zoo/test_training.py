"""The training loop: reproducible, resumable to the same result, stopped by validation."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from lnn_keras import LiquidCell, LiquidRNN
from zoo.training.loop import train
from zoo.training.recipe import TrainingRecipe

RECIPE = TrainingRecipe(
    epochs=6, batch_size=8, learning_rate=0.01, noise=0.05, average=0.5, checkpoint_every=2
)


@pytest.fixture
def data(random):
    series = np.cumsum(random.standard_normal((40, 12, 2)), axis=1).astype("float32")
    pairs = series[:, :-1], series[:, 1:]
    return tuple(a[:32] for a in pairs), tuple(a[32:] for a in pairs)


def make_model():
    keras.utils.set_random_seed(3)
    layer = LiquidRNN(LiquidCell(4, unfolds=1), return_sequences=True)
    dropout = keras.layers.Dropout(0.2)
    return keras.Sequential([keras.Input((None, 2)), layer, dropout, keras.layers.Dense(2)])


def run(data, folder, seed=1, recipe=RECIPE, progress=None):
    model = make_model()
    history = train(model, *data, recipe, seed, folder, progress)
    return model, history


def losses(history):
    return [(epoch.loss, epoch.validation_loss) for epoch in history]


def test_seed_decides(data, tmp_path):
    first, one = run(data, tmp_path / "a")
    second, two = run(data, tmp_path / "b")
    _, other = run(data, tmp_path / "c", seed=2)
    assert losses(one) == losses(two) != losses(other)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[-1].loss < one[0].loss


def test_a_killed_run_goes_on_to_the_same_result(data, tmp_path):
    whole, history = run(data, tmp_path / "whole")

    def kill(epoch):
        if epoch.epoch == 4:  # between two checkpoints: the epoch is lost and done again
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "killed", progress=kill)
    seen = []
    resumed, again = run(data, tmp_path / "killed", progress=lambda e: seen.append(e.epoch))
    assert seen == [4, 5]
    np.testing.assert_allclose(losses(again), losses(history), rtol=1e-6)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_the_best_weights_are_kept_and_patience_ends(data, tmp_path):
    recipe = replace(RECIPE, epochs=40, learning_rate=0.5, patience=3)
    model, history = run(data, tmp_path, recipe=recipe)
    best = min(history, key=lambda epoch: epoch.validation_loss)
    assert len(history) < 40 and history[-1].epoch - best.epoch == 3
    model.compile(loss="mse")
    value = model.evaluate(*data[1], verbose=0)
    assert value == pytest.approx(best.validation_loss, rel=1e-5)


def test_a_finished_run_is_not_trained_again(data, tmp_path):
    first, _ = run(data, tmp_path)
    seen = []
    second, _ = run(data, tmp_path, progress=seen.append)
    assert seen == []
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoint_of_another_recipe_is_refused(data, tmp_path):
    run(data, tmp_path)
    with pytest.raises(ValueError, match="made with another recipe and seed"):
        run(data, tmp_path, seed=9, recipe=replace(RECIPE, noise=0.0))


def test_bad_recipes_and_losses(data, tmp_path):
    with pytest.raises(ValueError, match="`epochs` must be at least 1; received 0"):
        replace(RECIPE, epochs=0)
    with pytest.raises(ValueError, match=r"`average` must be in \[0, 1\); received 1"):
        replace(RECIPE, average=1.0)
    with pytest.raises(ValueError, match="`batch_size` is 64, but there are only 32"):
        run(data, tmp_path, recipe=replace(RECIPE, batch_size=64))
    (inputs, targets), validation = data
    with pytest.raises(FloatingPointError, match="loss became nan in epoch 1"):
        run(((inputs, targets * np.nan), validation), tmp_path)
