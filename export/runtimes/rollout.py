"""Closed-loop rollouts: a runtime runs step after step, its states fed back."""

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from export.tflite_file.flatbuffer import Signature


class Runtime(Protocol):
    """What runs one time step.

    Attributes:
        name: For people.
        signature: Inputs and outputs of the step.
    """

    name: str
    signature: Signature

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step: all inputs by position -> copies of all outputs by position."""
        ...


@dataclass(frozen=True)
class Rollout:
    """What a runtime gave, step after step, as real values.

    Attributes:
        outputs: By name, each (time, ...).
        states: The states after each step, by the name of their input, each (time, ...).
        seconds: Time of each step (time,).
    """

    outputs: dict[str, np.ndarray]
    states: dict[str, np.ndarray]
    seconds: np.ndarray


def rollout(
    runtime: Runtime,
    inputs: dict[str, np.ndarray],
    initial_states: dict[str, np.ndarray] | None = None,
) -> Rollout:
    """Run a runtime over time, feeding its states back exactly as a device does.

    Args:
        runtime: The runtime.
        inputs: By name, each (time, features).
        initial_states: By the name of their input, each (1, ...); zeros without it.
    """
    signature = runtime.signature
    raw = [np.zeros(tensor.shape, tensor.dtype) for tensor in signature.inputs]
    for state, _ in signature.states:
        start = (initial_states or {}).get(state.name, np.zeros(state.shape))
        raw[state.position] = state.quantize(start)
    quantized = {t.name: t.quantize(inputs[t.name]) for t in signature.data_inputs}
    length = len(next(iter(quantized.values())))
    records = {tensor.name: [] for tensor in signature.outputs}
    seconds = np.empty(length)
    for index in range(length):
        for tensor in signature.data_inputs:
            raw[tensor.position] = quantized[tensor.name][index].reshape(tensor.shape)
        start = time.perf_counter()
        results = runtime.invoke(raw)
        seconds[index] = time.perf_counter() - start
        for tensor in signature.outputs:
            records[tensor.name].append(results[tensor.position][0])
        for state, next_state in signature.states:
            raw[state.position] = results[next_state.position]
    real = {t.name: t.dequantize(np.stack(records[t.name])) for t in signature.outputs}
    return Rollout(
        outputs={tensor.name: real[tensor.name] for tensor in signature.data_outputs},
        states={state.name: real[following.name] for state, following in signature.states},
        seconds=seconds,
    )


def predict(
    runtime: Runtime,
    inputs: dict[str, np.ndarray],
    initial_states: dict[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Run sequences (batch, time, features), each from its initial state: outputs by name."""
    count = len(next(iter(inputs.values())))
    runs = [
        rollout(runtime, {name: value[i] for name, value in inputs.items()}, initial_states)
        for i in range(count)
    ]
    return {name: np.stack([run.outputs[name] for run in runs]) for name in runs[0].outputs}
