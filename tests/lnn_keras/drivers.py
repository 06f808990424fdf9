"""The two layers that run a cell over time, and the cells that their tests run.

The fast tests run all cells where a cell's equations matter, and otherwise one cell of each kind:
"liquid" (rematerialized, its output is its state), "ltc-ncp" (batch-last steps), "cfc" (constants
for a fixed elapsed time) and "mixed-ltc" (several states). `-m slow` runs all cells everywhere.
"""

import keras
import pytest
from matrix import CELLS

from lnn_keras import LiquidRNN
from lnn_keras import elapsed as elapsed_time

BACKEND = keras.backend.backend()
KINDS = ("liquid", "ltc-ncp", "cfc", "mixed-ltc")
DRIVERS = (keras.layers.RNN, LiquidRNN)

every_cell = pytest.mark.parametrize("name", CELLS)
every_kind = pytest.mark.parametrize(
    "name",
    [name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in CELLS],
)


def skip_where_the_stock_layer_errs(name, driver=keras.layers.RNN):
    """On JAX, keras.layers.RNN outputs the first state of the cell at masked steps."""
    other_output = {"ltc-ncp", "lef", "cfc-wired", "ct-gru", "mixed-ltc"}
    if BACKEND == "jax" and driver is keras.layers.RNN and name in other_output:
        pytest.skip("masks of keras.layers.RNN on JAX need a state that is the output")


def with_gaps_behind(inputs, mask):
    """keras.layers.RNN hides its direction from the cell, so it needs the gaps in its order."""
    features, elapsed = elapsed_time.split(keras.ops.convert_to_tensor(inputs))
    mask = None if mask is None else mask[..., None]
    return elapsed_time.append(features, elapsed_time.backwards(elapsed, mask))
