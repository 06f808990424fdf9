"""Sweeps: a preset trained over seeds and sizes, on this machine or spread over several.

KerasTuner hands out the trials: a chief to workers that ask for them. A trial is lost with its
worker no longer than until it has been silent for a while: then the next worker to ask gets it, and
goes on from its checkpoint where both see the same folder of runs.
"""

import hashlib
import itertools
import json
import os
import socket
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras_tuner

from lnn_keras.argument_checks import require_choice
from zoo.experiments import runs as zoo_runs
from zoo.preset import Preset

OBJECTIVE = "validation"
# A worker says every few seconds that it lives; after so many of silence its trial goes elsewhere.
HEARTBEAT, SILENCE = 2.0, 30.0
# Between two questions for a trial.
PAUSE = 0.5
CHIEF = "chief"

Trial = dict[str, Any]


def grid(preset: Preset, seeds: Sequence[int], sizes: Mapping[str, Sequence[str]]) -> list[Trial]:
    """All trials: each seed of each choice of fields of the preset's config.

    Args:
        preset: What to train.
        seeds: Seeds of weights, order and noise.
        sizes: Name of a field -> its values, as text.

    Raises:
        ValueError: There is no such field, or a value is not of its type.
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
        _sized(preset, trial)
    return trials


def sweep(preset: Preset, trials: list[Trial], runs: str | Path) -> list[Trial]:
    """Train all trials here, one after the other; those that are done already stay done.

    Returns:
        The trials, each with its "validation" loss.
    """
    tuner = _tuner(preset, trials, runs)
    tuner.search()
    return _results(tuner, trials)


def lead(preset: Preset, trials: list[Trial], runs: str | Path, address: str) -> list[Trial]:
    """Hand the trials out to workers that ask at host:port, until all are done."""
    _set_address(CHIEF, address)
    return sweep(preset, trials, runs)


def work(preset: Preset, runs: str | Path, address: str) -> None:
    """Train what the chief at host:port hands out, until it has nothing more."""
    _set_address(f"{socket.gethostname()}-{os.getpid()}", address)
    _tuner(preset, [], runs).search()


def summary(results: list[Trial]) -> list[tuple[str, int, float, float]]:
    """Each choice of sizes over its seeds: (sizes, seeds, mean, standard deviation), best first."""
    found: dict[str, list[float]] = {}
    for trial in results:
        found.setdefault(_label(trial), []).append(trial[OBJECTIVE])
    rows = [
        (label, len(values), statistics.mean(values), statistics.pstdev(values))
        for label, values in found.items()
    ]
    return sorted(rows, key=lambda row: row[2])


class _Oracle(keras_tuner.Oracle):
    """Hands out the trials of a list in order, and those of workers that fell silent again."""

    def __init__(self, trials):
        super().__init__(
            objective=keras_tuner.Objective(OBJECTIVE, "min"),
            max_trials=max(len(trials), 1),
            # A trial that fails, rather than its worker, would fail again.
            max_consecutive_failed_trials=1,
        )
        self.verbose = 0
        self._all, self._heard = trials, {}

    def populate_space(self, trial_id):
        return {"status": "RUNNING", "values": self._all[int(trial_id)]}

    def get_trial(self, trial_id):
        """Workers ask for their trial to say that they live."""
        self._heard[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    def create_trial(self, tuner_id):
        self._take_back_what_is_lost(tuner_id)
        trial = super().create_trial(tuner_id)
        self._heard[trial.trial_id] = time.monotonic()
        if trial.status == "STOPPED" and self.ongoing_trials:
            # Others still train: whoever waits takes over what they lose.
            trial.status = "IDLE"
            self.tuner_ids.add(tuner_id)
        return trial

    def _take_back_what_is_lost(self, asking):
        for tuner_id, trial in list(self.ongoing_trials.items()):
            silent = time.monotonic() - self._heard.get(trial.trial_id, 0.0)
            if tuner_id != asking and silent > SILENCE:
                self.ongoing_trials.pop(tuner_id)
                self.tuner_ids.discard(tuner_id)
                self._retry_queue.append(trial.trial_id)


class _Tuner(keras_tuner.Tuner):
    """Trains a trial as `zoo.experiments.runs` does, and says meanwhile that it lives."""

    def __init__(self, preset, runs, **kwargs):
        super().__init__(**kwargs)
        self._preset, self._runs = preset, runs

    def pre_create_trial(self):
        time.sleep(PAUSE)

    def run_trial(self, trial):
        values = dict(trial.hyperparameters.values)
        done = threading.Event()

        def say_so():
            while not done.wait(HEARTBEAT):
                self.oracle.get_trial(trial.trial_id)

        threading.Thread(target=say_so, daemon=True).start()
        try:
            folder = Path(self._runs) / _label(values)
            result = _finished(self._preset, values["seed"], folder) or zoo_runs.run(
                _sized(self._preset, values), "liquid", values["seed"], folder
            )
        finally:
            done.set()
        return {OBJECTIVE: result[OBJECTIVE]}


def _finished(preset, seed, folder):
    """The result of a run that was done before."""
    path = zoo_runs.folder_of(folder, preset, "liquid", seed) / zoo_runs.RESULT
    return json.loads(path.read_text()) if path.is_file() else None


def _tuner(preset, trials, runs):
    # Another list of trials is another sweep, with a state of its own.
    digest = hashlib.sha256(json.dumps(trials, sort_keys=True).encode()).hexdigest()[:12]
    return _Tuner(
        preset,
        runs,
        oracle=_Oracle(trials),
        directory=str(runs),
        project_name=f"sweep-{preset.name}-{digest}",
    )


def _results(tuner, trials):
    scores = {int(number): trial.score for number, trial in tuner.oracle.trials.items()}
    return [{**trial, OBJECTIVE: scores[number]} for number, trial in enumerate(trials)]


def _sized(preset, trial):
    """The preset with the sizes of a trial."""
    sizes = {name: value for name, value in trial.items() if name != "seed"}
    return replace(preset, config=replace(preset.config, **sizes))


def _label(trial):
    """The sizes of a trial, in words."""
    sizes = [f"{name}={trial[name]}" for name in sorted(trial) if name not in ("seed", OBJECTIVE)]
    return ",".join(sizes) or "as it is"


def _parsed(name, text, kind):
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"`{name}` must be of type {kind.__name__}; received {text!r}.") from None


def _set_address(tuner_id, address):
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"The chief's address must be host:port; received {address!r}.")
    os.environ["KERASTUNER_TUNER_ID"] = tuner_id
    os.environ["KERASTUNER_ORACLE_IP"] = host
    os.environ["KERASTUNER_ORACLE_PORT"] = port
