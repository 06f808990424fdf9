"""LRCCell: its equation and the bound of its state."""

import numpy as np
import pytest
from matrix import numbers

from lnn_keras import LRCCell


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_lrc_equation(random):
    """The equation of the paper, synapse by synapse in float64."""
    cell = LRCCell(4, unfolds=2)
    cell.build((None, 2))
    w = {v.name: numbers(v).astype("float64") for v in cell.weights}
    x, h = random.standard_normal(2), 0.3 * random.standard_normal(4)
    state, delta = h.copy(), 0.7 / 2
    for _ in range(2):
        new = state.copy()
        for i in range(4):
            f = z = w["leak"][i]
            o = w["elastance_bias"][i]
            for prefix, sources in (("sensory_", x), ("", state)):
                for j, u in enumerate(sources):
                    s = sigmoid(w[f"{prefix}sigma"][j, i] * (u - w[f"{prefix}mu"][j, i]))
                    f += w[f"{prefix}weight"][j, i] * s
                    z += w[f"{prefix}update_weight"][j, i] * s
                    o += w[f"{prefix}elastance_kernel"][j, i] * u
            width = w["elastance_width"][i]
            rate = delta * (sigmoid(o + width) - sigmoid(o - width))
            gain = rate * np.tanh(z) * w["leak_reversal"][i]
            new[i] = (state[i] + gain) / (1 + rate * sigmoid(f))
        state = new
    output, _ = cell(x[None], [h[None]], elapsed=0.7)
    np.testing.assert_allclose(numbers(output)[0], state, atol=2e-6)


@pytest.mark.parametrize("elastance", ["symmetric", "asymmetric"])
def test_lrc_state_is_bounded(elastance, random):
    """Since f >= 0 the decay is at least eps / 2: |h| stays within 2 |e|."""
    cell = LRCCell(4, elastance=elastance)
    cell.build((None, 3))
    bound, state = 2 * np.abs(numbers(cell.leak_reversal)), np.zeros((8, 4), "float32")
    for _ in range(25):
        _, (state,) = cell(10 * random.standard_normal((8, 3)), [state], elapsed=5.0)
        state = numbers(state)
        assert (np.abs(state) <= bound + 1e-6).all()
