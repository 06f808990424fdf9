"""Recordings: inputs and outputs of a runtime, which a device replays."""

from dataclasses import dataclass

import numpy as np

from export.forms.step import Step
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import Runtime, rollout

RECORDED_STEPS = 32


@dataclass(frozen=True)
class Recording:
    """Inputs and outputs of a file in consecutive steps from its initial states.

    Attributes:
        runtime: Name of the runtime.
        inputs: Stored values by the name of each data input (steps, size).
        outputs: Stored values by the name of each data output (steps, size).
    """

    runtime: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

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
    recorder = _Recorder(_available_runtime(content))
    first = {name: _first_steps(array, steps) for name, array in sequences.items()}
    rollout(recorder, first, step.initial_states)
    signature = recorder.signature
    return Recording(
        recorder.name,
        {t.name: _stacked(recorder.inputs, t) for t in signature.data_inputs},
        {t.name: _stacked(recorder.outputs, t) for t in signature.data_outputs},
    )


class _Recorder:
    """Wraps a runtime and keeps its inputs and outputs."""

    def __init__(self, runtime: Runtime):
        self.name, self.signature = runtime.name, runtime.signature
        self.inputs, self.outputs = [], []
        self._runtime = runtime

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        outputs = self._runtime.invoke(inputs)
        self.inputs.append(list(inputs))
        self.outputs.append(outputs)
        return outputs


def _available_runtime(content: bytes) -> Runtime:
    try:
        return Micro(content)
    except ImportError:
        return LiteRT(content)


def _first_steps(array, steps):
    """The first steps of all sequences, one after the other without a reset: (1, steps, values)."""
    return array.reshape(1, -1, array.shape[-1])[:, :steps]


def _stacked(records, tensor):
    return np.stack([record[tensor.position].ravel() for record in records])
