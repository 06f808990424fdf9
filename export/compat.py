"""Private and experimental parts of TensorFlow, TFMOT, LiteRT and TFLite Micro.

Nothing else in `export` may touch them. Each function names the release that it was checked
with; tests/export/test_compat.py has one test per function and says which feature breaks.
Libraries are imported on first use, because TensorFlow takes seconds to load.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

_LEGACY_KERAS = "TF_USE_LEGACY_KERAS"


def tflite_schema() -> Any:
    """Return the generated FlatBuffers classes of the .tflite schema.

    Neither package documents its copy. Checked with ai-edge-litert 2.3 and tensorflow 2.21.
    """
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated


def has_litert() -> bool:
    """Return whether LiteRT's interpreter is installed (it has no wheel on some platforms)."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError:
        return False
    return True


def runtime_name(name: str) -> str:
    """Return a runtime's name on this host, where TensorFlow's can take the place of LiteRT."""
    return name if has_litert() else name.replace("LiteRT", "TensorFlow Lite")


def tflite_interpreter(content: bytes, preserve_all_tensors: bool, xnnpack: bool) -> Any:
    """Return an interpreter on one thread: LiteRT's, or TensorFlow's where LiteRT has no wheel.

    The arguments that keep intermediate tensors and that disable XNNPACK are experimental.
    Checked with ai-edge-litert 2.3 and tensorflow 2.21.
    """
    if has_litert():
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    else:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter  # noqa: N806 - a class
        OpResolverType = tf.lite.experimental.OpResolverType  # noqa: N806 - a class
    resolver = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=resolver,
        experimental_preserve_all_tensors=preserve_all_tensors,
    )


def quantize_activations_to_int16(converter: Any) -> None:
    """Set a TFLite converter to 16-bit activations, 8-bit weights, one scale per Dense kernel.

    CMSIS-NN's FULLY_CONNECTED refuses per-channel weights with 16-bit activations, and both
    settings are experimental. Checked with tensorflow 2.21.
    """
    import tensorflow as tf

    per_tensor = "_experimental_disable_per_channel_quantization_for_dense_layers"
    # Assigning a name that the converter no longer reads would have no effect and no error.
    if not hasattr(converter, per_tensor):
        raise AttributeError(f"TFLiteConverter of tensorflow {tf.__version__} lacks {per_tensor}.")
    setattr(converter, per_tensor, True)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]


def update_slice(tensor: tf.Tensor, update: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Return a tensor with a slice replaced, as the TFLite operation DYNAMIC_UPDATE_SLICE.

    No public TensorFlow op converts to it. Checked with tensorflow 2.21.
    """
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops  # pyright: ignore[reportMissingImports]

    return gen_xla_ops.xla_dynamic_update_slice(input=tensor, update=update, indices=start)


def inline_calls(function: Any) -> Any:
    """Return a ConcreteFunction with its function calls inlined and its loops unchanged.

    No public function does the first without lowering the second. Checked with tensorflow 2.21.
    """
    from tensorflow.python.framework.convert_to_constants import (  # pyright: ignore[reportMissingImports]
        convert_variables_to_constants_v2,
    )

    return convert_variables_to_constants_v2(function, lower_control_flow=False)


def called_graphs(operation: Any) -> list[Any]:
    """The FuncGraphs that an operation of a graph calls: of a loop its body, else all branches.

    TensorFlow has no public function from an operation to the graph that it calls. Checked with
    tensorflow 2.21.
    """
    if operation.type in ("While", "StatelessWhile"):
        names = [operation.get_attr("body").name]
    else:
        names = [
            function.name
            for attribute in operation.node_def.attr.values()
            for function in (attribute.func, *attribute.list.func)
            if function.name
        ]
    return [operation.graph._get_function(name).graph for name in names]


def replace_sublayer(layer: Any, name: str, new: Any) -> None:
    """Replace an attribute of a Keras layer that holds another layer.

    Keras goes on tracking the layer that an assignment replaces. Relies on `Layer._tracker`.
    Checked with Keras 3.12.4 to 3.15.1.
    """
    layer._tracker.untrack(getattr(layer, name))
    setattr(layer, name, new)


def _import_tfmot() -> Any:
    """Import TFMOT without its effect on `tf.keras`.

    TFMOT sets TF_USE_LEGACY_KERAS, which turns `tf.keras` into Keras 2 if it has not been used
    before. Checked with tensorflow-model-optimization 0.8.1.
    """
    import tensorflow as tf

    _ = tf.keras.layers  # resolves the lazy module
    before = os.environ.get(_LEGACY_KERAS)
    import tensorflow_model_optimization as tfmot

    if before is None:
        os.environ.pop(_LEGACY_KERAS, None)
    else:
        os.environ[_LEGACY_KERAS] = before
    return tfmot


def tfmot_quantizers() -> Any:
    """Return TFMOT's module of quantizers, of which Keras 3 layers can use single ones.

    Public, but meant for Keras 2 layers. Checked with tensorflow-model-optimization 0.8.1.
    """
    return _import_tfmot().quantization.keras.quantizers


def tfmot_polynomial_decay() -> Any:
    """Return TFMOT's pruning schedule `PolynomialDecay`.

    Public, but meant for Keras 2 layers. Checked with tensorflow-model-optimization 0.8.1.
    """
    return _import_tfmot().sparsity.keras.PolynomialDecay


def tfmot_pruning() -> Any:
    """Return TFMOT's class `Pruning`, which prunes variables instead of Keras 2 layers.

    The public wrappers refuse Keras 3 models. Checked with tensorflow-model-optimization 0.8.1.
    """
    _import_tfmot()
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl

    return pruning_impl.Pruning


def tfmot_centroid_initializers() -> Any:
    """Return TFMOT's module of centroid initializations for weight clustering.

    The public wrappers refuse Keras 3 models. Checked with tensorflow-model-optimization 0.8.1.
    """
    _import_tfmot()
    from tensorflow_model_optimization.python.core.clustering.keras import clustering_centroids

    return clustering_centroids


def micro_arena_bytes(interpreter: Any, read_stderr: Callable[[], str]) -> int:
    """Return the arena that a TFLite Micro interpreter uses, after its first invocation.

    Only text on stderr gives it. Checked with tflite-micro 0.dev20261023182759.

    Args:
        interpreter: A `tflite_micro.runtime.Interpreter`.
        read_stderr: Returns the text written to file descriptor 2 so far.
    """
    interpreter.print_allocations()
    printed = read_stderr()
    total = re.search(r"Arena allocation total (\d+) bytes", printed)
    if total is None:
        raise RuntimeError(f"TFLite Micro printed no arena size; it printed: {printed!r}.")
    return int(total[1])


def graph_nodes(functional: Any) -> Iterator[tuple[Any, tuple[Any, ...], dict[str, Any], list]]:
    """Yield each call of a Functional model in order: layer, args, kwargs, output tensors.

    Public functions would call the layers again. Checked with keras 3.12.4 and 3.15.1.
    """
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if node.operation is not None and not node.is_input:
                arguments = node.arguments
                yield node.operation, tuple(arguments.args), dict(arguments.kwargs), node.outputs


def flatten_layers(layer: Any) -> list[Any]:
    """Return a layer or operation, and all layers within it.

    Checked with keras 3.12.4 and 3.15.1.
    """
    return list(layer._flatten_layers()) if hasattr(layer, "_flatten_layers") else [layer]
