"""Every cell of the library, by a name for tests, and how to compare tensors of any backend."""

import numpy as np
from keras import ops

from lnn_keras import (
    CfCCell,
    CTGRUCell,
    CTRNNCell,
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

# Functions of a cell's further arguments.
CELLS = {
    "liquid": lambda **k: LiquidCell(UNITS, unfolds=3, **k),
    "liquid-adjoint": lambda **k: LiquidCell(UNITS, unfolds=3, adjoint=True, **k),
    "node": lambda **k: NODECell(UNITS, unfolds=3, **k),
    "node-dopri5": lambda **k: NODECell(UNITS, solver="dopri5", unfolds=1, max_steps=12, **k),
    "ctrnn": lambda **k: CTRNNCell(UNITS, unfolds=2, solver="midpoint", **k),
    "ltc": lambda **k: LTCCell(UNITS, unfolds=2, **k),
    "ltc-ncp": lambda **k: LTCCell(AutoNCP(12, outputs=UNITS), unfolds=2, **k),
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

# Rounding may decide whether dopri5 accepts a step: states differ by a share of its tolerance.
TOLERANCE = {name: 2e-5 if "dopri5" in name else 1e-6 for name in CELLS}


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def same(found, expected, atol=1e-6):
    np.testing.assert_allclose(numbers(found), numbers(expected), atol=atol)
