"""Memory and time of training over the length of a sequence, and memory beside ncps.

python -m benchmarks.growth                             the lines of docs/speed.md
python -m benchmarks.growth --side NAME --length 1024   one training step: seconds, mebibytes

What is measured has a process of its own: what it grows by, at its peak, from before the first
training step, with what compiling takes; and the median seconds of a step.
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


def measure(side: str, length: int, batch: int, remat: int | None) -> tuple[float, float]:
    """Median seconds of a training step, and MiB of its process, of one that is started for it."""
    command = [sys.executable, "-m", "benchmarks.growth", "--side", side]
    command += ["--length", str(length), "--batch", str(batch)]
    command += ["--remat", str(remat)] if remat else []
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(result.stdout.splitlines()[-1])
    return found["seconds"], found["mebibytes"]


def train(side: str, length: int, batch: int, remat: int | None) -> dict[str, float]:
    """A few training steps in this process."""
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
    before, times = _memory("VmRSS"), []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - start)
    peak = _memory("VmHWM")
    return {"seconds": statistics.median(times[1:]), "mebibytes": peak - before}


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
    small, large = (measure(side, STEPS, size, None)[1] for size in MEMORY_BATCHES)
    return (large - small) / (MEMORY_BATCHES[1] - MEMORY_BATCHES[0]) * 64


def table() -> list[str]:
    """The lines of both measurements, in Markdown; prints what it does."""
    memory = {side: memory_of_a_batch(side) for side in MEMORY_SIDES}
    ours, peer = memory.values()
    lines = ["| training | MiB for a batch | ratio | bar |", "| --- | --- | --- | --- |"]
    lines.append(f"| {MEMORY_SIDES[0]} | {ours:.1f} | {ours / peer:.2f} | at most 0.33 |")
    lines.append(f"| {MEMORY_SIDES[1]} | {peer:.1f} | | |")
    lines += ["", "| steps | ms | MiB | ms with remat | MiB with remat |"]
    lines.append("| --- | --- | --- | --- | --- |")
    print(*lines, sep="\n", flush=True)
    found = {}
    for length in LENGTHS:
        plain = measure(LIQUID, length, LONG_BATCH, None)
        # The square root of the length, at which least is kept.
        pieces = measure(LIQUID, length, LONG_BATCH, round(length**0.5))
        found[length] = plain, pieces
        numbers = [1000 * plain[0], plain[1], 1000 * pieces[0], pieces[1]]
        lines.append(f"| {length:,} | {' | '.join(f'{n:.1f}' for n in numbers)} |")
        print(lines[-1], flush=True)
    (long, long_pieces), (short, short_pieces) = found[LONG], found[SHORT]
    lines += [
        "",
        f"{LONG:,} steps take {long[0] / short[0]:.1f} times as long as {SHORT:,} (bar 18), "
        f"with remat {long_pieces[0] / short_pieces[0]:.1f} times as long in "
        f"{long_pieces[1] / short_pieces[1]:.1f} times the memory (bar 5).",
    ]
    print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Measure one process, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side")
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--batch", type=int, default=LONG_BATCH)
    parser.add_argument("--remat", type=int)
    arguments = parser.parse_args()
    if arguments.side:
        found = train(arguments.side, arguments.length, arguments.batch, arguments.remat)
        print(json.dumps(found))
    else:
        table()


if __name__ == "__main__":
    main()
