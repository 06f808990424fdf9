"""Time constants of neurons over time, on a logarithmic axis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras.plot import arrays, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FEATURES = 4


def time_constants(
    recording: Any,
    sample: int = 0,
    elapsed: Any = None,
    signal: Any = None,
    names: Sequence[str] | None = None,
    features: Sequence[int] | None = None,
    time_unit: str | None = None,
    title: str | None = None,
    size: style.Size | None = None,
) -> "Figure":
    """Draw how the time constants of the neurons move: each one, their median and their range.

    A small time constant means that a neuron follows its input fast. The input signal is drawn
    above if it is given.

    Args:
        recording: The recording of a layer, with an array "time_constant" (batch, time, units); or
            such an array; or one of a sample (time, units). In the unit of the elapsed times.
        sample: Which sample of the batch.
        elapsed: Time between each step and the step before it, (time,) or (batch, time), or a
            number. By default that of the recording; else the axis counts steps.
        signal: The input (batch, time, features) or (time, features).
        names: Names of the features of the signal.
        features: Which features to draw; by default up to 4 with the greatest deviation.
        time_unit: Unit of the time constants and of the elapsed times, for the labels.
        title: Title; "" for none.
        size: Width and height in inches.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: Another shape, a sample that does not exist, time constants that are not above
            0, a signal with another number of steps, or a wrong number of names.

    Example:

    ```python
    tau = np.exp(np.random.default_rng(0).normal(size=(100, 8)).cumsum(axis=0) / 10)
    figure = lnn_keras.plot.time_constants(tau, elapsed=0.1, time_unit="s")
    ```
    """
    style.require_matplotlib()
    values = arrays.of_recording(recording, "time_constant")
    values = arrays.one_sample("time_constant", values, sample, "time, units")
    if (values <= 0).any():
        raise ValueError(
            f"Time constants must be above 0; received a smallest value of {np.nanmin(values):g}."
        )
    steps = len(values)
    elapsed = arrays.elapsed_of(recording, elapsed)
    x, label = arrays.times(elapsed, steps, sample, time_unit)
    notes = arrays.missing_note("time constants", values)
    shown: list[tuple[str, np.ndarray]] = []
    if signal is not None:
        shown, more = _features(signal, sample, steps, names, features)
        notes += more
    elif names is not None or features is not None:
        raise ValueError("`names` and `features` are those of a `signal`; received no signal.")
    with style.new_figure(size, (8.0, 4.6 if shown else 3.4)) as figure:
        rows = 2 if shown else 1
        ratios = [1, 1.6][-rows:]
        axes = figure.subplots(rows, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        if shown:
            _draw_signal(axes[0], x, shown)
        _draw_constants(axes[-1], x, values)
        axes[-1].set_xlabel(label)
        if steps == 1:
            axes[-1].set_xticks(x)
        unit = f" ({time_unit})" if time_unit else ""
        axes[-1].set_ylabel(f"time constant{unit},\nlogarithmic")
        default_title = "Time constants of the neurons: small ones follow the input fast"
        style.set_title(figure, default_title if title is None else title)
        style.set_notes(figure, notes)
    return figure


def _features(signal, sample, steps, names, features):
    """The features of the signal to draw, with their names, and notes."""
    array = arrays.one_sample("signal", signal, sample)
    if len(array) != steps:
        raise ValueError(
            f"`signal` must have as many steps as the time constants, {steps}; received "
            f"{len(array)}."
        )
    count = array.shape[1]
    labels = arrays.names_of("names", names, count, "feature")
    known = np.ma.masked_invalid(array)
    deviations = np.ma.filled(known.std(axis=0), 0)
    default = np.sort(np.argsort(-deviations, kind="stable")[:MOST_FEATURES])
    chosen = arrays.chosen_indices("features", features, default.tolist(), count, "feature")
    notes = arrays.missing_note("signal", array[:, chosen])
    if features is None and count > MOST_FEATURES:
        notes.append(
            f"Of {count} features of the signal, the {MOST_FEATURES} with the greatest deviation."
        )
    return [(labels[index], array[:, index]) for index in chosen], notes


def _draw_signal(axis, x, shown):
    for place, (name, values) in enumerate(shown):
        line = style.SERIES[place % len(style.SERIES)]
        axis.plot(x, values, label=name, **line, **style.marker_of(values))
    axis.set_ylabel("signal")
    style.set_legend(axis)
    if all(np.isnan(values).all() for _, values in shown):
        style.mark_as_empty(axis, "every value is missing")


def _draw_constants(axis, x, values):
    units = values.shape[1]
    if np.isnan(values).all():
        style.mark_as_empty(axis, "every value is missing")
        return
    axis.set_yscale("log")
    known = np.ma.masked_invalid(values)
    median = np.ma.filled(np.ma.median(known, axis=1), np.nan)
    if units > 1:
        low, high = (np.ma.filled(f(axis=1), np.nan) for f in (known.min, known.max))
        axis.fill_between(x, low, high, color=style.SKY, alpha=0.35, linewidth=0, label="range")
        alpha = float(np.clip(6 / units, 0.07, 0.8))
        for place, column in enumerate(values.T):
            name = "each neuron" if place == 0 else None
            line = {"color": "0.35", "linewidth": 0.5, "alpha": alpha, "label": name}
            # Many lines as pixels: as vectors they make large files.
            axis.plot(x, column, rasterized=units > 20, **line)
    name = f"median of {units} neurons" if units > 1 else "the neuron"
    axis.plot(x, median, color="black", linewidth=1.8, label=name, **style.marker_of(median))
    if np.nanmin(values) == np.nanmax(values):
        axis.set_ylim(np.nanmin(values) / 2, np.nanmax(values) * 2)
    style.plain_log_axis(axis.yaxis)
    style.set_legend(axis)
