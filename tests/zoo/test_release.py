"""Releases: what a preset's folder says is what its runs gave."""

import json
from dataclasses import asdict, replace

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


def test_summary_of_seeds_at_once_and_one_after_the_other():
    results = [result(0, 2.0, 1.0), result(1, 4.0, 2.0), result(2, 3.0, 6.0)]
    whole = release.summarize(results)
    assert whole["test_mean"] == 3 and whole["test_std"] == 1
    assert whole["means"] == {"MSE": 3.0, "MAE": 3.0}
    assert release.summarize(results[2:], release.summarize(results[:2])) == whole
    assert release.summarize([], whole) == whole


def test_seeds_that_were_run_again_replace_what_was_recorded():
    before = release.summarize([result(0, 2.0), result(1, 4.0)])
    again = release.summarize([result(1, 5.0)], before)
    assert again["seeds"] == [1] and again["test"] == [5.0]


@pytest.fixture
def saved_runs(tmp_path):
    """A run of another seed than those recorded, which validates worse."""
    preset = registry.get(NAME)
    made = {
        **result(7, 9.0),
        "kind": "liquid",
        "config": asdict(preset.config),
        "metrics": {"MSE": 9.0},
    }
    folder = runs.folder_of(tmp_path, preset, "liquid", 7)
    folder.mkdir(parents=True)
    (folder / runs.RESULT).write_text(json.dumps(made))
    return tmp_path


def test_a_run_adds_to_what_is_recorded(saved_runs, monkeypatch):
    written = {}
    monkeypatch.setattr(
        release, "_write", lambda preset, model, trained, _: written.update(trained)
    )
    before = store.metadata(NAME)
    release.release(registry.get(NAME), saved_runs)
    assert written["metrics"]["liquid"]["seeds"] == [*before["metrics"]["liquid"]["seeds"], 7]
    assert written["metrics"]["gru"] == before["metrics"]["gru"]
    # The bundled weights stay: their seed validated best.
    assert written["seed"] == before["seed"]


def test_results_of_another_recipe_do_not_count(saved_runs):
    preset = registry.get(NAME)
    other = replace(preset, recipe=replace(preset.recipe, epochs=3))
    with pytest.raises(ValueError, match=r"No runs of gru, lstm .* `lnn train half-cheetah-micro"):
        release.release(other, saved_runs)
