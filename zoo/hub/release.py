"""Make a preset's folder from saved runs: the best weights, samples, metadata and the card."""

import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.hub import store
from zoo.hub.card import render_card
from zoo.hub.model_file import METADATA
from zoo.local_files import sha256
from zoo.preset import Preset, Samples
from zoo.readers import json_text
from zoo.training.arrays import Arrays
from zoo.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    import keras


def release(preset: Preset, runs: str | Path, folder: str | Path | None = None) -> tuple[Path, str]:
    """Write the folder of a preset from its saved runs.

    The weights are from the seed with the best validation loss. All values of the card are from
    the saved results, or are measured here on exported files. Results in the bundled folder are
    kept if the recipe and the config did not change. Without new runs, only the exports are
    measured again.

    Args:
        preset: The preset.
        runs: Folder of all runs.
        folder: The folder to write; by default the folder in this package.

    Returns:
        The folder, and the SHA-256 of its metadata, for the preset's `metadata_sha256`.

    Raises:
        ValueError: Runs of the preset or of a baseline are missing.
    """
    from zoo.experiments import runs as zoo_runs

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
    # The model is built, not loaded, so that an older Keras can release a run of a newer one.
    model = preset.build(preset.config)
    model.load_weights(_weights(preset, runs, seed))
    trained = {"recipe": asdict(preset.recipe), "seed": seed, "metrics": metrics}
    return _write(preset, model, trained, folder)


def rewrite_card(preset: Preset, folder: str | Path | None = None) -> tuple[Path, str]:
    """Write the card of a released preset again from its metadata, and update its digest.

    The metrics of its weights are measured if the metadata lack them. All other files stay as they
    are.

    Args:
        preset: The preset.
        folder: Its folder; by default the folder in this package.

    Returns:
        The folder, and the SHA-256 of its metadata.

    Raises:
        ValueError: The preset is not released.
        CorruptPresetError: A file is missing or differs from its digest.
    """
    from lnn_keras.atomic_folder import whole_folder
    from zoo.experiments import runs as zoo_runs

    source = store.find(folder or preset.name)
    recorded = json_text.read_object(source / METADATA)
    if set(recorded.get("bundled", ())) != {metric.name for metric in preset.metrics}:
        test = preset.load_splits(recorded["seed"])["test"]
        recorded["bundled"] = zoo_runs.evaluate(preset, store.load(source), *test)
    with whole_folder(source, proof=METADATA) as new:
        shutil.copytree(source, new, dirs_exist_ok=True)
        (new / store.CARD).write_text(render_card(preset, recorded), "utf-8")
        digests = {**recorded["sha256"], store.CARD: sha256(new / store.CARD)}
        store.write_metadata(new, {**recorded, "sha256": digests})
    return source, sha256(source / METADATA)


def _recorded(preset: Preset) -> dict[str, Any]:
    """Results in the bundled folder of each kind with an unchanged recipe and config."""
    if not preset.metadata_sha256:
        return {}
    recorded = store.metadata(preset.name)
    if TrainingRecipe(**recorded["recipe"]) != preset.recipe:
        return {}
    # JSON turns tuples into lists.
    configs = {name: json.loads(json.dumps(asdict(c))) for name, c in preset.configs.items()}
    return {
        kind: summary
        for kind, summary in recorded["metrics"].items()
        if summary["config"] == configs.get(kind)
    }


def _weights(preset: Preset, runs: str | Path, seed: int) -> Path:
    from zoo.experiments import runs as zoo_runs

    path = zoo_runs.folder_of(runs, preset, "liquid", seed) / zoo_runs.MODEL
    return path if path.is_file() else store.find(preset.name) / store.WEIGHTS


def _write(
    preset: Preset, model: "keras.Model", trained: dict[str, Any], folder: str | Path | None
) -> tuple[Path, str]:
    """Measure a model and its exports, and write its folder with card and metadata."""
    from zoo.experiments import runs as zoo_runs

    test = preset.load_splits(trained["seed"])["test"]
    samples = preset.load_samples()
    exports, files = {}, {}
    for recipe in preset.export_recipes:
        exports[recipe], files[recipe] = _export(preset, model, recipe, samples, test)
    trained["bundled"] = zoo_runs.evaluate(preset, model, *test)
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
        card=render_card(preset, recorded),
        samples=samples if preset.dataset.shippable else None,
        files={recipe: files[recipe] for recipe in preset.shipped_recipes},
        **recorded,
    )
    return folder, sha256(folder / METADATA)


def summarize(
    results: list[dict[str, Any]], recorded: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Mean and standard deviation over the seeds of one kind of model.

    Args:
        results: Saved results.
        recorded: An earlier summary. Its seeds are included if none of them was run again.
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


def _export(
    preset: Preset, model: "keras.Model", recipe: str, samples: Samples, test: Arrays
) -> tuple[dict[str, Any], bytes]:
    """Export a model; return a summary of the report with the test metric, and the file."""
    import export
    from zoo.experiments import runs as zoo_runs

    if preset.load_evaluation is None:
        options: dict[str, Any] = {"evaluation": store.evaluation(samples)}
    else:
        inputs, targets = preset.load_evaluation()
        options = {"evaluation": (inputs, targets), "steps": targets.shape[0] * targets.shape[1]}
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / recipe
        report = export.to_tflite(
            model,
            folder,
            target=preset.target,
            recipe=recipe,
            calibration=samples["calibration"],
            **options,
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
            for runtime, values in zoo_runs.evaluate_export(preset, content, model, *test).items()
        },
    }
    return measured, content
