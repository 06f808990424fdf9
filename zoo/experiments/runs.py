"""Runs: one model of a preset, trained with one seed, and stored with its result."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from lnn_keras.atomic_folder import require_writable, whole_file
from zoo.argument_checks import require_choice
from zoo.preset import Preset
from zoo.readers import json_text
from zoo.readers.files import FileError, reason, shown
from zoo.training import distribution
from zoo.training.arrays import Inputs
from zoo.training.checkpoint import Epoch
from zoo.training.loop import train

if TYPE_CHECKING:
    from export.artifact import Artifact

RESULT = "result.json"
MODEL = "model.keras"


def folder_of(runs: str | Path, preset: Preset, kind: str, seed: int) -> Path:
    """The folder of a run in the folder of all runs."""
    return Path(runs) / preset.name / f"{kind}-seed{seed}"


def run(
    preset: Preset,
    kind: str,
    seed: int,
    runs: str | Path,
    progress: Callable[[Epoch], None] | None = None,
) -> dict[str, Any]:
    """Train a model, select its weights on validation, evaluate it once on test, and save it.

    Args:
        preset: The preset to train.
        kind: "liquid", the preset itself, or the name of one of its baselines.
        seed: Seed of the weights, of the order of the data and of the noise.
        runs: Folder of all runs. An interrupted run resumes from its checkpoint.
        progress: Called after each epoch.

    Returns:
        The saved result: seed, parameters, losses, metrics, epochs, seconds, history.

    Raises:
        ValueError: `kind` is unknown, or the folder holds a checkpoint of another recipe.
    """
    config = preset.configs[require_choice("model", kind, preset.configs)]
    folder = folder_of(runs, preset, kind, seed)
    require_writable(folder / RESULT)
    preset.register_loss()
    keras.utils.set_random_seed(seed)
    model = preset.build(config)
    splits = preset.load_splits(seed)
    preset.prepare(model, splits["train"][0])
    trained = preset.for_training(model)
    history = train(
        trained,
        splits["train"],
        splits["validation"],
        preset.recipe,
        seed,
        folder,
        progress,
        loss=preset.loss,
        validation_loss=preset.validation_loss or preset.metric.loss,
    )
    with distribution.replicated():
        metrics = evaluate(preset, model, *splits["test"])
    result = {
        "preset": preset.name,
        "kind": kind,
        "config": asdict(config),
        "recipe": asdict(preset.recipe),
        "seed": seed,
        "parameters": trainable_parameters(model),
        "validation": min(epoch.validation_loss for epoch in history),
        "test": metrics[preset.metric.name],
        "metrics": metrics,
        "epochs": len(history),
        "seconds": sum(epoch.seconds for epoch in history),
        "history": [asdict(epoch) for epoch in history],
    }
    if distribution.process()[0] == 0:
        # The other processes have nothing to save: no operation may ask for their part.
        with distribution.replicated(), whole_file(folder / MODEL) as file:
            model.save(file)
        with whole_file(folder / RESULT) as file:
            file.write_text(json.dumps(result, indent=2) + "\n")
    return result


def evaluate(
    preset: Preset, model: keras.Model, inputs: Inputs, targets: np.ndarray
) -> dict[str, float]:
    """All metrics of a Keras model, by name."""
    predictions = preset.predict(model, inputs)
    return {metric.name: metric(targets, predictions) for metric in preset.metrics}


def evaluate_export(
    preset: Preset, content: "Artifact", model: keras.Model, inputs: Inputs, targets: np.ndarray
) -> dict[str, dict[str, float]]:
    """All metrics of an exported file of a Keras model, by runtime and name."""
    import export

    if preset.predict_with_stepper is None:
        predictions = export.predict_file(content, model, inputs)
    else:
        predictions = {
            stepper.name: preset.predict_with_stepper(stepper, inputs)
            for stepper in export.steppers(content, model)
        }
    return {
        runtime: {metric.name: metric(targets, values) for metric in preset.metrics}
        for runtime, values in predictions.items()
    }


def trainable_parameters(model: keras.Model) -> int:
    """The number of trainable parameters."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def read_result(path: Path) -> dict[str, Any]:
    """The saved result of a run.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        result = json_text.read_object(path)
        missing = {"kind", "seed", "validation"} - result.keys()
        if missing:
            raise FileError(f"It lacks {', '.join(sorted(missing))}.")
    except FileError as error:
        if isinstance(error.__cause__, OSError):
            raise
        raise ValueError(
            f"{shown(path)} is damaged: it holds no result of a run ({reason(error)}). Remove it; "
            "`lnn train` makes it again from the checkpoint."
        ) from error
    return result


def results(runs: str | Path, preset: Preset) -> dict[str, list[dict[str, Any]]]:
    """The saved results of a preset by kind, sorted by seed."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((Path(runs) / preset.name).glob(f"*/{RESULT}")):
        result = read_result(path)
        by_kind.setdefault(result["kind"], []).append(result)
    return {kind: sorted(found, key=lambda r: r["seed"]) for kind, found in by_kind.items()}
