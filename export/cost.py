"""What a file costs: its compressed size, its arithmetic, the layers that it keeps as floats."""

import gzip

import numpy as np

from export import flatbuffer
from export.targets import STEP

_MATRIX_PRODUCTS = {"FULLY_CONNECTED", "BATCH_MATMUL"}


def gzip_bytes(content: bytes) -> int:
    """Size of a file after gzip at its highest level, as app stores and updates send it."""
    return len(gzip.compress(content, 9, mtime=0))


def multiply_accumulates(content: bytes) -> int:
    """Multiply-accumulates in the matrix products of one time step, of batch 1.

    A product of (rows, inner) and (inner, columns) takes rows * inner * columns;
    element by element products are not counted.
    """
    model = flatbuffer.unpack(content)
    (signature,) = [s for s in model.signatureDefs if s.signatureKey.decode() == STEP]
    graph = model.subgraphs[signature.subgraphIndex]
    names = flatbuffer.operation_names(model, graph)
    total = 0
    for name, operator in zip(names, graph.operators, strict=True):
        if name in _MATRIX_PRODUCTS:
            output = graph.tensors[operator.outputs[0]]
            inner = graph.tensors[operator.inputs[0]].shape[-1]
            total += int(np.prod(output.shape)) * int(inner)
    return total


def float_kernels(content: bytes) -> tuple[str, ...]:
    """Names of the matrices of floats in a file whose other weights are 8-bit integers."""
    model = flatbuffer.unpack(content)
    return tuple(
        sorted(
            {
                tensor.name.decode()
                for graph in model.subgraphs
                for tensor in graph.tensors
                if tensor.shape is not None
                and len(tensor.shape) == 2
                and min(tensor.shape) > 1
                and flatbuffer.dtype_of(tensor) == "float32"
                and flatbuffer.is_constant(model, tensor)
            }
        )
    )
