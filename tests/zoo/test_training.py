"""The training loop: reproducible, resumable with the same result, stopped by validation."""

import shutil
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest

from zoo import registry
from zoo.experiments import runs
from zoo.training import checkpoint
from zoo.training.loop import train
from zoo.training.recipe import TrainingRecipe

RECIPE = TrainingRecipe(
    epochs=4, batch_size=8, learning_rate=0.1, noise=0.05, average=0.5, checkpoint_every=2
)


@pytest.fixture(scope="module")
def data():
    """Training and validation pairs: random walks, and the same walks one step later."""
    steps = np.random.default_rng(0).standard_normal((40, 5, 2))
    series = np.cumsum(steps, axis=1).astype("float32")
    pairs = series[:, :-1], series[:, 1:]
    return tuple(a[:32] for a in pairs), tuple(a[32:] for a in pairs)


def make_model():
    """A tiny model with dropout: most of the time of a run is tracing."""
    keras.utils.set_random_seed(3)
    layers = [keras.Input((None, 2)), keras.layers.Dropout(0.2), keras.layers.Dense(2)]
    return keras.Sequential(layers)


def run(data, folder, seed=1, recipe=RECIPE, progress=None):
    model = make_model()
    history = train(model, *data, recipe, seed, folder, progress)
    return model, history


def losses(history):
    return [(epoch.loss, epoch.validation_loss) for epoch in history]


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A finished run: its folder, final weights and history."""
    folder = tmp_path_factory.mktemp("finished")
    model, history = run(data, folder)
    return folder, model.get_weights(), history


def test_seed_determines_the_result(data, finished, tmp_path):
    _, weights, history = finished
    repeated, same = run(data, tmp_path / "same")
    _, other = run(data, tmp_path / "other", seed=2, recipe=replace(RECIPE, epochs=1))
    assert losses(same) == losses(history)
    assert losses(other)[0] != losses(history)[0]
    for a, b in zip(weights, repeated.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert history[-1].loss < history[0].loss


def test_a_killed_run_resumes_with_the_same_result(data, finished, tmp_path):
    _, weights, history = finished

    def kill(epoch):
        if epoch.epoch == 2:  # between two checkpoints: the epoch is lost and repeated
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path, progress=kill)
    seen = []
    resumed, repeated = run(data, tmp_path, progress=lambda e: seen.append(e.epoch))
    assert seen == [2, 3]
    np.testing.assert_allclose(losses(repeated), losses(history), rtol=1e-6)
    for a, b in zip(weights, resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_patience_stops_training_and_the_best_weights_are_kept(data, tmp_path):
    recipe = replace(RECIPE, epochs=40, learning_rate=4.0, average=0.0, patience=2)
    model, history = run(data, tmp_path, recipe=recipe)
    best = min(history, key=lambda epoch: epoch.validation_loss)
    assert len(history) < 40 and history[-1].epoch - best.epoch == 2
    predicted = model.predict(data[1][0], verbose=0)
    value = np.mean((predicted - data[1][1]) ** 2)
    assert value == pytest.approx(best.validation_loss, rel=1e-5)


def test_a_finished_run_is_not_trained_again(data, finished):
    folder, weights, _ = finished
    seen = []
    again, _ = run(data, folder, progress=seen.append)
    assert seen == []
    for a, b in zip(weights, again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoint_of_another_recipe_is_refused(data, finished):
    folder, _, _ = finished
    with pytest.raises(ValueError, match="made with another recipe and seed"):
        run(data, folder, seed=9, recipe=replace(RECIPE, noise=0.0))


def damage(folder, way):
    """Damage a checkpoint as a full disk, a bad disk or an editor does."""
    weights, state = folder / "weights.npz", folder / "state.json"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    text = state.read_text()
    {
        "empty": lambda: weights.write_bytes(b""),
        "cut": lambda: weights.write_bytes(content[:-30]),
        "bit": lambda: weights.write_bytes(content),
        "missing": weights.unlink,
        "history": lambda: state.write_text(text.replace('"loss": ', '"loss": 1')),
        "brackets": lambda: state.write_text("[" * 100_000),
        "no state": state.unlink,
    }[way]()


@pytest.mark.parametrize(
    "way", ["empty", "cut", "bit", "missing", "history", "brackets", "no state"]
)
def test_a_damaged_checkpoint_is_set_aside(way, finished, tmp_path, capsys):
    shutil.copytree(finished[0] / "checkpoint", tmp_path / "checkpoint")
    damage(tmp_path / "checkpoint", way)
    left = {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()}
    state = restored(tmp_path)
    assert state.history == []
    (line,) = capsys.readouterr().err.splitlines()
    assert "is damaged" in line and "renamed to checkpoint.damaged" in line
    aside = tmp_path / "checkpoint.damaged"
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == left


def restored(folder):
    model = make_model()
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model.compile(keras.optimizers.AdamW(schedule), "mse")
    return checkpoint.restore(folder, {"recipe": asdict(RECIPE), "seed": 1}, model)


def test_an_earlier_damaged_checkpoint_is_kept(finished, tmp_path):
    for _ in range(3):
        shutil.copytree(finished[0] / "checkpoint", tmp_path / "checkpoint")
        damage(tmp_path / "checkpoint", "cut")
        restored(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint.damaged", "checkpoint.damaged-2", "checkpoint.damaged-3"]


def test_a_checkpoint_of_another_model_is_refused(finished):
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Dense(3)])
    model.compile("adamw", "mse")
    with pytest.raises(ValueError, match="is one of another model: the shapes of its weights"):
        checkpoint.restore(finished[0], {"recipe": asdict(RECIPE), "seed": 1}, model)
    assert (finished[0] / "checkpoint").is_dir()


def test_a_checkpoint_is_found_after_a_kill_between_two_renames(finished, tmp_path):
    """Where the system cannot exchange folders, a hidden one holds the checkpoint meanwhile."""
    shutil.copytree(finished[0] / "checkpoint", tmp_path / ".checkpoint-old.lnn-keras")
    assert len(restored(tmp_path).history) == len(finished[2])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_damaged_result_is_named(tmp_path):
    preset = registry.get("half-cheetah-micro")
    path = runs.folder_of(tmp_path, preset, "liquid", 0) / runs.RESULT
    path.parent.mkdir(parents=True)
    for text in ("", "[]", "{}", '{"kind": "liquid", "seed"'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"result\.json is damaged.*Remove it"):
            runs.results(tmp_path, preset)


def test_a_run_that_cannot_be_written_ends_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"^Cannot write .*result\.json: .*\.$"):
        runs.run(registry.get("half-cheetah-micro"), "liquid", 0, tmp_path / "file")


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
