"""Weights rounded to the grid of a quantized file so that outputs on the data change least."""

import functools

import numpy as np
import pytest
from export_models import calibrated, reset_names_and_seeds, sequential, step_file
from hypothesis import given, settings
from hypothesis import strategies as st

from export import recipes
from export.graph import tf_graph
from export.graph.fold_linear import fold_linear_maps
from export.graph.gptq import round_weights, rounded_matrix
from export.tflite_file import flatbuffer


@pytest.fixture(scope="module")
def folded(signal):
    """A function from a layer's name to its step, calibration samples and folded graph."""

    @functools.cache
    def fold(name):
        reset_names_and_seeds()
        step, samples = calibrated(sequential(name), signal[:2])
        flat = tf_graph.flatten(tf_graph.trace(step.model, 1))
        return step, samples, tf_graph.flatten(fold_linear_maps(flat))

    return fold


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        ("int8", "gru"),
        pytest.param("int16x8", "ltc", marks=pytest.mark.slow),
        pytest.param("int8", "ltc", marks=pytest.mark.slow),
        pytest.param("int16x8", "gru", marks=pytest.mark.slow),
    ],
)
def test_the_converter_keeps_rounded_weights(recipe, name, folded):
    """The file holds the values of each rounded matrix."""
    step, samples, flat = folded(name)
    rounded = tf_graph.flatten(round_weights(flat, recipes.get(recipe), samples))
    products = [op for op in tf_graph.variable_operations(rounded) if op.type == "MatMul"]
    matrices = [
        m for (m,) in tf_graph.fetch(rounded, [op.inputs[1] for op in products], samples[:1])
    ]
    kernels = kernels_of_file(step_file(step, samples, recipe))
    for matrix in matrices:
        assert any(
            kernel.shape == matrix.shape and np.abs(kernel - matrix).max() < 1e-6
            for kernel in kernels
        )


def kernels_of_file(content):
    model = flatbuffer.unpack(content)
    (subgraph,) = model.subgraphs
    kernels = []
    for tensor in subgraph.tensors:
        if tensor.shape is None or len(tensor.shape) != 2:
            continue
        if flatbuffer.is_constant(model, tensor) and flatbuffer.dtype_of(tensor) == "int8":
            quantized = np.frombuffer(bytes(model.buffers[tensor.buffer].data), "int8")
            scale = np.reshape(tensor.quantization.scale, (-1, 1))
            kernels.append((quantized.reshape(tensor.shape) * scale).T)
    return kernels


def nearest(matrix, axis):
    scale = np.abs(matrix).max(axis=axis, keepdims=True) / 127
    return np.round(matrix / scale) * scale


@pytest.mark.parametrize("axis", [0, None])
def test_rounding_compensates_errors_of_earlier_weights(axis, random):
    """On correlated inputs the error is less than half of that of nearest rounding."""
    inputs = random.standard_normal((500, 4)) @ random.standard_normal((4, 16))
    matrix = random.standard_normal((16, 8)).astype("float32")
    errors = [
        np.linalg.norm(inputs @ (rounded - matrix))
        for rounded in (rounded_matrix(matrix, [inputs], axis), nearest(matrix, axis))
    ]
    assert errors[0] < 0.5 * errors[1]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, None]), st.floats(0, 0.9))
@settings(max_examples=25, deadline=None)
def test_rounded_weights_lie_on_the_grid_and_zeros_stay(seed, axis, zeros):
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((6, 5)).astype("float32")
    matrix[random.random(matrix.shape) < zeros] = 0.0
    rounded = rounded_matrix(matrix, [random.standard_normal((20, 6))], axis)
    peaks = np.abs(matrix).max(axis=axis, keepdims=True)
    np.testing.assert_array_equal(np.abs(rounded).max(axis=axis, keepdims=True), peaks)
    units = rounded / np.where(peaks > 0, peaks, 1) * 127
    np.testing.assert_allclose(units, np.round(units), atol=1e-4)
    assert (rounded[matrix == 0] == 0).all()
