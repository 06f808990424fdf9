"""Inputs shared by the tests of cells and layers: 3 sequences of 7 steps and 4 features."""

import pytest


@pytest.fixture
def x(random):
    return random.standard_normal((3, 7, 4)).astype("float32")


@pytest.fixture
def elapsed(random):
    return (random.random((3, 7)) * 2).astype("float32")
