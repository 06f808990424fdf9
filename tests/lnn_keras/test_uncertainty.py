"""LEFCell on a noisy, irregularly sampled Ornstein-Uhlenbeck process: honest intervals.

    dx = -theta x dt + sigma dW,    y = x + noise

Each observation is a step with evidence; each gap a step without, whose length is the
gap and at whose end the next observation is predicted.
"""

import keras
import numpy as np
from keras import layers, ops

from lnn_keras import LEFCell, LiquidRNN, families

THETA, SIGMA, NOISE, MEAN_GAP, STEPS = 0.5, 1.0, 0.3, 0.8, 40
GAUSSIAN = families.get("gaussian")
JIT_COMPILE = keras.backend.backend() != "torch"


def observations(sequences, seed):
    """Observed values (sequences, STEPS), and the gap before each."""
    random = np.random.default_rng(seed)
    gaps = random.exponential(MEAN_GAP, (sequences, STEPS))
    variance = SIGMA**2 / (2 * THETA)
    x = np.sqrt(variance) * random.standard_normal((sequences, STEPS))
    for t in range(1, STEPS):
        kept = np.exp(-THETA * gaps[:, t])
        x[:, t] = kept * x[:, t - 1] + np.sqrt(1 - kept**2) * x[:, t]
    y = x + NOISE * random.standard_normal(x.shape)
    return y.astype("float32"), gaps.astype("float32")


def kalman_loss(y, gaps):
    """The negative log-likelihood of who knows the process: no model can be better."""
    mean, variance, losses = np.zeros(len(y)), np.full(len(y), SIGMA**2 / (2 * THETA)), []
    for t in range(STEPS):
        kept = np.exp(-THETA * gaps[:, t]) if t else 1.0
        mean = kept * mean
        variance = kept**2 * variance + (1 - kept**2) * SIGMA**2 / (2 * THETA)
        total = variance + NOISE**2
        losses.append(0.5 * np.log(2 * np.pi * total) + (y[:, t] - mean) ** 2 / (2 * total))
        gain = variance / total
        mean, variance = mean + gain * (y[:, t] - mean), variance * (1 - gain)
    return np.mean(losses[1:])


def lef_model():
    inputs, elapsed = keras.Input((None, 2)), keras.Input((None,))
    cell = LEFCell(1, "gaussian", unfolds=4, parameters="natural")
    eta = LiquidRNN(cell, return_sequences=True)(inputs, elapsed=elapsed)
    return keras.Model([inputs, elapsed], eta[:, 1::2])


def lef_inputs(y, gaps):
    """Alternately (value, 1) over a unit of time and (0, 0) over a gap."""
    features = np.zeros((len(y), 2 * (STEPS - 1), 2), "float32")
    features[:, ::2] = np.stack([y[:, :-1], np.ones_like(y[:, :-1])], axis=-1)
    elapsed = np.ones((len(y), 2 * (STEPS - 1)), "float32")
    elapsed[:, 1::2] = gaps[:, 1:]
    return [features, elapsed]


def gru_model():
    inputs = keras.Input((None, 2))
    raw = layers.Dense(2)(layers.GRU(1, return_sequences=True)(inputs))
    return keras.Model(inputs, layers.Lambda(GAUSSIAN.natural)(raw))


def gru_inputs(y, gaps):
    return np.stack([y[:, :-1], gaps[:, 1:]], axis=-1)


def trained(model, inputs, target, epochs=150):
    rate = keras.optimizers.schedules.CosineDecay(0.1, epochs)
    loss = families.NegativeLogLikelihood("gaussian")
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=JIT_COMPILE)
    model.fit(inputs, target, epochs=epochs, batch_size=len(target), verbose=0)
    return model


def test_intervals_cover_and_the_likelihood_beats_a_gru():
    y, gaps = observations(64, seed=0)
    unseen, unseen_gaps = observations(512, seed=1)
    target = unseen[:, 1:, None]
    lef = trained(lef_model(), lef_inputs(y, gaps), y[:, 1:, None])
    gru = trained(gru_model(), gru_inputs(y, gaps), y[:, 1:, None])
    # A Gaussian head beside one unit: the GRU has more weights, not fewer.
    assert lef.count_params() == 14
    assert gru.count_params() == 19

    eta = ops.convert_to_tensor(lef.predict(lef_inputs(unseen, unseen_gaps), verbose=0))
    mean = ops.convert_to_numpy(GAUSSIAN.mean(eta))[..., None]
    deviation = np.sqrt(ops.convert_to_numpy(GAUSSIAN.variance(eta)))[..., None]
    covered = np.mean(np.abs(target - mean) < 1.645 * deviation)
    assert 0.85 < covered < 0.95

    of_lef = lef.evaluate(lef_inputs(unseen, unseen_gaps), target, verbose=0)
    of_gru = gru.evaluate(gru_inputs(unseen, unseen_gaps), target, verbose=0)
    best = kalman_loss(unseen, unseen_gaps)
    print(f"LEF {of_lef:.3f}, GRU {of_gru:.3f}, Kalman {best:.3f}; 90 % covers {covered:.1%}")
    assert best < of_lef < of_gru
    assert of_lef - best < 0.05
