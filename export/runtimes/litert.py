"""LiteRT: what phones run. TensorFlow's own interpreter takes its place where it has no wheel."""

import numpy as np

from export.flatbuffer import read_signature
from export.quiet import CapturedErrors


def _interpreter_class():
    try:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter, "LiteRT"
    except ImportError:
        import tensorflow as tf

        return tf.lite.Interpreter, "TensorFlow Lite"


class LiteRT:
    """Runs a .tflite file with LiteRT on one thread.

    Attributes:
        name: "LiteRT", or "TensorFlow Lite" where that takes its place.

    Raises:
        ValueError: The content is not a .tflite file with one signature.
    """

    name = "LiteRT"

    def __init__(self, content: bytes):
        interpreter_class, self.name = _interpreter_class()
        self.signature = read_signature(content)
        with CapturedErrors():
            self._interpreter = interpreter_class(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        self._inputs = [detail["index"] for detail in self._interpreter.get_input_details()]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        for index, value in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]
