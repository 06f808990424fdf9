"""Sweeps: a preset trained over seeds and hyperparameters.

This machine trains the trials one after the other; `distributed_sweep` has several share them.
"""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from zoo.argument_checks import require_choice
from zoo.experiments import runs as zoo_runs
from zoo.preset import Preset

OBJECTIVE = "validation"
Trial = dict[str, Any]


def grid(preset: Preset, seeds: Sequence[int], sizes: Mapping[str, Sequence[str]]) -> list[Trial]:
    """All combinations of seeds and values of config fields.

    Args:
        preset: The preset to train.
        seeds: Seeds of the weights, of the order of the data and of the noise.
        sizes: Name of a config field -> its values as text.

    Raises:
        ValueError: There is no such field, or a value has the wrong type.
    """
    fields = asdict(preset.config)
    scalar = {name: value for name, value in fields.items() if isinstance(value, (int, float, str))}
    choices = [
        [(name, _parsed(name, value, type(scalar[name]))) for value in values]
        for name, values in sizes.items()
        if require_choice("field", name, scalar)
    ]
    trials = [
        {**dict(chosen), "seed": seed} for chosen in itertools.product(*choices) for seed in seeds
    ]
    for trial in trials:
        _with_sizes(preset, trial)
    return trials


def sweep(preset: Preset, trials: list[Trial], runs: str | Path) -> list[Trial]:
    """Train all trials on this machine, one after the other; finished ones are not repeated.

    Returns:
        The trials, each with its loss as "validation".
    """
    return [{**trial, OBJECTIVE: run_trial(preset, trial, runs)} for trial in trials]


def run_trial(preset: Preset, trial: Trial, runs: str | Path) -> float:
    """Train a trial unless it is finished, and return its validation loss."""
    folder = Path(runs) / _label(trial)
    path = zoo_runs.folder_of(folder, preset, "liquid", trial["seed"]) / zoo_runs.RESULT
    if path.is_file():
        return zoo_runs.read_result(path)[OBJECTIVE]
    result = zoo_runs.run(_with_sizes(preset, trial), "liquid", trial["seed"], folder)
    return result[OBJECTIVE]


def summary(results: list[Trial]) -> list[tuple[str, int, float, float]]:
    """Statistics over seeds: (sizes, number of seeds, mean, standard deviation), best first."""
    losses: dict[str, list[float]] = {}
    for trial in results:
        losses.setdefault(_label(trial), []).append(trial[OBJECTIVE])
    rows = [
        (label, len(values), statistics.mean(values), statistics.pstdev(values))
        for label, values in losses.items()
    ]
    return sorted(rows, key=lambda row: row[2])


def _with_sizes(preset: Preset, trial: Trial) -> Preset:
    """The preset with the config fields of a trial."""
    sizes = {name: value for name, value in trial.items() if name != "seed"}
    return replace(preset, config=replace(preset.config, **sizes))


def _label(trial: Trial) -> str:
    """The config fields of a trial, as text; also the name of its folder."""
    sizes = [f"{name}={trial[name]}" for name in sorted(trial) if name not in ("seed", OBJECTIVE)]
    return ",".join(sizes) or "as it is"


def _parsed(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"`{name}` must be of type {kind.__name__}; received {text!r}.") from None
