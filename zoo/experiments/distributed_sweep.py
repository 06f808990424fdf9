"""Sweeps over several machines.

KerasTuner distributes the trials: a chief gives them to workers on request. Workers send
heartbeats. If a worker is silent for too long, the next worker gets its trial, and resumes from its
checkpoint if both share the folder of runs.
"""

import hashlib
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from zoo import compat
from zoo.experiments.sweep import OBJECTIVE, Trial, run_trial
from zoo.extras import extra
from zoo.preset import Preset

with extra("sweep"):
    import keras_tuner

# Seconds between heartbeats, and seconds of silence after which a worker counts as lost.
HEARTBEAT, SILENCE = 2.0, 30.0
# Seconds between two requests for a trial.
POLL_INTERVAL = 0.5
CHIEF = "chief"
# The name of the preset in the space of hyperparameters.
_PRESET = "preset"


def lead(preset: Preset, trials: list[Trial], runs: str | Path, address: str) -> list[Trial]:
    """Distribute the trials to workers that connect to host:port, until all are finished."""
    _set_address(CHIEF, address)
    tuner = _tuner(preset, trials, runs)
    tuner.search()
    return _results(tuner, trials)


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
            return {OBJECTIVE: run_trial(self._preset, values, self._runs)}
        finally:
            finished.set()


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


def _set_address(tuner_id: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"The chief's address must be host:port; received {address!r}.")
    os.environ["KERASTUNER_TUNER_ID"] = tuner_id
    os.environ["KERASTUNER_ORACLE_IP"] = host
    os.environ["KERASTUNER_ORACLE_PORT"] = port
