"""LiteRT: what phones run. TensorFlow's own interpreter takes its place where it has no wheel."""

import warnings

import numpy as np

from export.flatbuffer import read_signature
from export.quiet import CapturedErrors
from export.targets import STEP


def make_interpreter(content: bytes, preserve_all_tensors: bool = False):
    """An allocated TFLite interpreter on one thread.

    Args:
        content: The .tflite file.
        preserve_all_tensors: Whether every tensor can be read after an invocation.
    """
    # Both announce delegates, deprecations and the cost of preserving tensors.
    with CapturedErrors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter_class = _litert() or _tensorflow_lite()
        interpreter = interpreter_class(
            model_content=content,
            num_threads=1,
            experimental_preserve_all_tensors=preserve_all_tensors,
        )
        interpreter.allocate_tensors()
    return interpreter


def _litert():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return None
    return Interpreter


def _tensorflow_lite():
    import tensorflow as tf

    return tf.lite.Interpreter


class LiteRT:
    """Runs a .tflite file with LiteRT on one thread.

    Attributes:
        name: "LiteRT", or "TensorFlow Lite" where that takes its place.

    Raises:
        ValueError: The content is not a .tflite file with one signature.
    """

    name = "LiteRT"

    def __init__(self, content: bytes):
        self.name = "LiteRT" if _litert() else "TensorFlow Lite"
        self.signature = read_signature(content)
        # A file's first graph may be another signature's.
        self._run = make_interpreter(content).get_signature_runner(STEP)

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        named = {t.name: inputs[t.position] for t in self.signature.inputs}
        outputs = self._run(**named)
        return [outputs[tensor.name] for tensor in self.signature.outputs]
