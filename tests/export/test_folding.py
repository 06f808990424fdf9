"""Folded maps and rounded weights: the same function, in fewer steps and on a grid."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export import as_sequences, recipes, targets, to_step
from export.calibration import closed_loop_samples
from export.convert import convert
from export.graph import tf_graph
from export.graph.fold_linear import fold_linear_maps
from export.graph.gptq import round_weights, rounded_matrix
from export.tflite_file import flatbuffer
from lnn_keras import CfCCell, LiquidCell, LiquidRNN, LTCCell, wirings

layers = keras.layers
RECURRENT = {
    "cfc": lambda: LiquidRNN(CfCCell(6), return_sequences=True),
    "liquid": lambda: LiquidRNN(LiquidCell(6, unfolds=2), return_sequences=True),
    "ltc": lambda: LiquidRNN(LTCCell(wirings.AutoNCP(10, 3), unfolds=2), return_sequences=True),
    "gru": lambda: layers.GRU(6, return_sequences=True),
    "lstm": lambda: layers.LSTM(6, return_sequences=True),
}


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    time = np.arange(100)[None, :, None] / 9 + random.random((2, 1, 3)) * 6
    return np.sin(time).astype("float32")


def step_of(layer, data):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, 3), name="x"), layer, layers.Dense(2)])
    step = to_step(model)
    return step, closed_loop_samples(step, as_sequences(step, data))


def flat_step(name, data):
    step, samples = step_of(RECURRENT[name](), data)
    return tf_graph.flatten(tf_graph.trace(step.model, 1)), samples


def outputs_of(flat, samples):
    return [np.concatenate(v) for v in tf_graph.fetch(flat, list(flat.outputs.values()), samples)]


@pytest.mark.parametrize("name", RECURRENT)
def test_a_folded_graph_is_the_same_function(name, data):
    flat, samples = flat_step(name, data)
    folded = tf_graph.flatten(fold_linear_maps(flat))
    assert list(folded.outputs) == list(flat.outputs)
    pairs = zip(outputs_of(folded, samples), outputs_of(flat, samples), strict=True)
    for ours, expected in pairs:
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def types_of(flat):
    return [operation.type for operation in tf_graph.variable_operations(flat)]


def test_gates_have_products_of_their_own(data):
    """Of four heads split off one product, two are subtracted: three products, no split."""
    flat, _ = flat_step("cfc", data)
    folded = tf_graph.flatten(fold_linear_maps(flat))
    assert "Split" in types_of(flat) and "Split" not in types_of(folded)
    assert types_of(folded).count("MatMul") == types_of(flat).count("MatMul") + 2


@pytest.mark.parametrize("recipe", ["int8", "int16x8"])
@pytest.mark.parametrize("name", ["gru", "ltc"])
def test_the_converter_keeps_rounded_weights(recipe, name, data):
    """Each rounded matrix is found in the file, number by number."""
    step, samples = step_of(RECURRENT[name](), data)
    folded = tf_graph.flatten(fold_linear_maps(tf_graph.flatten(tf_graph.trace(step.model, 1))))
    rounded = tf_graph.flatten(round_weights(folded, recipes.get(recipe), samples))
    products = [op for op in tf_graph.variable_operations(rounded) if op.type == "MatMul"]
    matrices = [
        m for (m,) in tf_graph.fetch(rounded, [op.inputs[1] for op in products], samples[:1])
    ]
    found = kernels_of_file(convert(step, recipes.get(recipe), targets.get("micro"), samples))
    for matrix in matrices:
        assert any(
            kernel.shape == matrix.shape and np.abs(kernel - matrix).max() < 1e-6
            for kernel in found
        )


def kernels_of_file(content):
    model = flatbuffer.unpack(content)
    (subgraph,) = model.subgraphs
    kernels = []
    for tensor in subgraph.tensors:
        if tensor.shape is None or len(tensor.shape) != 2:
            continue
        if flatbuffer.is_constant(model, tensor) and flatbuffer.dtype_of(tensor) == "int8":
            numbers = np.frombuffer(bytes(model.buffers[tensor.buffer].data), "int8")
            scale = np.reshape(tensor.quantization.scale, (-1, 1))
            kernels.append((numbers.reshape(tensor.shape) * scale).T)
    return kernels


def nearest(matrix, axis):
    scale = np.abs(matrix).max(axis=axis, keepdims=True) / 127
    return np.round(matrix / scale) * scale


@pytest.mark.parametrize("axis", [0, None])
def test_rounding_makes_errors_good(axis, random):
    """On inputs that have to do with each other: less than half the error of the nearest."""
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
    numbers = rounded / np.where(peaks > 0, peaks, 1) * 127
    np.testing.assert_allclose(numbers, np.round(numbers), atol=1e-4)
    assert (rounded[matrix == 0] == 0).all()


def test_equal_constants_are_kept_once(data):
    sizes = {}
    for unfolds in (1, 6):
        layer = LiquidRNN(LiquidCell(24, unfolds=unfolds), return_sequences=True)
        step, samples = step_of(layer, data)
        content = convert(step, recipes.get("int8"), targets.get("micro"), samples)
        buffers = [bytes(b.data) for b in flatbuffer.unpack(content).buffers if b.data is not None]
        assert len(buffers) == len(set(buffers))
        sizes[unfolds] = sum(map(len, buffers))
    # A kernel of 576 numbers for each unfold would be 2,880 bytes more.
    assert sizes[6] < sizes[1] + 2000
