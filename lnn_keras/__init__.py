"""Liquid neural networks for Keras 3."""

from lnn_keras import elapsed
from lnn_keras.cells import LiquidCell, NODECell, ODECell
from lnn_keras.rnn import LiquidRNN

__version__ = "0.1.0"

__all__ = ["LiquidCell", "LiquidRNN", "NODECell", "ODECell", "__version__", "elapsed"]
