"""Polynomials that replace functions for which integer kernels are missing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from export.graph import polynomial

FUNCTIONS = {"1/x": np.reciprocal, "log": np.log, "sqrt": np.sqrt, "exp": np.exp}


@given(low=st.floats(0.05, 5), width=st.floats(0, 4), name=st.sampled_from(sorted(FUNCTIONS)))
@settings(max_examples=40, deadline=None)
def test_polynomials_follow_their_function(low, width, name):
    function, high = FUNCTIONS[name], low * (1 + width)
    bounds = np.array([[low, 2 * low]]), np.array([[high, 2 * high]])
    try:
        fitted = polynomial.fit(function, *bounds, domain=(0.0, np.inf))
    except ValueError:
        # No polynomial fits well enough on wide ranges near 0.
        assert width > 0.5
        return
    x = bounds[0] + np.linspace(0, 1, 50)[:, None] * (bounds[1] - bounds[0])
    largest = np.abs(function(x)).max()
    # Coefficients are stored as float32.
    assert np.abs(fitted(x) - function(x)).max() <= (polynomial.TOLERANCE + 1e-5) * 3 * largest
