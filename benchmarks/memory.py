"""Peak memory of a gradient over the number of solver steps, with and without the adjoint.

python -m benchmarks.memory                 the table, one process for each row
python -m benchmarks.memory --steps 64 --adjoint     one row, in mebibytes
"""

import argparse
import resource
import subprocess
import sys

BATCH, UNITS, FEATURES = 4096, 64, 8
ROWS = ((64, False), (64, True), (1024, True))


def peak(steps: int, adjoint: bool) -> float:
    """What the process grows by while it computes one gradient, in MiB."""
    import keras
    import numpy as np

    import lnn_keras
    from lnn_keras.autodiff.vjp import vjp

    random = np.random.default_rng(0)
    cell = lnn_keras.LiquidCell(UNITS, unfolds=steps, adjoint=adjoint)
    cell.build((None, FEATURES))

    def gradient(x, h):
        return vjp(lambda h: [cell(x, [h])[0]], [h], [keras.ops.ones_like(h)])[0]

    gradient = _compiled(gradient)

    def run(batch):
        x = random.standard_normal((batch, FEATURES)).astype("float32")
        h = keras.ops.convert_to_tensor(random.standard_normal((batch, UNITS)).astype("float32"))
        assert np.isfinite(keras.ops.convert_to_numpy(gradient(x, h))).all()

    # What the backend sets up on its first gradient is not counted.
    run(1)
    before = _resident()
    run(BATCH)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024) - before


def _compiled(function):
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def _resident() -> float:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def measure(steps: int, adjoint: bool) -> float:
    """`peak` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--steps", str(steps)]
    command += ["--adjoint"] if adjoint else []
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(result.stdout)


def main() -> None:
    """Print one row, or the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--adjoint", action="store_true")
    arguments = parser.parse_args()
    if arguments.steps:
        print(round(peak(arguments.steps, arguments.adjoint), 1))
        return
    print(f"LiquidCell({UNITS}), batch {BATCH}: memory that a gradient adds at its peak")
    for steps, adjoint in ROWS:
        way = "adjoint" if adjoint else "backpropagation"
        print(f"{steps:5d} steps  {way:15s}  {measure(steps, adjoint):7.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
