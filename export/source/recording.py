"""Recordings: inputs and outputs of a runtime, which a device replays."""

from dataclasses import dataclass

import numpy as np

from export.forms.step import Step
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import Runtime, initial_inputs, stored_rows

RECORDED_STEPS = 32


@dataclass(frozen=True)
class Recording:
    """Inputs and outputs of a file in consecutive steps from its initial states.

    Attributes:
        runtime: Name of the runtime.
        inputs: Stored values by the name of each data input (steps, size).
        outputs: Stored values by the name of each data output (steps, size).
        arena_bytes: Arena that stays in use on TFLite Micro on this host; None on LiteRT.
    """

    runtime: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    arena_bytes: int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the reference kernels of a device must return the same integers."""
        return self.runtime == Micro.name


def record(
    content: bytes,
    step: Step,
    sequences: dict[str, np.ndarray],
    steps: int = RECORDED_STEPS,
) -> Recording:
    """Run a file on TensorFlow Lite Micro, or on LiteRT where that has no wheel.

    Args:
        content: The .tflite file of one step.
        step: The step form that it was made of.
        sequences: By input name (batch, time, features), as `as_sequences` returns them;
            concatenated over time.
        steps: Largest number of steps to record.
    """
    runtime = _available_runtime(content)
    signature = runtime.signature
    rows = stored_rows(
        signature, {name: _first_steps(array, steps) for name, array in sequences.items()}
    )
    outputs, seconds = runtime.run_steps(
        rows,
        initial_inputs(signature, step.initial_states),
        [(state.position, following.position) for state, following in signature.states],
        steps,
    )
    count = len(seconds)
    return Recording(
        runtime.name,
        {t.name: rows[t.position].reshape(count, -1) for t in signature.data_inputs},
        {t.name: outputs[t.position].reshape(count, -1) for t in signature.data_outputs},
        runtime.arena_bytes,
    )


def _available_runtime(content: bytes) -> Runtime:
    try:
        return Micro(content)
    except ImportError:
        return LiteRT(content)


def _first_steps(array, steps):
    """The first steps of all sequences, one after the other without a reset: (1, steps, values)."""
    return array.reshape(1, -1, array.shape[-1])[:, :steps]
