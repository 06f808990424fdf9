"""TensorFlow Lite Micro, the runtime of microcontrollers, on the host."""

import numpy as np

from export import compat
from export.runtimes.capture_stderr import CapturedErrors
from export.tflite_file.flatbuffer import read_signature


class Micro:
    """Runs a .tflite file with the TensorFlow Lite Micro interpreter.

    Args:
        content: The file.

    Attributes:
        name: "TFLite Micro".
        arena_bytes: Arena that the interpreter uses on this host. Its pointers take 8 bytes; a
            32-bit device needs about half.

    Raises:
        ImportError: The wheel `tflite-micro` is not installed (it exists for Linux x86-64).
        RuntimeError: The interpreter rejects the file.
        ValueError: The content is not a .tflite file with the signature of a step.
    """

    name = "TFLite Micro"

    def __init__(self, content: bytes):
        from tflite_micro import runtime

        self.signature = read_signature(content)
        # The default of ten times the file size is too little for small files.
        arena_size = 10 * len(content) + 65536
        with CapturedErrors() as errors:
            try:
                self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena_size)
            except RuntimeError as error:
                raise RuntimeError(f"TFLite Micro rejects the file: {errors.read()}") from error
            self.invoke([np.zeros(t.shape, t.dtype) for t in self.signature.inputs])
            self.arena_bytes = compat.micro_arena_bytes(self._interpreter, errors.read)

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        # Input and output buffers may overlap in the arena: write all, run, then copy all.
        for position, value in enumerate(inputs):
            self._interpreter.set_input(value, position)
        self._interpreter.invoke()
        return [
            np.array(self._interpreter.get_output(position))
            for position in range(len(self.signature.outputs))
        ]
