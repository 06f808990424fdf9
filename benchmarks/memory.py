"""Peak memory of a gradient over the number of solver steps, with and without the adjoint.

python -m benchmarks.memory                        all configurations, one process each
python -m benchmarks.memory --steps 64 --adjoint   one configuration, in MiB
"""

import subprocess
import sys
from collections.abc import Callable

from benchmarks.arguments import argument_parser
from benchmarks.process_memory import peak_mib, resident_mib

BATCH_SIZE, UNITS, FEATURES = 4096, 64, 8
# Solver steps, and whether the adjoint is used.
CONFIGURATIONS = ((64, False), (64, True), (1024, True))


def gradient_memory(steps: int, adjoint: bool) -> float:
    """Increase of the memory of this process during one gradient, in MiB."""
    import keras
    import numpy as np

    import lnn_keras
    from lnn_keras.autodiff.vjp import vjp

    random = np.random.default_rng(0)
    cell = lnn_keras.LiquidCell(UNITS, unfolds=steps, adjoint=adjoint)
    cell.build((None, FEATURES))

    def gradient(x, h):
        return vjp(lambda h: [cell(x, [h])[0]], [h], [keras.ops.ones_like(h)])[0]

    compiled_gradient = _compile(gradient)

    def run(batch_size):
        x = random.standard_normal((batch_size, FEATURES)).astype("float32")
        h = random.standard_normal((batch_size, UNITS)).astype("float32")
        result = compiled_gradient(x, keras.ops.convert_to_tensor(h))
        assert np.isfinite(np.asarray(keras.ops.convert_to_numpy(result))).all()

    # The first gradient also allocates memory for the backend itself, which does not count.
    run(1)
    before = resident_mib()
    run(BATCH_SIZE)
    return peak_mib() - before


def gradient_memory_in_subprocess(steps: int, adjoint: bool) -> float:
    """`gradient_memory` in a new process, in MiB."""
    command = [sys.executable, "-m", "benchmarks.memory", "--steps", str(steps)]
    command += ["--adjoint"] if adjoint else []
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(result.stdout)


def _compile(function: Callable) -> Callable:
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def main() -> None:
    """Print the memory of one configuration, or of all."""
    parser = argument_parser(__doc__)
    parser.add_argument("--steps", type=int, help="solver steps; default: all configurations")
    parser.add_argument("--adjoint", action="store_true", help="use the adjoint")
    arguments = parser.parse_args()
    if arguments.steps:
        print(round(gradient_memory(arguments.steps, arguments.adjoint), 1))
        return
    print(f"LiquidCell({UNITS}), batch size {BATCH_SIZE}: peak memory of one gradient")
    for steps, adjoint in CONFIGURATIONS:
        method = "adjoint" if adjoint else "backpropagation"
        memory = gradient_memory_in_subprocess(steps, adjoint)
        print(f"{steps:5d} steps  {method:15s}  {memory:7.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
