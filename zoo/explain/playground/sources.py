"""Where the answers of the playground come from: the model's file, or a list made beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export import Step
from zoo.explain.playground.changes import Feature
from zoo.explain.playground.embedding import float32
from zoo.explain.playground.page_data import features_of, predictions, rows_of
from zoo.explain.playground.precomputed import precomputed
from zoo.explain.playground.sliders import Slider, sliders
from zoo.explain.playground.step_file import step_file
from zoo.explain.playground.window import Window, states_before, window_around
from zoo.explain.subject import Subject

# Numbers of all precomputed answers, of which a page holds about a megabyte.
MOST_ANSWERS = 300_000


@dataclass(frozen=True)
class Source:
    """The answers of a playground.

    Attributes:
        rows: The inputs by name that the page holds, each (time, columns).
        features: The features that the page can change.
        sliders: The sliders.
        window: The part of the sequence that the page holds.
        explained: Index of the explained sample in it.
        keras: The answers of Keras to the original signal, (time, outputs), or (1, outputs) if the
            model answers once.
        sentence: Where the answers come from, for the page.
        data: How the page gets the answers, for JSON.
        file: The .tflite file that the page runs; None if the answers are precomputed.
    """

    rows: dict[str, np.ndarray]
    features: list[Feature]
    sliders: tuple[Slider, ...]
    window: Window
    explained: int
    keras: np.ndarray
    sentence: str
    data: dict[str, Any]
    file: bytes | None = None


def file_source(subject: Subject, step: Step) -> Source:
    """Return the answers of the model's .tflite file of one step.

    Args:
        subject: The model and the sequence.
        step: The step form of the model.

    Raises:
        ValueError: The model has an operation that no runtime has a kernel for.
        RuntimeError: The converter failed.
    """
    file = step_file(step, step.outputs[0])
    rows = rows_of(subject)
    is_each_step = step.outputs[0] in step.sequences
    explained = subject.step_index if is_each_step else subject.length - 1
    window = window_around(explained, rows, step)
    keras = predictions(subject, rows)
    keras = keras.reshape(subject.length // step.rows if is_each_step else 1, -1)
    states = states_before(window.start, file.content, step, rows)
    wired = [
        {**state, "initial": float32(states[named.name])}
        for state, named in zip(file.wiring["states"], step.states, strict=True)
    ]
    cut = {name: values[window.start : window.stop] for name, values in rows.items()}
    first, last = window.start // step.rows, window.stop // step.rows
    return Source(
        rows=cut,
        features=features_of(subject, cut),
        sliders=sliders(sampling=_sampling(subject, step)),
        window=window,
        explained=explained - window.start,
        keras=keras[first:last] if is_each_step else keras,
        sentence=(
            "The answers come from the float32 .tflite file that export makes, which runs in this "
            "page."
        ),
        data={"wiring": {**file.wiring, "states": wired}, "rows": step.rows, "precomputed": None},
        file=file.content,
    )


def _sampling(subject: Subject, step: Step) -> str:
    """What another sampling rate does, or "" if the length of the sequence is fixed."""
    if step.window is not None or step.rows > 1:
        return ""
    if subject.elapsed is None:
        return (
            "Samples are skipped or repeated. The model takes no elapsed times: to it, the signal "
            "becomes faster or slower."
        )
    return "Samples are skipped or repeated, and the model gets the time between them."


def precomputed_source(subject: Subject, reason: str) -> Source:
    """Return answers to single changes, for a model whose file cannot run in a page.

    Args:
        subject: The model and the sequence.
        reason: Why its file cannot run in a page, as a sentence.

    Raises:
        ValueError: The sequence is too long.
    """
    rows = rows_of(subject)
    features, coarse = features_of(subject, rows), sliders(coarse=True)
    keras = predictions(subject, rows)
    _require_few(keras, coarse)
    answers = precomputed(lambda stacked: predictions(subject, stacked), rows, features, coarse)
    return Source(
        rows=rows,
        features=features,
        sliders=coarse,
        window=Window(0, subject.length),
        explained=subject.step_index,
        keras=keras,
        sentence=(
            f"The model's file cannot run in a page: {reason} The answers to each change of all "
            "features were computed by Keras beforehand; one slider moves at a time."
        ),
        data={"wiring": None, "rows": 1, "precomputed": answers},
    )


def _require_few(keras: np.ndarray, coarse: Sequence[Slider]) -> None:
    """Raise a ValueError if a page cannot hold the answers at all positions of the sliders."""
    total = keras.size * sum(len(slider.values) for slider in coarse)
    if total > MOST_ANSWERS:
        raise ValueError(
            f"The answers to its {len(keras):,} steps at all positions of the sliders are "
            f"{total:,} numbers; a page holds {MOST_ANSWERS:,}. Explain a shorter sequence."
        )
