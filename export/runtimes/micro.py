"""TensorFlow Lite Micro: what microcontrollers run, here on the host."""

import re

import numpy as np

from export.runtimes.capture_stderr import CapturedErrors
from export.tflite_file.flatbuffer import read_signature


class Micro:
    """Runs a .tflite file with the TensorFlow Lite Micro interpreter.

    Attributes:
        name: "TFLite Micro".
        arena_bytes: Working memory that the interpreter took on this host. Its
            pointers are 8 bytes long; a 32-bit device takes about half.

    Raises:
        ImportError: The wheel `tflite-micro` is not installed (it exists for Linux x86-64).
        RuntimeError: The interpreter refuses the file.
        ValueError: The content is not a .tflite file with one signature.
    """

    name = "TFLite Micro"

    def __init__(self, content: bytes):
        from tflite_micro.python.tflite_micro import runtime

        self.signature = read_signature(content)
        # The wheel's own guess, ten times the file, is too small for small files.
        arena_size = 10 * len(content) + 65536
        with CapturedErrors() as errors:
            try:
                self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena_size)
            except RuntimeError as error:
                raise RuntimeError(f"TFLite Micro refuses the file: {errors.read()}") from error
            self.invoke([np.zeros(t.shape, t.dtype) for t in self.signature.inputs])
            self._interpreter.print_allocations()
            self.arena_bytes = int(re.search(r"total (\d+) bytes", errors.read())[1])

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        # Buffers of inputs and outputs may overlap in the arena: write all, then copy all.
        for position, value in enumerate(inputs):
            self._interpreter.set_input(value, position)
        self._interpreter.invoke()
        return [
            np.array(self._interpreter.get_output(position))
            for position in range(len(self.signature.outputs))
        ]
