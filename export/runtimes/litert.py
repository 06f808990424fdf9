"""LiteRT, the runtime of phones; TensorFlow's interpreter where LiteRT has no wheel."""

from export import compat
from export.runtimes.interpreters import LiteRTInterpreter
from export.runtimes.rollout import LocalRuntime
from export.targets import BUILT_IN, STEP, XNNPACK
from export.tflite_file.flatbuffer import read_signature


class LiteRT(LocalRuntime):
    """Runs a .tflite file with LiteRT on one thread, in this process.

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

    def __init__(self, content: bytes, xnnpack: bool = True):
        self.name = compat.runtime_name(XNNPACK if xnnpack else BUILT_IN)
        self.signature = read_signature(content)
        self.interpreter = LiteRTInterpreter(
            content,
            xnnpack,
            STEP,
            [(tensor.name, tensor.position) for tensor in self.signature.inputs],
            [(tensor.name, tensor.position) for tensor in self.signature.outputs],
        )
