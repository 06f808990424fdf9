"""From saved runs to a preset's folder: the best weights, samples, metadata and the card."""

import json
import tempfile
from pathlib import Path

import numpy as np

import export
from export.report import percent
from export.targets import MICRO, XNNPACK
from zoo import runs as zoo_runs
from zoo import store
from zoo.preset import Preset

RECIPES = ("float32", "int8")


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
    splits = preset.load_splits()
    samples = preset.load_samples()
    exports = {name: _export(model, name, samples, splits["test"]) for name in RECIPES}
    metrics = {kind: summarize(results[kind]) for kind in preset.configs}
    recorded = {
        "name": preset.name,
        "domain": preset.domain,
        "license": preset.license,
        "dataset": {"name": preset.dataset.name, "sha256": preset.dataset.digests},
        "recipe": best["recipe"],
        "seed": best["seed"],
        "metric": preset.metric,
        "metrics": metrics,
        "exports": exports,
    }
    folder = Path(folder) if folder else store.bundled_folder(preset)
    store.save(model, folder, card=card(preset, recorded), samples=samples, **recorded)
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
        "validation": [result["validation"] for result in results],
        "seconds": float(np.median([result["seconds"] for result in results])),
    }


def _export(model, recipe, samples, test):
    """Export for `micro`, and measure the file: its report in short, and its test metric."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / recipe
        report = export.to_tflite(
            model,
            folder,
            target="micro",
            recipe=recipe,
            calibration=samples["calibration"],
            evaluation=(samples["inputs"], samples["targets"]),
        )
        content = (folder / "model.tflite").read_bytes()
    return {
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
        "test": export.evaluate_file(content, model, *test),
    }


def card(preset: Preset, recorded: dict) -> str:
    """The card of a preset in Markdown, from what was recorded of it."""
    metrics, exports = recorded["metrics"], recorded["exports"]
    published, source = preset.published
    liquid = metrics["liquid"]
    beats = "below" if liquid["test_mean"] < published else "NOT below"
    rows = [
        f"| {kind} | {m['parameters']:,} | **{m['test_mean']:.3f}** ± {m['test_std']:.3f} | "
        f"{', '.join(f'{value:.3f}' for value in m['test'])} | {m['seconds']:.0f} |"
        for kind, m in metrics.items()
    ]
    files = [
        f"| {name} | {e['bytes']:,} | {e['arena_bytes']:,} | "
        + " | ".join(
            f"{percent(e['runtimes'][runtime]['output_error'])} / "
            f"{e['runtimes'][runtime]['latency_p50_us']:.0f} µs / {e['test'][runtime]:.3f}"
            for runtime in (XNNPACK, MICRO)
        )
        + " |"
        for name, e in exports.items()
    ]
    steps = next(iter(exports.values()))["steps"]
    return f"""\
# {preset.name}

**Task.** {preset.task.capitalize()}.

{preset.description.strip()}

## Results

{preset.metric} on the untouched test split, mean ± standard deviation over
{len(liquid["seeds"])} seeds. The weights of each run were chosen on validation alone; all models
were trained with the same recipe.

| model | parameters | test {preset.metric} | each seed | s / run |
|---|---|---|---|---|
{chr(10).join(rows)}

Published: {published} ({source}).
The liquid model's mean is {beats} it.
The bundled weights are those of seed {recorded["seed"]}, which validated best.

## On devices

Exports for `micro`, run for {steps} closed-loop steps on a real test trace: RMS error of the
outputs as a share of their standard deviation / median time per step on the training host /
test {preset.metric} of the file. The arena was measured with 8-byte pointers; a 32-bit device
needs about half.

| recipe | bytes | arena | LiteRT | TFLite Micro |
|---|---|---|---|---|
{chr(10).join(files)}

## Reproduce

    lnn train {preset.name} --seed 0
    lnn train {preset.name} --seed 0 --model lstm
    lnn evaluate {preset.name}

## Licence

Weights: {preset.license}. Data: {preset.dataset.title}, {preset.dataset.license}, from
<{preset.dataset.source}>. The folder's `samples.npz` holds slices of these data.
"""
