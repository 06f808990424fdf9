"""What a file costs: its compressed size, its arithmetic, the layers that it keeps as floats."""

import gzip

import numpy as np

from export.targets import STEP
from export.tflite_file import flatbuffer

_MATRIX_PRODUCTS = {"FULLY_CONNECTED", "BATCH_MATMUL"}
# Axes of a kernel whose numbers one output is made of.
_CONVOLUTIONS = {"CONV_2D": (1, 2, 3), "DEPTHWISE_CONV_2D": (1, 2)}


def gzip_bytes(content: bytes) -> int:
    """Size of a file after gzip at its highest level, as app stores and updates send it."""
    return len(gzip.compress(content, 9, mtime=0))


def multiply_accumulates(content: bytes) -> int:
    """Multiply-accumulates in the matrix products and convolutions of a time step, of batch 1.

    A product of (rows, inner) and (inner, columns) takes rows * inner * columns;
    element by element products are not counted.
    """
    model = flatbuffer.unpack(content)
    (signature,) = [s for s in model.signatureDefs if s.signatureKey.decode() == STEP]
    graph = model.subgraphs[signature.subgraphIndex]
    names = flatbuffer.operation_names(model, graph)
    total = 0
    for name, operator in zip(names, graph.operators, strict=True):
        output = graph.tensors[operator.outputs[0]]
        if name in _MATRIX_PRODUCTS:
            inner = graph.tensors[operator.inputs[0]].shape[-1]
        elif name in _CONVOLUTIONS:
            kernel = graph.tensors[operator.inputs[1]].shape
            inner = np.prod([kernel[axis] for axis in _CONVOLUTIONS[name]])
        else:
            continue
        total += int(np.prod(output.shape)) * int(inner)
    return total


def float_kernels(content: bytes) -> tuple[str, ...]:
    """Names of the kernels of floats in a file whose other weights are 8-bit integers."""
    model = flatbuffer.unpack(content)
    return tuple(
        sorted(
            {
                tensor.name.decode()
                for graph in model.subgraphs
                for tensor in graph.tensors
                if tensor.shape is not None
                and _is_kernel(tensor.shape)
                and flatbuffer.dtype_of(tensor) == "float32"
                and flatbuffer.is_constant(model, tensor)
            }
        )
    )


def _is_kernel(shape):
    return len(shape) == 4 or (len(shape) == 2 and min(shape) > 1)
