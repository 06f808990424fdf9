"""A recording: steps that a runtime made, for a device to repeat."""

from dataclasses import dataclass

import numpy as np

from export.data import end_to_end
from export.forms.step import Step
from export.runtimes import LiteRT, Micro, rollout

RECORDED_STEPS = 32


@dataclass(frozen=True)
class Recording:
    """What went into a file and came out of it, step after step from its initial states.

    Attributes:
        runtime: Name of the runtime that ran it.
        inputs: Numbers by the name of each data input (steps, size).
        outputs: Numbers by the name of each data output (steps, size).
    """

    runtime: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    @property
    def is_exact(self) -> bool:
        """Whether the reference kernels of a device must give the same integers."""
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
        step: The step that it was made of.
        sequences: By input name (batch, time, features), as `as_sequences` gives them;
            laid end to end.
        steps: Most steps to record.
    """
    runtime = _Recorder(_runtime(content))
    rollout(runtime, end_to_end(sequences, steps), {s.name: s.initial for s in step.states})
    signature = runtime.signature
    return Recording(
        runtime.name,
        {t.name: _stacked(runtime.inputs, t) for t in signature.data_inputs},
        {t.name: _stacked(runtime.outputs, t) for t in signature.data_outputs},
    )


class _Recorder:
    """A runtime that keeps what goes into another and comes out of it."""

    def __init__(self, runtime):
        self.name, self.signature = runtime.name, runtime.signature
        self.inputs, self.outputs = [], []
        self._runtime = runtime

    def invoke(self, inputs):
        outputs = self._runtime.invoke(inputs)
        self.inputs.append(list(inputs))
        self.outputs.append(outputs)
        return outputs


def _runtime(content):
    try:
        return Micro(content)
    except ImportError:
        return LiteRT(content)


def _stacked(records, tensor):
    return np.stack([record[tensor.position].ravel() for record in records])
