"""Closed-loop rollouts: a runtime runs step by step, with its states fed back."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from export.tflite_file.flatbuffer import Signature


class Runtime(Protocol):
    """Runs one time step per call.

    Attributes:
        name: Name in reports.
        signature: Inputs and outputs of the step.
    """

    name: str
    signature: Signature

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step: from all inputs by position to copies of all outputs by position."""
        ...


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
    quantized = {t.name: t.quantize(inputs[t.name]) for t in signature.data_inputs}
    batch, length = next(iter(quantized.values())).shape[:2]
    records = {tensor.name: [] for tensor in signature.outputs}
    seconds = np.empty(batch * length)
    for index in range(batch * length):
        sequence, step = divmod(index, length)
        if step == 0:
            values = initial_inputs(signature, initial_states or {})
        for tensor in signature.data_inputs:
            values[tensor.position] = quantized[tensor.name][sequence, step].reshape(tensor.shape)
        start = time.perf_counter()
        results = runtime.invoke(values)
        seconds[index] = time.perf_counter() - start
        for tensor in signature.outputs:
            records[tensor.name].append(results[tensor.position][0])
        feed_back(signature, values, results)
    real = {t.name: t.dequantize(np.stack(records[t.name])) for t in signature.outputs}
    real = {name: values.reshape(batch, length, *values.shape[1:]) for name, values in real.items()}
    return Rollout(
        outputs={tensor.name: real[tensor.name] for tensor in signature.data_outputs},
        states={state.name: real[next_state.name] for state, next_state in signature.states},
        seconds=seconds,
    )
