"""LiquidRNN step after step, and all steps at once: time for values and for gradients.

python -m benchmarks.parallel                        the table; writes docs/parallel.md
python -m benchmarks.parallel --units 64 --batch 16 --lengths 1024 65536 --page ""

All steps at once pays where a device is wide and a scan leaves it idle: an iteration of
Newton's method computes more than `units` times what a scan does, but in a few hundred
wide operations, however long the sequence, while a scan's operations wait for each other.
So long sequences of few units and small batches may gain on an accelerator, which nobody
has measured yet. On a CPU it loses, as docs/parallel.md shows: XLA fuses a scan's step to a
microsecond there, and a few lanes have nothing idle to fill.
"""

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

LENGTHS = (256, 2048, 16384)
UNITS, BATCH, FEATURES, UNFOLDS = 16, 1, 4, 6
RUNS = 3
PAGE = Path(__file__).parent.parent / "docs/parallel.md"


def cells(units: int, unfolds: int) -> dict:
    """The cells measured, by what the table calls them."""
    import lnn_keras

    return {
        f"LiquidCell({units}, unfolds={unfolds})": lnn_keras.LiquidCell(units, unfolds=unfolds),
        f"CfCCell({units}, backbone_units={2 * units})": lnn_keras.CfCCell(
            units, backbone_units=2 * units
        ),
    }


def compiled(cell, method, x, gradient: bool):
    """A function without arguments that runs one LiquidRNN on x, compiled already."""
    import jax
    import keras

    import lnn_keras

    layer = lnn_keras.LiquidRNN(cell, parallel=method, return_sequences=True)
    layer.build(x.shape)

    def loss(weights, x):
        mapping = list(zip(cell.variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return keras.ops.sum(layer(x) ** 2)

    weights = [variable.value for variable in cell.variables]
    run = jax.jit(jax.grad(loss) if gradient else loss).lower(weights, x).compile()
    return lambda: jax.block_until_ready(run(weights, x))


def iterations(cell, method, x) -> str:
    """How many iterations the method took, and whether a scan had to follow."""
    import jax

    from lnn_keras.layers.parallel_scan import parallel_scan

    def run(x):
        projected = cell.project(x).swapaxes(0, 1)
        start = cell.get_initial_state(len(x))[0]
        step = lambda h, inputs: cell.advance(inputs, [h], cell.elapsed)[1][0]  # noqa: E731
        return parallel_scan(step, start, projected, method=method)[1:]

    count, converged = jax.jit(run)(x)
    return f"{count}" if converged else f"{count}, then a scan"


def medians(runs: dict) -> dict:
    """Seconds of each function, the median of runs that take turns."""
    times = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(RUNS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def rows(arguments):
    """The rows of the table, one for each cell and length, printed as they come."""
    import keras
    import numpy as np

    from lnn_keras.layers.parallel_scan import METHODS

    head = ["cell", "steps", "iterations", "scan", *METHODS]
    head += ["scan, gradient", *(f"{method}, gradient" for method in METHODS)]
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for name, cell in cells(arguments.units, arguments.unfolds).items():
        keras.utils.set_random_seed(0)
        cell.build((None, FEATURES))
        for length in arguments.lengths:
            x = np.random.default_rng(0).standard_normal((arguments.batch, length, FEATURES))
            x = keras.ops.convert_to_tensor(x.astype("float32"))
            row = [name, f"{length:,}", " / ".join(iterations(cell, m, x) for m in METHODS)]
            for gradient in (False, True):
                found = medians(
                    {m: compiled(cell, m, x, gradient) for m in (None, *METHODS)},
                )
                row.append(f"{found[None] * 1e3:.1f} ms")
                row += [f"{found[m] * 1e3:.1f} ms ({found[None] / found[m]:.2g}x)" for m in METHODS]
            yield f"| {' | '.join(row)} |"


def device() -> str:
    """What it all runs on, in words."""
    import jax

    devices = jax.devices()
    kind = f"{devices[0].platform} ({devices[0].device_kind})"
    cores = f"{os.cpu_count()} CPU cores, {platform.machine()}"
    return f"{len(devices)} x {kind}, in a machine of {cores}; jax {jax.__version__}"


def main() -> None:
    """Print the table, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--unfolds", type=int, default=UNFOLDS)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--page", default=str(PAGE), help='file to write, "" for none')
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    print(f"on {device()}", flush=True)
    table = []
    for row in rows(arguments):
        print(row, flush=True)
        table.append(row)
    if arguments.page:
        Path(arguments.page).write_text(page(arguments, "\n".join(table)))
        print(f"written to {arguments.page}")


def page(arguments, table: str) -> str:
    """The page around the table."""
    return f"""\
# All steps at once, measured

Made by `python -m benchmarks.parallel` on {device()}.

`LiquidRNN(cell, parallel="newton")` and `"quasi_newton"` against the scan, batch {arguments.batch},
random weights and inputs. In brackets: how many times as fast as the scan; below 1 the scan is
faster. Iterations are those of newton / quasi_newton, until the largest change is below 1e-6.
Compilation is not counted; that of all steps at once takes seconds.

It is made for accelerators, where each of a scan's operations waits for a launch. On a CPU it does
not pay. Run the benchmark on the device in question before choosing it.

{table}
"""


if __name__ == "__main__":
    main()
