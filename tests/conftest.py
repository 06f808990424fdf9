import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Each of pytest's workers has a core to itself.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _seed():
    # Layers are named from 1 again. Without free_memory, which takes 0.2 s: see _free_memory.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module", autouse=True)
def _free_memory():
    yield
    gc.collect()


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_data():
    """Skip where the public data are not at hand; tests never download."""
    if not os.environ.get("LNN_DATA_DIR"):
        pytest.skip("set LNN_DATA_DIR to a folder that holds the public data")
