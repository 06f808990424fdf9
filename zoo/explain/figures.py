"""The figures of the page as SVG, each in a wide and a narrow form."""

import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras import plot
from lnn_keras.plot import style
from zoo.explain.dynamics import Dynamics, unit_of_time
from zoo.explain.influence import Influence
from zoo.explain.subject import Subject
from zoo.explain.variations import Window
from zoo.labels import CLASSES
from zoo.svg import rounded_paths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, NARROW = 7.4, 4.2
# Steps that are shown before the explained one, and neurons.
SHOWN_STEPS, SHOWN_NEURONS, SHOWN_SYNAPSES = 120, 16, 60
MOST_NAMES = 40
# Outputs that are drawn as a curve; fewer are a table.
FEWEST_OF_CURVE = 13


def both_widths(draw: Callable[[float], "Figure"], caption: str) -> str:
    """A figure for wide and for narrow screens, as HTML.

    Args:
        draw: Function from the width in inches to the figure.
        caption: A description, for people who do not see it.
    """
    forms = "".join(_svg(draw(width), name) for width, name in ((WIDE, "wide"), (NARROW, "narrow")))
    return f'<figure role="img" aria-label="{escape(caption)}">{forms}</figure>'


def answers(subject: Subject) -> str | None:
    """The answers of the model, with true values if they are known; None for one number."""
    if not has_answers(subject):
        return None
    caption = "The answers of the model, and the true ones if they are known"
    return both_widths(lambda width: answers_figure(subject, width), caption)


def has_answers(subject: Subject) -> bool:
    """Whether a model gives more than one number: at each step, or for each output."""
    if subject.is_sequence:
        return subject.length > 1
    return len(subject.answer.names) >= FEWEST_OF_CURVE


def answers_figure(subject: Subject, width: float) -> "Figure":
    """The answers over time; of a model that answers once, over the numbers of its outputs.

    Args:
        subject: The prediction, for which `has_answers` is true.
        width: Width in inches.
    """
    answer, number = subject.answer, subject.answer.explained
    if subject.is_sequence:
        part = slice(*_around(subject))
        x, at = subject.times[part], subject.times[subject.step_index]
        shown = range(len(answer.names)) if answer.kind == CLASSES else [number]
        lines = {answer.names[i]: subject.outputs[part, i] for i in shown}
        targets = None if subject.targets is None else subject.targets[part, number]
        spread = None if subject.deviations is None else subject.deviations[part, number]
    else:
        x, at = np.arange(1, len(answer.names) + 1), number + 1
        lines, targets, spread = {"predicted": subject.outputs}, subject.targets, subject.deviations
    with style.new_figure((width, 2.6), (width, 2.6)) as figure:
        axis = figure.subplots()
        if targets is not None and answer.kind != CLASSES:
            axis.plot(x, targets, color="0.45", linewidth=2.2, label="true")
        for place, (name, values) in enumerate(list(lines.items())[: len(style.SERIES)]):
            look = style.SERIES[place] if answer.kind == CLASSES else _PREDICTED
            axis.plot(x, values, label=name, **look)
            if spread is not None:
                band = {"color": style.SKY, "alpha": 0.4, "linewidth": 0}
                axis.fill_between(x, values - 2 * spread, values + 2 * spread, **band)
        axis.axvline(at, color=style.PURPLE, linewidth=1)
        axis.plot(at, subject.said[number], "o", color=style.PURPLE, markersize=6)
        axis.set_ylabel("probability" if answer.is_probability else answer.units[number])
        outputs = f'output, from "{answer.names[0]}" to "{answer.names[-1]}"'
        axis.set_xlabel(_time_label(subject) if subject.is_sequence else outputs)
        style.set_legend(axis)
    return figure


def influences(subject: Subject, window: Window, found: Influence) -> str:
    """The features that contributed most: their values, and how much each moved the answer."""
    if subject.labels.picture is not None:
        return _picture(subject, window, found)
    caption = "The values of the strongest features, and how much each contributed"
    return both_widths(lambda width: influences_figure(subject, window, found, width), caption)


def influences_figure(subject: Subject, window: Window, found: Influence, width: float) -> "Figure":
    """The strongest features, and how much each of their values moved the answer.

    Args:
        subject: The prediction.
        window: The steps that were varied.
        found: The contributions.
        width: Width in inches.
    """
    stop = window.index + 1 if subject.is_sequence else window.length
    start = max(0, stop - _steps_that_matter(found.values[:stop]))
    names, units = subject.feature_names[subject.main], subject.units[subject.main]
    with_units = [
        f"{name} ({unit})" if unit and unit not in name else name
        for name, unit in zip(names, units, strict=True)
    ]
    signal = window.inputs[subject.main].reshape(1, window.length, -1)[:, start:stop]
    signal = np.stack([subject.measured(signal[..., f], f) for f in range(signal.shape[-1])], -1)
    chosen = list(found.features[: min(3, signal.shape[-1])])
    figure = plot.saliency(
        signal,
        found.values[None, start:stop],
        names=with_units if width == WIDE else names,
        features=chosen,
        quantity="contributions",
        elapsed=_gaps(subject.times[window.start + start : window.start + stop]),
        time_unit=subject.labels.time_unit or None,
        title="",
        size=(width, 1.2 + 1.25 * len(chosen)),
    )
    return _with_steps(subject, figure)


