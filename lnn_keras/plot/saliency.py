"""Saliency of an input: how much each value of a signal mattered."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras.plot import arrays, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FEATURES = 5


def saliency(
    signal: Any,
    saliency: Any,
    names: Sequence[str] | None = None,
    sample: int = 0,
    elapsed: Any = None,
    features: Sequence[int] | None = None,
    time_unit: str | None = None,
    quantity: str = "saliency",
    title: str | None = None,
    size: style.Size | None = None,
) -> "Figure":
    """Draw a signal per feature, with the saliency of its values as shade and as bars below.

    The darker the shade, the more a value mattered; all features share one scale. Bars above the
    line are positive saliency; hatched ones below it are negative.

    Args:
        signal: The input of a model (batch, time, features) or (time, features).
        saliency: The saliency of each of its values, the same shape.
        names: Names of the features.
        sample: Which sample of the batch.
        elapsed: Time between each step and the step before it, (time,) or (batch, time), or a
            number; by default the axis counts steps.
        features: Which features to draw; by default up to 5 with the greatest saliency.
        time_unit: Unit of the elapsed times, for the label.
        quantity: The name of the weights, for the legend and the shares: "saliency", or for
            instance "contribution".
        title: Title; "" for none.
        size: Width and height in inches.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: Shapes that differ or are others, a sample or feature that does not exist, or a
            wrong number of names.

    Example:

    ```python
    signal = np.sin(np.linspace(0, 20, 100))[:, None] * [1.0, 0.5]
    figure = lnn_keras.plot.saliency(signal, signal**3, names=["speed", "angle"])
    ```
    """
    style.require_matplotlib()
    whole = arrays.as_floats("signal", signal), arrays.as_floats("saliency", saliency)
    if whole[0].shape != whole[1].shape:
        raise ValueError(
            "`signal` and `saliency` must have the same shape; received "
            f"{whole[0].shape} and {whole[1].shape}."
        )
    values, weights = (
        arrays.one_sample(name, array, sample)
        for name, array in zip(("signal", "saliency"), whole, strict=True)
    )
    steps, count = values.shape
    labels = arrays.names_of("names", names, count, "feature")
    x, label = arrays.times(elapsed, steps, sample, time_unit)
    sums = np.nansum(np.abs(weights), axis=0)
    default = np.argsort(-sums, kind="stable")[:MOST_FEATURES].tolist()
    chosen = arrays.chosen_indices("features", features, default, count, "feature")
    notes = arrays.missing_note("signal", values[:, chosen])
    notes += arrays.missing_note("saliency", weights[:, chosen])
    if features is None and count > MOST_FEATURES:
        notes.append(f"Of {count} features, the {MOST_FEATURES} with the greatest saliency.")
    peak = float(np.nanmax(np.abs(weights), initial=0))
    if not peak:
        notes.append("No value has a saliency other than 0.")
    with style.new_figure(size, (8.0, 1.3 + 1.25 * len(chosen))) as figure:
        ratios = [3, 1.7] * len(chosen)
        axes = figure.subplots(2 * len(chosen), sharex=True, squeeze=False, height_ratios=ratios)
        axes = axes[:, 0]
        for row, index in enumerate(chosen):
            share = f" · {sums[index] / sums.sum():.0%} of all {quantity}" if sums.sum() else ""
            fits = int(figure.get_figwidth() * 13) - len(share) - 8
            axes[2 * row].set_title(style.shortened(labels[index], max(fits, 12)) + share)
            _draw_signal(axes[2 * row], x, values[:, index], weights[:, index], peak)
            axes[2 * row].spines["bottom"].set_visible(False)
            axes[2 * row].tick_params(bottom=False)
            _draw_bars(axes[2 * row + 1], x, weights[:, index], peak)
            if row < len(chosen) - 1:
                axes[2 * row + 1].spines["bottom"].set_visible(False)
                axes[2 * row + 1].tick_params(bottom=False)
        edges = arrays.edges_of(x)
        axes[0].set_xlim(edges[0], edges[-1])
        axes[-1].set_xlabel(label)
        style.set_legend(
            axes[0], _entries(quantity, bool((weights[:, chosen] < 0).any())), space=style.TITLED
        )
        default_title = "Which values of the input mattered: dark ones most"
        style.set_title(figure, default_title if title is None else title)
        style.set_notes(figure, notes)
    return figure


def _draw_signal(axis: Any, x: np.ndarray, values: np.ndarray, weights: np.ndarray, peak: float):
    edges = arrays.edges_of(x)
    shade = np.nan_to_num(np.abs(weights))[None]
    axis.pcolormesh(
        edges,
        [0, 1],
        shade,
        # Black lines stay readable on the darkest shade.
        cmap="Greys",
        vmin=0,
        vmax=1.8 * peak or 1,
        transform=axis.get_xaxis_transform(),
        rasterized=True,
        zorder=0,
    )
    if np.isnan(values).all():
        style.mark_as_empty(axis, "every value is missing")
        return
    axis.plot(x, values, color="white", linewidth=2.6)
    axis.plot(x, values, color="black", linewidth=1.1, **style.marker_of(values))
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.08 * (high - low) or 0.5 * abs(low) or 0.5
    axis.set_ylim(low - margin, high + margin)


def _draw_bars(axis: Any, x: np.ndarray, weights: np.ndarray, peak: float) -> None:
    edges, weights = arrays.edges_of(x), np.nan_to_num(weights)
    axis.stairs(np.maximum(weights, 0), edges, fill=True, color=style.BLUE)
    if (weights < 0).any():
        axis.stairs(
            np.minimum(weights, 0),
            edges,
            fill=True,
            facecolor=style.ORANGE,
            edgecolor="black",
            linewidth=0.4,
            hatch="////",
        )
    axis.axhline(0, color="black", linewidth=0.6)
    lowest = -1.1 * peak if (weights < 0).any() else 0
    axis.set_ylim(lowest or 0, 1.1 * peak or 1)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)


def _entries(quantity: str, negative: bool) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[Any] = [Line2D([], [], color="black", label="signal")]
    name = f"positive {quantity}" if negative else quantity
    entries.append(Patch(facecolor=style.BLUE, label=name))
    if negative:
        entries.append(
            Patch(
                facecolor=style.ORANGE,
                edgecolor="black",
                linewidth=0.4,
                hatch="////",
                label=f"negative {quantity}",
            )
        )
    return entries
