"""C source as a runtime: compiled by the host's compiler, or its program in NumPy."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from export.c.arithmetic.interpreter import Interpreter
from export.c.code.interface import by_value
from export.c.host import build_library, compiler
from export.c.model import CModel
from export.runtimes.rollout import LocalRuntime
from export.targets import C
from export.tflite_file.flatbuffer import Tensor


class CCode(LocalRuntime):
    """Runs the C source of a model in this process.

    Without a C compiler the same program runs in NumPy, with the same results in every bit.

    Args:
        model: The source.

    Raises:
        ImportError: There is no C compiler, and the source was read from a folder.
        RuntimeError: The compiler rejects the source.
    """

    def __init__(self, model: CModel):
        self.signature = model.signature
        if compiler() is not None:
            self.name = C
            self.interpreter = _Compiled(model)
        elif model.program is not None:
            self.name = f"{C} (in NumPy)"
            self.interpreter = _Simulated(model)
        else:
            raise ImportError("No C compiler was found: install gcc or clang.")


def simulated(model: CModel) -> LocalRuntime:
    """Return the program of a model as a runtime in NumPy, which no compiler takes part in.

    Args:
        model: The source, with its program.
    """
    runtime = LocalRuntime()
    runtime.name, runtime.signature = f"{C} (in NumPy)", model.signature
    runtime.interpreter = _Simulated(model)
    return runtime


class _Compiled:
    """Calls the functions of a compiled model."""

    def __init__(self, model: CModel):
        self._library: Any = build_library(model.files)
        signature = model.signature
        suffix = "step" if model.recipe == "float32" else "step_raw"
        self._step = getattr(self._library, f"{model.prefix}_{suffix}")
        self._learn = getattr(self._library, f"{model.prefix}_adapt") if model.targets else None
        self._targets = [t for t in signature.data_inputs if t.name in model.targets]
        self._data = [t for t in signature.data_inputs if t.name not in model.targets]
        self._states = signature.states
        self._outputs = signature.data_outputs
        self._count = len(signature.outputs)
        self._dtype = signature.inputs[0].dtype

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        joined = [np.ravel(inputs[state.position]) for state, _ in self._states]
        # The members of the state have one type, so they follow each other without gaps.
        state = np.concatenate([*joined, np.zeros(2, self._dtype)]).astype(self._dtype)
        kept = [np.ascontiguousarray(inputs[t.position], "float32") for t in self._targets]
        if self._learn is not None:
            self._learn(_pointer(state), *map(_pointer, kept))
        arguments: list[Any] = [_pointer(state)]
        for tensor in self._data:
            value = np.ascontiguousarray(inputs[tensor.position], self._dtype).ravel()
            kept.append(value)
            arguments.append(self._argument(value))
        outputs = {t.position: np.zeros(t.shape, self._dtype) for t in self._outputs}
        arguments += [_pointer(outputs[tensor.position]) for tensor in self._outputs]
        self._step(*arguments)
        start = 0
        for before, after in self._states:
            size = int(np.prod(before.shape))
            outputs[after.position] = state[start : start + size].reshape(after.shape)
            start += size
        return [outputs[position] for position in range(self._count)]

    def _argument(self, value: np.ndarray) -> Any:
        if not by_value(value.size, len(self._data)):
            return _pointer(value)
        if self._dtype == "float32":
            return ctypes.c_float(float(value[0]))
        return ctypes.c_int16(int(value[0]))


class _Simulated:
    """Runs the program of a model in NumPy."""

    def __init__(self, model: CModel):
        assert model.program is not None
        self._interpreter = Interpreter(model.program)
        self._learning = None if model.learning is None else Interpreter(model.learning)
        self._signature = model.signature

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        signature = self._signature
        data = {tensor.name: inputs[tensor.position] for tensor in signature.data_inputs}
        states = {state.name: inputs[state.position] for state, _ in signature.states}
        if self._learning is not None:
            states = self._learning.step(data, states)[1]
        outputs, following = self._interpreter.step(data, states)
        named = outputs | {after.name: following[state.name] for state, after in signature.states}
        return [_as_tensor(named[tensor.name], tensor) for tensor in signature.outputs]


def _as_tensor(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    return values.astype(tensor.dtype).reshape(tensor.shape)


def _pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.c_void_p)
