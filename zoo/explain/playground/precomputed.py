"""Answers at each position of the sliders, for models whose file cannot run in a browser."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.explain.playground.changes import Changes, Feature, changed_inputs
from zoo.explain.playground.embedding import float32
from zoo.explain.playground.sliders import Slider

Rows = Mapping[str, np.ndarray]


def precomputed(
    answers_to: Callable[[dict[str, np.ndarray]], np.ndarray],
    rows: Rows,
    features: Sequence[Feature],
    sliders: Sequence[Slider],
) -> dict[str, Any]:
    """Return the answers to one change of all features at a time, for `PrecomputedAnswers`.

    Args:
        answers_to: Function from inputs by name, each (sequences, time, columns), to the answers
            of the model (sequences, ...).
        rows: The inputs by name, each (time, columns).
        features: The features that change.
        sliders: The sliders, without one for the sampling rate: all sequences are of one length.
    """
    changes = [
        (slider.name, value)
        for slider in sliders
        for value in slider.values
        if value != slider.values[slider.start]
    ]
    changed = [
        changed_inputs(rows, features, None, replace(Changes(), **{name: value}))
        for name, value in changes
    ]
    # As one batch, which Keras compiles for once.
    stacked = {
        name: np.stack([values, *(inputs[name] for inputs in changed)])
        for name, values in rows.items()
    }
    original, *others = answers_to(stacked)
    by_slider: dict[str, list[Any]] = {slider.name: [] for slider in sliders}
    for (name, value), answer in zip(changes, others, strict=True):
        by_slider[name].append([value, float32(answer)])
    return {"original": float32(original), "changed": by_slider}
