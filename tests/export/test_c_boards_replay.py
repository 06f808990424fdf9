"""One hash of a thousand steps on every board that an emulator is installed for."""

import keras
import numpy as np
import pytest
from c_folders import require_tools
from export_models import CELLS, reset_names_and_seeds

from export.c import boards
from export.c.profile import profile
from export.c_pipeline import to_c

MODELS = {
    "liquid-six-unfolds": "int16x8",
    "ltc": "int16",
    "ctrnn": "float32",
}


@pytest.fixture(scope="module", params=MODELS)
def folder(request, tmp_path_factory):
    reset_names_and_seeds()
    inputs = keras.Input((None, 3))
    hidden = keras.layers.RNN(CELLS[request.param](), return_sequences=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    data = np.random.default_rng(0).standard_normal((1, 200, 3)).astype("float32")
    folder = tmp_path_factory.mktemp("boards") / "model"
    recipe = MODELS[request.param]
    to_c(model, folder, recipe=recipe, calibration=data, tolerance=0.05, steps=50)
    return folder


SLOW = ("m7", "m55", "host")


@pytest.mark.parametrize(
    "board",
    [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in boards.BOARDS],
)
def test_every_board_computes_the_same_bits(folder, board):
    require_tools(board)
    measured = profile(folder, board)
    assert measured.hash_equal and measured.steps == 1000
    assert measured.instructions is None or measured.instructions > 0
