"""Linear maps folded into single products: the same function with fewer operations."""

import numpy as np
import pytest
from export_models import calibrated, sequential

from export.graph import tf_graph
from export.graph.fold_linear import fold_linear_maps


def flat_and_folded(name, signal):
    step, samples = calibrated(sequential(name), signal[:1])
    flat = tf_graph.flatten(tf_graph.trace(step.model, 1))
    return flat, tf_graph.flatten(fold_linear_maps(flat)), samples


def outputs_of(flat, samples):
    return [np.concatenate(v) for v in tf_graph.fetch(flat, list(flat.outputs.values()), samples)]


def types_of(flat):
    return [operation.type for operation in tf_graph.variable_operations(flat)]


@pytest.mark.parametrize("name", ["cfc", "liquid", "ltc", "gru", "lstm"])
def test_a_folded_graph_is_the_same_function(name, signal):
    flat, folded, samples = flat_and_folded(name, signal)
    assert list(folded.outputs) == list(flat.outputs)
    pairs = zip(outputs_of(folded, samples), outputs_of(flat, samples), strict=True)
    for actual, expected in pairs:
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_each_gate_becomes_one_product(signal):
    """Two of four heads of one product are subtracted: three products without a split remain."""
    flat, folded, _ = flat_and_folded("cfc", signal)
    assert "Split" in types_of(flat) and "Split" not in types_of(folded)
    assert types_of(folded).count("MatMul") == types_of(flat).count("MatMul") + 2
