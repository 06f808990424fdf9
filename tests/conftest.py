import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.clear_session()  # layers are named from 1 again
    keras.utils.set_random_seed(0)


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_data():
    """Skip where the public data are not at hand; tests never download."""
    if not os.environ.get("LNN_DATA_DIR"):
        pytest.skip("set LNN_DATA_DIR to a folder that holds the public data")
