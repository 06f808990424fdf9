"""Layers, cells and small models that the export tests parametrize over, and steps to a file."""

import keras
import numpy as np

import export
from export import recipes, targets
from export.calibration import closed_loop_samples
from export.compress.kernels import kernels_of
from export.convert import convert
from lnn_keras import (
    CfCCell,
    CTGRUCell,
    CTRNNCell,
    DiagonalLiquidCell,
    LEFCell,
    LiquidCell,
    LiquidRNN,
    LRCCell,
    LTCCell,
    MixedMemoryCell,
    NODECell,
    ODERNNCell,
    WiredCfCCell,
    wirings,
)

layers = keras.layers
WIRING = wirings.AutoNCP(8, 2)


class WarmCell(layers.SimpleRNNCell):
    """A cell with a nonzero initial state."""

    def get_initial_state(self, batch_size=None):
        (state,) = super().get_initial_state(batch_size)
        return [state + 0.5]


CELLS = {
    "liquid": lambda: LiquidCell(5, unfolds=2),
    "liquid-six-unfolds": lambda: LiquidCell(5),
    "liquid-adjoint": lambda: LiquidCell(5, unfolds=2, adjoint=True),
    "diagonal": lambda: DiagonalLiquidCell(5),
    "diagonal-steps": lambda: DiagonalLiquidCell(5, solver="semi_implicit", unfolds=2),
    "ltc": lambda: LTCCell(WIRING, unfolds=2),
    "cfc": lambda: CfCCell(5),
    "cfc-pure": lambda: CfCCell(5, mode="pure"),
    "wired-cfc": lambda: WiredCfCCell(WIRING),
    "lrc": lambda: LRCCell(5),
    "ctrnn": lambda: CTRNNCell(5, unfolds=2),
    "ctgru": lambda: CTGRUCell(5),
    "node-rk4": lambda: NODECell(6, solver="rk4", unfolds=2),
    "node-dopri5": lambda: NODECell(5, solver="dopri5"),
    "ode-rnn": lambda: ODERNNCell(5, unfolds=2),
    "lef-gaussian": lambda: LEFCell(3, family="gaussian", unfolds=2),
    "lef-gamma": lambda: LEFCell(3, family="gamma", unfolds=2),
    "mixed-memory": lambda: MixedMemoryCell(CfCCell(5)),
}

# Layers that return sequences, by name.
RECURRENT = {
    "liquid": lambda: LiquidRNN(LiquidCell(6, unfolds=2), return_sequences=True),
    "node": lambda: LiquidRNN(NODECell(6, unfolds=2), return_sequences=True),
    "node-rk4": lambda: layers.RNN(CELLS["node-rk4"](), return_sequences=True),
    "ltc": lambda: LiquidRNN(LTCCell(WIRING, unfolds=2), return_sequences=True),
    "cfc": lambda: LiquidRNN(CfCCell(6), return_sequences=True),
    "wired-cfc": lambda: LiquidRNN(WiredCfCCell(WIRING), return_sequences=True),
    "lstm": lambda: layers.LSTM(6, return_sequences=True),
    "gru": lambda: layers.GRU(6, return_sequences=True),
    "gru-reset-before": lambda: layers.GRU(6, reset_after=False, return_sequences=True),
    "simple": lambda: layers.SimpleRNN(6, return_sequences=True),
    "warm": lambda: layers.RNN(WarmCell(6), return_sequences=True),
    "stacked": lambda: layers.RNN(
        [layers.LSTMCell(4), LiquidCell(6, unfolds=1)], return_sequences=True
    ),
    "stateless": lambda: layers.Dense(4, activation="tanh"),
}


def sines(sequences, length, features, noise=0.0):
    """Slow sines with noise, as sensors give them: (sequences, time, features)."""
    random = np.random.default_rng(0)
    phase = random.random((sequences, 1, features)) * 6
    signal = np.sin(np.arange(length)[None, :, None] / 9 + phase)
    return (signal + noise * random.standard_normal(signal.shape)).astype("float32")


def reset_names_and_seeds():
    """Make a shared model independent of the test that asks for it first."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)


def readout(units):
    """A dense layer whose outputs are no small differences of large values.

    So the error of a quantized file is far below its tolerance, without training.
    """
    return layers.Dense(units, kernel_initializer="orthogonal")


def sequential(layer, *, outputs=2, features=3, name=None):
    """A model of one layer, or of the entry of `RECURRENT` of that name, and a readout."""
    if isinstance(layer, str):
        name, layer = name or layer, RECURRENT[layer]()
    return keras.Sequential(
        [keras.Input((None, features), name="x"), layer, readout(outputs)], name=name
    )


def irregular(cell):
    """A model of irregularly sampled data: elapsed times are its second input."""
    x, elapsed = keras.Input((None, 3), name="x"), keras.Input((None,), name="elapsed")
    hidden = LiquidRNN(cell, return_sequences=True)(x, elapsed=elapsed)
    return keras.Model([x, elapsed], layers.Dense(2)(hidden))


def convolutional(name):
    """A model of four features in which a convolution precedes an entry of `RECURRENT`."""
    return keras.Sequential(
        [
            keras.Input((None, 4), name="x"),
            layers.Conv1D(4, 3, padding="causal"),
            RECURRENT[name](),
            layers.Dense(4),
        ],
        name=name,
    )


def normalized(name, data):
    """A model that normalizes its features first and restores their units last."""
    first, last = layers.Normalization(), layers.Normalization(invert=True)
    first.adapt(data)
    last.adapt(data)
    features = data.shape[-1]
    return keras.Sequential(
        [
            keras.Input((None, features), name="x"),
            first,
            RECURRENT[name](),
            readout(features),
            last,
        ],
        name=name,
    )


def compiled(model, **options):
    """Compile a model such that `fit` traces its training step once.

    tf.function traces again if its first trace creates variables, so the optimizer's are created
    here. XLA is off, since it compiles for longer than these models train.
    """
    options = {"optimizer": keras.optimizers.Adam(0.01), "jit_compile": False, **options}
    model.compile(loss="mse", **options)
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, sequences, *callbacks, epochs=3):
    """Train a compiled model to predict the next step; the loss of each epoch."""
    history = model.fit(
        sequences[:, :-1],
        sequences[:, 1:],
        batch_size=len(sequences) // 2,
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
    )
    return history.history["loss"]


def calibrated(model, data, fold_scaling=False):
    """The step form of a model, and its inputs and states in closed loop on the data."""
    step = export.to_step(model, fold_scaling=fold_scaling)
    return step, closed_loop_samples(step, export.as_sequences(step, data))


def step_file(step, samples=(), recipe="int8", target="micro"):
    """The content of a file that holds a step."""
    return convert(step, recipes.get(recipe), targets.get(target), samples)


def weights_of(model):
    """The values of the kernels that compression changes, by path."""
    return {kernel.variable.path: kernel.variable.numpy() for kernel in kernels_of(model)}
