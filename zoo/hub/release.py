"""From saved runs to a preset's folder: the best weights, samples, metadata and the card."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

import export
from zoo.experiments import runs as zoo_runs
from zoo.hub import store
from zoo.hub.card import card
from zoo.preset import Preset
from zoo.training.loop import Recipe


def release(preset: Preset, runs: str | Path, folder: str | Path | None = None) -> tuple[Path, str]:
    """Write a preset's folder from its saved runs, and return it with its weights' sha256.

    The weights are those of the seed that validated best. Every number of the card
    comes from the runs' saved results or is measured here on the exported files. What the
    bundled folder records of other seeds counts as well, if recipe and sizes are still the
    same; so without any runs its exports are measured anew, and no more.

    Args:
        preset: The preset.
        runs: Folder of all runs.
        folder: Where to write; the package's own folder by default.

    Raises:
        ValueError: Runs of the preset or of a baseline are missing.
    """
    results, recorded = zoo_runs.results(runs, preset), _recorded(preset)
    missing = sorted(set(preset.configs) - set(results) - set(recorded))
    if missing:
        raise ValueError(
            f"No runs of {', '.join(missing)} under {Path(runs) / preset.name}; "
            f"make them with `lnn train {preset.name} --model {missing[0]}`."
        )
    metrics = {
        kind: summarize(results.get(kind, []), recorded.get(kind)) for kind in preset.configs
    }
    liquid = metrics["liquid"]
    seed = liquid["seeds"][int(np.argmin(liquid["validation"]))]
    # Built anew, not loaded, so that an older Keras can release what a newer one trained.
    model = preset.build(preset.config)
    model.load_weights(_weights(preset, runs, seed))
    trained = {"recipe": asdict(preset.recipe), "seed": seed, "metrics": metrics}
    return _write(preset, model, trained, folder)


def _recorded(preset):
    """What the bundled folder records of each kind that is still trained in the same way."""
    if not preset.weights_sha256:
        return {}
    recorded = store.metadata(preset.name)
    if Recipe(**recorded["recipe"]) != preset.recipe:
        return {}
    # JSON knows no tuples.
    configs = {name: json.loads(json.dumps(asdict(c))) for name, c in preset.configs.items()}
    return {
        kind: summary
        for kind, summary in recorded["metrics"].items()
        if summary["config"] == configs.get(kind)
    }


def _weights(preset, runs, seed):
    path = zoo_runs.folder_of(runs, preset, "liquid", seed) / zoo_runs.MODEL
    return path if path.is_file() else store.find(preset.name) / store.WEIGHTS


def _write(preset, model, trained, folder):
    """Measure a model's exports, and write them with its card and what is recorded of it."""
    test = preset.load_splits(trained["seed"])["test"]
    samples = preset.load_samples()
    exports, files = {}, {}
    for recipe in preset.export_recipes:
        exports[recipe], files[recipe] = _export(preset, model, recipe, samples, test)
    recorded = {
        "name": preset.name,
        "domain": preset.domain,
        "license": preset.license,
        "dataset": {"name": preset.dataset.name, "sha256": preset.dataset.digest},
        "metric": preset.metric.name,
        **trained,
        "exports": exports,
    }
    folder = Path(folder) if folder else store.bundled_folder(preset)
    store.save(
        model,
        folder,
        card=card(preset, recorded),
        samples=samples if preset.dataset.shippable else None,
        files={recipe: files[recipe] for recipe in preset.shipped_recipes},
        **recorded,
    )
    digests = json.loads((folder / store.METADATA).read_text())["sha256"]
    return folder, digests[store.WEIGHTS]


def summarize(results: list[dict], recorded: dict | None = None) -> dict:
    """Mean and spread over seeds of one kind of model.

    Args:
        results: Saved results.
        recorded: An earlier summary, whose seeds count as well if none of them was run again.
    """
    seeds = [result["seed"] for result in results]
    if recorded and set(recorded["seeds"]).isdisjoint(seeds):
        if not results:
            return recorded
        before = recorded
    else:
        before = {"seeds": [], "test": [], "validation": [], "means": {}}
    test = before["test"] + [result["test"] for result in results]
    known = len(before["seeds"])
    return {
        "parameters": results[0]["parameters"],
        "config": results[0]["config"],
        "seeds": before["seeds"] + seeds,
        "test": test,
        "test_mean": float(np.mean(test)),
        "test_std": float(np.std(test, ddof=1)) if len(test) > 1 else 0.0,
        "means": {
            name: float(
                (known * before["means"].get(name, 0) + sum(r["metrics"][name] for r in results))
                / len(test)
            )
            for name in results[0]["metrics"]
        },
        "validation": before["validation"] + [result["validation"] for result in results],
        "seconds": float(np.median([result["seconds"] for result in results])),
    }


def _export(preset, model, recipe, samples, test):
    """Export, and measure the file: its report in short with its test metric, and the file."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / recipe
        report = export.to_tflite(
            model,
            folder,
            target=preset.target,
            recipe=recipe,
            calibration=samples["calibration"],
            evaluation=store.evaluation(samples),
        )
        content = (folder / "model.tflite").read_bytes()
    measured = {
        "bytes": report.bytes,
        "arena_bytes": report.arena_bytes,
        "steps": report.steps,
        "runtimes": {
            result.name: {
                "output_error": result.output_error,
                "latency_p50_us": result.latency_p50,
            }
            for result in report.results
            if not result.note
        },
        "test": {
            runtime: values[preset.metric.name]
            for runtime, values in zoo_runs.evaluate_file(preset, content, model, *test).items()
        },
    }
    return measured, content
