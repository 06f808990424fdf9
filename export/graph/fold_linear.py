"""Linear maps of a step's graph, each folded into one matrix product.

Between two nonlinear operations a graph may scale, shift, multiply with a matrix and split:
all of that together is x W + b. As one product it is fewer operations and rounds once, its
weights have scales of their own, and so has each gate that is split off.
"""

import numpy as np

from export.graph.tf_graph import FlatGraph, rebuild, variable_operations

_SUMS = {"AddV2", "Add", "BiasAdd", "Sub"}
_SCALES = {"Mul", "Neg", "Identity", "StridedSlice", "Split"}
_PRODUCT = "MatMul"


def fold_linear_maps(flat: FlatGraph):
    """Replace each linear map that holds a matrix product by that product alone.

    Args:
        flat: The step's graph.

    Returns:
        A tf ConcreteFunction.
    """
    import tensorflow as tf

    maps = _linear_maps(flat)

    def product(tensor, root):
        matrix, bias = _evaluated(tensor, root)
        return lambda x: tf.add(tf.matmul(x, matrix), bias, name=tensor.op.name)

    derived = {
        tensor.name: (root, product(tensor, root))
        for tensor, root in _read_by_others(flat, maps)
        # A product that stands alone is what it would become.
        if tensor.op.type != _PRODUCT or tensor.op.inputs[0].name != root.name
    }
    return rebuild(flat, derived=derived)


def _linear_maps(flat):
    """By the name of a tensor, what it is a linear map of, and whether a product is in it."""
    varying = {tensor.name for op in variable_operations(flat) for tensor in op.outputs}
    varying |= {tensor.name for tensor in flat.inputs}
    maps = {tensor.name: (tensor, False) for tensor in flat.inputs}
    for op in flat.operations:
        read = [tensor for tensor in op.inputs if tensor.name in varying]
        found = {maps[tensor.name][0].name: maps[tensor.name] for tensor in read}
        linear = len(found) == 1 and _is_linear(op, read)
        for tensor in op.outputs:
            if tensor.name not in varying:
                continue
            if linear and len(tensor.shape) == 2:
                ((root, _),) = found.values()
                within = op.type == _PRODUCT or any(maps[t.name][1] for t in read)
                maps[tensor.name] = root, within
            elif tensor.name not in maps:
                maps[tensor.name] = tensor, False
    return maps


def _is_linear(op, read):
    """Whether an operation is linear in what varies of its inputs, which is of one root."""
    if op.type in _SUMS:
        return True
    if op.type in _SCALES:
        return len(read) == 1
    return op.type == _PRODUCT and len(read) == 1 and read[0] is op.inputs[0]


def _read_by_others(flat, maps):
    """The ends of maps that hold a product: a nonlinear operation, or nobody, reads them."""
    ends = {tensor.name: tensor for tensor in flat.outputs.values()}
    for op in flat.operations:
        for tensor in op.inputs:
            if tensor.name in maps and not any(
                made.name in maps and maps[made.name][0] is maps[tensor.name][0]
                for made in op.outputs
            ):
                ends[tensor.name] = tensor
    for tensor in ends.values():
        root, within = maps.get(tensor.name, (None, False))
        if within:
            yield tensor, root


def _evaluated(tensor, root):
    """W and b of tensor = root W + b, from what the graph gives for 0 and for unit vectors."""
    import tensorflow as tf

    size = root.shape[-1]
    with tf.compat.v1.Session(graph=tensor.graph) as session:

        def run(x):
            return session.run(tensor.name, {root.name: x[np.newaxis]})[0].astype("float64")

        bias = run(np.zeros(size, "float32"))
        matrix = np.stack([run(row) - bias for row in np.eye(size, dtype="float32")])
    return matrix.astype("float32"), bias.astype("float32")
