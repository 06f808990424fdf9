"""LEFCell on a noisy, irregularly sampled Ornstein-Uhlenbeck process: calibrated intervals.

    dx = -theta x dt + sigma dW,    y = x + noise

Each observation is a step with evidence. Each gap is a step without evidence, with the length of
the gap as its elapsed time; the output at its end predicts the next observation. The slow test
trains the model and compares it with a GRU. The fast tests use weights of such a training.
"""

import keras
import numpy as np
import pytest
from gradients import gradients
from keras import layers, ops

from lnn_keras import LEFCell, LiquidRNN, families

THETA, SIGMA, NOISE, MEAN_GAP, STEPS = 0.5, 1.0, 0.3, 0.8, 40
GAUSSIAN = families.get("gaussian")
LOSS = families.NegativeLogLikelihood("gaussian")
JIT_COMPILE = keras.backend.backend() != "torch"
# Result of the training of the slow test, rounded.
TRAINED_WEIGHTS = {
    "kernel": [[-0.562], [2.369]],
    "recurrent_kernel": [[0.231], [-2.099]],
    "bias": [1.373],
    "log_tau": [1.126],
    "evidence_kernel": [[1.032, -0.007], [-0.042, 3.986]],
    "evidence_bias": [0.19, 0.428],
    "raw_prior": [-1.471, -0.162],
}


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
    """The negative log-likelihood of the Kalman filter, the optimal predictor."""
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


def lef_cell():
    return LEFCell(1, "gaussian", unfolds=4, parameters="natural")


def lef_model():
    inputs, elapsed = keras.Input((None, 2)), keras.Input((None,))
    eta = LiquidRNN(lef_cell(), return_sequences=True)(inputs, elapsed=elapsed)
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
    model.compile(keras.optimizers.Adam(rate), LOSS, jit_compile=JIT_COMPILE)
    model.fit(inputs, target, epochs=epochs, batch_size=len(target), verbose=0)
    return model


def coverage(eta, target):
    """The fraction of targets in the predicted 90 % intervals."""
    mean = ops.convert_to_numpy(GAUSSIAN.mean(eta))[..., None]
    deviation = np.sqrt(ops.convert_to_numpy(GAUSSIAN.variance(eta)))[..., None]
    return np.mean(np.abs(target - mean) < 1.645 * deviation)


def test_a_trained_cell_is_calibrated_and_close_to_the_optimum():
    layer = LiquidRNN(lef_cell(), return_sequences=True)
    layer.build((None, None, 2))
    for variable in layer.cell.weights:
        variable.assign(TRAINED_WEIGHTS[variable.name])
    y, gaps = observations(128, seed=1)
    inputs, elapsed = lef_inputs(y, gaps)
    eta = layer(inputs, elapsed=elapsed)[:, 1::2]
    target = y[:, 1:, None]
    assert 0.85 < coverage(eta, target) < 0.95
    loss, optimum = float(LOSS(target, eta)), kalman_loss(y, gaps)
    assert optimum < loss < optimum + 0.05


def test_training_lowers_the_loss():
    layer = keras.layers.RNN(lef_cell(), return_sequences=True, unroll=True)
    layer.build((None, 5, 2))
    y, gaps = observations(64, seed=0)
    inputs = lef_inputs(y, gaps)[0][:, :5]

    def loss():
        return LOSS(y[:, 1:4, None], layer(inputs)[:, ::2])

    optimizer, start = keras.optimizers.Adam(0.1), float(loss())
    for _ in range(5):
        optimizer.apply(gradients(loss, layer.trainable_variables), layer.trainable_variables)
    assert float(loss()) < start - 0.05


@pytest.mark.slow
def test_intervals_cover_and_the_likelihood_beats_a_gru():
    y, gaps = observations(64, seed=0)
    unseen, unseen_gaps = observations(512, seed=1)
    target = unseen[:, 1:, None]
    lef = trained(lef_model(), lef_inputs(y, gaps), y[:, 1:, None])
    gru = trained(gru_model(), gru_inputs(y, gaps), y[:, 1:, None])
    # One unit each. The GRU with its Gaussian head has more weights, not fewer.
    assert lef.count_params() == 14
    assert gru.count_params() == 19

    eta = ops.convert_to_tensor(lef.predict(lef_inputs(unseen, unseen_gaps), verbose=0))
    covered = coverage(eta, target)
    assert 0.85 < covered < 0.95

    lef_loss = lef.evaluate(lef_inputs(unseen, unseen_gaps), target, verbose=0)
    gru_loss = gru.evaluate(gru_inputs(unseen, unseen_gaps), target, verbose=0)
    optimum = kalman_loss(unseen, unseen_gaps)
    print(
        f"LEF {lef_loss:.3f}, GRU {gru_loss:.3f}, Kalman {optimum:.3f}; 90 % covers {covered:.1%}"
    )
    assert optimum < lef_loss < gru_loss
    assert lef_loss - optimum < 0.05
