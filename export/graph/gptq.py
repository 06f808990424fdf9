"""GPTQ: weights quantized to 8 bits with the least change of their products on calibration data.

Rounding each weight to the nearest value is optimal for uncorrelated inputs. Features and states
are correlated, so the error of one weight can be compensated by others. With H = X^T X of the
inputs X of a matrix W, its rows are quantized in order, and the remaining rows absorb the error
(Frantar et al., GPTQ, 2023, algorithm 1, after Hassibi and Stork, Optimal Brain Surgeon, 1993):

    Q[i] = round(W[i]),    W[j] <- W[j] - (W[i] - Q[i]) C[i, j] / C[i, i]   for j > i,

where C is upper triangular and C^T C is the inverse of H. With 16-bit activations, the mean of the
inputs is left out of X: its part of the error is a constant, which the bias takes back (Nagel et
al., Data-free quantization through weight equalization and bias correction, 2019). With 8 bits,
this error is small against that of the activations, and a bias costs flash.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from export.graph.tf_graph import ConcreteFunction, FlatGraph, fetch, rebuild, varying_tensors
from export.recipes import Recipe

LARGEST = 127
DAMPING = 1e-4  # of H's mean diagonal: keeps H invertible along directions absent from the data
MAX_SAMPLES = 2000
CLUSTERED = 0.25  # share of distinct weights below which a matrix counts as clustered


def round_weights(
    flat: FlatGraph,
    recipe: Recipe,
    samples: Sequence[dict[str, np.ndarray]],
    for_c: bool = False,
) -> ConcreteFunction:
    """Quantize the matrices of a step's graph, so that later rounding changes nothing.

    Clustered matrices are left unchanged, because quantization would split their clusters.

    Args:
        flat: The step's graph, with batch 1.
        recipe: An integer recipe. With 16-bit activations the converter gives a matrix one scale,
            otherwise one per column.
        samples: Inputs and states of typical steps, by name.
        for_c: Whether each column has a scale in any case, and all products of a matrix have the
            same bias, so that they can run in one loop.
    """
    import tensorflow as tf

    products = _products(flat)
    subset = samples[:: max(1, len(samples) // MAX_SAMPLES)]
    matrices = fetch(flat, [op.inputs[1] for op in products], subset[:1])
    inputs_of_products = fetch(flat, [op.inputs[0] for op in products], subset)
    # All unfolds of a step share one matrix, each with its own inputs.
    rows_of_product, products_of_matrix, mean_of_product = {}, defaultdict(list), {}
    for op, (matrix,), inputs in zip(products, matrices, inputs_of_products, strict=True):
        products_of_matrix[matrix.shape, matrix.tobytes()].append(op)
        rows_of_product[op] = np.concatenate(inputs).astype("float64")
    is_wide = recipe.activations == "int16"
    for same in products_of_matrix.values():
        rows = np.concatenate([rows_of_product[op] for op in same])
        for op in same:
            mean = rows.mean(axis=0) if for_c else rows_of_product[op].mean(axis=0)
            mean_of_product[op] = mean if is_wide else np.zeros(mean.shape)
    key_of_product = {op: key for key, same in products_of_matrix.items() for op in same}
    axis = None if is_wide and not for_c else 0
    quantized = {}
    for (shape, content), same in products_of_matrix.items():
        inputs = [rows_of_product[op] - mean_of_product[op] for op in same]
        matrix = np.frombuffer(content, "float32").reshape(shape)
        weights = matrix[matrix != 0]
        clustered = len(np.unique(weights)) <= CLUSTERED * len(weights)
        quantized[shape, content] = matrix if clustered else rounded_matrix(matrix, inputs, axis)

    def rounded_product(op):
        shape, content = key = key_of_product[op]
        error = np.frombuffer(content, "float32").reshape(shape) - quantized[key]
        offset = (mean_of_product[op] @ error).astype("float32")
        if not offset.any():
            return lambda x, _: tf.matmul(x, quantized[key], name=op.name)
        return lambda x, _: tf.add(tf.matmul(x, quantized[key]), offset, name=op.name)

    return rebuild(flat, {op.name: rounded_product(op) for op in products})


def rounded_matrix(
    matrix: np.ndarray, inputs: Sequence[np.ndarray], axis: int | None
) -> np.ndarray:
    """Return a matrix (inputs, units) quantized to 8 bits by GPTQ, in real values.

    Args:
        matrix: The weights.
        inputs: The inputs of its products, each (samples, inputs).
        axis: 0 for one scale per unit, None for one scale.
    """
    peaks = np.abs(matrix).max(axis=axis, keepdims=True)
    scale = np.broadcast_to(np.where(peaks > 0, peaks, 1.0) / LARGEST, (1, matrix.shape[1]))[0]
    # The largest weight defines the converter's scale, so it must not change.
    pinned = np.abs(matrix) == peaks
    x = np.concatenate(inputs).astype("float64")
    hessian = x.T @ x
    hessian += np.eye(len(matrix)) * (DAMPING * np.trace(hessian) / len(matrix) + 1e-12)
    rounded = np.zeros(matrix.shape)
    # Zeros (pruned, or no synapse) stay zero; units with equal zeros share a Hessian.
    patterns, pattern_of = np.unique(matrix != 0, axis=1, return_inverse=True)
    for index, nonzero in enumerate(patterns.T):
        part = np.ix_(nonzero, pattern_of.ravel() == index)
        rounded[part] = _rounded_rows(
            matrix[part].astype("float64"),
            hessian[np.ix_(nonzero, nonzero)],
            scale[part[1][0]],
            pinned[part],
        )
    return rounded.astype("float32")


def _rounded_rows(weights, hessian, scale, pinned):
    factor = np.linalg.cholesky(np.linalg.inv(hessian)).T
    rounded = weights.copy()
    for row in range(len(weights)):
        integers = np.clip(np.round(weights[row] / scale), -LARGEST, LARGEST)
        rounded[row] = np.where(pinned[row], rounded[row], integers * scale)
        error = (weights[row] - rounded[row]) / factor[row, row]
        weights[row + 1 :] -= np.outer(factor[row, row + 1 :], error)
    return rounded


def _products(flat):
    """Products with constant matrices of several rows, the ones where rows can compensate."""
    varying = varying_tensors(flat)
    return [
        op
        for op in flat.operations
        if op.type == "MatMul"
        and op.inputs[0].name in varying
        and op.inputs[1].name not in varying
        and op.inputs[1].shape[0] > 1
        and not (op.get_attr("transpose_a") or op.get_attr("transpose_b"))
    ]
