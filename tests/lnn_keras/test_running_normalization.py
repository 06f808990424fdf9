"""RunningNormalization: it starts as Normalization and follows gains and biases, whatever comes."""

import keras
import numpy as np
import pytest
from keras import ops

from lnn_keras import LiquidCell, LiquidRNN
from lnn_keras.adapt import RunningNormalization, RunningNormalizationCell

MEAN, DEVIATION = np.array([20.0, -0.03]), np.array([4.0, 0.01])
MEMORY = 100
DRIFTS = {
    "gain 1.5": lambda x: 1.5 * x,
    "gain 0.5": lambda x: 0.5 * x,
    "bias": lambda x: x + 0.5 * DEVIATION,
    "another unit": lambda x: 1000 * x,
}


def stream(steps, sequences=4, seed=0):
    """White noise with the mean and the deviation of the training data."""
    noise = np.random.default_rng(seed).standard_normal((sequences, steps, 2))
    return (MEAN + DEVIATION * noise).astype("float32")


def layer(memory=MEMORY, **kwargs):
    return RunningNormalization(2, MEAN, DEVIATION**2, memory, **kwargs)


def run(x, **kwargs):
    """The outputs of a compiled layer, one array or a list with the states."""
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, layer(**kwargs)(inputs))
    return model.predict(x, verbose=0, batch_size=len(x))


def reference(x, memory, limit=5.0, floor=0.1):
    """The equations of the docstring in float64: outputs (time, features), offset and variance."""
    d, v, a = np.zeros(x.shape[-1]), np.zeros(x.shape[-1]), 1 / (memory + 1)
    outputs = []
    for z in (np.asarray(x, "float64") - MEAN) / DEVIATION:
        s = np.maximum(np.sqrt(1 + v), floor)
        y = np.where(np.isfinite(z), np.clip((z - d) / s, -limit, limit), 0)
        d = d + a * s * y
        v = np.where(np.isfinite(z), v + a * (s**2 * y**2 - 1 - v), v)
        outputs.append(y)
    return np.stack(outputs), d, v


def test_equations():
    x = stream(60, sequences=1)
    x[0, 30:] *= 2
    x[0, 10, 0], x[0, 11, 1] = np.nan, -np.inf
    x[0, 50] = 1e6
    results = run(x, return_state=True)
    for actual, wanted in zip(results, reference(x[0], MEMORY), strict=True):
        np.testing.assert_allclose(actual[0], wanted, rtol=1e-4, atol=1e-4)


def test_it_starts_as_normalization():
    x = stream(1, sequences=50)
    plain = keras.layers.Normalization(mean=MEAN, variance=DEVIATION**2)
    wanted = ops.convert_to_numpy(plain(x))
    # Float32 resolves the second feature, -3 with a deviation of 0.01, to 2e-5 deviations.
    np.testing.assert_allclose(run(x, limit=10), wanted, atol=1e-3)


def test_drifted_sensors_return_to_the_training_distribution():
    """Without targets, behind eight memory lengths, in mean and deviation; frozen ones do not."""
    memory = 50
    x = stream(100 + 12 * memory, sequences=16)
    drifted = [np.concatenate([x[:, :100], drift(x[:, 100:])], axis=1) for drift in DRIFTS.values()]
    settled = slice(-4 * memory, None)
    y = run(np.concatenate(drifted), memory=memory).reshape(len(DRIFTS), *x.shape)[:, :, settled]
    assert np.abs(y.mean(axis=(1, 2))).max() < 0.03
    assert np.abs(y.std(axis=(1, 2)) - 1).max() < 0.04
    for readings in drifted:
        frozen = (readings[:, settled] - MEAN) / DEVIATION
        assert np.abs(frozen.mean(axis=(0, 1))).max() > 0.4


def test_a_stationary_stream_is_nearly_unchanged():
    x = stream(800)
    difference = run(x, memory=1000) - (x - MEAN) / DEVIATION
    assert np.sqrt(np.mean(np.square(difference))) < 0.04


