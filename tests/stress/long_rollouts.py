"""Every cell over 100,000 steps of hostile inputs and gaps, on TensorFlow with XLA and on JAX.

python -m tests.stress.long_rollouts STEPS CELL ...      the results on KERAS_BACKEND, as JSON
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.stress.kinds import Kind, Result

STEPS, FEATURES, UNITS = 100_000, 3, 4
BACKENDS = ("tensorflow", "jax")
# By name: the arguments of the cell, and a bound of its outputs that a theorem gives, as a
# function of the cell; None if they are only finite.
Bound = Callable[[Any], float] | None


def _largest(weight) -> float:
    return float(np.abs(np.asarray(weight)).max(initial=0))


def _potential(cell) -> float:
    """A potential is a convex combination of 0, the leak potentials and the reversal potentials."""
    weights = (cell.leak_reversal, cell.sensory.reversal, cell.recurrent.reversal)
    return max(_largest(weight) for weight in weights)


def _cells() -> dict[str, tuple[Callable[[], Any], Bound]]:
    import lnn_keras as lnn

    def lef(family):
        units = 2 if family in ("gaussian", "gamma") else UNITS
        return lambda: lnn.LEFCell(units, family, variances=True)

    def wiring():
        return lnn.wirings.AutoNCP(12, outputs=UNITS)

    def ltc(wired):
        return lambda: lnn.LTCCell(wiring() if wired else UNITS)

    return {
        "liquid": (lambda: lnn.LiquidCell(UNITS), lambda cell: _largest(cell.reversal)),
        "diagonal": (lambda: lnn.DiagonalLiquidCell(UNITS), lambda cell: _largest(cell.reversal)),
        "diagonal-steps": (
            lambda: lnn.DiagonalLiquidCell(UNITS, solver="semi_implicit", unfolds=2),
            lambda cell: _largest(cell.reversal),
        ),
        "ltc": (ltc(False), _potential),
        "ltc-ncp": (ltc(True), _potential),
        # The forget gate is at least 1/2.
        "lrc": (lambda: lnn.LRCCell(UNITS), lambda cell: 2 * _largest(cell.leak_reversal)),
        "node": (lambda: lnn.NODECell(UNITS), lambda cell: _largest(np.exp(cell.log_tau))),
        "ctrnn": (lambda: lnn.CTRNNCell(UNITS), None),
        "ode-rnn": (lambda: lnn.ODERNNCell(UNITS), None),
        "cfc": (lambda: lnn.CfCCell(UNITS, backbone_units=8), lambda cell: 1),
        "cfc-no-gate": (lambda: lnn.CfCCell(UNITS, "no_gate", 8), lambda cell: 2),
        "cfc-pure": (
            lambda: lnn.CfCCell(UNITS, "pure", backbone_layers=0),
            lambda cell: 2 * _largest(cell.amplitude),
        ),
        "cfc-wired": (lambda: lnn.WiredCfCCell(wiring()), lambda cell: 1),
        # A trace is a convex combination of its value and the event, which is a tanh.
        "ct-gru": (lambda: lnn.CTGRUCell(UNITS), lambda cell: cell.scales),
        "mixed-ltc": (
            lambda: lnn.MixedMemoryCell(lnn.LTCCell(UNITS)),
            lambda cell: _potential(cell.cell),
        ),
        "lef-gaussian": (lef("gaussian"), None),
        "lef-bernoulli": (lef("bernoulli"), lambda cell: 1),
        "lef-poisson": (lef("poisson"), lambda cell: np.exp(20)),
        "lef-gamma": (lef("gamma"), None),
        "lef-categorical": (lef("categorical"), lambda cell: 1),
    }


def hostile_series(steps: int, seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """15 kinds of inputs with 3 kinds of gaps: names, inputs and elapsed times (45, steps, ...)."""
    random, t = np.random.default_rng(seed), np.arange(steps)[:, None]
    shape = (steps, FEATURES)
    signs = random.choice([-1.0, 1.0], shape)
    # From denormal numbers to the largest ones of float32.
    scales = 10.0 ** random.uniform(-45, 38, shape)
    inputs = {
        "zeros": np.zeros(shape),
        "ones": np.ones(shape),
        "-1,000": np.full(shape, -1e3),
        "1e10": np.full(shape, 1e10),
        "-1e30": np.full(shape, -1e30),
        "3e38": np.full(shape, 3e38),
        "denormal": np.full(shape, 1e-42),
        "alternating 1,000": 1e3 * (-1.0) ** t * np.ones(shape),
        "alternating 1e30": 1e30 * (-1.0) ** t * np.ones(shape),
        "spikes": np.where(t % 97 == 5, 1e20 * signs, 0.0),
        "normal": random.standard_normal(shape),
        "random walk": np.cumsum(random.standard_normal(shape), axis=0),
        "any size": signs * scales,
        "ramp": np.sin(t / 7) * t * np.ones(shape),
        "steps": np.where((t // 50) % 2, 1e6, -1e-6) * np.ones(shape),
    }
    gaps = {
        "ones": np.ones(steps),
        "any length": 10.0 ** random.uniform(-40, 38, steps),
        "bursts": np.where(random.random(steps) < 0.01, 1e9, 0.0),
    }
    pairs = list(itertools.product(inputs.items(), gaps.items()))
    names = [f"inputs {x!r}, gaps {gap!r}" for (x, _), (gap, _) in pairs]
    x = np.array([values for (_, values), _ in pairs], "float32")
    elapsed = np.array([values for _, (_, values) in pairs], "float32")
    return names, x, elapsed


def roll_out(name: str, steps: int, seed: int) -> list[str]:
    """Why the rollouts of a cell are wrong, a line for each wrong series."""
    import keras

    import lnn_keras

    keras.utils.set_random_seed(seed)
    names, x, elapsed = hostile_series(steps, seed)
    make, bound = _cells()[name]
    layer = lnn_keras.LiquidRNN(make(), return_sequences=True, return_state=True, remat=None)
    layer.build(x.shape)
    outputs, *states = (np.asarray(result) for result in _compiled(layer)(x, elapsed))
    limit = np.inf if bound is None else bound(layer.cell) * (1 + 1e-5)
    failures = []
    for i, series in enumerate(names):
        results = [outputs[i], *(state[i] for state in states)]
        if not all(np.isfinite(result).all() for result in results):
            first = np.argmin(np.isfinite(outputs[i]).all(axis=-1))
            failures.append(f"{name}, {series}: not finite at step {first}")
        elif np.abs(outputs[i]).max() > limit:
            failures.append(f"{name}, {series}: {np.abs(outputs[i]).max():g} is above {limit:g}")
    return failures


def _compiled(layer):
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(lambda x, elapsed: layer(x, elapsed=elapsed))
    import tensorflow as tf

    return tf.function(lambda x, elapsed: layer(x, elapsed=elapsed), jit_compile=True)


def _run(count: int, seed: int) -> Result:
    """Roll out as many cells as `count` series need, each on both backends."""
    result, names = Result(), list(_cells())
    series = 45 * len(BACKENDS)
    names = names[: -(-count // series)]
    for backend in BACKENDS:
        command = [
            sys.executable,
            "-m",
            "tests.stress.long_rollouts",
            str(STEPS),
            str(seed),
            *names,
        ]
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            command,
            env=environment,
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            result.add(f"{backend}: the process ended with {done.returncode}: {done.stderr[-300:]}")
            continue
        failures = [f"{backend}: {line}" for line in json.loads(done.stdout.splitlines()[-1])]
        result.tried += 45 * len(names)
        result.failures += failures
    return result


KINDS = (
    Kind(
        "long rollouts",
        18 * 45 * len(BACKENDS),
        _run,
        f"outputs and states are finite over {STEPS:,} steps, and within the bounds of theorems",
    ),
)


if __name__ == "__main__":
    lines = [
        line for cell in sys.argv[3:] for line in roll_out(cell, int(sys.argv[1]), int(sys.argv[2]))
    ]
    print(json.dumps(lines))
