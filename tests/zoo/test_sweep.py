"""Sweeps: every trial is trained once, including the trial of a worker that dies."""

import json
import time

import pytest
import sweep_worker

pytest.importorskip("keras_tuner")
pytest.importorskip("jax")

from zoo import registry
from zoo.experiments import distributed_sweep, sweep
from zoo.experiments import runs as zoo_runs


@pytest.fixture(scope="module")
def finished(jax_processes, tmp_path_factory):
    """The results of a sweep in one process, and its folder of runs."""
    runs = tmp_path_factory.mktemp("one-process")
    jax_processes.start(sweep_worker.run_here, runs).wait()
    return json.loads((runs / sweep_worker.RESULTS).read_text()), runs


def test_grid_is_every_seed_of_every_size():
    preset = registry.get("half-cheetah-micro")
    trials = sweep.grid(preset, sweep_worker.SEEDS, sweep_worker.SIZES)
    assert trials == sweep_worker.TRIALS
    assert sweep.grid(preset, (5,), {}) == [{"seed": 5}]
    with pytest.raises(ValueError, match="Unknown field 'unit'"):
        sweep.grid(preset, (0,), {"unit": ["3"]})
    with pytest.raises(ValueError, match="`units` must be of type int; received 'many'"):
        sweep.grid(preset, (0,), {"units": ["many"]})
    with pytest.raises(ValueError, match="cell"):
        sweep.grid(preset, (0,), {"cell": ["transformer"]})


def test_trials_are_trained_like_single_runs(finished):
    results, runs = finished
    trials = [{k: v for k, v in r.items() if k != sweep.OBJECTIVE} for r in results]
    assert trials == sweep_worker.TRIALS
    for result in results:
        folder = runs / f"units={result['units']}"
        path = zoo_runs.folder_of(folder, sweep_worker.preset(), "liquid", result["seed"])
        saved = json.loads((path / zoo_runs.RESULT).read_text())
        assert saved["config"]["units"] == result["units"]
        assert saved["validation"] == pytest.approx(result["validation"])
    best, *others = sweep.summary(results)
    assert best[1] == 2 and all(best[2] <= row[2] for row in others)


def test_finished_trials_are_not_trained_again(finished, monkeypatch):
    results, runs = finished
    monkeypatch.setattr(zoo_runs, "run", None)
    assert sweep.sweep(sweep_worker.preset(), list(sweep_worker.TRIALS), runs) == results


def test_trial_of_a_killed_worker_is_trained_by_another(
    finished, jax_processes, free_address, tmp_path
):
    """A chief and two workers on loopback; one worker dies during a trial."""
    results, _ = finished
    chief = jax_processes.start(sweep_worker.lead, tmp_path, free_address)
    killed = jax_processes.start(sweep_worker.work_until_killed, tmp_path, free_address)
    wait_for(tmp_path, "units=*/*/*")  # the run of its trial
    worker = jax_processes.start(sweep_worker.work, tmp_path, free_address)
    killed.wait(code=sweep_worker.KILLED)
    chief.wait()
    worker.wait()
    shared = json.loads((tmp_path / sweep_worker.RESULTS).read_text())
    assert [r["validation"] for r in shared] == pytest.approx([r["validation"] for r in results])


def wait_for(folder, pattern, timeout=60.0):
    """Wait until a path below a folder matches a pattern."""
    end = time.monotonic() + timeout
    while not any(folder.glob(pattern)):
        assert time.monotonic() < end, f"no {pattern} after {timeout:g} s"
        time.sleep(0.02)


def test_address_is_host_and_port(tmp_path):
    with pytest.raises(ValueError, match="must be host:port; received 'somewhere'"):
        distributed_sweep.work(sweep_worker.preset(), tmp_path, "somewhere")
