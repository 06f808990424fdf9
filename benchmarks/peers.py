"""How fast the cells train and predict beside their peers: ratios of medians, in one process.

python -m benchmarks.peers                      prints the ratios, and writes docs/speed.md
python -m benchmarks.peers --only LTC           prints those of some comparisons alone

The sides take turns, so that what else the machine does slows all of them. Of each Keras side the
faster of XLA and no XLA counts, as its own times decide.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROUNDS = 15
# Each turn lasts about so long, in seconds.
TURN = 0.1
WORKS = ("train", "predict")
PAGE = Path(__file__).parent.parent / "docs/speed.md"


class Comparison(NamedTuple):
    """One cell beside a peer, and by how much it should be faster, for each work; 0 for no bar."""

    ours: str
    peer: str
    bars: tuple[float, float]


COMPARISONS = (
    Comparison("LTCCell, AutoNCP", "ncps.keras LTC, AutoNCP", (5, 5)),
    Comparison("LTCCell, AutoNCP", "ncps.torch LTC, AutoNCP", (3, 3)),
    Comparison("LTCCell, fully connected", "ncps.keras LTC, fully connected", (2.5, 2.5)),
    Comparison("LTCCell, fully connected", "ncps.torch LTC, fully connected", (0, 0)),
    Comparison("CfCCell", "ncps.keras CfC", (1.5, 1.5)),
    Comparison("CfCCell", "ncps.torch CfC", (0, 0)),
    Comparison("LiquidCell, 6 unfolds", "keras LSTM", (1 / 1.5, 0)),
    Comparison("LiquidCell, 1 unfold", "keras LSTM", (1, 0)),
    Comparison("LiquidCell, 6 unfolds", "keras GRU", (0, 0)),
    Comparison("LiquidCell, 1 unfold", "keras GRU", (0, 0)),
)


def seconds(function, count: int) -> float:
    """Seconds of one call, of so many in a row."""
    start = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - start) / count


def medians(sides: dict[str, list]) -> dict[str, dict[str, tuple[float, str]]]:
    """Work -> side -> median milliseconds of its faster setting, and that setting."""
    found = {}
    for work in WORKS:
        functions = {
            (name, side.setting): getattr(side, work)
            for name, settings in sides.items()
            for side in settings
        }
        counts = {key: max(1, round(TURN / seconds(f, 3))) for key, f in functions.items()}
        times = {key: [] for key in functions}
        for _ in range(ROUNDS):
            for key, function in functions.items():
                times[key].append(1000 * seconds(function, counts[key]))
        middle = {key: statistics.median(values) for key, values in times.items()}
        found[work] = {
            name: min((middle[name, side.setting], side.setting) for side in settings)
            for name, settings in sides.items()
        }
    return found


def sides_of(names: list[str]) -> dict[str, list]:
    """Each side in each of its settings, without those whose package is not installed."""
    from benchmarks.sides import keras_side, torch_side

    made = {}
    for name in names:
        if name.startswith("ncps.torch"):
            side = torch_side(name)
            if side is not None:
                made[name] = [side]
        else:
            made[name] = [keras_side(name, jit_compile) for jit_compile in (False, True)]
        print("built", *made, sep=", ")
    return made


def rows(found: dict[str, dict[str, tuple[float, str]]]) -> list[str]:
    """The table of ratios, in Markdown."""
    lines = ["| cell | peer | work | times as fast | bar | ms | peer's ms |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for ours, peer, bars in COMPARISONS:
        for work, bar in zip(WORKS, bars, strict=True):
            if ours not in found[work] or peer not in found[work]:
                continue
            (our_time, our_setting), (peer_time, peer_setting) = (
                found[work][ours],
                found[work][peer],
            )
            ratio = peer_time / our_time
            judged = f"{bar:.2f}{'' if ratio >= bar else ' **missed**'}" if bar else ""
            lines.append(
                f"| {ours} | {peer} | {work} | **{ratio:.2f}** | {judged} | "
                f"{our_time:.2f} ({our_setting}) | {peer_time:.2f} ({peer_setting or 'torch'}) |"
            )
    return lines


def import_seconds(count: int = 7) -> float:
    """What `import lnn_keras` takes after `import keras`, in seconds: a median over processes."""
    code = "import keras, time; start = time.perf_counter(); import lnn_keras"
    command = [sys.executable, "-c", f"{code}; print(time.perf_counter() - start)"]
    runs = [subprocess.run(command, check=True, capture_output=True) for _ in range(count)]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    """Print the ratios; write the page if they are of all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of the names of our cells")
    arguments = parser.parse_args()
    names = {
        name: None
        for comparison in COMPARISONS
        if arguments.only in comparison.ours
        for name in (comparison.ours, comparison.peer)
    }
    lines = rows(medians(sides_of(list(names))))
    print(*lines, sep="\n", flush=True)
    if arguments.only:
        return
    from benchmarks import growth

    PAGE.write_text(
        _PAGE.format(
            keras=_keras_version(),
            python=platform.python_version(),
            rounds=ROUNDS,
            ratios="\n".join(lines),
            growth="\n".join(growth.table()),
            seconds=import_seconds(),
        )
    )
    print(f"written to {PAGE.name}")


def _keras_version():
    import keras

    return f"{keras.__version__} on {keras.backend.backend()}"


_PAGE = """# Speed, measured

Made by `python -m benchmarks.peers` (keras {keras}, Python {python}, two CPU cores). Batches of 64
sequences of 32 steps and 8 features, 32 units, float32, Adam. The sides take turns in one process:
medians of {rounds} turns each. Of each Keras side the faster of XLA and no XLA counts, which its
column names; Keras leaves XLA off on machines without an accelerator, so compile with
`jit_compile=True`. Ratios compare; the times are of one machine.

{ratios}

A training step of LTCCell is 6 unfolds for each of 32 steps. Synapses lie in rows, one for each
neuron, so that one small product sums them, with samples side by side through the whole scan;
peers compute all pairs of neurons. The gradient of a scan computes its steps again from the states
that it kept. An unfold on a wiring is three small kernels: gather and tanh, the product, the
update. A second core helps a prediction with them little, and the peer's large kernels much.

CfCCell computes what its peer does, two products for each step: with steps of one length its four
heads become three, which is all there is to save. That leaves 17,408 of 21,504 multiplications for
each step of a sequence, a factor of 1.24.

## Memory and length

What a process grows by while it trains (`python -m benchmarks.growth`): for a batch of 64, the
difference of two sizes of batch, without what compiling takes; over the length, a LiquidCell of 32
units and 1 unfold, batch 8, that reads a sequence to its end, compiling included. Times are of one
process, in which the lengths take turns. With `LiquidRNN(cell, remat=k)`, k is the square root of
the length.

{growth}

`import lnn_keras` takes {seconds:.2f} s beyond `import keras` (bar 0.3 s).
"""


if __name__ == "__main__":
    main()
