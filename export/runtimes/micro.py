"""TensorFlow Lite Micro, the runtime of microcontrollers, on the host."""

from export.runtimes.interpreters import MicroInterpreter
from export.runtimes.rollout import LocalRuntime
from export.targets import MICRO
from export.tflite_file.flatbuffer import read_signature


class Micro(LocalRuntime):
    """Runs a .tflite file with the TensorFlow Lite Micro interpreter, in this process.

    Args:
        content: The file.

    Attributes:
        name: "TFLite Micro".
        arena_bytes: Arena that the interpreter uses on this host, where pointers take 8 bytes.
            Allocation needs more; see `tflite_file.arena`.

    Raises:
        ImportError: The wheel `tflite-micro` is not installed (it exists for Linux x86-64).
        RuntimeError: The interpreter rejects the file.
        ValueError: The content is not a .tflite file with the signature of a step.
    """

    name = MICRO

    def __init__(self, content: bytes):
        self.signature = read_signature(content)
        inputs = [(tensor.shape, tensor.dtype) for tensor in self.signature.inputs]
        self.interpreter = MicroInterpreter(content, inputs, len(self.signature.outputs))
        self.arena_bytes = self.interpreter.arena_bytes
