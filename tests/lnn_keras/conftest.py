"""Inputs shared by the tests of cells and layers: 3 sequences of 4 features."""

import numpy as np
import pytest


@pytest.fixture
def steps(request):
    """The number of steps of a sequence: `STEPS` of the test's module, or 7."""
    return getattr(request.module, "STEPS", 7)


@pytest.fixture
def x(random, steps):
    return random.standard_normal((3, steps, 4)).astype("float32")


@pytest.fixture
def elapsed(random, steps):
    return (random.random((3, steps)) * 2).astype("float32")


@pytest.fixture
def mask(steps):
    """Each sequence is a step shorter than the one before it."""
    return np.arange(steps)[None] < (steps - np.arange(3))[:, None]
