"""Linear maps in a step's graph, each folded into one matrix product.

Between two nonlinear operations a graph may scale, shift, multiply with a matrix and split.
Their composition is x W + b. One product is fewer operations and rounds once. Its weights have
their own scales, and so does each gate that was split off.
"""

import numpy as np

from export.graph.tf_graph import ConcreteFunction, FlatGraph, rebuild, varying_tensors

_SUMS = {"AddV2", "Add", "BiasAdd", "Sub"}
_SCALES = {"Mul", "Neg", "Identity", "StridedSlice", "Split"}
_PRODUCT = "MatMul"


def fold_linear_maps(flat: FlatGraph) -> ConcreteFunction:
    """Replace each linear map that contains a matrix product by a single product.

    Args:
        flat: The step's graph.
    """
    import tensorflow as tf

    maps = _linear_maps(flat)

    def product(tensor, root):
        matrix, bias = _evaluate(tensor, root)
        return lambda x: tf.add(tf.matmul(x, matrix), bias, name=tensor.op.name)

    derived = {
        tensor.name: (root, product(tensor, root))
        for tensor, root in _ends(flat, maps)
        # A single product is folded already.
        if tensor.op.type != _PRODUCT or tensor.op.inputs[0].name != root.name
    }
    return rebuild(flat, derived=derived)


def _linear_maps(flat):
    """By tensor name: the root that it is a linear map of, and whether that contains a product."""
    varying = varying_tensors(flat)
    maps = {tensor.name: (tensor, False) for tensor in flat.inputs}
    for op in flat.operations:
        read = [tensor for tensor in op.inputs if tensor.name in varying]
        roots = {maps[tensor.name][0].name: maps[tensor.name][0] for tensor in read}
        linear = len(roots) == 1 and _is_linear(op, read)
        for tensor in op.outputs:
            if tensor.name not in varying:
                continue
            root = next(iter(roots.values()), tensor)
            if linear and len(tensor.shape) == len(root.shape) == 2:
                has_product = op.type == _PRODUCT or any(maps[t.name][1] for t in read)
                maps[tensor.name] = root, has_product
            elif tensor.name not in maps:
                maps[tensor.name] = tensor, False
    return maps


def _is_linear(op, varying_inputs):
    """Whether an operation is linear in its varying inputs, which are maps of one root."""
    if op.type in _SUMS:
        return True
    if len(varying_inputs) != 1:
        return False
    return op.type in _SCALES or (op.type == _PRODUCT and varying_inputs[0] is op.inputs[0])


def _ends(flat, maps):
    """Yield the last tensors of maps with a product: outputs, or inputs of nonlinear operations."""
    ends = {tensor.name: tensor for tensor in flat.outputs.values()}
    for op in flat.operations:
        for tensor in op.inputs:
            if tensor.name in maps and not any(
                output.name in maps and maps[output.name][0] is maps[tensor.name][0]
                for output in op.outputs
            ):
                ends[tensor.name] = tensor
    for tensor in ends.values():
        root, has_product = maps.get(tensor.name, (None, False))
        if has_product:
            yield tensor, root


def _evaluate(tensor, root):
    """W and b of tensor = root W + b, from the tensor's values for 0 and for unit vectors."""
    import tensorflow as tf

    size = root.shape[-1]
    with tf.compat.v1.Session(graph=tensor.graph) as session:

        def run(x):
            return session.run(tensor.name, {root.name: x[np.newaxis]})[0].astype("float64")

        bias = run(np.zeros(size, "float32"))
        matrix = np.stack([run(row) - bias for row in np.eye(size, dtype="float32")])
    return matrix.astype("float32"), bias.astype("float32")
