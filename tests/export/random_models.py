"""Random Functional models of the layers that export supports, each from a seed."""

import keras
import numpy as np

from lnn_keras import (
    CfCCell,
    CTRNNCell,
    DiagonalLiquidCell,
    LiquidBlock,
    LiquidCell,
    LiquidRNN,
    LRCCell,
    LTCCell,
    NODECell,
    WiredCfCCell,
    wirings,
)

layers = keras.layers
ops = keras.ops

RECURRENT = (
    lambda units, **k: layers.LSTM(units, **k),
    lambda units, **k: layers.GRU(units, **k),
    lambda units, **k: layers.GRU(units, reset_after=False, **k),
    lambda units, **k: layers.SimpleRNN(units, **k),
    lambda units, **k: LiquidRNN(LiquidCell(units, unfolds=2), **k),
    lambda units, **k: LiquidRNN(CfCCell(units), **k),
    lambda units, **k: layers.RNN(LTCCell(units, unfolds=2), **k),
    lambda units, **k: LiquidRNN(NODECell(units, unfolds=2), **k),
    lambda units, **k: layers.RNN(LRCCell(units), **k),
    lambda units, **k: layers.RNN(CTRNNCell(units, unfolds=2), **k),
    lambda units, **k: layers.RNN(WiredCfCCell(wirings.AutoNCP(units + 4, 2)), **k),
    lambda units, **k: LiquidRNN(DiagonalLiquidCell(units), **k),
    lambda units, **k: layers.RNN([CfCCell(4), layers.GRUCell(units)], **k),
)
# Functions of a sequence and its number of features that keep its length.
EACH_STEP = (
    lambda x, n: layers.Dense(n, activation="tanh")(x),
    lambda x, n: layers.Dense(5, activation="relu")(x),
    lambda x, n: layers.LayerNormalization()(x),
    lambda x, n: layers.BatchNormalization()(x),
    lambda x, n: layers.Dropout(0.5)(x),
    lambda x, n: layers.LeakyReLU()(x),
    lambda x, n: x * 2.0 + 0.5,
    lambda x, n: x / 2,
    lambda x, n: ops.tanh(x) - x,
    lambda x, n: layers.Lambda(lambda y: y * 0.5)(x),
    lambda x, n: layers.Concatenate()([x, layers.Dense(3)(x)]),
    lambda x, n: layers.Add()([x, layers.Dense(n)(x)]),
    lambda x, n: layers.Conv1D(4, 3, padding="causal")(x),
    lambda x, n: layers.Conv1D(4, 2, padding="causal", dilation_rate=2, activation="relu")(x),
    lambda x, n: layers.TimeDistributed(layers.Dense(4, activation="sigmoid"))(x),
    lambda x, n: keras.Sequential([layers.Dense(4), layers.GRU(3, return_sequences=True)])(x),
    lambda x, n: x[:, :, ::-1],
    lambda x, n: LiquidBlock(n, units=4, solver="semi_implicit")(x),
)
# Layers without a step form.
WHOLE_SEQUENCE = (
    lambda x: layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x),
    lambda x: layers.Conv1D(4, 3, padding="same")(x),
    lambda x: layers.LSTM(4, go_backwards=True, return_sequences=True)(x),
)
AFTER_LAST_STEP = (
    lambda x: layers.Dense(3, activation="relu")(x),
    lambda x: layers.BatchNormalization()(x),
    lambda x: layers.Softmax()(x),
    lambda x: ops.tanh(x),
    lambda x: layers.Concatenate()([x, layers.Dense(2)(x)]),
)


def draw_model(seed):
    """A model of random layers, names and inputs; lengths are 24 or any."""
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)

    def choice(options):
        return options[random.integers(len(options))]

    # Lengths other than the fixed one could not be tested.
    x = keras.Input((None, int(random.integers(1, 5))), name=choice([None, "signal", "class"]))
    inputs, y = [x], x
    if random.random() < 0.25:
        other = keras.Input((None, 2))
        inputs, y = [x, other], layers.Concatenate()([x, other])
    for _ in range(random.integers(0, 3)):
        y = choice(EACH_STEP)(y, y.shape[-1])
    if random.random() < 0.2:
        y = choice(WHOLE_SEQUENCE)(y)
    name = choice([None, "next_state", "rnn", "Decoder"])
    last = random.random() < 0.5
    options = {"name": name, "return_sequences": not last}
    y = choice(RECURRENT)(int(random.integers(3, 7)), **options)(y)
    if last:
        for _ in range(random.integers(0, 3)):
            y = choice(AFTER_LAST_STEP)(y)
    else:
        for _ in range(random.integers(0, 3)):
            y = choice(EACH_STEP)(y, y.shape[-1])
        if random.random() < 0.4:
            y = y[:, -1]
    outputs = layers.Dense(2)(y) if random.random() < 0.7 else y
    if random.random() < 0.2:
        outputs = [outputs, y]
    return keras.Model(inputs, outputs)
