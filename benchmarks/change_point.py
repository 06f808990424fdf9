"""The state of a LEFCell follows a change point: a table, and the plot docs/change-point.svg.

    python -m benchmarks.change_point

needs the data of ETTh1 and about a minute. The cell has 16 trained numbers (`benchmarks.belief`),
which are trained on other series first, with a fixed seed. In the series of the table and the plot
no number changes: only the cell's step moves mean and variance. The baseline is the exponential
moving average, of the values and of the squared errors, whose two constants are the best ones on
the series on which the cell was trained.

Simulated series have noise of deviation 1 and a level that jumps at random times; there the level
is known. The second part is the oil temperature of ETTh1, hour by hour: 12 months train, the
following 4 and 4 months test. Its level falls in them. There the best average is almost the last
value itself, and the cell gains nothing: in the test months the noise is smaller, which the
variance of the average follows, and no input tells the cell.
"""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import belief
from benchmarks.arguments import argument_parser
from benchmarks.belief import Belief
from zoo.data import etth1

PICTURE = Path(__file__).parent.parent / "docs/change-point.svg"
LENGTH, HAZARD = 160, 1 / 60
JUMPS, LEVELS = (1.0, 8.0), 8.0
TRAINING, TESTED, EPOCHS = 2048, 1000, 12
CHANGE, AFTER = 60, 60
SIZES = (2.0, 3.0, 5.0, 8.0)
# Values of the new level that a prediction has seen: first and last.
SEEN = {"before": (-30, -1), "0": (0, 0), "1": (1, 1), "2": (2, 2), "3-5": (3, 5), "6-20": (6, 20)}
SEEN["21-59"] = (21, 59)
OIL_WINDOW = 160


