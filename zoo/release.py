"""From saved runs to a preset's folder: the best weights, samples, metadata and the card."""

import json
import tempfile
from pathlib import Path

import numpy as np

import export
from zoo import runs as zoo_runs
from zoo import store
from zoo.card import card
from zoo.preset import Preset


def release(preset: Preset, runs: str | Path, folder: str | Path | None = None) -> tuple[Path, str]:
    """Write a preset's folder from its saved runs, and return it with its weights' sha256.

    The weights are those of the seed that validated best. Every number of the card
    comes from the runs' saved results or is measured here on the exported files.

    Args:
        preset: The preset.
        runs: Folder of all runs; it must hold runs of every kind.
        folder: Where to write; the package's own folder by default.

    Raises:
        ValueError: Runs of the preset or of a baseline are missing.
    """
    results = zoo_runs.results(runs, preset)
    missing = sorted(set(preset.configs) - set(results))
    if missing:
        raise ValueError(
            f"No runs of {', '.join(missing)} under {Path(runs) / preset.name}; "
            f"make them with `lnn train {preset.name} --model {missing[0]}`."
        )
    best = min(results["liquid"], key=lambda result: result["validation"])
    run_folder = zoo_runs.folder_of(runs, preset, "liquid", best["seed"])
    # Built anew, not loaded, so that an older Keras can release what a newer one trained.
    model = preset.build(preset.config)
    model.load_weights(run_folder / zoo_runs.MODEL)
    trained = {
        "recipe": best["recipe"],
        "seed": best["seed"],
        "metrics": {kind: summarize(results[kind]) for kind in preset.configs},
    }
    return _write(preset, model, trained, folder)


def release_again(preset: Preset, folder: str | Path | None = None) -> tuple[Path, str]:
    """Write a preset's folder from the bundled weights and their recorded results.

    Its exports are made and measured anew, and so is its card.

    Args:
        preset: The preset.
        folder: Where to write; the package's own folder by default.

    Raises:
        ValueError: The preset is not released.
    """
    recorded = store.metadata(preset.name)
    trained = {key: recorded[key] for key in ("recipe", "seed", "metrics")}
    model = preset.build(preset.config)
    model.load_weights(store.find(preset.name) / store.WEIGHTS)
    return _write(preset, model, trained, folder)


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


def summarize(results: list[dict]) -> dict:
    """Mean and spread over seeds of one kind of model."""
    test = [result["test"] for result in results]
    return {
        "parameters": results[0]["parameters"],
        "config": results[0]["config"],
        "seeds": [result["seed"] for result in results],
        "test": test,
        "test_mean": float(np.mean(test)),
        "test_std": float(np.std(test, ddof=1)) if len(test) > 1 else 0.0,
        "means": {
            name: float(np.mean([result["metrics"][name] for result in results]))
            for name in results[0]["metrics"]
        },
        "validation": [result["validation"] for result in results],
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
