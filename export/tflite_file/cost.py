"""Cost of a file: compressed size, multiply-accumulates, kernels that are stored as floats."""

import gzip
from collections import Counter
from collections.abc import Sequence

import numpy as np

from export.targets import STEP
from export.tflite_file import flatbuffer

_MATRIX_PRODUCTS = {"FULLY_CONNECTED", "BATCH_MATMUL"}
# Axes of a kernel that are summed over for one output.
_CONVOLUTIONS = {"CONV_2D": (1, 2, 3), "DEPTHWISE_CONV_2D": (1, 2)}


def gzip_bytes(content: bytes) -> int:
    """Return the size of a file after gzip -9, as app stores and updates transfer it."""
    return len(gzip.compress(content, 9, mtime=0))


def multiply_accumulates(content: bytes) -> int:
    """Count the multiply-accumulates of matrix products and convolutions of a step with batch 1.

    A product of (rows, inner) and (inner, columns) counts rows * inner * columns; elementwise
    products are not counted.
    """
    model = flatbuffer.parsed(content)
    graph = flatbuffer.graph_of(model, _main_signature(content))
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


def operations(content: bytes) -> dict[str, int]:
    """Count each operation of a step, or of a whole sequence if the file has no step."""
    counts: Counter[str] = Counter()
    signature = _main_signature(content)
    for (name, _), count in flatbuffer.read_operations(content, signature).items():
        counts[name] += count
    return dict(sorted(counts.items()))


def _main_signature(content):
    names = flatbuffer.signature_names(content)
    return STEP if STEP in names else names[0]


def float_kernels(content: bytes) -> tuple[str, ...]:
    """Return the names of the float32 kernels of a file, sorted."""
    model = flatbuffer.parsed(content)
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


def _is_kernel(shape: Sequence[int]) -> bool:
    return len(shape) == 4 or (len(shape) == 2 and min(shape) > 1)
