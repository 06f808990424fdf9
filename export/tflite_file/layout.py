"""The layout of a file's inputs, outputs and states, for programs that run it."""

import math
from dataclasses import dataclass, replace

import numpy as np

from export.forms.step import Step
from export.tflite_file.flatbuffer import Signature, Tensor


@dataclass(frozen=True)
class TensorLayout:
    """How an input, an output or a state is read and written.

    Attributes:
        name: Its name in the file's signature.
        kind: "input", "output" or "state".
        input: Its position among the file's inputs; None for an output.
        output: Its position among the file's outputs; None for an input.
        size: Numbers in it.
        dtype: Type of its numbers.
        zero_point: The number that stands for a value of 0.
        scale: Of each number (size,): real = scale * (number - zero_point) + offset.
        offset: Of each number (size,).
        initial: Numbers that a state starts from (size,); empty for inputs and outputs.
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


def tensor_layout(signature: Signature, step: Step) -> tuple[TensorLayout, ...]:
    """The layout of a file: its data inputs, its data outputs, its states."""
    inputs = [_end(tensor, step, "input") for tensor in signature.data_inputs]
    outputs = [_end(tensor, step, "output") for tensor in signature.data_outputs]
    initial = {state.name: state.initial for state in step.states}
    states = [
        replace(
            _layout(state, "state", state.position, following.position),
            initial=tuple(state.quantize(initial[state.name]).ravel().tolist()),
        )
        for state, following in signature.states
    ]
    return (*inputs, *outputs, *states)


def _end(tensor, step, kind):
    input, output = (tensor.position, None) if kind == "input" else (None, tensor.position)
    scaling = step.scalings[tensor.name]
    # A step of several rows holds their features side by side.
    rows = math.prod(tensor.shape) // len(scaling.scale)
    scale, offset = np.tile(scaling.scale, rows), np.tile(scaling.offset, rows)
    return _layout(tensor, kind, input, output, scale, offset)


def _layout(tensor: Tensor, kind, input, output, scale=None, offset=None):
    size = math.prod(tensor.shape)
    # A float tensor holds values as they are.
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
