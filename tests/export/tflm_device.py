"""A device for generated C++: compiled against a stub of TensorFlow Lite Micro, run by Python."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np

STUB = Path(__file__).parent / "tflm_stub"
FLAGS = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fPIC", "-Dmain=replay"]
# Or the inline variables of one device would be those of every other in this process.
FLAGS += ["-fno-gnu-unique"]
_INVOKE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class Device:
    """Compiled sources, whose interpreter calls a function of Python.

    Args:
        folder: The generated sources.
        inputs: Shape and dtype of each input of the interpreter, in order.
        outputs: The same of each output.
        invoke: List of input arrays -> list of output arrays.
    """

    def __init__(self, folder, inputs, outputs, invoke):
        library = Path(folder) / "device.so"
        sources = [f"{folder}/main.cc", f"{folder}/model_data.cc"]
        sources += [str(STUB / "stub.cc"), str(STUB / "probe.cc")]
        includes = [f"-I{folder}", f"-I{STUB}"]
        command = ["g++", *FLAGS, *includes, "-shared", *sources, "-o", str(library)]
        built = subprocess.run(command, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        self.dtype = np.dtype(inputs[0][1])
        self._library = ctypes.CDLL(str(library))
        self._invoke = _INVOKE(self._calling(invoke, inputs, outputs))
        sizes = [_bytes(inputs), _bytes(outputs)]
        arguments = [a for s in sizes for a in (len(s), (ctypes.c_int * len(s))(*s))]
        self._library.stub_set(*arguments, self._invoke)

    def _calling(self, invoke, inputs, outputs):
        sizes = _bytes(inputs)

        def call(source, destination):
            try:
                raw = np.frombuffer(ctypes.string_at(source, sum(sizes)), "uint8")
                parts = np.split(raw, np.cumsum(sizes)[:-1])
                arrays = [
                    part.copy().view(dtype).reshape(shape)
                    for part, (shape, dtype) in zip(parts, inputs, strict=True)
                ]
                results = [
                    np.asarray(result, dtype).reshape(shape).tobytes()
                    for result, (shape, dtype) in zip(invoke(arrays), outputs, strict=True)
                ]
            except ArithmeticError:
                return 1
            ctypes.memmove(destination, b"".join(results), len(b"".join(results)))
            return 0

        return call

    def replay(self, capfd):
        """Run main: its exit status, and what it printed."""
        capfd.readouterr()
        status = self._library.probe_replay()
        ctypes.CDLL(None).fflush(None)
        return status, capfd.readouterr().out

    def start(self):
        """Allocate and reset: 0, or 1 if that failed, or 2 if the sizes are others."""
        return self._library.probe_start()

    def reset(self):
        self._library.probe_reset()

    def step(self, inputs, size):
        """One step: its `size` outputs, or None if the interpreter failed."""
        outputs = np.zeros(size, self.dtype)
        values = np.ascontiguousarray(inputs, self.dtype)
        failed = self._library.probe_step(_pointer(values), _pointer(outputs))
        return None if failed else outputs

    def quantize(self, index, real, numbers):
        """Write real values of input `index` into the numbers of all inputs."""
        values = np.ascontiguousarray(real, "float32")
        self._library.probe_quantize(index, _pointer(values), _pointer(numbers))

    def dequantize(self, index, numbers, size):
        """The `size` real values of output `index`, out of the numbers of all outputs."""
        real = np.zeros(size, "float32")
        self._library.probe_dequantize(index, _pointer(numbers), _pointer(real))
        return real

    @property
    def model_bytes(self):
        return self._library.probe_model_bytes()


def _bytes(described):
    return [int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in described]


def _pointer(array):
    return ctypes.c_void_p(array.ctypes.data)
