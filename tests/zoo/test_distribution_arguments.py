"""Arguments of distributed training that do not fit are refused."""

import keras
import numpy as np
import pytest

from zoo.training import distribution
from zoo.training.distribution import distributed
from zoo.training.loop import train
from zoo.training.recipe import TrainingRecipe


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jax",), "set KERAS_BACKEND=jax; Keras runs on tensorflow"),
        (("everywhere",), "everywhere"),
        ((None, ["a:1", "b"], 0), "need `--distribute jax`"),
        (("tensorflow", ["a:1", "b"], 0), "need `--distribute jax`"),
    ],
)
def test_wrong_backend_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message), distributed(*arguments):
        pass


@pytest.mark.parametrize(
    ("hosts", "index", "message"),
    [
        (["a:1", "b"], None, "go together"),
        ([], 0, "go together"),
        (["a:1", "b"], 2, "from 0 to 1; received 2"),
        (["a", "b"], 0, "needs a port, host:port; received 'a'"),
    ],
)
def test_hosts_and_index_must_fit(hosts, index, message, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(ValueError, match=message), distributed("jax", hosts, index):
        pass


def test_batch_size_is_a_multiple_of_the_devices(monkeypatch, tmp_path):
    monkeypatch.setattr(distribution, "devices", lambda: 3)
    pairs = np.zeros((8, 4, 2), "float32"), np.zeros((8, 4, 2), "float32")
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Dense(2)])
    recipe = TrainingRecipe(epochs=1, batch_size=8, learning_rate=0.1)
    with pytest.raises(ValueError, match="`batch_size` is 8, which 3 devices cannot share"):
        train(model, pairs, pairs, recipe, 0, tmp_path)
