"""An operation of a file with its tensors, as the checks of operations see it."""

import math
from typing import Any, NoReturn

import numpy as np

from export.tflite_file.flatbuffer import dtype_of, is_constant
from export.tflite_file.structure import FileError
from export.tflite_file.tensor_checks import shape_of


class Operation:
    """An operation of a file with its tensors.

    Args:
        model: The file.
        graph: A subgraph of it, whose indices are in range.
        name: Name of the operation.
        operator: The operation in the schema.

    Attributes:
        inputs: Its input tensors; None for those that are absent.
        outputs: Its output tensors.
        options: Its options, or None.
        options_type: The code of their type.
    """

    def __init__(self, model: Any, graph: Any, name: str, operator: Any):
        def tensors(indices):
            listed = [] if indices is None else [int(index) for index in indices]
            return [graph.tensors[index] if index >= 0 else None for index in listed]

        self.model, self.name = model, name
        self.inputs: list[Any] = tensors(operator.inputs)
        self.outputs: list[Any] = tensors(operator.outputs)
        self.options, self.options_type = operator.builtinOptions, operator.builtinOptionsType

    @property
    def tensors(self) -> list[Any]:
        """All inputs and outputs that are present."""
        return [tensor for tensor in [*self.inputs, *self.outputs] if tensor is not None]

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the shape of an input."""
        return shape_of(self.inputs[index])

    def dtype(self, index: int) -> str:
        """Return the dtype of an input."""
        return dtype_of(self.inputs[index])

    def rank(self, index: int) -> int:
        """Return the number of an input's axes."""
        return len(self.shape(index))

    def size(self, index: int) -> int:
        """Return the number of an input's elements."""
        return math.prod(self.shape(index))

    def axis(self, axis: int, rank: int) -> int:
        """Return an axis that may count from the end, or raise a FileError."""
        if not -rank <= axis < rank:
            self.refuse(f"has the axis {axis} of {rank}")
        return axis % rank

    def constant(self, index: int) -> np.ndarray | None:
        """Return the values of an input if the file stores them; None if they are computed."""
        tensor = self.inputs[index]
        if not is_constant(self.model, tensor):
            return None
        data = bytes(self.model.buffers[tensor.buffer].data)
        return np.frombuffer(data, self.dtype(index)).reshape(self.shape(index))

    def integers(self, index: int) -> list[int] | None:
        """Return the values of an integer input as a list; None if they are computed."""
        if self.dtype(index) not in ("int32", "int64"):
            self.refuse(f"has {self.dtype(index)} instead of integers")
        values = self.constant(index)
        if values is None and self.size(index) == 0:
            return []
        return None if values is None else [int(value) for value in values.ravel()]

    def require_same_types(self, indices: range | list[int]) -> None:
        """Raise a FileError if inputs and outputs have several dtypes."""
        dtypes = {self.dtype(index) for index in indices} | set(map(dtype_of, self.outputs))
        if len(dtypes) > 1:
            self.refuse(f"has tensors of {', '.join(sorted(dtypes))}")

    def require_output(self, shape: Any, index: int = 0) -> None:
        """Raise a FileError if an output has another shape."""
        received = shape_of(self.outputs[index])
        if received != tuple(int(size) for size in shape):
            self.refuse(f"gives the shape {tuple(shape)}, but its output has {received}")

    def refuse(self, why: str) -> NoReturn:
        """Raise a FileError that names the operation."""
        raise FileError(f"{self.name} {why}")
