"""LiteRT, the runtime of phones; TensorFlow's interpreter where LiteRT has no wheel."""

import warnings
from typing import Any

import numpy as np

from export import compat
from export.runtimes.capture_stderr import CapturedErrors
from export.targets import BUILT_IN, SEQUENCE, STEP, XNNPACK
from export.tflite_file.flatbuffer import read_signature


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


class LiteRT:
    """Runs a .tflite file with LiteRT on one thread.

    Args:
        content: The file.
        xnnpack: Let XNNPACK run the operations that it has kernels for, as on phones; otherwise
            all operations run on the built-in kernels.

    Attributes:
        name: "LiteRT (XNNPACK)" or "LiteRT (built-in)"; "TensorFlow Lite ..." where LiteRT has
            no wheel.

    Raises:
        ValueError: The content is not a .tflite file with the signature of a step.
        RuntimeError: The interpreter rejects the file.
    """

    name = XNNPACK

    def __init__(self, content: bytes, xnnpack: bool = True):
        self.name = XNNPACK if xnnpack else BUILT_IN
        if not compat.has_litert():
            self.name = self.name.replace("LiteRT", "TensorFlow Lite")
        self.signature = read_signature(content)
        # By name, because the file's first graph may belong to another signature.
        self._run = make_interpreter(content, xnnpack=xnnpack).get_signature_runner(STEP)

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        named = {t.name: inputs[t.position] for t in self.signature.inputs}
        outputs = self._run(**named)
        # The file has equal outputs once, so several names can share a position.
        by_position = {tensor.position: outputs[tensor.name] for tensor in self.signature.outputs}
        unnamed = np.zeros(0)
        return [by_position.get(i, unnamed) for i in range(max(by_position) + 1)]


def run_sequence(
    content: bytes, inputs: dict[str, np.ndarray], xnnpack: bool = True
) -> dict[str, np.ndarray]:
    """Run a file's signature `sequence` on whole sequences.

    Args:
        content: The .tflite file.
        inputs: Sequences (batch, time, ...) by name.
        xnnpack: See `make_interpreter`.

    Raises:
        RuntimeError: The interpreter rejects the file.
    """
    # The length may be unknown, and a model may need more than one step.
    interpreter = make_interpreter(content, xnnpack=xnnpack, allocate=False)
    run = interpreter.get_signature_runner(SEQUENCE)
    details = run.get_input_details()
    return run(**{name: values.astype(details[name]["dtype"]) for name, values in inputs.items()})
