"""How fast the cells train and predict beside their peers: ratios of medians, in one process.

python -m benchmarks.peers                      prints the ratios, and writes docs/speed.md
python -m benchmarks.peers --only LTC           prints those of some comparisons alone

The sides take turns, so that what else the machine does slows all of them. Of each Keras side the
faster of XLA and no XLA counts, as its own times decide.
"""

import argparse
import statistics
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
