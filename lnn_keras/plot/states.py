"""States of neurons over time, as a heat map."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras.plot import arrays, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NAMES_PER_INCH = 6.5


def states(
    recording: Any,
    sample: int = 0,
    elapsed: Any = None,
    quantity: str = "state",
    names: Sequence[str] | None = None,
    time_unit: str | None = None,
    title: str | None = None,
    size: style.Size | None = None,
) -> "Figure":
    """Draw the state of each neuron after each step as a heat map, time from left to right.

    Masked steps (NaN) are hatched. A line in the colour bar marks zero if the states have both
    signs.

    Args:
        recording: The recording of a layer, with an array (batch, time, units) for `quantity`; or
            such an array; or one of a sample (time, units).
        sample: Which sample of the batch.
        elapsed: Time between each step and the step before it, (time,) or (batch, time), or a
            number. By default that of the recording; else the axis counts steps.
        quantity: The name in the recording: "state", "state_0", "gate", "equilibrium", ...
        names: Names of the neurons.
        time_unit: Unit of the elapsed times, for the label.
        title: Title; "" for none.
        size: Width and height in inches.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: Another shape, a sample that does not exist, a wrong number of names, or a
            recording without this quantity.

    Example:

    ```python
    states = np.tanh(np.random.default_rng(0).normal(size=(2, 100, 8)).cumsum(axis=1) / 5)
    figure = lnn_keras.plot.states(states, sample=1, elapsed=0.1, time_unit="s")
    figure.savefig("states.png")
    ```
    """
    style.require_matplotlib()
    values = arrays.of_recording(recording, quantity)
    values = arrays.one_sample(f"{quantity}", values, sample, "time, units")
    steps, units = values.shape
    labels = arrays.names_of("names", names, units, "neuron")
    elapsed = arrays.elapsed_of(recording, elapsed)
    centres, label = arrays.times(elapsed, steps, sample, time_unit)
    default = (8.0, float(np.clip(1.3 + 0.14 * units, 2.4, 6)))
    with style.new_figure(size, default) as figure:
        axis: Any = figure.subplots()
        _draw_map(figure, axis, centres, values, _worded(quantity))
        axis.set_xlabel(label)
        if names is not None and units <= MOST_NAMES_PER_INCH * figure.get_figheight():
            axis.set_yticks(range(units), [style.shortened(name, 22) for name in labels])
        else:
            style.integer_ticks(axis.yaxis)
            axis.set_ylabel("neuron (number)")
        neurons = f"{units} neurons" if units > 1 else "one neuron"
        default_title = f"{_worded(quantity).capitalize()} of {neurons} over {_counted(steps)}"
        style.set_title(figure, default_title if title is None else title)
    return figure


def _draw_map(figure: Any, axis: Any, centres: np.ndarray, values: np.ndarray, label: str) -> None:
    """The heat map with its colour bar; hatched where values are missing."""
    from matplotlib.patches import Patch

    x, y = arrays.edges_of(centres), np.arange(values.shape[1] + 1) - 0.5
    missing = np.isnan(values)
    axis.set_xlim(x[0], x[-1])
    axis.set_ylim(y[-1], y[0])
    if missing.any():
        # The background shows where the map has no value.
        axis.patch.set(facecolor="white", edgecolor="0.45", hatch=style.MISSING_HATCH)
        share = f"{missing.mean():.1%}" if missing.mean() >= 0.001 else "below 0.1%"
        patch = Patch(
            facecolor="white",
            edgecolor="0.45",
            hatch=style.MISSING_HATCH,
            label=f"no value: masked or NaN ({share})",
        )
        style.set_legend(axis, [patch])
    if missing.all():
        return
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low == high:
        # A range of its own for a constant, so that its colour is in the middle.
        half = 0.5 * abs(low) or 0.5
        low, high = low - half, high + half
    # As pixels: vector files of many cells are large, and viewers draw seams between the cells.
    mesh = axis.pcolormesh(
        x, y, values.T, cmap=style.COLORMAP, vmin=low, vmax=high, rasterized=True
    )
    bar = figure.colorbar(mesh, ax=axis, label=label, pad=0.01, aspect=30)
    bar.outline.set_visible(False)
    if low < 0 < high:
        bar.ax.axhline(0, color="white", linewidth=2.5)
        bar.ax.axhline(0, color="black", linewidth=1)


def _worded(quantity: str) -> str:
    return quantity.replace("_", " ")


def _counted(steps: int) -> str:
    return f"{steps:,} steps" if steps > 1 else "one step"
