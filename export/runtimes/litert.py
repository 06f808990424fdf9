"""LiteRT: what phones run. TensorFlow's own interpreter takes its place where it has no wheel."""

import warnings

import numpy as np

from export.runtimes.capture_stderr import CapturedErrors
from export.targets import BUILT_IN, STEP, XNNPACK
from export.tflite_file.flatbuffer import read_signature


def make_interpreter(content: bytes, preserve_all_tensors: bool = False, xnnpack: bool = True):
    """An allocated TFLite interpreter on one thread.

    Args:
        content: The .tflite file.
        preserve_all_tensors: Whether every tensor can be read after an invocation.
        xnnpack: Whether XNNPACK may take over the operations that it has kernels for.
    """
    # Both announce delegates, deprecations and the cost of preserving tensors.
    with CapturedErrors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter_class, resolvers = _litert() or _tensorflow_lite()
        resolver = resolvers.AUTO if xnnpack else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = interpreter_class(
            experimental_op_resolver_type=resolver,
            model_content=content,
            num_threads=1,
            experimental_preserve_all_tensors=preserve_all_tensors,
        )
        interpreter.allocate_tensors()
    return interpreter


def _litert():
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        return None
    return Interpreter, OpResolverType


def _tensorflow_lite():
    import tensorflow as tf

    return tf.lite.Interpreter, tf.lite.experimental.OpResolverType


class LiteRT:
    """Runs a .tflite file with LiteRT on one thread.

    Args:
        content: The file.
        xnnpack: Whether XNNPACK may take over the operations that it has kernels for, as
            it does on phones; else the built-in kernels run alone.

    Attributes:
        name: "LiteRT (XNNPACK)" or "LiteRT (built-in)"; "TensorFlow Lite ..." where that
            takes its place.

    Raises:
        ValueError: The content is not a .tflite file with the signature of a step.
        RuntimeError: The interpreter refuses the file.
    """

    name = XNNPACK

    def __init__(self, content: bytes, xnnpack: bool = True):
        self.name = XNNPACK if xnnpack else BUILT_IN
        if not _litert():
            self.name = self.name.replace("LiteRT", "TensorFlow Lite")
        self.signature = read_signature(content)
        # A file's first graph may be another signature's.
        self._run = make_interpreter(content, xnnpack=xnnpack).get_signature_runner(STEP)

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Run one step."""
        named = {t.name: inputs[t.position] for t in self.signature.inputs}
        outputs = self._run(**named)
        return [outputs[tensor.name] for tensor in self.signature.outputs]
