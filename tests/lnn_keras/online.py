"""Cells that learn online, and streams for them."""

import numpy as np
from gradients import compiled
from keras import ops

from lnn_keras import DiagonalLiquidCell, LiquidCell, LTCCell
from lnn_keras.wirings import AutoNCP

FEATURES, UNITS = 3, 4
CELLS = {
    "exact": lambda **k: DiagonalLiquidCell(UNITS, **k),
    "semi-implicit": lambda **k: DiagonalLiquidCell(UNITS, solver="semi_implicit", **k),
    "liquid": lambda **k: LiquidCell(UNITS, unfolds=2, **k),
    "ltc": lambda **k: LTCCell(UNITS, unfolds=1, **k),
    "ltc-ncp": lambda **k: LTCCell(AutoNCP(7, outputs=2), unfolds=1, **k),
}
# Without synapses from one neuron to another, e-prop drops nothing.


def built(cell):
    if not cell.built:
        cell.build((None, FEATURES))
    return cell


def one_step(online):
    """A step of a stream as one function, compiled once per object."""

    def step(x, upstream, error, state):
        _, state = online.advance(x, state)
        return online.learn(upstream, state, error=error)

    # Compiled again, it would be traced again.
    if not hasattr(online, "compiled_step"):
        online.compiled_step = compiled(step)
    return step, online.compiled_step


def learned(online, inputs, upstreams, errors=None, state=None):
    """The state after a stream. Few steps take less time than a compilation."""
    state = online.initial_state() if state is None else state
    errors = [1.0] * len(inputs) if errors is None else errors
    step = one_step(online)[len(inputs) > 5]
    for values in zip(inputs, upstreams, errors, strict=True):
        state = step(*(ops.convert_to_tensor(np.float32(v)) for v in values), state)
    return state


def stream(random, length, width):
    """Inputs, irregular elapsed times and gradients for the outputs, of a stream."""
    x = random.standard_normal((length, FEATURES)).astype("float32")
    elapsed = random.exponential(1.0, (length, 1)).astype("float32")
    upstream = random.standard_normal((length, width)).astype("float32")
    return tuple(ops.convert_to_tensor(values) for values in (x, elapsed, upstream))


def compiled_if_long(function, length):
    """Few steps take less time than a compilation."""
    return compiled(function) if length > 50 else function
