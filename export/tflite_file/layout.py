"""Layout of a file's inputs, outputs and states, for programs that run the file."""

import math
from dataclasses import dataclass, replace

import numpy as np

from export.forms.step import Step
from export.tflite_file.flatbuffer import Signature, Tensor


@dataclass(frozen=True)
class TensorLayout:
    """Position, size and quantization of an input, an output or a state.

    Attributes:
        name: Its name in the file's signature.
        kind: "input", "output" or "state".
        input: Its position among the file's inputs; None for an output.
        output: Its position among the file's outputs; None for an input.
        size: Number of elements.
        dtype: Type of the elements.
        zero_point: The stored value that represents 0.
        scale: Per element (size,): real = scale * (stored - zero_point) + offset.
        offset: Per element (size,).
        initial: Initial stored values of a state (size,); empty for inputs and outputs.
        may_be_missing: Whether an input takes values that are not finite: targets that are unknown.
        is_learned: Whether a state holds what the model has learned.
    """

    name: str
    kind: str
    input: int | None
    output: int | None
    size: int
    dtype: str
    zero_point: int
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    initial: tuple[float, ...] = ()
    may_be_missing: bool = False
    is_learned: bool = False


def tensor_layout(signature: Signature, step: Step) -> tuple[TensorLayout, ...]:
    """Return the layout of a file's data inputs, data outputs and states, in this order."""
    inputs = [_scaled_layout(tensor, step, "input") for tensor in signature.data_inputs]
    outputs = [_scaled_layout(tensor, step, "output") for tensor in signature.data_outputs]
    learned = {state.name for state in step.states if state.is_learned}
    states = [
        replace(
            _layout(state, "state", state.position, next_state.position),
            initial=tuple(state.quantize(step.initial_states[state.name]).ravel().tolist()),
            is_learned=state.name in learned,
        )
        for state, next_state in signature.states
    ]
    return (*inputs, *outputs, *states)


def _scaled_layout(tensor, step, kind):
    input, output = (tensor.position, None) if kind == "input" else (None, tensor.position)
    scaling = step.scalings[tensor.name]
    # A step of several rows has their features concatenated.
    rows = math.prod(tensor.shape) // len(scaling.scale)
    scale, offset = np.tile(scaling.scale, rows), np.tile(scaling.offset, rows)
    layout = _layout(tensor, kind, input, output, scale, offset)
    return replace(layout, may_be_missing=tensor.name in step.targets)


def _layout(tensor: Tensor, kind, input, output, scale=None, offset=None):
    size = math.prod(tensor.shape)
    # A float tensor has the scale 0 and stores real values.
    unit = tensor.scale or 1.0
    return TensorLayout(
        name=tensor.name,
        kind=kind,
        input=input,
        output=output,
        size=size,
        dtype=tensor.dtype,
        zero_point=tensor.zero_point,
        scale=tuple(unit * float(s) for s in scale) if scale is not None else (unit,) * size,
        offset=tuple(float(o) for o in offset) if offset is not None else (0.0,) * size,
    )
