"""Releases: a preset's folder records the results of its runs."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from zoo import registry
from zoo.experiments import runs
from zoo.hub import release, store

NAME = "half-cheetah-micro"


def result(seed, test, extra=0.0):
    return {
        "seed": seed,
        "parameters": 7,
        "config": {"units": 3},
        "test": test,
        "metrics": {"MSE": test, "MAE": extra},
        "validation": test + 1,
        "seconds": 10.0,
    }


def test_summaries_can_be_extended():
    results = [result(0, 2.0, 1.0), result(1, 4.0, 2.0), result(2, 3.0, 6.0)]
    whole = release.summarize(results)
    assert whole["test_mean"] == 3 and whole["test_std"] == 1
    assert whole["means"] == {"MSE": 3.0, "MAE": 3.0}
    assert release.summarize(results[2:], release.summarize(results[:2])) == whole
    assert release.summarize([], whole) == whole


def test_repeated_seeds_replace_the_recorded_ones():
    before = release.summarize([result(0, 2.0), result(1, 4.0)])
    again = release.summarize([result(1, 5.0)], before)
    assert again["seeds"] == [1] and again["test"] == [5.0]


@pytest.fixture
def saved_runs(tmp_path):
    """A run with a new seed and a worse validation loss than the recorded runs."""
    preset = registry.get(NAME)
    saved = {
        **result(7, 9.0),
        "kind": "liquid",
        "config": asdict(preset.config),
        "metrics": {"MSE": 9.0},
    }
    folder = runs.folder_of(tmp_path, preset, "liquid", 7)
    folder.mkdir(parents=True)
    (folder / runs.RESULT).write_text(json.dumps(saved))
    return tmp_path


def test_a_run_extends_the_recorded_results(saved_runs, tmp_path):
    """Released with one export, which is evaluated on 50 steps."""
    samples = {name: array[:50] for name, array in store.samples(NAME).items()}
    test = tuple(samples[name][np.newaxis] for name in ("inputs", "targets"))
    preset = replace(
        registry.get(NAME),
        load_samples=lambda: samples,
        load_splits=lambda seed: {"test": test},
        export_recipes=("float32",),
        shipped_recipes=("float32",),
    )
    folder, digest = release.release(preset, saved_runs, tmp_path / "released")
    before, after = store.metadata(NAME), store.metadata(folder)
    assert after["metrics"]["liquid"]["seeds"] == [*before["metrics"]["liquid"]["seeds"], 7]
    assert after["metrics"]["gru"] == before["metrics"]["gru"]
    # The bundled weights stay: their seed has the best validation loss.
    assert after["seed"] == before["seed"]
    released, bundled = store.load(folder), store.load(NAME)
    for a, b in zip(released.get_weights(), bundled.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert digest == store.sha256(folder / "metadata.json")
    assert "over 6 seeds" in store.card(folder)
    assert len(store.exported(folder, "float32")) == after["exports"]["float32"]["bytes"]


def test_results_of_another_recipe_do_not_count(saved_runs):
    preset = registry.get(NAME)
    other = replace(preset, recipe=replace(preset.recipe, epochs=3))
    with pytest.raises(ValueError, match=r"No runs of gru, lstm .* `lnn train half-cheetah-micro"):
        release.release(other, saved_runs)