def time_constants(subject: Subject, window: Window, found: Dynamics) -> str | None:
    """The time constants of the neurons over the window."""
    values = found.time_constants
    if values is None:
        return None
    start = max(0, window.index + 1 - SHOWN_STEPS)
    stop = window.index + 1
    factor, unit = unit_of_time(subject)
    # The neurons whose time constants move most.
    moves = np.nanstd(np.log(np.maximum(values[start:stop], 1e-9)), axis=0)
    chosen = np.sort(np.argsort(-moves)[:SHOWN_NEURONS])
    times = subject.times[window.start + start : window.start + stop]
    shown = values[None, start:stop, chosen] * factor

    def draw(width: float) -> "Figure":
        figure = plot.time_constants(
            shown,
            elapsed=_gaps(times),
            time_unit=unit if subject.labels.time_unit else None,
            title="",
            size=(width, 3.0),
        )
        return _with_steps(subject, figure)

    return both_widths(draw, "Time constants of the neurons over time")


def wiring(subject: Subject, found: Dynamics) -> str | None:
    """The strongest connections of the recurrent layer; None if the cell has none to draw."""
    cell = found.recording.cell
    features = found.recording["inputs"].shape[-1]
    names = subject.feature_names[subject.main]
    inputs = list(names) if len(names) == features <= MOST_NAMES else None

    def draw(width: float) -> "Figure":
        return plot.wiring(
            cell, inputs=inputs, strongest=SHOWN_SYNAPSES, title="", size=(width, 4.6)
        )

    try:
        return both_widths(draw, "The strongest connections of the recurrent layer")
    except ValueError:
        return None


def states(subject: Subject, window: Window, found: Dynamics) -> str:
    """The states of all neurons over the window."""
    start, stop = max(0, window.index + 1 - SHOWN_STEPS), window.index + 1
    name = "state" if "state" in found.recording else "state_0"
    values = found.recording[name][:, start:stop]
    times = subject.times[window.start + start : window.start + stop]

    def draw(width: float) -> "Figure":
        figure = plot.states(
            values,
            elapsed=_gaps(times),
            time_unit=subject.labels.time_unit or None,
            title="",
            size=(width, 3.2),
        )
        return _with_steps(subject, figure)

    return both_widths(draw, "States of all neurons over time")


def phase_portrait(found: Dynamics, neurons: tuple[int, int]) -> str | None:
    """The path of two neurons, and where they would go; None if the cell has no such field."""

    def draw(width: float) -> "Figure":
        return plot.phase_portrait(
            found.recording.cell,
            found.recording["inputs"],
            neurons=neurons,
            elapsed=found.recording.get("elapsed"),
            title="",
            size=(width, min(width, 5.0)),
        )

    try:
        return both_widths(draw, "The path of two neurons, and where they would go")
    except ValueError:
        return None


_PREDICTED: dict[str, Any] = {"color": style.BLUE, "linestyle": (0, (4, 1))}


def _picture(subject: Subject, window: Window, found: Influence) -> str:
    """The explained picture, and how much each of its pixels contributed."""
    height, width_ = subject.labels.picture or (1, 1)
    picture = subject.signal[subject.step_index].reshape(height, width_)
    weights = found.values[window.index].reshape(height, width_)
    largest = np.abs(weights).max() or 1.0

    def draw(width: float) -> "Figure":
        size = (width, width * 0.46)
        with style.new_figure(size, size) as figure:
            left, right = figure.subplots(1, 2)
            left.imshow(picture, cmap="gray", vmin=0, vmax=1)
            left.set_title("the picture")
            right.imshow(picture, cmap="gray", vmin=0, vmax=1, alpha=0.35)
            right.imshow(weights, cmap="PuOr", vmin=-largest, vmax=largest, alpha=0.75)
            right.set_title("contributions")
            for axis in (left, right):
                axis.set_axis_off()
        return figure

    return both_widths(draw, "The picture, and the pixels that contributed most")


def _steps_that_matter(values: np.ndarray) -> int:
    """Twice the number of last steps that hold 95 % of the contributions, at least 24."""
    by_step = np.abs(values).sum(axis=1)[::-1].cumsum()
    held = int(np.searchsorted(by_step, 0.95 * by_step[-1])) + 1
    return min(max(2 * held, 24), SHOWN_STEPS)


def _around(subject: Subject) -> tuple[int, int]:
    """The shown steps: most of them before the explained one."""
    stop = min(subject.length, subject.step_index + 1 + SHOWN_STEPS // 6)
    return max(0, stop - SHOWN_STEPS), stop


def _gaps(times: np.ndarray) -> np.ndarray | None:
    """The elapsed times (1, steps) from which a figure places its steps at `times`."""
    if len(times) < 2:
        return None
    return np.diff(times, prepend=0.0)[None].clip(0)


def _with_steps(subject: Subject, figure: "Figure") -> "Figure":
    """A figure whose lowest axis names the steps, where their times are not known."""
    if not subject.labels.time_unit and subject.elapsed is None:
        for axis in figure.axes:
            if axis.get_xlabel() == "time":
                axis.set_xlabel(subject.labels.step)
    return figure


def _time_label(subject: Subject) -> str:
    unit = subject.labels.time_unit
    if unit:
        return f"time ({unit})"
    return subject.labels.step if subject.elapsed is None else "time"


def _svg(figure: "Figure", name: str) -> str:
    """A figure as an element without a fixed size, whose ids are its own."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(file, format="svg")
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = rounded_paths(text)
    text = re.sub(r'<svg([^>]*?) width="[^"]*"', r"<svg\1", text, count=1)
    text = re.sub(r'<svg([^>]*?) height="[^"]*"', r"<svg\1", text, count=1)
    return text.replace("<svg", f'<svg class="{name}" aria-hidden="true"', 1)
