"""Weights rounded to 8 bits so that what they give on calibration data changes least.

Rounding each weight to the nearest number is the best for inputs that have nothing to do
with each other. Features and states do: what one weight loses, another can make good.
With H = X^T X of the inputs X that a matrix W sees, its rows are rounded one after the
other, and the rows still to come take up the error of each (Frantar et al., GPTQ, 2023,
algorithm 1, after Hassibi and Stork, Optimal Brain Surgeon, 1993):

    Q[i] = round(W[i]),    W[j] <- W[j] - (W[i] - Q[i]) C[i, j] / C[i, i]   for j > i,

where C^T C is the inverse of H, and C an upper triangle.
"""

from collections.abc import Sequence

import numpy as np

from export.graph.tf_graph import FlatGraph, fetch, rebuild, variable_operations
from export.recipes import Recipe

LARGEST = 127
DAMPING = 1e-4  # of H's mean diagonal: directions that the data do not show count a little
MAX_SAMPLES = 2000
CLUSTERED = 0.25  # of a matrix's weights: so few different ones are clusters


def round_weights(flat: FlatGraph, recipe: Recipe, samples: Sequence[dict[str, np.ndarray]]):
    """Replace the matrices of a step's graph by such as the converter's rounding leaves alone.

    Args:
        flat: The step's graph, of batch 1.
        recipe: One of integers; with 16-bit numbers a matrix has one scale, else each of its
            columns.
        samples: Inputs and states of typical steps, by name.

    Returns:
        A tf ConcreteFunction.
    """
    import tensorflow as tf

    products = _products(flat)
    chosen = samples[:: max(1, len(samples) // MAX_SAMPLES)]
    matrices = fetch(flat, [op.inputs[1] for op in products], chosen[:1])
    fetched = fetch(flat, [op.inputs[0] for op in products], chosen)
    # One matrix serves all unfolds of a step: each sees inputs of its own.
    seen, shared = {}, {}
    for op, (matrix,), inputs in zip(products, matrices, fetched, strict=True):
        key = (matrix.shape, matrix.tobytes())
        seen.setdefault(key, []).append(np.concatenate(inputs))
        shared[op] = key
    axis = None if recipe.activations == "int16" else 0
    rounded = {}
    for (shape, content), inputs in seen.items():
        matrix = np.frombuffer(content, "float32").reshape(shape)
        # Clusters are for the size of the file, which weights that part again would lose.
        weights = matrix[matrix != 0]
        clustered = len(np.unique(weights)) <= CLUSTERED * len(weights)
        rounded[shape, content] = matrix if clustered else rounded_matrix(matrix, inputs, axis)
    return rebuild(
        flat,
        {
            op.name: lambda x, _, op=op, key=key: tf.matmul(x, rounded[key], name=op.name)
            for op, key in shared.items()
        },
    )


def rounded_matrix(
    matrix: np.ndarray, inputs: Sequence[np.ndarray], axis: int | None
) -> np.ndarray:
    """A matrix (inputs, units) of numbers on its 8-bit grid, by the algorithm above.

    Args:
        matrix: The weights.
        inputs: What they are multiplied with, each (samples, inputs).
        axis: 0 for a scale for each unit, None for one in all.
    """
    peaks = np.abs(matrix).max(axis=axis, keepdims=True)
    scale = np.broadcast_to(np.where(peaks > 0, peaks, 1.0) / LARGEST, (1, matrix.shape[1]))[0]
    # The largest weight sets the scale, so it must stay what it is.
    pinned = np.abs(matrix) == peaks
    x = np.concatenate(inputs).astype("float64")
    hessian = x.T @ x
    hessian += np.eye(len(matrix)) * (DAMPING * np.trace(hessian) / len(matrix) + 1e-12)
    rounded = np.zeros(matrix.shape)
    # What is zero, pruned or no synapse, stays so; each unit has the others to work with.
    patterns, pattern_of = np.unique(matrix != 0, axis=1, return_inverse=True)
    for number, live in enumerate(patterns.T):
        part = np.ix_(live, pattern_of.ravel() == number)
        rounded[part] = _rounded_rows(
            matrix[part].astype("float64"),
            hessian[np.ix_(live, live)],
            scale[part[1][0]],
            pinned[part],
        )
    return rounded.astype("float32")


def _rounded_rows(weights, hessian, scale, pinned):
    factor = np.linalg.cholesky(np.linalg.inv(hessian)).T
    rounded = weights.copy()
    for row in range(len(weights)):
        numbers = np.clip(np.round(weights[row] / scale), -LARGEST, LARGEST)
        rounded[row] = np.where(pinned[row], rounded[row], numbers * scale)
        error = (weights[row] - rounded[row]) / factor[row, row]
        weights[row + 1 :] -= np.outer(factor[row, row + 1 :], error)
    return rounded


def _products(flat):
    """The products with constant matrices of more than one row, whose errors can be made good."""
    varying = {tensor.name for op in variable_operations(flat) for tensor in op.outputs}
    varying |= {tensor.name for tensor in flat.inputs}
    return [
        op
        for op in flat.operations
        if op.type == "MatMul"
        and op.inputs[0].name in varying
        and op.inputs[1].name not in varying
        and op.inputs[1].shape[0] > 1
        and not (op.get_attr("transpose_a") or op.get_attr("transpose_b"))
    ]
