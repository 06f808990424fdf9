"""The measurements of a trained model, each kept in a file, so that interrupted runs resume."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lnn_keras.atomic_folder import whole_file
from zoo.claims import device, stability, streams
from zoo.claims.training import SMALL, Bench, Trained
from zoo.readers import json_text
from zoo.readers.files import FileError, reason, shown

# One number of a run, or one for each group of test sequences or each learning rate.
Values = Mapping[str, Any]


def _costs(trained: Trained) -> Values:
    """Time and number of epochs of the training; an error that is never reached counts as later."""
    errors = np.array([epoch.validation_loss for epoch in trained.history])
    seconds = np.array([epoch.seconds for epoch in trained.history])
    # The first epoch compiles.
    usual = float(np.median(seconds[1:] if len(seconds) > 1 else seconds))
    reached = np.flatnonzero(errors <= trained.bench.task.good_error)
    epochs = int(reached[0]) + 1 if len(reached) else len(errors) + 1
    return {
        "seconds of an epoch": usual,
        "epochs": epochs,
        "seconds": usual * epochs,
        "learning rate": trained.learning_rate,
        "units": trained.units,
    }


def _streams(trained: Trained) -> Values:
    return {**streams.excess_errors(trained), **streams.errors_after_learning(trained)}


def _small(trained: Trained) -> Values:
    """The errors of a model with a quarter of the parameters."""
    bench, test = trained.bench, trained.bench.splits["test"]
    model = bench.trained(trained.layer, trained.seed, SMALL)
    return {"error": bench.task.errors_by_group(test, model.predict(test)).tolist()}


def _stability(trained: Trained) -> Values:
    failures = stability.failures(trained.bench, trained.layer, trained.seed)
    return {**failures, **stability.gradient_lengths(trained)}


MEASUREMENTS: dict[str, Callable[[Trained], Values]] = {
    "training": _costs,
    "streams": _streams,
    "gaps": streams.errors_after_training_with_gaps,
    "device": device.measure,
    "small": _small,
    "stability": _stability,
}


def measured(bench: Bench, layer: str, seed: int, name: str) -> Values:
    """The values of a measurement, from the file of the run if it was made before.

    Args:
        bench: Task and extent.
        layer: Key of `models.LAYERS`.
        seed: The seed.
        name: Key of `MEASUREMENTS`.

    Raises:
        ValueError: The file is damaged, or was made with other settings.
    """
    measure = MEASUREMENTS[name]
    path, identity = _file(bench, layer, seed), bench.extent.identity
    return kept(path, name, identity, lambda: measure(bench.trained(layer, seed)))


def is_measured(bench: Bench, layer: str, seed: int, name: str) -> bool:
    """Whether `measured` finds the values in a file, with the same arguments and errors."""
    path = _file(bench, layer, seed)
    return path.is_file() and name in _read(path, bench.extent.identity)


def _file(bench: Bench, layer: str, seed: int) -> Path:
    return bench.folder / layer / f"seed{seed}.json"


def kept(path: Path, name: str, identity: dict[str, Any], measure: Callable[[], Values]) -> Values:
    """The values of a measurement in a file; if it lacks them, they are measured and added.

    Args:
        path: The file, of the measurements of one run.
        name: Name of the measurement.
        identity: The settings that the values depend on.
        measure: Function that measures the values.

    Raises:
        ValueError: The file is damaged, or was made with other settings.
    """
    known = _read(path, identity) if path.is_file() else {}
    if name not in known:
        known[name] = {key: _rounded(value) for key, value in measure().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write_text(json.dumps({"settings": identity, "values": known}) + "\n")
    return known[name]


def _rounded(value: Any) -> Any:
    """Five significant digits, so that files are small and give the same page as fresh values."""
    if isinstance(value, str):
        return value
    return [_rounded(part) for part in value] if isinstance(value, list) else float(f"{value:.5g}")


def _read(path: Path, identity: dict[str, Any]) -> dict[str, Any]:
    try:
        content = json_text.read_object(path)
        if not isinstance(content.get("values"), dict):
            raise FileError("It holds no values.")
    except FileError as error:
        raise ValueError(
            f"{shown(path)} is damaged ({reason(error)}). Remove it, and it is measured again."
        ) from error
    # As JSON gives them back.
    if content.get("settings") != json.loads(json.dumps(identity)):
        raise ValueError(
            f"{shown(path)} was measured with other settings than those of this version. Remove "
            "its folder, or name another one with --runs."
        )
    return content["values"]
