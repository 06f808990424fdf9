"""Presets: what is loaded is what was published, or an error."""

import importlib
import json
import pkgutil
import types

import keras
import numpy as np
import pytest

import export
import zoo
from export import targets
from lnn_keras import LiquidCell, LiquidRNN
from zoo import registry
from zoo.experiments import runs
from zoo.hub import store

NAME = "half-cheetah-micro"
# What a file for microcontrollers may lose of its model's metric.
LIMITS = {"int8": 0.03, "int16x8": 0.01}


@pytest.fixture
def model():
    layer = LiquidRNN(LiquidCell(4), return_sequences=True)
    return keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(2)])


@pytest.fixture
def folder(model, tmp_path):
    zoo.save(model, tmp_path / "mine", card="# mine", samples={"x": np.ones(3)}, license="MIT")
    return tmp_path / "mine"


def test_saved_folder_is_read_by_us_and_by_keras(model, folder, random):
    x = random.standard_normal((2, 5, 3)).astype("float32")
    for loaded in (zoo.load(folder), keras.saving.load_model(folder)):
        np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    assert zoo.card(folder) == "# mine"
    np.testing.assert_array_equal(zoo.samples(folder)["x"], np.ones(3))
    recorded = zoo.metadata(folder)
    assert recorded["license"] == "MIT" and recorded["parameters"] == model.count_params()


@pytest.mark.parametrize("name", ["model.weights.h5", "config.json", "card.md", "samples.npz"])
def test_every_changed_byte_is_noticed(name, folder):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(zoo.CorruptPresetError, match=f"{name} is damaged"):
        zoo.load(folder)


def test_missing_and_foreign_files(folder, tmp_path):
    (folder / "model.weights.h5").unlink()
    with pytest.raises(zoo.CorruptPresetError, match=r"lacks model.weights.h5"):
        zoo.load(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(zoo.CorruptPresetError, match="holds no preset"):
        zoo.load(tmp_path / "empty")
    (folder / "metadata.json").write_text("{}")
    with pytest.raises(zoo.CorruptPresetError, match="records no digests"):
        zoo.load(folder)


def test_digests_cannot_point_outside(folder):
    path = folder / "metadata.json"
    recorded = json.loads(path.read_text())
    recorded["sha256"]["../outside"] = "0" * 64
    path.write_text(json.dumps(recorded))
    with pytest.raises(zoo.CorruptPresetError, match=r"lacks \.\./outside"):
        zoo.load(folder)


def test_bundled_weights_are_pinned(monkeypatch, model, tmp_path):
    """A preset whose own digests are right, but whose weights are not the published ones."""
    zoo.save(model, tmp_path / "swapped")
    monkeypatch.setattr(store, "bundled_folder", lambda preset: tmp_path / "swapped")
    with pytest.raises(zoo.CorruptPresetError, match="not the published ones"):
        zoo.load(NAME)


def test_public_names_are_no_modules():
    """A module of a public name would take its place as soon as it is imported."""
    for _, name, _ in pkgutil.iter_modules(zoo.__path__):
        importlib.import_module(f"zoo.{name}")
    for name in zoo.__all__:
        assert not isinstance(getattr(zoo, name), types.ModuleType), name


def test_unknown_sources():
    with pytest.raises(ValueError, match=r"preset 'half-cheeta'.*Did you mean 'half-cheetah'"):
        zoo.load("half-cheeta")
    with pytest.raises(ValueError, match=r"no file nowhere\.keras"):
        zoo.load("nowhere.keras")


def test_bundled_preset_is_small_and_pretrained():
    model = zoo.load(NAME)
    assert type(model).__name__ == "Functional"
    assert runs.trainable_parameters(model) <= 10_000
    samples = zoo.samples(NAME)
    predicted = model.predict(samples["inputs"][None], verbose=0)[0]
    assert np.mean((predicted - samples["targets"]) ** 2) < registry.get(NAME).bars[0].value


def test_bundled_preset_is_readable_for_the_oldest_keras():
    """A newer Keras writes arguments that 3.12, the newest for Python 3.10, does not know."""
    version = zoo.metadata(NAME)["keras_version"].split(".")
    assert [int(part) for part in version[:2]] <= [3, 12]


def test_card_agrees_with_the_metadata():
    recorded, card = zoo.metadata(NAME), zoo.card(NAME)
    for kind in ("liquid", "lstm", "gru"):
        summary = recorded["metrics"][kind]
        assert len(summary["seeds"]) == 5
        assert summary["test_mean"] == pytest.approx(np.mean(summary["test"]))
        assert f"**{summary['test_mean']:.4g}** ± {summary['test_std']:.2g}" in card
    assert recorded["metrics"]["liquid"]["test_mean"] < 2.308


# Presets whose metric is driven in a game, which takes minutes.
DRIVEN = {"lane-keeping"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in DRIVEN else n for n in registry.PRESETS],
)
def test_bundled_metric_is_the_recorded_one(name, real_data):
    preset, recorded = registry.get(name), zoo.metadata(name)
    liquid, seed = recorded["metrics"]["liquid"], recorded["seed"]
    expected = liquid["test"][liquid["seeds"].index(seed)]
    test = preset.load_splits(seed)["test"]
    value = runs.evaluate(preset, zoo.load(name), *test)[preset.metric.name]
    assert value == pytest.approx(expected, rel=1e-4)
    assert f"{liquid['test_mean']:.4g}" in zoo.card(name)
    # A bar that is missed is missed plainly.
    for bar in preset.bars:
        beaten = preset.metric.is_better(liquid["test_mean"], bar.value)
        assert f"{bar.source}: {'beaten' if beaten else '**not** beaten'}, by" in zoo.card(name)