@pytest.mark.parametrize("value", [np.nan, np.inf, -3e38])
def test_missing_values(value):
    """Their output is 0, and the others see nothing of them."""
    x = stream(40)
    gap = x.copy()
    gap[:, 20, 0] = value
    without = run(np.delete(x, 20, axis=1))
    y = run(gap)
    assert (y[:, 20, 0] == 0).all()
    np.testing.assert_allclose(np.delete(y, 20, axis=1)[..., 0], without[..., 0], atol=1e-5)
    np.testing.assert_allclose(y[..., 1], run(x)[..., 1], atol=1e-5)


def test_gradients_are_finite_with_missing_values():
    """Also those of the readings that were observed."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras has no function for gradients; other backends compute the same graph")
    import tensorflow as tf

    x = stream(6)
    x[:, 2] = np.nan
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tf.square(layer()(x)))
    gradient = tape.gradient(loss, x).numpy()
    assert np.isfinite(gradient).all() and (gradient[:, 2] == 0).all() and gradient.any()


@pytest.mark.parametrize("outlier", [1e6, -1e14])
def test_one_outlier_does_little(outlier):
    x = stream(300)
    hit = x.copy()
    hit[:, 100] = outlier
    y, clean = run(hit), run(x)
    assert np.abs(y).max() <= 5
    # Mean and variance move by at most 5 and 25 hundredths.
    assert np.abs(y[:, 101] - clean[:, 101]).max() < 0.3 * (1 + np.abs(clean[:, 101]).max())
    assert np.abs(y[:, -50:] - clean[:, -50:]).max() < 0.1


def test_a_constant_input_holds_still():
    """The scale stops at the floor, and noise that returns is not blown up beyond it."""
    # exp(-40) of the variance would be left: 4,000 steps are 40 memory lengths.
    x = stream(4000 + 10 * MEMORY, sequences=1)
    x[:, :4000] = MEAN + 0.3 * DEVIATION
    y, _, change = run(x, return_state=True)
    assert np.isfinite(y).all() and np.abs(y[:, 3000:4000]).max() < 0.02
    # One reading of the old noise is at most ten times as large as in training.
    assert np.abs(y[:, 4000]).max() <= 5
    assert np.abs(y[:, -3 * MEMORY :].std(axis=1) - 1).max() < 0.1
    assert np.abs(change).max() < 0.4


def test_statistics_restore_the_input():
    x = stream(50)
    y, mean, deviation = np.split(run(x, statistics=True, limit=20), 3, axis=-1)
    np.testing.assert_allclose(mean + deviation * y, x, rtol=1e-5)
    np.testing.assert_allclose(mean[:, 0], np.broadcast_to(MEAN, (4, 2)), rtol=1e-6)


def test_elapsed_times_count_in_the_memory():
    """A step after a long gap counts for at most a tenth."""
    x = stream(30)
    half = ops.convert_to_numpy(layer(memory=50)(x, elapsed=np.full((4, 30), 0.5, "float32")))
    np.testing.assert_allclose(half, run(x), atol=1e-5)
    np.testing.assert_allclose(run(x, elapsed=0.5, memory=50), run(x), atol=1e-5)
    frozen = ops.convert_to_numpy(layer()(x, elapsed=np.zeros((4, 30), "float32")))
    np.testing.assert_allclose(frozen, np.clip((x - MEAN) / DEVIATION, -5, 5), atol=1e-3)
    for gap in (1e9, np.full((4, 1), 1e9, "float32")):
        _, offset, _ = layer(return_state=True)(x[:, :1], elapsed=gap)
        expected = 0.1 * run(x[:, :1])[:, 0]
        np.testing.assert_allclose(ops.convert_to_numpy(offset), expected, atol=1e-5)


def test_it_is_an_rnn_layer():
    """Masks, Keras's own layer, and a stream in parts."""
    x = stream(20)
    y = run(x)
    cell = RunningNormalizationCell(2, MEAN, DEVIATION**2, MEMORY)
    stock = keras.layers.RNN(cell, return_sequences=True)(x)
    np.testing.assert_allclose(ops.convert_to_numpy(stock), y, atol=1e-5)
    stateful = layer(stateful=True)
    parts = [ops.convert_to_numpy(stateful(part)) for part in (x[:, :7], x[:, 7:])]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), y, atol=1e-5)
    mask = np.ones((4, 20), bool)
    mask[:, 5:9] = False
    kept = ops.convert_to_numpy(layer()(x, mask=ops.convert_to_tensor(mask)))[:, mask[0]]
    np.testing.assert_allclose(kept, run(x[:, mask[0]]), atol=1e-5)


