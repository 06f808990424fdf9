"""Gradients over 4,096 steps: rematerialization against a plain scan, and second derivatives."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.stress.kinds import Kind, Result

ROOT = Path(__file__).parents[2]
BACKENDS = ("tensorflow", "jax")
CELLS = ("liquid", "node", "ctrnn", "ltc", "lrc", "lef", "cfc", "ct-gru", "ode-rnn", "mixed-ltc")
REMATS = (1, 64, 1000)
LENGTH, SHORT = 4096, 64
# Relative to the largest value of each gradient.
TOLERANCE, SECOND_TOLERANCE = 1e-3, 1e-3


def trials() -> list[tuple[str, str]]:
    """All pairs of a backend and a cell."""
    return [(backend, cell) for backend in BACKENDS for cell in CELLS]


def run(count: int, seed: int) -> Result:
    """Check each pair in a process of its own, which Keras needs to run on another backend."""
    result = Result()
    for backend, cell in trials()[:count]:
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.stress.gradients", cell, str(seed)]
        process = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
        if process.returncode:
            result.add(f"{backend} {cell}: {process.stderr.strip()[-300:]!r}")
            continue
        for failure in json.loads(process.stdout.splitlines()[-1]):
            result.add(failure and f"{backend} {failure}")
    return result


def failures_of(cell: str, seed: int, length: int = LENGTH, short: int = SHORT) -> list[str | None]:
    """One entry for each `remat`, and one for second derivatives over fewer steps."""
    failures = []
    expected = _gradients(cell, None, length, seed, second=False)
    for remat in REMATS:
        found = _gradients(cell, remat, length, seed, second=False)
        failures.append(_difference(f"{cell} remat={remat}", found, expected, TOLERANCE))
    expected = _gradients(cell, None, short, seed, second=True)
    found = _gradients(cell, 1, short, seed, second=True)
    failures.append(_difference(f"{cell}, second", found, expected, SECOND_TOLERANCE))
    return failures


def _difference(name, found, expected, tolerance):
    import numpy as np

    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        error, size = np.abs(a - b).max(), np.abs(b).max()
        if not error <= tolerance * max(size, 1e-6):
            return f"{name}: gradient {i} differs by {error:g}, its largest value is {size:g}"
    return None


def _gradients(name, remat, length, seed, second):
    """The gradients for inputs, elapsed times and weights, or those of a gradient penalty."""
    import keras
    import numpy as np
    from keras import ops

    from lnn_keras.autodiff.functional import pure, weights_of
    from lnn_keras.autodiff.vjp import vjp

    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    layer = _layer(name, remat)
    layer.build((2, length, 3))
    function = pure(layer, lambda x, elapsed: layer(x, elapsed=elapsed))
    one = ops.ones(())

    def loss(x, elapsed, *weights):
        return [ops.mean(function(list(weights), x, elapsed) ** 2)]

    def penalty(*arguments):
        return [sum(ops.sum(g**2) for g in vjp(loss, arguments, [one]))]

    arguments = [
        ops.convert_to_tensor(random.standard_normal((2, length, 3)).astype("float32")),
        ops.convert_to_tensor((10 ** random.uniform(-1, 0.5, (2, length, 1))).astype("float32")),
        *weights_of(layer),
    ]
    gradient = _compiled(lambda *a: vjp(penalty if second else loss, a, [one]))
    return [ops.convert_to_numpy(g) for g in gradient(*arguments)]


def _layer(name, remat):
    import lnn_keras as lnn

    cells = {
        "liquid": lambda: lnn.LiquidCell(4),
        "diagonal": lambda: lnn.DiagonalLiquidCell(4),
        "node": lambda: lnn.NODECell(4, unfolds=2),
        "ctrnn": lambda: lnn.CTRNNCell(4, unfolds=2),
        "ltc": lambda: lnn.LTCCell(4, unfolds=2),
        "lrc": lambda: lnn.LRCCell(4),
        "lef": lambda: lnn.LEFCell(4, "bernoulli", unfolds=2),
        "cfc": lambda: lnn.CfCCell(4, backbone_units=6),
        "ct-gru": lambda: lnn.CTGRUCell(4, scales=3),
        "ode-rnn": lambda: lnn.ODERNNCell(4, hidden_units=6),
        "mixed-ltc": lambda: lnn.MixedMemoryCell(lnn.LTCCell(4, unfolds=1)),
    }
    return lnn.LiquidRNN(cells[name](), remat=remat, return_sequences=True)


def _compiled(function):
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    import jax

    return jax.jit(function)


KINDS = (
    Kind(
        "gradients",
        len(BACKENDS) * len(CELLS),
        run,
        "every cell and remat over 4,096 steps, on TensorFlow and JAX: gradients within 0.1 % of "
        "those of a plain scan; second derivatives over 64 steps within 0.1 %",
    ),
)

if __name__ == "__main__":
    print(json.dumps(failures_of(sys.argv[1], int(sys.argv[2]))))
