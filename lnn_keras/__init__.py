"""Liquid neural networks for Keras 3."""

from lnn_keras import elapsed, wirings
from lnn_keras.cells import (
    CfCCell,
    ContinuousTimeCell,
    CTRNNCell,
    DenseODECell,
    LiquidCell,
    LTCCell,
    MixedMemoryCell,
    NODECell,
    ODECell,
    WiredCfCCell,
)
from lnn_keras.migration import from_ncps
from lnn_keras.rnn import LiquidRNN

__version__ = "0.1.0"

__all__ = [
    "CTRNNCell",
    "CfCCell",
    "ContinuousTimeCell",
    "DenseODECell",
    "LTCCell",
    "LiquidCell",
    "LiquidRNN",
    "MixedMemoryCell",
    "NODECell",
    "ODECell",
    "WiredCfCCell",
    "__version__",
    "elapsed",
    "from_ncps",
    "wirings",
]