def random_jumps(count: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy series whose level jumps at random times, and the levels: each (count, length)."""
    random = np.random.default_rng(seed)
    level = random.uniform(-LEVELS / 2, LEVELS / 2, count)
    levels = np.empty((count, length))
    for step in range(length):
        jump = random.choice([-1, 1], count) * random.uniform(*JUMPS, count)
        jump = np.where(np.abs(level + jump) > LEVELS, -jump, jump)
        level = level + (jump * (random.random(count) < HAZARD) if step else 0)
        levels[:, step] = level
    values = levels + random.standard_normal(levels.shape)
    return values.astype("float32"), levels


def one_jump(size: float, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy series whose level changes by a size, up or down, at the step `CHANGE`."""
    random = np.random.default_rng(seed)
    levels = np.zeros((count, CHANGE + AFTER))
    levels[:, CHANGE:] = size * random.choice([-1, 1], (count, 1))
    levels -= levels[:, -1:] / 2
    values = levels + random.standard_normal(levels.shape)
    return values.astype("float32"), levels


def known_change(series: np.ndarray) -> Belief:
    """The exact belief of an observer who is told at the first new value that the level changed."""
    parts = series[:, :CHANGE], series[:, CHANGE:]
    counts = np.concatenate([np.arange(1, part.shape[1] + 1) for part in parts])
    sums = np.concatenate([np.cumsum(part, axis=1) for part in parts], axis=1)
    return sums / counts, np.broadcast_to(1 + 1 / counts, series.shape)


def by_values_seen(series: np.ndarray, levels: np.ndarray, found: Belief) -> list[tuple[Any, ...]]:
    """Coverage, RMS error of the mean against the level and mean deviation, for each of `SEEN`."""
    mean, variance = found
    seen = np.arange(1, series.shape[1]) - CHANGE
    columns = []
    for first, last in SEEN.values():
        chosen = (seen >= first) & (seen <= last)
        error = (mean[:, :-1] - levels[:, 1:])[:, chosen]
        columns.append(
            (
                belief.covered(series, found)[:, chosen].mean(),
                np.sqrt(np.mean(error**2)),
                np.sqrt(variance[:, :-1][:, chosen]).mean(),
            )
        )
    return columns


def simulated_table(model: Any, rates: tuple[float, float]) -> str:
    """Coverage of 90 % intervals, errors and deviations around a jump, as text."""
    lines = []
    for size in SIZES:
        series, levels = one_jump(size, TESTED, seed=2)
        ways = {
            "LEFCell": belief.belief(model, series),
            "moving average": belief.average(series, *rates),
            "told of the change": known_change(series),
        }
        columns = {way: by_values_seen(series, levels, found) for way, found in ways.items()}
        title = f"jump of {size:g} deviations; values seen"
        lines.append(f"{title:<44}" + "".join(f"{name:>8}" for name in SEEN))
        for place, quantity in enumerate(("coverage of 90 %", "error of mean", "deviation")):
            for way, values in columns.items():
                numbers = "".join(f"{column[place]:8.2f}" for column in values)
                lines.append(f"  {quantity:<18}{way:<24}{numbers}")
        lines.append("")
    return "\n".join(lines)


def oil_temperature() -> np.ndarray:
    """Hours of oil temperature, in units in which an hour's change has the variance 2."""
    values = etth1.series()[: etth1.ROWS["test"][1], etth1.COLUMNS.index("OT")]
    training = values[slice(*etth1.ROWS["train"])]
    unit = np.diff(training).std() / np.sqrt(2)
    return ((values - training.mean()) / unit).astype("float32")


def windows(values: np.ndarray) -> np.ndarray:
    """Overlapping windows of a series (windows, OIL_WINDOW)."""
    return np.lib.stride_tricks.sliding_window_view(values, OIL_WINDOW)[:: OIL_WINDOW // 8].copy()


def oil_table(values: np.ndarray, ways: dict[str, Belief]) -> str:
    """Scores on each split of ETTh1, as text."""
    lines = [f"{'oil temperature, next hour':<44}" + "".join(f"{name:>12}" for name in etth1.ROWS)]
    for way, found in ways.items():
        loss = belief.likelihood_loss(values[None], found)[0]
        inside = belief.covered(values[None], found)[0]
        for name, result in (("-ln p", loss), ("coverage of 90 %", inside)):
            parts = [
                result[max(first, belief.WARM_UP) : last] for first, last in etth1.ROWS.values()
            ]
            numbers = "".join(f"{part.mean():12.3f}" for part in parts)
            lines.append(f"  {name:<18}{way:<24}{numbers}")
    return "\n".join(lines)


def draw(panels: list[tuple[str, np.ndarray, Belief, Belief, np.ndarray | None]]) -> None:
    """Write the plot: values, the cell's mean with its interval, and the moving average."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4 * len(panels)), layout="constrained")
    for axis, (title, values, found, baseline, levels) in zip(
        figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True
    ):
        # A belief after value t is about value t + 1.
        steps, (mean, variance) = np.arange(1, len(values)), (part[:-1] for part in found)
        width = belief.HALF_WIDTH * np.sqrt(variance)
        axis.fill_between(steps, mean - width, mean + width, color="C0", alpha=0.2, linewidth=0)
        axis.plot(np.arange(len(values)), values, ".", color="0.35", markersize=3, label="values")
        if levels is not None:
            axis.plot(
                np.arange(len(values)),
                levels,
                color="black",
                linewidth=0.8,
                label="level",
                drawstyle="steps-post",
            )
        axis.plot(steps, mean, color="C0", linewidth=1.4, label="LEFCell, 90 % interval")
        base, base_variance = (part[:-1] for part in baseline)
        base_width = belief.HALF_WIDTH * np.sqrt(base_variance)
        axis.plot(steps, base, color="C1", linewidth=1, label="moving average, 90 % interval")
        for edge in (base - base_width, base + base_width):
            axis.plot(steps, edge, color="C1", linewidth=0.6, linestyle=":")
        axis.set_ylabel("deviations of the noise")
        axis.set_title(title, loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.01)
        axis.legend(frameon=False, fontsize=8, loc="best")
    figure.axes[-1].set_xlabel("step")
    # The same bytes at each run.
    with matplotlib.rc_context({"svg.hashsalt": "change-point", "svg.fonttype": "path"}):
        figure.savefig(PICTURE, format="svg", metadata={"Date": None})


def main() -> None:
    """Train, print the tables and write the plot."""
    argument_parser(__doc__).parse_args()
    series, _ = random_jumps(TRAINING, LENGTH, seed=0)
    model, rates = belief.trained(series, EPOCHS)
    other, _ = random_jumps(TESTED, LENGTH, seed=1)
    scores = (belief.score(other, belief.belief(model, other)),)
    scores += (belief.score(other, belief.average(other, *rates)),)
    print("series with random jumps, -ln p: LEFCell {:.3f}, moving average {:.3f}".format(*scores))
    print("best constants of the moving average: mean {:g}, variance {:g}\n".format(*rates))
    print(simulated_table(model, rates))

    oil = oil_temperature()
    oil_model, oil_rates = belief.trained(windows(oil[slice(*etth1.ROWS["train"])]), EPOCHS)
    ways = {
        "LEFCell": belief.belief(oil_model, oil[None]),
        "moving average": belief.average(oil[None], *oil_rates),
    }
    print(oil_table(oil, ways))

    shown, levels = one_jump(5.0, 1, seed=3)
    first = etth1.ROWS["train"][1] + int(np.argmin(np.diff(oil[etth1.ROWS["train"][1] :])))
    part = slice(first - 60, first + 60)
    simulated = ("simulated, a jump of 5 deviations at step 60", shown[0])
    draw(
        [
            (
                *simulated,
                _row(belief.belief(model, shown)),
                _row(belief.average(shown, *rates)),
                levels[0],
            ),
            (
                "ETTh1, oil temperature, hours around the greatest fall of the test months",
                oil[part],
                *(tuple(array[0, part] for array in found) for found in ways.values()),
                None,
            ),
        ]
    )
    print(f"\nwritten to {PICTURE}")


def _row(found: Belief) -> Belief:
    return found[0][0], found[1][0]


if __name__ == "__main__":
    main()
