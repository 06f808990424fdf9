"""Cells by name, and comparisons of tensors of any backend."""

import numpy as np
from keras import ops

from lnn_keras import (
    CfCCell,
    CTGRUCell,
    CTRNNCell,
    DiagonalLiquidCell,
    LEFCell,
    LiquidCell,
    LRCCell,
    LTCCell,
    MixedMemoryCell,
    NODECell,
    ODERNNCell,
    WiredCfCCell,
)
from lnn_keras.wirings import AutoNCP

# Features of the inputs, and outputs of every cell.
FEATURES, UNITS = 4, 5

# Each value creates a cell; its keyword arguments are passed to the constructor.
CELLS = {
    "liquid": lambda **k: LiquidCell(UNITS, unfolds=2, **k),
    "liquid-adjoint": lambda **k: LiquidCell(UNITS, unfolds=2, adjoint=True, **k),
    "node": lambda **k: NODECell(UNITS, unfolds=2, **k),
    "node-dopri5": lambda **k: NODECell(UNITS, solver="dopri5", unfolds=1, max_steps=12, **k),
    "ctrnn": lambda **k: CTRNNCell(UNITS, unfolds=2, solver="midpoint", **k),
    "ltc": lambda **k: LTCCell(UNITS, unfolds=2, **k),
    "ltc-ncp": lambda **k: LTCCell(AutoNCP(12, outputs=UNITS), unfolds=1, **k),
    "diagonal": lambda **k: DiagonalLiquidCell(UNITS, **k),
    "diagonal-steps": lambda **k: DiagonalLiquidCell(UNITS, solver="semi_implicit", unfolds=2, **k),
    "lrc": lambda **k: LRCCell(UNITS, **k),
    "lef": lambda **k: LEFCell(UNITS, "bernoulli", unfolds=2, **k),
    "cfc": lambda **k: CfCCell(UNITS, backbone_units=6, **k),
    "cfc-no-gate": lambda **k: CfCCell(UNITS, "no_gate", backbone_units=6, backbone_layers=2, **k),
    "cfc-pure": lambda **k: CfCCell(UNITS, "pure", backbone_layers=0, **k),
    "cfc-wired": lambda **k: WiredCfCCell(AutoNCP(12, outputs=UNITS), **k),
    "ct-gru": lambda **k: CTGRUCell(UNITS, scales=3, **k),
    "ode-rnn": lambda **k: ODERNNCell(UNITS, hidden_units=6, **k),
    "mixed-ltc": lambda dtype=None, **k: MixedMemoryCell(
        LTCCell(UNITS, unfolds=1, dtype=dtype), **k
    ),
}

# Cells without recurrent kernels, which take no options for them.
DIAGONAL = {"diagonal", "diagonal-steps"}

# Rounding may change whether dopri5 accepts a step, so its states differ by its tolerance.
TOLERANCE = {name: 2e-5 if "dopri5" in name else 1e-6 for name in CELLS}


def numbers(tensor):
    """A tensor of the backend as an array."""
    return ops.convert_to_numpy(tensor)


def same(actual, expected, atol=1e-6):
    """Assert that two tensors are equal up to rounding."""
    np.testing.assert_allclose(numbers(actual), numbers(expected), atol=atol)