@pytest.mark.parametrize("recipe", LIMITS)
@pytest.mark.parametrize("name", [name for name in registry.PRESETS if name.endswith("-micro")])
def test_shipped_files_lose_little(name, recipe, real_data):
    """Of the float model's metric on the test split, as TensorFlow Lite Micro computes it."""
    preset, model = registry.get(name), zoo.load(name)
    assert runs.trainable_parameters(model) <= 10_000
    recorded = zoo.metadata(name)
    test = preset.load_splits(recorded["seed"])["test"]
    content = zoo.exported(name, recipe)
    measured = runs.evaluate_export(preset, content, model, *test)
    if targets.MICRO not in measured:
        pytest.skip("TensorFlow Lite Micro has no wheel here")
    value = measured[targets.MICRO][preset.metric.name]
    assert value == pytest.approx(recorded["exports"][recipe]["test"][targets.MICRO], rel=1e-3)
    metrics = recorded["metrics"]["liquid"]
    expected = metrics["test"][metrics["seeds"].index(recorded["seed"])]
    loss = (expected - value) if preset.metric.higher_is_better else (value - expected)
    assert loss / expected <= LIMITS[recipe]


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.PRESETS)
def test_recommended_export_keeps_the_metric(name, real_data, tmp_path):
    """Exported anew, and judged on the whole test split."""
    preset, model = registry.get(name), zoo.load(name)
    recipe, samples = preset.export_recipes[0], zoo.samples(name)
    export.to_tflite(
        model,
        tmp_path / "out",
        target=preset.target,
        recipe=recipe,
        calibration=samples["calibration"],
        evaluation=store.evaluation(samples),
    )
    content = (tmp_path / "out/model.tflite").read_bytes()
    inputs, true_outputs = preset.load_splits(zoo.metadata(name)["seed"])["test"]
    expected = runs.evaluate(preset, model, inputs, true_outputs)[preset.metric.name]
    measured = runs.evaluate_export(preset, content, model, inputs, true_outputs)
    assert measured
    for values in measured.values():
        value = values[preset.metric.name]
        loss = (expected - value) if preset.metric.higher_is_better else (value - expected)
        assert loss / expected <= LIMITS.get(recipe, 0.001)


def test_recipes_that_do_not_ship_are_named():
    with pytest.raises(ValueError, match=r"recipe 'float32'; allowed: int16x8, int8"):
        zoo.exported(NAME, "float32")
    with pytest.raises(ValueError, match=r"ships no exported files; `lnn export walker2d`"):
        zoo.exported("walker2d", "int8")


@pytest.mark.parametrize("name", registry.PRESETS)
def test_what_ships(name):
    """Samples only where the licence allows it; nothing that an old Keras cannot read."""
    folder = store.find(name)
    shipped = {path.name for path in folder.glob("*.tflite")}
    assert shipped == {f"{recipe}.tflite" for recipe in registry.get(name).shipped_recipes}
    assert (folder / store.SAMPLES).is_file() == registry.get(name).dataset.shippable
    assert zoo.metadata(name)["keras_version"].startswith("3.12.")


def test_bundled_presets_are_small():
    folders = [store.bundled_folder(preset) for preset in registry.PRESETS.values()]
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 10e6
