"""Generated C++, compiled against a stub of TensorFlow Lite Micro and called from Python."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np

STUB = Path(__file__).parent / "tflm_stub"
FLAGS = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fPIC", "-Dmain=replay"]
# Otherwise all devices of a process would share the inline variables of the first.
FLAGS += ["-fno-gnu-unique"]
_INVOKE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class Device:
    """Compiled sources with an interpreter that calls a Python function.

    Args:
        sources: Folder of the generated sources.
        build: Folder for the library.
        inputs: Shape and dtype of each input of the interpreter, in order.
        outputs: Shape and dtype of each output.
        invoke: Function from the list of input arrays to the list of output arrays.
    """

    def __init__(self, sources, build, inputs, outputs, invoke):
        library = Path(build) / "device.so"
        files = [f"{sources}/main.cc", f"{sources}/model_data.cc"]
        files += [str(STUB / "stub.cc"), str(STUB / "probe.cc")]
        includes = [f"-I{sources}", f"-I{STUB}"]
        command = ["g++", *FLAGS, *includes, "-shared", *files, "-o", str(library)]
        built = subprocess.run(command, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        self.dtype = np.dtype(inputs[0][1])
        self._library = ctypes.CDLL(str(library))
        self._invoke = _INVOKE(_on_bytes(invoke, inputs, outputs))
        sizes = [_bytes(inputs), _bytes(outputs)]
        arguments = [a for s in sizes for a in (len(s), (ctypes.c_int * len(s))(*s))]
        self._library.stub_set(*arguments, self._invoke)

    def replay(self, capfd):
        """Run main and return its exit status and its output."""
        capfd.readouterr()
        status = self._library.probe_replay()
        ctypes.CDLL(None).fflush(None)
        return status, capfd.readouterr().out

    def start(self):
        """Allocate and reset: 0, or 1 if allocation failed, or 2 if sizes do not match."""
        return self._library.probe_start()

    def reset(self):
        self._library.probe_reset()

    def restart(self):
        self._library.probe_restart()

    def step(self, inputs, size):
        """Run one step: its `size` outputs, or None if it failed; `status` says why."""
        outputs = np.zeros(size, self.dtype)
        values = np.ascontiguousarray(inputs, self.dtype)
        self.status = self._library.probe_step(_pointer(values), _pointer(outputs))
        return None if self.status else outputs

    def quantize(self, index, real, quantized):
        """Quantize the real values of input `index` into the array of all inputs; the status."""
        values = np.ascontiguousarray(real, "float32")
        return self._library.probe_quantize(index, _pointer(values), _pointer(quantized))

    def dequantize(self, index, quantized, size):
        """The `size` real values of output `index` in the array of all outputs."""
        real = np.zeros(size, "float32")
        self._library.probe_dequantize(index, _pointer(quantized), _pointer(real))
        return real

    def save(self):
        """The bytes of all states."""
        saved = np.zeros(self._library.probe_saved_bytes(), "uint8")
        self._library.probe_save(_pointer(saved))
        return saved.tobytes()

    def restore(self, saved):
        """Continue from the bytes of a state; the status."""
        values = np.frombuffer(saved or b"\0", "uint8").copy()
        return self._library.probe_restore(_pointer(values), len(saved))

    @property
    def model_bytes(self):
        return self._library.probe_model_bytes()


def _on_bytes(invoke, inputs, outputs):
    """A function of arrays as a C function of two addresses; 1 if it raises ArithmeticError."""
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


def _bytes(tensors):
    return [int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in tensors]


def _pointer(array):
    return ctypes.c_void_p(array.ctypes.data)
