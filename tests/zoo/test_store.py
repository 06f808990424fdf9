"""Presets: loading returns the published files or fails."""

import importlib
import json
import pkgutil
import types

import keras
import numpy as np
import pytest

import export
import zoo
from export.targets import MICRO
from zoo import registry
from zoo.data import physionet2012
from zoo.experiments import runs
from zoo.hub import store

NAME = "half-cheetah-micro"
# Largest loss of the metric by quantization, as a share of the float model's metric.
LIMITS = {"int8": 0.03, "int16x8": 0.01}


@pytest.fixture
def folder(small_model, tmp_path):
    zoo.save(
        small_model, tmp_path / "mine", card="# mine", samples={"x": np.ones(3)}, license="MIT"
    )
    return tmp_path / "mine"


def test_saved_folder_is_read_by_zoo_and_by_keras(small_model, folder, random):
    x = random.standard_normal((2, 5, 3)).astype("float32")
    for loaded in (zoo.load(folder), keras.saving.load_model(folder)):
        np.testing.assert_array_equal(small_model(x), loaded(x))
    assert zoo.card(folder) == "# mine"
    np.testing.assert_array_equal(zoo.samples(folder)["x"], np.ones(3))
    recorded = zoo.metadata(folder)
    assert recorded["license"] == "MIT" and recorded["parameters"] == small_model.count_params()


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
    with pytest.raises(zoo.CorruptPresetError, match=r"names '\.\./outside'"):
        zoo.load(folder)


def test_bundled_weights_are_pinned(monkeypatch, small_model, tmp_path):
    """A folder with correct digests but other weights than the released ones."""
    zoo.save(small_model, tmp_path / "swapped")
    monkeypatch.setattr(store, "bundled_folder", lambda preset: tmp_path / "swapped")
    with pytest.raises(zoo.CorruptPresetError, match="not the published ones"):
        zoo.load(NAME)


def test_no_module_has_a_public_name():
    """Importing such a module would overwrite the attribute of the package."""
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
    """Newer versions write arguments that 3.12, the last for Python 3.10, does not accept."""
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


# Presets whose metric needs laps in a game, which take minutes.
DRIVEN = {"lane-keeping"}
MICRO_PRESETS = [name for name in registry.PRESETS if name.endswith("-micro")]


def slow_if(slow, *values):
    return pytest.param(*values, marks=pytest.mark.slow if slow else ())


# It takes seconds; its smaller sibling runs the same code on the same data.
LARGER = {"ecg-arrhythmia"}


@pytest.mark.parametrize(
    "name", [slow_if(name in DRIVEN | LARGER, name) for name in registry.PRESETS]
)
def test_bundled_metric_is_the_recorded_one(name, recorded_test_split):
    preset, recorded = registry.get(name), zoo.metadata(name)
    value = runs.evaluate(preset, zoo.load(name), *recorded_test_split(preset))[preset.metric.name]
    assert value == pytest.approx(recorded_metric(name), rel=1e-4)
    test_mean = recorded["metrics"]["liquid"]["test_mean"]
    assert f"{test_mean:.4g}" in zoo.card(name)
    # The card says so if a baseline is not beaten.
    for bar in preset.bars:
        beaten = preset.metric.is_better(test_mean, bar.value)
        assert f"{bar.source}: {'beaten' if beaten else '**not** beaten'}, by" in zoo.card(name)


def recorded_metric(name):
    """The metric of the bundled weights on the test split."""
    recorded = zoo.metadata(name)
    metrics = recorded["metrics"]["liquid"]
    return metrics["test"][metrics["seeds"].index(recorded["seed"])]


@pytest.mark.slow
def test_load_splits_gives_the_recorded_test_split(recorded_test_split):
    """The fast tests read the test split of icu-mortality without the other splits."""
    preset = registry.get("icu-mortality")
    seed = zoo.metadata(preset.name)["seed"]
    (expected, deaths), order = (
        preset.load_splits(seed)["test"],
        physionet2012.split_stays(seed)["test"],
    )
    inputs, targets = recorded_test_split(preset)
    np.testing.assert_array_equal(targets, deaths[np.argsort(order)])
    for name, array in inputs.items():
        np.testing.assert_array_equal(array, expected[name][np.argsort(order)])


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        # Others run long sequences, or drive their events step by step.
        slow_if(name != "half-cheetah-micro", name, recipe)
        for name in MICRO_PRESETS
        for recipe in LIMITS
    ],
)
def test_shipped_files_lose_little(name, recipe, recorded_test_split):
    """Compared with the float model on the test split, in TensorFlow Lite Micro."""
    preset, model = registry.get(name), zoo.load(name)
    assert runs.trainable_parameters(model) <= 10_000
    inputs, targets = recorded_test_split(preset)
    predictions = predict_on_micro(preset, zoo.exported(name, recipe), model, inputs)
    value = preset.metric(targets, predictions)
    recorded = zoo.metadata(name)["exports"][recipe]["test"]
    assert value == pytest.approx(recorded[MICRO], rel=1e-3)
    assert relative_loss(preset, recorded_metric(name), value) <= LIMITS[recipe]


def predict_on_micro(preset, content, model, inputs):
    steppers = export.steppers(content, model, [MICRO])
    if not steppers:
        pytest.skip("TensorFlow Lite Micro has no wheel here")
    if preset.predict_with_stepper:
        return preset.predict_with_stepper(steppers[0], inputs)
    return export.predict_file(content, model, inputs, [MICRO])[MICRO]


def relative_loss(preset, expected, value):
    loss = (expected - value) if preset.metric.higher_is_better else (value - expected)
    return loss / expected


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.PRESETS)
def test_recommended_export_keeps_the_metric(name, real_data, tmp_path):
    """A new export, evaluated on the whole test split."""
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
        loss = relative_loss(preset, expected, values[preset.metric.name])
        assert loss <= LIMITS.get(recipe, 0.001)


def test_recipes_that_do_not_ship_are_named():
    with pytest.raises(ValueError, match=r"recipe 'float32'; allowed: int16x8, int8"):
        zoo.exported(NAME, "float32")
    with pytest.raises(ValueError, match=r"ships no exported files; `lnn export walker2d`"):
        zoo.exported("walker2d", "int8")


@pytest.mark.parametrize("name", registry.PRESETS)
def test_shipped_files(name):
    """Samples ship only where the licence allows it; files are those of the oldest Keras."""
    folder = store.find(name)
    shipped = {path.name for path in folder.glob("*.tflite")}
    assert shipped == {f"{recipe}.tflite" for recipe in registry.get(name).shipped_recipes}
    assert (folder / store.SAMPLES).is_file() == registry.get(name).dataset.shippable
    assert zoo.metadata(name)["keras_version"].startswith("3.12.")


def test_bundled_presets_are_small():
    folders = [store.bundled_folder(preset) for preset in registry.PRESETS.values()]
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 10e6
