"""Predictions and the true values of a signal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras.plot import arrays, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_OUTPUTS = 3
MARKED_STEPS = 60


def prediction(
    target: Any,
    prediction: Any,
    lower: Any = None,
    upper: Any = None,
    sample: int = 0,
    names: Sequence[str] | None = None,
    outputs: Sequence[int] | None = None,
    elapsed: Any = None,
    time_unit: str | None = None,
    title: str | None = None,
    size: style.Size | None = None,
) -> "Figure":
    """Draw a signal and its prediction, and the error below.

    Args:
        target: The true values (time,), (time, outputs) or (batch, time, outputs).
        prediction: The predicted values, the same shape.
        lower: Lower ends of the intervals of the prediction, the same shape.
        upper: Upper ends of the intervals.
        sample: Which sample of the batch.
        names: Names of the outputs, with units if they have some.
        outputs: Which outputs to draw; by default the first 3.
        elapsed: Time between each step and the step before it, (time,) or (batch, time), or a
            number; by default the axis counts steps.
        time_unit: Unit of the elapsed times, for the label.
        title: Title; "" for none.
        size: Width and height in inches.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: Shapes that differ, one of `lower` and `upper` without the other, a lower end
            above its upper end, or a sample or output that does not exist.

    Example:

    ```python
    target = np.sin(np.linspace(0, 20, 100))
    figure = lnn_keras.plot.prediction(target, target * 0.9, names=["speed (m/s)"])
    ```
    """
    style.require_matplotlib()
    given = {"target": target, "prediction": prediction, "lower": lower, "upper": upper}
    found = _samples({name: values for name, values in given.items() if values is not None}, sample)
    steps, count = found["target"].shape
    labels = arrays.names_of("names", names, count, "output")
    chosen = arrays.chosen_indices("outputs", outputs, range(count)[:MOST_OUTPUTS], count, "output")
    x, label = arrays.times(elapsed, steps, sample, time_unit)
    notes = [note for name in found for note in arrays.missing_note(name, found[name][:, chosen])]
    if outputs is None and count > MOST_OUTPUTS:
        notes.append(f"Of {count} outputs, the first {MOST_OUTPUTS}; choose with `outputs`.")
    with style.new_figure(size, (8.0, 1.2 + 2.3 * len(chosen))) as figure:
        ratios = [2.4, 1] * len(chosen)
        axes = figure.subplots(2 * len(chosen), sharex=True, squeeze=False, height_ratios=ratios)
        axes, titled = axes[:, 0], names is not None or count > 1
        for row, index in enumerate(chosen):
            one = {name: values[:, index] for name, values in found.items()}
            letters = int(figure.get_figwidth() * 12)
            if titled:
                axes[2 * row].set_title(style.shortened(labels[index], letters))
            _draw(axes[2 * row], axes[2 * row + 1], x, one)
        axes[-1].set_xlabel(label)
        if steps == 1:
            axes[-1].set_xticks(x)
        style.set_legend(axes[0], space=style.TITLED if titled else 0.3)
        style.set_title(figure, "Prediction and true values" if title is None else title)
        style.set_notes(figure, notes)
    return figure


def _samples(given: dict[str, Any], sample: int) -> dict[str, np.ndarray]:
    """One sample of each array, (time, outputs)."""
    if ("lower" in given) != ("upper" in given):
        raise ValueError("Give both `lower` and `upper`, or neither; received one of them.")
    whole = {name: arrays.as_floats(name, values) for name, values in given.items()}
    shapes = {name: array.shape for name, array in whole.items()}
    if len(set(shapes.values())) > 1:
        texts = ", ".join(f"`{name}` {shape}" for name, shape in shapes.items())
        raise ValueError(f"All arrays must have the same shape; received {texts}.")
    if whole["target"].ndim == 1:
        whole = {name: array[:, None] for name, array in whole.items()}
    found = {
        name: arrays.one_sample(name, array, sample, "time, outputs")
        for name, array in whole.items()
    }
    if "lower" in found and (found["lower"] > found["upper"]).any():
        raise ValueError(
            "`lower` must not be above `upper`; it is at "
            f"{int((found['lower'] > found['upper']).sum())} values."
        )
    return found


def _draw(axis: Any, below: Any, x: np.ndarray, one: dict[str, np.ndarray]) -> None:
    target, predicted = one["target"], one["prediction"]
    if "lower" in one:
        axis.fill_between(
            x,
            one["lower"],
            one["upper"],
            color=style.SKY,
            alpha=0.45,
            linewidth=0,
            label="interval",
        )
    few = {"marker": "o", "markersize": 2.5} if len(x) <= MARKED_STEPS else {}
    axis.plot(
        x, target, color="0.45", linewidth=2.2, label="true", **(few or style.marker_of(target))
    )
    axis.plot(
        x,
        predicted,
        color=style.BLUE,
        linestyle=(0, (4, 1)),
        linewidth=1.2,
        label="predicted",
        **style.marker_of(predicted),
    )
    if np.isnan([target, predicted]).all():
        style.mark_as_empty(axis, "every value is missing")
    error = predicted - target
    below.set_ylabel("error")
    below.axhline(0, color="0.6", linewidth=0.8)
    if np.isnan(error).all():
        style.mark_as_empty(below, "no step has both values")
        return
    below.fill_between(x, 0, error, color=style.VERMILION, alpha=0.3, linewidth=0)
    below.plot(x, error, color=style.VERMILION, linewidth=0.9, **style.marker_of(error))
    root = np.sqrt(np.nanmean(error**2))
    below.set_title(f"predicted - true; root mean square {root:.3g}", fontsize=7.5, color="0.25")
