"""The part of a long sequence that the page holds, and the states of the model before it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export import Step
from export.runtimes.interpreters import run_steps
from export.runtimes.litert import LiteRT
from export.runtimes.rollout import initial_inputs

MOST_STEPS = 400
# Numbers of all inputs, which a page of 2.5 MB with the interpreter has room for.
MOST_VALUES = 120_000


@dataclass(frozen=True)
class Window:
    """Samples from `start` to before `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Number of samples."""
        return self.stop - self.start


def window_around(explained: int, rows: Mapping[str, np.ndarray], step: Step | None) -> Window:
    """Return the samples around an explained one that the page holds.

    Args:
        explained: Index of the sample.
        rows: The inputs by name, each (time, columns).
        step: The step form of the model. Without one, or if the model reads windows of a fixed
            length, sequences are not cut.
    """
    total = len(next(iter(rows.values())))
    values = sum(array.shape[1] for array in rows.values())
    most = max(2, min(MOST_STEPS, MOST_VALUES // values))
    if total <= most or step is None or step.window is not None:
        return Window(0, total)
    # Changes act on the steps after them, so more steps lie before the explained one.
    start = min(max(0, explained + 1 - most * 3 // 4), total - most)
    start -= start % step.rows
    return Window(start, start + most - most % step.rows)


def states_before(
    start: int, content: bytes, step: Step, rows: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the states of the model before a sample, from the samples before that.

    Args:
        start: Index of the sample.
        content: The model's .tflite file of one step.
        step: The step form that it was made of.
        rows: The inputs by name, each (time, columns).
    """
    if start == 0:
        return step.initial_states
    runtime = LiteRT(content)
    signature = runtime.signature
    values = {
        tensor.position: rows[tensor.name][:start].reshape(-1, *tensor.shape)
        for tensor in signature.data_inputs
    }
    results, _ = run_steps(
        runtime.invoke,
        values,
        initial_inputs(signature, step.initial_states),
        [(state.position, following.position) for state, following in signature.states],
        start,
    )
    return {state.name: results[after.position][-1] for state, after in signature.states}
