"""Memory and time of training over the sequence length, and memory compared with ncps.

python -m benchmarks.training_cost                               prints the tables of docs/speed.md
python -m benchmarks.training_cost --layer NAME --length 1024    MiB of a few training steps
python -m benchmarks.training_cost --times                       ms of a step for each length

Memory is measured in a new process: its increase from before the first training step to the peak,
including compilation. Times are measured in one process, in which the lengths take turns.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.arguments import argument_parser
from benchmarks.implementations import (
    BATCH_SIZE,
    FEATURES,
    SEQUENCE_LENGTH,
    keras_layer,
    random_batch,
)
from benchmarks.markdown import table_header, table_row
from benchmarks.process_memory import peak_mib, resident_mib

LENGTHS = (32, 128, 1024, 4096, 16384)
# The lengths of the two measurements that the targets compare.
SHORT, LONG = 1024, 16384
TRAINING_STEPS = 7
# Long sequences are trained in small batches.
LONG_SEQUENCE_BATCH_SIZE = 8
LIQUID = "LiquidCell, 1 unfold"
LTC, NCPS_LTC = "LTCCell, AutoNCP", "ncps.keras LTC, AutoNCP"
# Memory per batch is the difference of two batch sizes.
BATCH_SIZES = (64, 1024)
# Largest accepted ratios.
MEMORY_TARGET, TIME_TARGET, REMAT_MEMORY_TARGET = 0.33, 18, 5


def run_in_subprocess(*arguments: Any) -> Any:
    """Run this file with arguments, and return the JSON value of its last output line."""
    command = [sys.executable, "-m", "benchmarks.training_cost", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def training_memory(layer: str, length: int, batch_size: int, remat: int = 0) -> float:
    """Increase of the memory of a new process that trains, in MiB."""
    return run_in_subprocess(
        "--layer", layer, "--length", length, "--batch", batch_size, "--remat", remat
    )


def training_step(name: str, length: int, batch_size: int, remat: int) -> Callable[[], Any]:
    """Build and compile a model.

    Args:
        name: Name of the layer, see `benchmarks.implementations`.
        length: Time steps of a sequence.
        batch_size: Sequences in a batch.
        remat: The argument of LiquidRNN; 0 for its default.

    Returns:
        A function that runs one training step.
    """
    import keras

    keras.utils.set_random_seed(0)
    # For long sequences the outputs of all steps would dominate the memory.
    return_sequences = length <= SEQUENCE_LENGTH
    options: dict[str, Any] = {"remat": remat} if remat else {}
    layer = keras_layer(name, return_sequences=return_sequences, **options)
    model: Any = keras.Sequential([keras.Input((length, FEATURES)), layer])
    model.compile("adam", loss="mse", jit_compile=True)
    x, y = random_batch(model.output_shape[-1], batch_size, length)
    y = y if return_sequences else y[:, -1]
    return lambda: model.train_on_batch(x, y)


def memory_increase(step: Callable[[], Any]) -> float:
    """Increase of the memory of this process during a few training steps, in MiB."""
    before = resident_mib()
    for _ in range(TRAINING_STEPS):
        step()
    return peak_mib() - before


def step_times() -> list[list[float]]:
    """Median milliseconds of a training step for each length, without and with remat."""
    steps = [
        training_step(LIQUID, length, LONG_SEQUENCE_BATCH_SIZE, remat)
        for length in LENGTHS
        for remat in (0, _remat_interval(length))
    ]
    times = [[] for _ in steps]
    for _ in range(TRAINING_STEPS + 1):
        for step, values in zip(steps, times, strict=True):
            start = time.perf_counter()
            step()
            values.append(1000 * (time.perf_counter() - start))
    # The first step includes compilation.
    medians = [statistics.median(values[1:]) for values in times]
    return [medians[i : i + 2] for i in range(0, len(medians), 2)]


def _remat_interval(length: int) -> int:
    """The square root of the length, which minimizes the memory of the stored states."""
    return round(length**0.5)


def batch_memory(layer: str) -> float:
    """MiB that a training step of one batch takes, excluding compilation.

    Two batch sizes are compared, because the memory of the compiler stays in the process.
    """
    small, large = (training_memory(layer, SEQUENCE_LENGTH, size) for size in BATCH_SIZES)
    return (large - small) / (BATCH_SIZES[1] - BATCH_SIZES[0]) * BATCH_SIZE


def cost_tables() -> list[str]:
    """Measure and print the lines of both tables."""
    ours, baseline = batch_memory(LTC), batch_memory(NCPS_LTC)
    target = f"at most {MEMORY_TARGET}"
    lines = table_header("implementation", "MiB per batch", "ratio", "target")
    lines.append(table_row(LTC, f"{ours:.1f}", f"{ours / baseline:.2f}", target))
    lines.append(table_row(NCPS_LTC, f"{baseline:.1f}", "", ""))
    lines += ["", *table_header("steps", "ms", "MiB", "ms with remat", "MiB with remat")]
    print(*lines, sep="\n", flush=True)
    costs = {}
    for length, times in zip(LENGTHS, run_in_subprocess("--times"), strict=True):
        sizes = [
            training_memory(LIQUID, length, LONG_SEQUENCE_BATCH_SIZE, remat)
            for remat in (0, _remat_interval(length))
        ]
        costs[length] = times[0], sizes[0], times[1], sizes[1]
        lines.append(table_row(f"{length:,}", *(f"{cost:.1f}" for cost in costs[length])))
        print(lines[-1], flush=True)
    ratios = [long / short for long, short in zip(costs[LONG], costs[SHORT], strict=True)]
    summary = [
        "",
        f"{LONG:,} steps take {ratios[0]:.1f} times as long as {SHORT:,} steps (target: at most "
        f"{TIME_TARGET}).",
        f"With remat they take {ratios[2]:.1f} times as long and {ratios[3]:.1f} times the memory "
        f"(target: at most {REMAT_MEMORY_TARGET}).",
    ]
    print(*summary, sep="\n", flush=True)
    return lines + summary


def main() -> None:
    """Measure in this process, or print both tables."""
    parser = argument_parser(__doc__)
    parser.add_argument("--layer", help="measure the memory of this layer in this process")
    parser.add_argument("--length", type=int, default=SEQUENCE_LENGTH, help="time steps")
    parser.add_argument("--batch", type=int, default=LONG_SEQUENCE_BATCH_SIZE, help="batch size")
    parser.add_argument("--remat", type=int, default=0, help="remat of LiquidRNN; 0: its default")
    parser.add_argument("--times", action="store_true", help="measure the times in this process")
    arguments = parser.parse_args()
    if arguments.times:
        print(json.dumps(step_times()))
    elif arguments.layer:
        step = training_step(arguments.layer, arguments.length, arguments.batch, arguments.remat)
        print(json.dumps(memory_increase(step)))
    else:
        cost_tables()


if __name__ == "__main__":
    main()
