"""A small sweep on bundled data: `sweeping.py RUNS [chief|worker ADDRESS]`.

LNN_TEST_KILL makes a worker die in the second epoch of its first trial.
"""

import json
import os
import sys
from dataclasses import replace

import zoo
from zoo import registry
from zoo.experiments import runs as zoo_runs
from zoo.experiments import sweep

SEEDS, SIZES = (0, 1), {"units": ["3", "4"]}


def splits(seed):
    """Windows of 12 steps of a real trace."""
    windows = zoo.samples("half-cheetah-micro")["inputs"][:480].reshape(40, 12, -1)
    pair = windows[:, :-1], windows[:, 1:]
    return {"train": pair, "validation": pair, "test": pair}


def preset():
    found = registry.get("half-cheetah-micro")
    recipe = replace(found.recipe, epochs=3, batch_size=8, checkpoint_every=1)
    return replace(found, name="small", recipe=recipe, load_splits=splits)


def main(runs, role="alone", address=""):
    sweep.SILENCE, sweep.HEARTBEAT = 4.0, 0.5
    if os.environ.get("LNN_TEST_KILL"):
        zoo_runs.train = _dying(zoo_runs.train)
    if role == "worker":
        sweep.work(preset(), runs, address)
        return
    trials = sweep.grid(preset(), SEEDS, SIZES)
    if role == "chief":
        results = sweep.lead(preset(), trials, runs, address)
    else:
        results = sweep.sweep(preset(), trials, runs)
    print(json.dumps(results))


def _dying(train):
    def until_the_second_epoch(*arguments, **options):
        def tell(epoch):
            if epoch.epoch == 1:
                os._exit(9)

        return train(*arguments[:6], tell, **options)

    return until_the_second_epoch


if __name__ == "__main__":
    main(*sys.argv[1:])
