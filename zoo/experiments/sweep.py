"""Sweeps: a preset trained over seeds and hyperparameters, on this machine or on several.

KerasTuner distributes the trials: a chief gives them to workers on request. Workers send
heartbeats. If a worker is silent for too long, the next worker gets its trial, and resumes from its
checkpoint if both share the folder of runs.
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

from zoo import compat
from zoo.argument_checks import require_choice
from zoo.experiments import runs as zoo_runs
from zoo.extras import extra
from zoo.preset import Preset

with extra("sweep"):
    import keras_tuner

OBJECTIVE = "validation"
# Seconds between heartbeats, and seconds of silence after which a worker counts as lost.
HEARTBEAT, SILENCE = 2.0, 30.0
# Seconds between two requests for a trial.
POLL_INTERVAL = 0.5
CHIEF = "chief"
# The name of the preset in the space of hyperparameters.
_PRESET = "preset"

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
    tuner = _tuner(preset, trials, runs)
    tuner.search()
    return _results(tuner, trials)


def lead(preset: Preset, trials: list[Trial], runs: str | Path, address: str) -> list[Trial]:
    """Distribute the trials to workers that connect to host:port, until all are finished."""
    _set_address(CHIEF, address)
    return sweep(preset, trials, runs)


def work(preset: Preset, runs: str | Path, address: str) -> None:
    """Train trials of the chief at host:port until none is left.

    Raises:
        ValueError: The chief sweeps another preset, or the address is malformed.
    """
    _set_address(f"{socket.gethostname()}-{os.getpid()}", address)
    tuner = _tuner(preset, [], runs)
    chiefs = tuner.oracle.get_space().values.get(_PRESET)
    if chiefs != preset.name:
        raise ValueError(
            f"The chief at {address} sweeps the preset {chiefs!r}, not {preset.name!r}; "
            "start the worker with that one."
        )
    tuner.search()


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


class _Oracle(keras_tuner.Oracle):
    """Distributes the trials of a list in order, and repeats the trials of lost workers."""

    def __init__(self, trials: list[Trial], preset: str):
        # Workers read it before they ask for a trial.
        space = keras_tuner.HyperParameters()
        space.Fixed(_PRESET, preset)
        super().__init__(
            hyperparameters=space,
            objective=keras_tuner.Objective(OBJECTIVE, "min"),
            max_trials=max(len(trials), 1),
            # A failed trial would fail again; only lost workers are a reason to repeat one.
            max_consecutive_failed_trials=1,
        )
        self.verbose = 0
        self._trial_list = trials
        self._last_heartbeat: dict[str, float] = {}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        # A copy: KerasTuner adds the name of the preset.
        return {"status": "RUNNING", "values": {**self._trial_list[int(trial_id)]}}

    def get_trial(self, trial_id: str) -> Any:
        """Return a trial; workers call this as their heartbeat."""
        self._last_heartbeat[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    def create_trial(self, tuner_id: str) -> Any:
        self._retry_lost_trials(tuner_id)
        trial = super().create_trial(tuner_id)
        self._last_heartbeat[trial.trial_id] = time.monotonic()
        if trial.status == "STOPPED" and self.ongoing_trials:
            # Other workers still train; this one waits in case one of them is lost.
            trial.status = "IDLE"
            self.tuner_ids.add(tuner_id)
        return trial

    def _retry_lost_trials(self, requesting_id: str) -> None:
        for tuner_id, trial in list(self.ongoing_trials.items()):
            silence = time.monotonic() - self._last_heartbeat.get(trial.trial_id, 0.0)
            if tuner_id != requesting_id and silence > SILENCE:
                compat.retry_trial(self, tuner_id, trial.trial_id)


class _Tuner(keras_tuner.Tuner):
    """Trains a trial as a run of `zoo.experiments.runs`, and sends heartbeats meanwhile."""

    def __init__(self, preset: Preset, runs: str | Path, **kwargs: Any):
        super().__init__(**kwargs)
        self._preset, self._runs = preset, runs

    def pre_create_trial(self) -> None:
        time.sleep(POLL_INTERVAL)

    def run_trial(self, trial: Any) -> dict[str, float]:  # pyright: ignore[reportIncompatibleMethodOverride] # KerasTuner documents dicts as results
        values = {name: v for name, v in trial.hyperparameters.values.items() if name != _PRESET}
        finished = threading.Event()

        def send_heartbeats() -> None:
            while not finished.wait(HEARTBEAT):
                self.oracle.get_trial(trial.trial_id)

        threading.Thread(target=send_heartbeats, daemon=True).start()
        try:
            folder = Path(self._runs) / _label(values)
            result = _saved_result(self._preset, values["seed"], folder) or zoo_runs.run(
                _with_sizes(self._preset, values), "liquid", values["seed"], folder
            )
        finally:
            finished.set()
        return {OBJECTIVE: result[OBJECTIVE]}


def _saved_result(preset: Preset, seed: int, folder: Path) -> dict[str, Any] | None:
    """The result of a run that was finished earlier."""
    path = zoo_runs.folder_of(folder, preset, "liquid", seed) / zoo_runs.RESULT
    return zoo_runs.read_result(path) if path.is_file() else None


def _tuner(preset: Preset, trials: list[Trial], runs: str | Path) -> _Tuner:
    # Another list of trials is another sweep, with its own saved state.
    digest = hashlib.sha256(json.dumps(trials, sort_keys=True).encode()).hexdigest()[:12]
    return _Tuner(
        preset,
        runs,
        oracle=_Oracle(trials, preset.name),
        directory=str(runs),
        project_name=f"sweep-{preset.name}-{digest}",
    )


def _results(tuner: _Tuner, trials: list[Trial]) -> list[Trial]:
    scores = {int(trial_id): trial.score for trial_id, trial in tuner.oracle.trials.items()}
    return [{**trial, OBJECTIVE: scores[index]} for index, trial in enumerate(trials)]


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


def _set_address(tuner_id: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"The chief's address must be host:port; received {address!r}.")
    os.environ["KERASTUNER_TUNER_ID"] = tuner_id
    os.environ["KERASTUNER_ORACLE_IP"] = host
    os.environ["KERASTUNER_ORACLE_PORT"] = port