def test_half_precision_keeps_its_statistics_in_float32():
    norm = RunningNormalization(1, 0.0, 1.0, memory=3000, dtype="mixed_bfloat16", return_state=True)
    x = np.random.default_rng(0).standard_normal((2, 200, 1)).astype("float32") + 1
    exact = RunningNormalization(1, 0.0, 1.0, memory=3000, return_state=True)(x)
    for half, full in zip(norm(x)[1:], exact[1:], strict=True):
        np.testing.assert_allclose(ops.cast(half, "float32"), full, rtol=0.05, atol=2e-3)


def test_adapt_leaves_out_missing_values():
    data = stream(500)
    data[0, :100] = np.nan
    data[1, 3] = np.inf
    norm = RunningNormalization(2)
    norm.adapt(data)
    finite = np.where(np.isfinite(data), data, np.nan).astype("float64").reshape(-1, 2)
    mean, variance = norm.cell.mean, norm.cell.variance
    np.testing.assert_allclose(ops.convert_to_numpy(mean), np.nanmean(finite, axis=0), rtol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(variance), np.nanvar(finite, axis=0), rtol=1e-5)
    norm.adapt(np.ones((3, 2)))
    np.testing.assert_array_equal(ops.convert_to_numpy(norm.cell.variance), 1)


def test_saving_and_copies(tmp_path):
    inputs = keras.Input((None, 2))
    norm = layer(limit=4, floor=0.2, name="norm")
    model = keras.Model(inputs, LiquidRNN(LiquidCell(3))(norm(inputs)))
    norm.adapt(stream(50, seed=1) * 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = stream(10)
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(x)), ops.convert_to_numpy(model(x)))
    assert loaded.get_layer("norm").get_config() == norm.get_config()
    copy = norm.with_cell(LiquidCell(3))
    assert type(copy) is LiquidRNN and copy.name == "norm" and copy.return_sequences
    assert not norm.trainable_weights and len(norm.non_trainable_weights) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"units": 0}, "`units` must be an integer of at least 1"),
        ({"mean": [1.0, 2.0, 3.0]}, "`mean` must be a number or 2 numbers"),
        ({"mean": np.nan}, "`mean` must be finite; received nan"),
        ({"variance": [1.0, 0.0]}, "`variance` must be finite and above 0; received 0.0"),
        ({"memory": 0}, "`memory` must be a finite number above 0"),
        ({"memory": float("inf")}, "`memory` must be a finite number above 0"),
        ({"limit": 1.5}, "`limit` must be at least 2 deviations; received 1.5"),
        ({"floor": 0.0}, "`floor` must be a finite number above 0"),
        ({"floor": 1.0}, r"`floor` must be in \[0, 1\)"),
        ({"elapsed": -1.0}, "`elapsed` must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RunningNormalization(**{"units": 2, **arguments})


def test_bad_data():
    with pytest.raises(ValueError, match="has 2 units and needs as many input features"):
        layer()(np.zeros((1, 3, 5), "float32"))
    with pytest.raises(ValueError, match=r"shape \(..., 2\); received shape \(4, 3\)"):
        layer().adapt(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="Feature 1 has no finite value"):
        layer().adapt([[1.0, np.nan], [2.0, np.inf]])
