"""RNN cells for `keras.layers.RNN` and `lnn_keras.LiquidRNN`."""

from lnn_keras.cells.cfc import CfCCell
from lnn_keras.cells.continuous_time import ContinuousTimeCell
from lnn_keras.cells.ct_gru import CTGRUCell
from lnn_keras.cells.ctrnn import CTRNNCell
from lnn_keras.cells.dense_ode import DenseODECell
from lnn_keras.cells.diagonal_liquid import DiagonalLiquidCell
from lnn_keras.cells.forward_fill import ForwardFillCell
from lnn_keras.cells.lef import LEFCell
from lnn_keras.cells.liquid import LiquidCell
from lnn_keras.cells.lrc import LRCCell
from lnn_keras.cells.ltc import LTCCell
from lnn_keras.cells.mixed_memory import MixedMemoryCell
from lnn_keras.cells.neural_ode import NODECell
from lnn_keras.cells.ode import ODECell
from lnn_keras.cells.ode_rnn import ODERNNCell
from lnn_keras.cells.wired_cfc import WiredCfCCell

__all__ = [
    "CTGRUCell",
    "CTRNNCell",
    "CfCCell",
    "ContinuousTimeCell",
    "DenseODECell",
    "DiagonalLiquidCell",
    "ForwardFillCell",
    "LEFCell",
    "LRCCell",
    "LTCCell",
    "LiquidCell",
    "MixedMemoryCell",
    "NODECell",
    "ODECell",
    "ODERNNCell",
    "WiredCfCCell",
]
