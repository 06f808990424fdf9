"""Interpreters that run steps from arrays to arrays; nothing here loads Keras.

The process that runs files of others imports this module, so that it starts quickly.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from export import compat
from export.runtimes.capture_stderr import CapturedErrors

Arrays: TypeAlias = list[np.ndarray]


def make_interpreter(
    content: bytes,
    preserve_all_tensors: bool = False,
    xnnpack: bool = True,
    allocate: bool = True,
) -> Any:
    """Return a TFLite interpreter on one thread.

    Args:
        content: The .tflite file.
        preserve_all_tensors: Keep intermediate tensors readable after an invocation.
        xnnpack: Let XNNPACK run the operations that it has kernels for.
        allocate: Allocate tensors for axes of unknown size as if their size were 1.
    """
    # Interpreters announce delegates, deprecations and the cost of preserving tensors.
    with CapturedErrors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = compat.tflite_interpreter(content, preserve_all_tensors, xnnpack)
        if allocate:
            interpreter.allocate_tensors()
    return interpreter


class LiteRTInterpreter:
    """Runs one signature of a file with LiteRT.

    Args:
        content: The file.
        xnnpack: See `make_interpreter`.
        signature: Name of the signature.
        inputs: Name and position of each input.
        outputs: Name and position of each output.
    """

    arena_bytes = None

    def __init__(
        self,
        content: bytes,
        xnnpack: bool,
        signature: str,
        inputs: Sequence[tuple[str, int]],
        outputs: Sequence[tuple[str, int]],
    ):
        self._inputs, self._outputs = inputs, outputs
        # By name, because the file's first graph may belong to another signature.
        self._run = make_interpreter(content, xnnpack=xnnpack).get_signature_runner(signature)

    def invoke(self, inputs: Arrays) -> Arrays:
        """Run one step."""
        outputs = self._run(**{name: inputs[position] for name, position in self._inputs})
        # The file has equal outputs once, so several names can share a position.
        by_position = {position: outputs[name] for name, position in self._outputs}
        unnamed = np.zeros(0)
        return [by_position.get(i, unnamed) for i in range(max(by_position) + 1)]


class MicroInterpreter:
    """Runs a file with TensorFlow Lite Micro.

    Args:
        content: The file.
        inputs: Shape and dtype of each input.
        outputs: Number of outputs.

    Attributes:
        arena_bytes: The arena that the interpreter uses.

    Raises:
        ImportError: The wheel `tflite-micro` is not installed.
        RuntimeError: The interpreter rejects the file.
    """

    def __init__(self, content: bytes, inputs: Sequence[tuple[Sequence[int], str]], outputs: int):
        from tflite_micro import runtime

        self._outputs = outputs
        # The default of ten times the file size is too little for small files.
        arena_size = 10 * len(content) + 65536
        with CapturedErrors() as errors:
            try:
                self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena_size)
                self.invoke([np.zeros(shape, dtype) for shape, dtype in inputs])
            except RuntimeError as error:
                raise RuntimeError(f"TFLite Micro rejects the file: {errors.read()}") from error
            self.arena_bytes = compat.micro_arena_bytes(self._interpreter, errors.read)

    def invoke(self, inputs: Arrays) -> Arrays:
        """Run one step."""
        # Input and output buffers may overlap in the arena: write all, run, then copy all.
        for position, value in enumerate(inputs):
            self._interpreter.set_input(value, position)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(i)) for i in range(self._outputs)]


def run_steps(
    invoke: Callable[[Arrays], Arrays],
    rows: Mapping[int, np.ndarray],
    initial: Arrays,
    feedback: Sequence[tuple[int, int]],
    length: int,
    after_step: Callable[[], None] = lambda: None,
) -> tuple[Arrays, np.ndarray]:
    """Run an interpreter in closed loop.

    Args:
        invoke: Runs one step, from all inputs by position to all outputs by position.
        rows: By the position of each data input, its values (steps, ...).
        initial: All inputs before the first step.
        feedback: Positions of a state's input and of the output that it takes from the last step.
        length: Number of steps after which the states start anew.
        after_step: Called after each step.

    Returns:
        By position of the outputs, their values (steps, ...); the time of each step in seconds.
    """
    count = len(next(iter(rows.values())))
    seconds = np.empty(count)
    records, values = [], list(initial)
    for index in range(count):
        if index % length == 0:
            values = list(initial)
        for position, column in rows.items():
            values[position] = column[index]
        start = time.perf_counter()
        results = invoke(values)
        seconds[index] = time.perf_counter() - start
        for state, following in feedback:
            values[state] = results[following]
        records.append(results)
        after_step()
    return [np.stack(column) for column in zip(*records, strict=True)], seconds


def run_signature(
    content: bytes, signature: str, inputs: Mapping[str, np.ndarray], xnnpack: bool
) -> dict[str, np.ndarray]:
    """Run a signature of a file once, on inputs of any size."""
    # The length may be unknown, and a model may need more than one step.
    interpreter = make_interpreter(content, xnnpack=xnnpack, allocate=False)
    run = interpreter.get_signature_runner(signature)
    details = run.get_input_details()
    return run(**{name: values.astype(details[name]["dtype"]) for name, values in inputs.items()})
