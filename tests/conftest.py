import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Each pytest worker has one core.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import numpy as np
import pytest


@pytest.fixture(scope="session", autouse=True)
def _freeze_imports():
    """Imported modules live as long as the session: collections need not visit them."""
    keras.ops.zeros(())
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _start_converter(request):
    """The converter loads TensorFlow while the first tests run, if any of them may convert."""
    if any(item.path.parent.name in {"export", "zoo"} for item in request.session.items):
        from export.convert import converter

        converter.start()


@pytest.fixture(autouse=True)
def _seed():
    # Resets layer names. free_memory would run a garbage collection per test.
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
    """Skip without the public data; tests never download."""
    if not os.environ.get("LNN_DATA_DIR"):
        pytest.skip("set LNN_DATA_DIR to a folder that holds the public data")
