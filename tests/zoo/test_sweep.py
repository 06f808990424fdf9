"""Sweeps: every trial is trained once, also where a worker dies on the way."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import sweeping

pytest.importorskip("keras_tuner")

from zoo import registry
from zoo.experiments import runs as zoo_runs
from zoo.experiments import sweep

SWEEPING = Path(sweeping.__file__)
TRIALS = [{"units": units, "seed": seed} for units in (3, 4) for seed in (0, 1)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The results of a sweep on one machine, and its folder of runs."""
    runs = tmp_path_factory.mktemp("alone")
    return sweep.sweep(sweeping.preset(), list(TRIALS), runs), runs


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, SWEEPING, *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_grid_is_every_seed_of_every_size():
    preset = registry.get("half-cheetah-micro")
    assert sweep.grid(preset, (0, 1), {"units": ["3", "4"]}) == TRIALS
    assert sweep.grid(preset, (5,), {}) == [{"seed": 5}]
    with pytest.raises(ValueError, match="Unknown field 'unit'"):
        sweep.grid(preset, (0,), {"unit": ["3"]})
    with pytest.raises(ValueError, match="`units` must be of type int; received 'many'"):
        sweep.grid(preset, (0,), {"units": ["many"]})
    with pytest.raises(ValueError, match="cell"):
        sweep.grid(preset, (0,), {"cell": ["transformer"]})


def test_trials_are_trained_as_runs_are(alone):
    results, runs = alone
    assert [{k: v for k, v in r.items() if k != sweep.OBJECTIVE} for r in results] == TRIALS
    for result in results:
        folder = runs / f"units={result['units']}"
        path = zoo_runs.folder_of(folder, sweeping.preset(), "liquid", result["seed"])
        saved = json.loads((path / zoo_runs.RESULT).read_text())
        assert saved["config"]["units"] == result["units"]
        assert saved["validation"] == pytest.approx(result["validation"])
    best, *others = sweep.summary(results)
    assert best[1] == 2 and all(best[2] <= row[2] for row in others)


def test_what_is_done_stays_done(alone, monkeypatch):
    results, runs = alone
    monkeypatch.setattr(zoo_runs, "run", None)
    assert sweep.sweep(sweeping.preset(), list(TRIALS), runs) == results


def test_no_trial_is_lost_with_its_worker(alone, tmp_path):
    """A chief and two workers on loopback, of which one dies in the middle of a trial."""
    results, _ = alone
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    chief = start(tmp_path, "chief", address)
    dying = start(tmp_path, "worker", address, LNN_TEST_KILL="1")
    worker = start(tmp_path, "worker", address)
    assert dying.wait(timeout=200) == 9
    said, _ = chief.communicate(timeout=300)
    assert chief.returncode == 0 and worker.wait(timeout=60) == 0
    spread = json.loads(said.splitlines()[-1])
    assert [r["validation"] for r in spread] == pytest.approx([r["validation"] for r in results])


def test_address_is_host_and_port(tmp_path):
    with pytest.raises(ValueError, match="must be host:port; received 'somewhere'"):
        sweep.work(sweeping.preset(), tmp_path, "somewhere")
