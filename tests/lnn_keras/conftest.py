"""Inputs that the tests of the cells share."""

import pytest


@pytest.fixture
def x(random):
    return random.standard_normal((3, 7, 4)).astype("float32")


@pytest.fixture
def elapsed(random):
    return (random.random((3, 7)) * 2).astype("float32")
