"""Curves of a training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras.plot import arrays, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_METRICS = 4
VALIDATION = "val_"


def history(
    history: Any,
    metrics: Sequence[str] | None = None,
    title: str | None = None,
    size: style.Size | None = None,
) -> "Figure":
    """Draw loss and metrics of a training over its epochs, with those of the validation.

    A vertical line marks the epoch with the lowest validation loss, or without a validation the
    lowest loss.

    Args:
        history: The result of `keras.Model.fit`, or a mapping from names to values per epoch;
            names of the validation start with "val_".
        metrics: Which to draw, without "val_"; by default the loss and up to 3 others.
        title: Title; "" for none.
        size: Width and height in inches.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: It holds no values, lengths do not fit each other, or an unknown metric.

    Example:

    ```python
    figure = lnn_keras.plot.history({"loss": [0.9, 0.5, 0.3], "val_loss": [1.0, 0.6, 0.7]})
    ```
    """
    style.require_matplotlib()
    curves = _curves(history)
    found = [name for name in curves if not name.startswith(VALIDATION)]
    found += [
        name.removeprefix(VALIDATION)
        for name in curves
        if name.startswith(VALIDATION) and name.removeprefix(VALIDATION) not in found
    ]
    found.sort(key=lambda name: name != "loss")
    chosen = found[:MOST_METRICS] if metrics is None else list(metrics)
    unknown = [name for name in chosen if name not in found]
    if unknown or not chosen:
        raise ValueError(
            f"`metrics` must name metrics of the history: {', '.join(found)}; received "
            f"{', '.join(map(repr, unknown)) or 'none'}."
        )
    epochs = max(len(values) for values in curves.values())
    placed = {name: _placed(name, values, epochs) for name, values in curves.items()}
    notes = [note for name in chosen for note in _notes(name, curves)]
    if metrics is None and len(found) > len(chosen):
        notes.append(f"Of {len(found)} metrics, the first {len(chosen)}; choose with `metrics`.")
    best = _best(placed)
    with style.new_figure(size, (8.0, 1.2 + 1.9 * len(chosen))) as figure:
        axes = figure.subplots(len(chosen), sharex=True, squeeze=False)[:, 0]
        for name, axis in zip(chosen, axes, strict=True):
            _draw(axis, name, placed, best)
        style.set_legend(axes[0])
        axes[-1].set_xlabel("epoch")
        if epochs == 1:
            axes[-1].set_xlim(0.5, 1.5)
        style.integer_ticks(axes[-1].xaxis)
        passed = f"{epochs:,} epochs" if epochs > 1 else "one epoch"
        style.set_title(figure, f"Training over {passed}" if title is None else title)
        style.set_notes(figure, notes)
    return figure


def _curves(history: Any) -> dict[str, np.ndarray]:
    found = getattr(history, "history", history)
    if not isinstance(found, Mapping):
        raise ValueError(
            "`history` must be the result of `fit`, or a mapping from names to values per epoch; "
            f"received {type(history).__name__}."
        )
    if not found:
        raise ValueError("`history` holds no values: no epoch has ended.")
    curves = {str(name): arrays.as_floats(str(name), values) for name, values in found.items()}
    for name, values in curves.items():
        if values.ndim != 1:
            raise ValueError(
                f"{name!r} in `history` must hold one number per epoch; received the shape "
                f"{values.shape}."
            )
    return curves


def _placed(name: str, values: np.ndarray, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """The epochs of values, and the values: validations may be every k-th epoch."""
    count = len(values)
    every = [k for k in range(1, epochs + 1) if epochs // k == count]
    if len(every) != 1:
        raise ValueError(
            f"{name!r} in `history` has {count} values, but there are {epochs} epochs; give NaN "
            "for epochs without a value."
        )
    return every[0] * np.arange(1, count + 1), values


def _best(placed: dict[str, tuple[np.ndarray, np.ndarray]]) -> int | None:
    """The epoch of the lowest validation loss, or else loss."""
    for name in (VALIDATION + "loss", "loss"):
        if name in placed and not np.isnan(placed[name][1]).all():
            epochs, values = placed[name]
            return int(epochs[np.nanargmin(values)])
    return None


def _notes(name: str, curves: dict[str, np.ndarray]) -> list[str]:
    notes = []
    for key in (name, VALIDATION + name):
        missing = np.isnan(curves.get(key, np.zeros(1)))
        if missing.any():
            first = int(np.argmax(missing)) + 1
            notes.append(
                f"{key}: {missing.sum()} of {len(missing)} values are missing (NaN or infinite), "
                f"the first one at epoch {first}."
            )
    return notes


def _draw(axis: Any, name: str, placed: Any, best: int | None) -> None:
    known = []
    styles = ((name, "training", style.BLACK, "-", "o"),)
    styles += ((VALIDATION + name, "validation", style.VERMILION, (0, (4, 1.5)), "s"),)
    for key, label, color, line, marker in styles:
        if key not in placed:
            continue
        epochs, values = placed[key]
        known.append(values[np.isfinite(values)])
        # A marker for each epoch shows few epochs, and those next to missing ones.
        markers = {"marker": marker, "markersize": 3.5} if len(values) <= 30 else {}
        axis.plot(
            epochs,
            values,
            color=color,
            linestyle=line,
            label=label,
            **(markers or style.marker_of(values)),
        )
    values = np.concatenate(known)
    axis.set_ylabel(style.shortened(name.replace("_", " "), 20))
    if not len(values):
        style.mark_as_empty(axis, "every value is missing")
        return
    if values.min() > 0 and values.max() > 30 * values.min():
        axis.set_yscale("log")
        axis.set_ylabel(axis.get_ylabel() + ", logarithmic")
        style.plain_log_axis(axis.yaxis)
    if best is not None:
        axis.axvline(best, color="0.35", linewidth=1, linestyle=":", label=f"best epoch, {best}")
