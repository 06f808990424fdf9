"""RNN cells for `keras.layers.RNN` and `lnn_keras.LiquidRNN`."""

from lnn_keras.cells.liquid import LiquidCell
from lnn_keras.cells.neural_ode import NODECell
from lnn_keras.cells.ode import ODECell

__all__ = ["LiquidCell", "NODECell", "ODECell"]
