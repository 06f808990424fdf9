"""Liquid neural networks for Keras 3."""

from lnn_keras import adapt, elapsed, families, initializers, inspect, plot, wirings
from lnn_keras.cells import (
    CfCCell,
    ContinuousTimeCell,
    CTGRUCell,
    CTRNNCell,
    DenseODECell,
    DiagonalLiquidCell,
    ForwardFillCell,
    LEFCell,
    LiquidCell,
    LRCCell,
    LTCCell,
    MixedMemoryCell,
    NODECell,
    ODECell,
    ODERNNCell,
    WiredCfCCell,
)
from lnn_keras.layers.bidirectional import Bidirectional
from lnn_keras.layers.each_step import EachStep
from lnn_keras.layers.liquid_block import LiquidBlock
from lnn_keras.layers.liquid_rnn import LiquidRNN
from lnn_keras.layers.liquid_stack import LiquidStack
from lnn_keras.migration import from_ncps

__version__ = "0.1.0"

__all__ = [
    "Bidirectional",
    "CTGRUCell",
    "CTRNNCell",
    "CfCCell",
    "ContinuousTimeCell",
    "DenseODECell",
    "DiagonalLiquidCell",
    "EachStep",
    "ForwardFillCell",
    "LEFCell",
    "LRCCell",
    "LTCCell",
    "LiquidBlock",
    "LiquidCell",
    "LiquidRNN",
    "LiquidStack",
    "MixedMemoryCell",
    "NODECell",
    "ODECell",
    "ODERNNCell",
    "WiredCfCCell",
    "__version__",
    "adapt",
    "elapsed",
    "families",
    "from_ncps",
    "initializers",
    "inspect",
    "plot",
    "wirings",
]
