"""The roles of a small sweep on bundled data, each for a process of its own."""

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import zoo
from zoo import registry
from zoo.experiments import distributed_sweep, sweep
from zoo.preset import Preset
from zoo.training.metrics import median_squared_error

SEEDS, SIZES = (0, 1), {"units": ["2", "3"]}
TRIALS = [{"units": units, "seed": seed} for units in (2, 3) for seed in SEEDS]
KILLED = 9
RESULTS = "results.json"


def splits(seed):
    """Windows of 5 steps of a real trace, and the observations one step later."""
    windows = zoo.samples("half-cheetah-micro")["inputs"][:240].reshape(40, 6, -1)
    pair = windows[:, :-1], windows[:, 1:]
    return {"train": pair, "validation": pair, "test": pair}


def preset() -> Preset:
    """The task of half-cheetah-micro with less data and two epochs."""
    bundled = registry.get("half-cheetah-micro")
    recipe = replace(bundled.recipe, epochs=2, batch_size=20, checkpoint_every=1)
    config = replace(bundled.config, unfolds=1)
    return replace(bundled, name="small", config=config, recipe=recipe, load_splits=splits)


def run_here(runs: Path) -> None:
    """Train all trials in this process."""
    _write(runs, sweep.sweep(preset(), list(TRIALS), runs))


def lead(runs: Path, address: str) -> None:
    """Hand the trials to workers."""
    _shorten_waits()
    _write(runs, distributed_sweep.lead(preset(), list(TRIALS), runs, address))


def work(runs: Path, address: str) -> None:
    """Train trials for the chief."""
    _shorten_waits()
    distributed_sweep.work(preset(), runs, address)


def work_until_killed(runs: Path, address: str) -> None:
    """Train for the chief; the process ends in the second epoch of its first trial."""
    _shorten_waits()
    epochs = itertools.count(1)

    def validation_loss(targets, predictions):
        if next(epochs) == 2:
            os._exit(KILLED)
        return median_squared_error(targets, predictions)

    distributed_sweep.work(replace(preset(), validation_loss=validation_loss), runs, address)


def _shorten_waits():
    distributed_sweep.SILENCE, distributed_sweep.HEARTBEAT = 2.0, 0.3
    distributed_sweep.POLL_INTERVAL = 0.1


def _write(runs, results):
    (runs / RESULTS).write_text(json.dumps(results))
