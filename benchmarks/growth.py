"""Memory and time of training over the length of a sequence, and memory beside ncps.

python -m benchmarks.growth                             the lines of docs/speed.md
python -m benchmarks.growth --side NAME --length 1024   MiB of some training steps
python -m benchmarks.growth --times                     milliseconds of a step of each length

Memory is that of a process of its own: what it grows by, at its peak, from before the first
training step, with what compiling takes. Times are of one process, in which the lengths take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

LENGTHS = (32, 128, 1024, 4096, 16384)
SHORT, LONG = 1024, 16384
ROUNDS = 7
# Long sequences come in small batches.
LONG_BATCH = 8
LIQUID = "LiquidCell, 1 unfold"
MEMORY_SIDES = ("LTCCell, AutoNCP", "ncps.keras LTC, AutoNCP")
MEMORY_BATCHES = (64, 1024)
STEPS = 32


def measured(*arguments):
    """What this file prints last, run with these arguments."""
    command = [sys.executable, "-m", "benchmarks.growth", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def memory(side: str, length: int, batch: int, remat: int = 0) -> float:
    """MiB that a process, started for it, takes to train."""
    return measured("--side", side, "--length", length, "--batch", batch, "--remat", remat)


def training(side: str, length: int, batch: int, remat: int):
    """A function that does one training step."""
    import keras

    from benchmarks import sides

    keras.utils.set_random_seed(0)
    layer = sides.layer(side)
    if remat:
        layer.remat = remat
    # A long sequence is read to its end: outputs of every step would take most of the memory.
    layer.return_sequences = length <= sides.STEPS
    model = keras.Sequential([keras.Input((length, sides.FEATURES)), layer])
    model.compile("adam", loss="mse", jit_compile=True)
    x, y = sides.batch(model.output_shape[-1], batch, length)
    y = y if layer.return_sequences else y[:, -1]
    return lambda: model.train_on_batch(x, y)


def growth(step) -> float:
    """MiB that this process grows by during a few training steps."""
    before = _memory("VmRSS")
    for _ in range(ROUNDS):
        step()
    return _memory("VmHWM") - before


def times() -> list[list[float]]:
    """Median milliseconds of a step of each length, without remat and with it."""
    steps = [
        training(LIQUID, length, LONG_BATCH, remat)
        for length in LENGTHS
        for remat in (0, _pieces(length))
    ]
    taken = [[] for _ in steps]
    for _ in range(ROUNDS + 1):
        for step, values in zip(steps, taken, strict=True):
            start = time.perf_counter()
            step()
            values.append(1000 * (time.perf_counter() - start))
    # The first turn compiles.
    middle = [statistics.median(values[1:]) for values in taken]
    return [middle[i : i + 2] for i in range(0, len(middle), 2)]


def _pieces(length) -> int:
    """The square root of the length, at which least is kept."""
    return round(length**0.5)


def _memory(name) -> float:
    """MiB of this process: VmRSS now, VmHWM at its peak, which unlike getrusage's is its own."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"no {name} in /proc/self/status")


def memory_of_a_batch(side: str) -> float:
    """MiB that a training step of 64 sequences takes, without what compiling takes.

    What two sizes of batch differ by, for a process keeps what its compiler has used.
    """
    small, large = (memory(side, STEPS, size) for size in MEMORY_BATCHES)
    return (large - small) / (MEMORY_BATCHES[1] - MEMORY_BATCHES[0]) * 64


def table() -> list[str]:
    """The lines of both measurements, in Markdown; prints what it does."""
    ours, peer = (memory_of_a_batch(side) for side in MEMORY_SIDES)
    lines = ["| training | MiB for a batch | ratio | bar |", "| --- | --- | --- | --- |"]
    lines.append(f"| {MEMORY_SIDES[0]} | {ours:.1f} | {ours / peer:.2f} | at most 0.33 |")
    lines.append(f"| {MEMORY_SIDES[1]} | {peer:.1f} | | |")
    lines += ["", "| steps | ms | MiB | ms with remat | MiB with remat |"]
    lines.append("| --- | --- | --- | --- | --- |")
    print(*lines, sep="\n", flush=True)
    found = {}
    for length, (plain, pieces) in zip(LENGTHS, measured("--times"), strict=True):
        sizes = [memory(LIQUID, length, LONG_BATCH, k) for k in (0, _pieces(length))]
        found[length] = plain, sizes[0], pieces, sizes[1]
        lines.append(f"| {length:,} | {' | '.join(f'{n:.1f}' for n in found[length])} |")
        print(lines[-1], flush=True)
    plain, _, pieces, size = (a / b for a, b in zip(found[LONG], found[SHORT], strict=True))
    lines += [
        "",
        f"{LONG:,} steps take {plain:.1f} times as long as {SHORT:,} (bar 18), "
        f"with remat {pieces:.1f} times as long in {size:.1f} times the memory (bar 5).",
    ]
    print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Measure one process, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side")
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--batch", type=int, default=LONG_BATCH)
    parser.add_argument("--remat", type=int, default=0, help="0 for none")
    parser.add_argument("--times", action="store_true")
    arguments = parser.parse_args()
    if arguments.times:
        print(json.dumps(times()))
    elif arguments.side:
        step = training(arguments.side, arguments.length, arguments.batch, arguments.remat)
        print(json.dumps(growth(step)))
    else:
        table()


if __name__ == "__main__":
    main()
