"""Closed-loop rollouts: a runtime runs step by step, with its states fed back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from export.runtimes.interpreters import run_steps
from export.tflite_file.flatbuffer import Signature


class Runtime(Protocol):
    """Runs one time step per call.

    Attributes:
        name: Name in reports.
        signature: Inputs and outputs of the step.
        arena_bytes: Arena on TFLite Micro; None on other runtimes.
    """

    name: str
    signature: Signature
    arena_bytes: int | None

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step: from all inputs by position to copies of all outputs by position."""
        ...

    def run_steps(
        self,
        rows: Mapping[int, np.ndarray],
        initial: list[np.ndarray],
        feedback: Sequence[tuple[int, int]],
        length: int,
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Run steps in closed loop; see `interpreters.run_steps`."""
        ...


class LocalRuntime:
    """A runtime in this process.

    Attributes:
        interpreter: Its interpreter, with the method `invoke`, unless the class has its own.
    """

    name: str
    signature: Signature
    arena_bytes: int | None = None
    interpreter: Any

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        return self.interpreter.invoke(inputs)

    def run_steps(
        self,
        rows: Mapping[int, np.ndarray],
        initial: list[np.ndarray],
        feedback: Sequence[tuple[int, int]],
        length: int,
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Run steps in closed loop; see `interpreters.run_steps`."""
        return run_steps(self.invoke, rows, initial, feedback, length)


@dataclass(frozen=True)
class Rollout:
    """Outputs and states of a runtime over time, as real values.

    Attributes:
        outputs: By name, each (batch, time, ...).
        states: States after each step, by the name of their input, each (batch, time, ...).
        seconds: Time of each step (batch * time,).
    """

    outputs: dict[str, np.ndarray]
    states: dict[str, np.ndarray]
    seconds: np.ndarray


def initial_inputs(
    signature: Signature, initial_states: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Return an interpreter's inputs before the first step: zeros, and the initial states."""
    values = [np.zeros(tensor.shape, tensor.dtype) for tensor in signature.inputs]
    for state, _ in signature.states:
        start = initial_states.get(state.name, np.zeros(state.shape))
        values[state.position] = state.quantize(start)
    return values


def stored_rows(signature: Signature, inputs: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    """Return sequences (batch, time, values) as stored values (steps, ...), by input position."""
    return {
        tensor.position: tensor.quantize(inputs[tensor.name]).reshape(-1, *tensor.shape)
        for tensor in signature.data_inputs
    }


def feed_back(signature: Signature, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> None:
    """Copy the next states from the outputs of a step into the inputs of the next one."""
    for state, next_state in signature.states:
        inputs[state.position] = outputs[next_state.position]


def rollout(
    runtime: Runtime,
    inputs: Mapping[str, np.ndarray],
    initial_states: Mapping[str, np.ndarray] | None = None,
) -> Rollout:
    """Run a runtime over sequences, with its states fed back as on a device.

    Args:
        runtime: The runtime.
        inputs: By name, each (batch, time, values). Each sequence starts from the initial states.
        initial_states: By the name of their input, each (1, ...); zeros by default.
    """
    signature = runtime.signature
    batch, length = next(iter(inputs.values())).shape[:2]
    outputs, seconds = runtime.run_steps(
        stored_rows(signature, inputs),
        initial_inputs(signature, initial_states or {}),
        [(state.position, following.position) for state, following in signature.states],
        length,
    )
    real = {t.name: t.dequantize(outputs[t.position][:, 0]) for t in signature.outputs}
    real = {name: values.reshape(batch, length, *values.shape[1:]) for name, values in real.items()}
    return Rollout(
        outputs={tensor.name: real[tensor.name] for tensor in signature.data_outputs},
        states={state.name: real[next_state.name] for state, next_state in signature.states},
        seconds=seconds,
    )
