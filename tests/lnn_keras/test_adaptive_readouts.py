"""Readouts that keep learning: least squares, guards, models, and files of their state."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lnn_keras
from lnn_keras import adapt

FEATURES, OUTPUTS = 5, 2
RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order():
    global RANDOM
    RANDOM = np.random.default_rng(0)


class MethodCell(keras.layers.Layer):
    """A method as an RNN cell, so that a stream is one compiled call."""

    def __init__(self, method, features, outputs):
        super().__init__()
        self.method, self.features = method, features
        self.like = method.initial_state(features, outputs)
        self.state_size = [int(np.prod(part.shape[1:])) for part in self.like]
        self.output_size = outputs
        self.built = True

    def get_initial_state(self, batch_size=None):
        state = self.method.initial_state(self.features, self.output_size, batch_size)
        return [
            keras.ops.reshape(part, (-1, n)) for part, n in zip(state, self.state_size, strict=True)
        ]

    def call(self, inputs, states):
        state = type(self.like)(
            *(
                keras.ops.reshape(s, (-1, *p.shape[1:]))
                for s, p in zip(states, self.like, strict=True)
            )
        )
        features, target = inputs[:, : self.features], inputs[:, self.features :]
        prediction, state = self.method.step(features, target, state)
        return prediction, [
            keras.ops.reshape(p, (-1, n)) for p, n in zip(state, self.state_size, strict=True)
        ]


def over_time(cell, rows):
    """The outputs and the last states of a cell over rows (time, size)."""
    inputs = keras.Input((None, rows.shape[1]))
    layer = keras.layers.RNN(cell, return_sequences=True, return_state=True)
    model = keras.Model(inputs, layer(inputs))
    outputs, *states = model.predict(rows[None].astype("float32"), verbose=0)
    return outputs[0], [state[0] for state in states]


def run(method, features, targets):
    """A method over a stream: predictions and the last state."""
    cell = MethodCell(method, features.shape[1], targets.shape[1])
    predictions, states = over_time(cell, np.concatenate([features, targets], axis=1))
    return predictions, [s.reshape(p.shape[1:]) for s, p in zip(states, cell.like, strict=True)]


def readout_over(features, predictions, targets, method=None, **options):
    """`AdaptiveReadoutCell` over a stream: outputs and the last states."""
    method = method or adapt.RecursiveLeastSquares(forgetting=0.999)
    cell = adapt.AdaptiveReadoutCell(method, features.shape[1], targets.shape[1], **options)
    return over_time(cell, np.concatenate([features, predictions, targets], axis=1))


def small_model(seed=0, features=3, outputs=2):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((None, features)),
            lnn_keras.LiquidRNN(lnn_keras.LiquidCell(4, unfolds=1), return_sequences=True),
            keras.layers.Dense(outputs),
        ]
    )


def linear_stream(steps, noise=0.1):
    """Features, predictions of a frozen linear map of them, and its targets with noise."""
    random = np.random.default_rng(1)
    features = random.standard_normal((steps, FEATURES))
    predictions = features @ random.standard_normal((FEATURES, OUTPUTS))
    return features, predictions, predictions + noise * random.standard_normal((steps, OUTPUTS))


@given(st.floats(0.01, 10.0), st.integers(0, 10**6))
@settings(max_examples=4, deadline=None)
def test_least_squares_without_forgetting_is_ridge_regression(variance, seed):
    random = np.random.default_rng(seed)
    features, targets = random.standard_normal((20, 4)), random.standard_normal((20, 2))
    method = adapt.RecursiveLeastSquares(1.0, variance)
    _, (weights, *_) = run(method, features, targets)
    products = features.T @ features + np.eye(4) / variance
    np.testing.assert_allclose(
        weights, np.linalg.solve(products, features.T @ targets), atol=1e-4, rtol=1e-3
    )


def test_least_squares_follows_the_minimizer_with_forgetting():
    features, targets = RANDOM.standard_normal((200, 4)), RANDOM.standard_normal((200, 2))
    forgetting, variance = 0.98, 0.5
    _, (weights, *_) = run(adapt.RecursiveLeastSquares(forgetting, variance), features, targets)
    ages = forgetting ** np.arange(len(features))[::-1, None]
    products = features.T @ (ages * features) + np.eye(4) / variance
    expected = np.linalg.solve(products, features.T @ (ages * targets))
    # The forgotten part of the prior is added to one feature per step, so not at the same time.
    np.testing.assert_allclose(weights, expected, atol=0.01)


def test_covariance_stays_below_the_prior_for_constant_features():
    features = np.tile(RANDOM.standard_normal((1, 4)), (600, 1))
    method = adapt.RecursiveLeastSquares(forgetting=0.95, prior_variance=0.3)
    _, (weights, root, _) = run(method, features, np.ones((600, 1)))
    variances = np.linalg.eigvalsh(root @ root.T)
    assert variances.min() > 0
    # Each feature waits for its turn for 4 steps, in which it forgets.
    assert variances.max() <= 0.3 / 0.95**4
    assert np.isfinite(weights).all()


@pytest.mark.slow
def test_a_million_steps_in_single_precision_stay_positive_definite():
    method = adapt.RecursiveLeastSquares(forgetting=0.999)
    cell = adapt.AdaptiveReadoutCell(method, 8, 1)
    random = np.random.default_rng(0)
    features = random.standard_normal((10**6, 8)) * 10.0 ** np.arange(-4, 4)
    stream = np.concatenate([features, np.zeros((10**6, 1)), features[:, :1]], axis=1)
    _, (weights, root, *_) = over_time(cell, stream)
    root = root.reshape(9, 9).astype("float64")
    variances = np.linalg.eigvalsh(root @ root.T)
    assert np.isfinite(weights).all()
    assert variances.min() > 0 and variances.max() <= 0.1 / 0.999**9


@given(st.floats(0.01, 1.9), st.integers(0, 10**6))
@settings(max_examples=4, deadline=None)
def test_a_step_of_least_mean_squares_reduces_its_error(rate, seed):
    random = np.random.default_rng(seed)
    features, target = random.standard_normal((1, 4)), random.standard_normal((1, 2))
    method = adapt.LeastMeanSquares(rate, leak=0.0)
    first, state = method.step(features, target, method.initial_state(4, 2))
    second = keras.ops.convert_to_numpy(method.predict(features.astype("float32"), state))
    first = keras.ops.convert_to_numpy(first)
    assert (np.abs(target - second) <= np.abs(target - first) + 1e-5).all()


@pytest.mark.parametrize("method", [adapt.RecursiveLeastSquares(), adapt.LeastMeanSquares()])
@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf, 1e30])
def test_missing_targets_change_nothing(method, missing):
    features = RANDOM.standard_normal((1, 4))
    _, state = method.step(features, np.ones((1, 2)), method.initial_state(4, 2))
    prediction, after = method.step(features, np.full((1, 2), missing), state)
    assert np.isfinite(keras.ops.convert_to_numpy(prediction)).all()
    for old, new in zip(state, after, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(old), keras.ops.convert_to_numpy(new)
        )


def test_a_known_output_is_learned_beside_a_missing_one():
    features = np.ones((30, 4))
    targets = np.tile([[1.0, np.nan]], (30, 1))
    predictions, _ = run(adapt.RecursiveLeastSquares(), features, targets)
    assert predictions[-1, 0] > 0.8
    assert predictions[-1, 1] == 0


def test_readout_removes_the_error_after_a_change():
    features, predictions, targets = linear_stream(900)
    targets[300:] += features[300:, :2]
    outputs, _ = readout_over(features, predictions, targets)
    errors = np.mean((outputs - targets) ** 2, axis=1)
    frozen = np.mean((predictions - targets) ** 2, axis=1)
    assert errors[700:].mean() < 0.15 * frozen[700:].mean()


def test_readout_does_no_harm_to_a_perfect_model():
    features, predictions, targets = linear_stream(1000)
    outputs, _ = readout_over(features, predictions, targets)
    ratio = np.mean((outputs - targets) ** 2) / np.mean((predictions - targets) ** 2)
    assert ratio < 1.02


def outliers(features, targets):
    targets[5], targets[400:405], targets[600, 1] = 1e6, -1e6, 1e6


def missing(features, targets):
    targets[::3], targets[1::7, 0], targets[200:500] = np.nan, np.inf, np.nan


def bad_features(features, targets):
    features[100], features[200, 1], features[300] = np.nan, np.inf, 1e30


def constant(features, targets):
    features[200:600] = features[200]


@pytest.mark.parametrize(
    "spoil, method",
    [
        (outliers, None),
        (missing, adapt.LeastMeanSquares()),
        (bad_features, None),
        (constant, None),
        (constant, adapt.LeastMeanSquares()),
    ],
)
def test_readout_stays_finite_and_recovers(spoil, method):
    features, predictions, clean = linear_stream(900)
    targets = clean.copy()
    spoil(features, targets)
    outputs, _ = readout_over(features, predictions, targets, method)
    assert np.isfinite(outputs).all()
    error = np.mean((outputs[700:] - clean[700:]) ** 2)
    assert error < 1.1 * np.mean((predictions[700:] - clean[700:]) ** 2)


@pytest.mark.parametrize("delay", [1, 3])
def test_delayed_targets_give_the_same_predictions_later(delay):
    features, predictions, targets = linear_stream(300)
    targets += features[:, :2]
    late = np.concatenate([np.full((delay, OUTPUTS), np.nan), targets[:-delay]])
    now, _ = readout_over(features, predictions, targets)
    outputs, _ = readout_over(features, predictions, late, delay=delay)
    if delay == 1:
        np.testing.assert_allclose(outputs, now, atol=1e-4)
    errors = np.mean((outputs[150:] - targets[150:]) ** 2)
    assert errors < 0.3 * np.mean((predictions[150:] - targets[150:]) ** 2)


def test_observe_in_pieces_is_observe_at_once():
    adaptive = adapt.AdaptiveModel(small_model(), adapt.RecursiveLeastSquares())
    x, y = RANDOM.standard_normal((60, 3)), RANDOM.standard_normal((60, 2))
    whole = adaptive.observe(x, y)
    adaptive.reset()
    parts = [adaptive.observe(x[:40], y[:40]), adaptive.observe(x[40], y[40])[None]]
    parts.append(adaptive.observe(x[41:], y[41:]))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)
    assert adaptive.observe(np.zeros((0, 3))).shape == (0, 2)


@pytest.mark.parametrize("cell", ["stack", "lstm", "timed"])
def test_without_targets_it_is_the_model(cell):
    if cell == "stack":
        model = lnn_keras.LiquidStack(3, 2, blocks=2, width=4)
    elif cell == "lstm":
        x = keras.Input((None, 3))
        h = keras.layers.GRU(4, return_sequences=True)(x)
        h = keras.layers.LSTM(4, return_sequences=True)(keras.layers.LayerNormalization()(h))
        model = keras.Model(x, keras.layers.Dense(2)(h))
    else:
        x, elapsed = keras.Input((None, 3)), keras.Input((None,))
        layer = lnn_keras.LiquidRNN(lnn_keras.CfCCell(4), return_sequences=True)
        model = keras.Model([x, elapsed], keras.layers.Dense(2)(layer(x, elapsed=elapsed)))
    inputs = [RANDOM.uniform(0.5, 1.5, (12, *t.shape[2:])).astype("float32") for t in model.inputs]
    adaptive = adapt.AdaptiveModel(model, adapt.LeastMeanSquares())
    pieces = [adaptive.observe([array[i : i + 5] for array in inputs]) for i in (0, 5, 10)]
    batch = [array[None] for array in inputs]
    expected = model(batch if len(batch) > 1 else batch[0])
    expected = keras.ops.convert_to_numpy(expected)[0]
    np.testing.assert_allclose(np.concatenate(pieces), expected, atol=1e-5)


def test_adaptive_model_is_saved_and_loaded(tmp_path):
    model = adapt.adaptive_model(small_model(), adapt.RecursiveLeastSquares(), delay=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = [RANDOM.standard_normal((1, 30, n)).astype("float32") for n in (3, 2)]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(loaded(inputs)),
        keras.ops.convert_to_numpy(model(inputs)),
        atol=1e-6,
    )


def test_state_is_saved_and_belongs_to_its_model(tmp_path):
    adaptive = adapt.AdaptiveModel(small_model(), adapt.RecursiveLeastSquares())
    x, y = RANDOM.standard_normal((40, 3)), RANDOM.standard_normal((40, 2))
    adaptive.observe(x, y)
    adaptive.save_state(tmp_path / "state.npz")
    expected = adaptive.observe(x[0])
    again = adapt.AdaptiveModel(small_model(), adapt.RecursiveLeastSquares())
    again.load_state(tmp_path / "state.npz")
    np.testing.assert_allclose(again.observe(x[0]), expected, atol=1e-6)
    others = [
        adapt.AdaptiveModel(small_model(seed=1), adapt.RecursiveLeastSquares()),
        adapt.AdaptiveModel(small_model(), adapt.RecursiveLeastSquares(0.99)),
    ]
    for other in others:
        with pytest.raises(ValueError, match="another model or method"):
            other.load_state(tmp_path / "state.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"nonsense" * 100, None])
def test_damaged_state_is_refused(tmp_path, content):
    adaptive = adapt.AdaptiveModel(small_model(), adapt.LeastMeanSquares())
    path = tmp_path / "state.npz"
    adaptive.save_state(path)
    path.write_bytes(path.read_bytes()[:-300] if content is None else content)
    before = adaptive.state
    with pytest.raises(ValueError, match="is not the state of an adaptive model"):
        adaptive.load_state(path)
    for old, new in zip(before, adaptive.state, strict=True):
        np.testing.assert_array_equal(old, new)


def test_log_counts_what_the_guards_did():
    adaptive = adapt.AdaptiveModel(small_model(), adapt.RecursiveLeastSquares())
    x, y = RANDOM.standard_normal((100, 3)), RANDOM.standard_normal((100, 2))
    y[10:20], y[60] = np.nan, 1e6
    adaptive.observe(x, y)
    log = adaptive.log()
    assert log["missing"] == 10
    assert log["limited"] == pytest.approx(1, abs=1)
    assert 60 <= log["learned"] <= 70
    assert log["share"].shape == (2,)


def test_reduced_features_need_less_memory():
    model = small_model()
    features = RANDOM.standard_normal((200, 7)) @ RANDOM.standard_normal((7, 7))
    projection = adapt.principal_components(features, 3)
    assert np.cov(features @ projection, rowvar=False) == pytest.approx(np.eye(3), abs=1e-3)
    adaptive = adapt.AdaptiveModel(model, adapt.RecursiveLeastSquares(), projection=projection)
    assert np.isfinite(adaptive.observe(np.ones(3), np.ones(2))).all()
    assert sum(value.size for value in adaptive.state) < 4 + 4 * (4 + 2 + 1) + 5 * 2 + 3


def rnn(layer, *behind):
    return keras.Sequential([keras.Input((None, 3)), layer, *behind])


L = keras.layers
REFUSED = {
    "no step per output": (lambda: rnn(L.LSTM(2), L.Dense(1)), "return_sequences=True"),
    "no readout": (lambda: rnn(L.LSTM(2, return_sequences=True)), "no linear readout"),
    "no layer": (lambda: rnn(L.LayerNormalization()), "none of its layers is a Dense layer"),
    "recurrent readout": (
        lambda: rnn(L.Dense(2), L.GRU(2, return_sequences=True)),
        "no Dense layer follows",
    ),
    "convolution": (
        lambda: rnn(L.GRU(2, return_sequences=True), L.Conv1D(2, 3, padding="causal"), L.Dense(1)),
        "looks at several time steps",
    ),
    "bidirectional": (
        lambda: rnn(L.Bidirectional(L.GRU(2, return_sequences=True)), L.Dense(1)),
        "several time steps",
    ),
    "backwards": (
        lambda: rnn(L.GRU(2, return_sequences=True, go_backwards=True), L.Dense(1)),
        "runs backwards",
    ),
    "taken name": (
        lambda: keras.Sequential([keras.Input((None, 3)), L.Dense(2, name="target")]),
        "give it another name",
    ),
    "no model": (lambda: "model", "has no graph"),
    "not built": (lambda: keras.Sequential([L.Dense(2)]), "has no graph"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_models_without_a_readout_or_steps_are_refused(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        adapt.AdaptiveModel(make(), adapt.LeastMeanSquares())


@pytest.mark.parametrize(
    "x, target, message",
    [
        (np.ones(4), None, "must have the shape"),
        (np.ones((2, 3)), np.ones(2), "'target' must have the shape"),
        (np.ones(3), np.ones(3), "'target' must have the shape"),
        ([np.ones(3), np.ones(4)], None, "must be an array of numbers; received list"),
        (np.ones((1, 2, 3)), None, "must have the shape"),
        (None, None, "must have the shape"),
        ("x", None, "must be an array of numbers; received str"),
        (np.ones(3), "x", "'target' must be an array of numbers"),
    ],
)
def test_observe_names_wrong_shapes(x, target, message):
    adaptive = adapt.AdaptiveModel(small_model(), adapt.LeastMeanSquares())
    with pytest.raises(ValueError, match=message):
        adaptive.observe(x, target)


@pytest.mark.parametrize("method", [None, "least squares", adapt.RecursiveLeastSquares])
def test_methods_are_objects(method):
    with pytest.raises(ValueError, match="`method` must be an object"):
        adapt.AdaptiveModel(small_model(), method)


def test_several_inputs_come_as_a_list():
    inputs = [keras.Input((None, 2)), keras.Input((None, 1))]
    joined = keras.layers.Concatenate()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(joined))
    adaptive = adapt.AdaptiveModel(model, adapt.LeastMeanSquares())
    assert adaptive.observe([[1.0, 2.0], [3.0]], [4.0]).shape == (1,)
    for wrong in (np.ones(3), [np.ones(2)]):
        with pytest.raises(ValueError, match="The model has 2 inputs"):
            adaptive.observe(wrong)


@pytest.mark.parametrize("value", [0, -0.5, 1.5, float("nan"), "0.9"])
def test_forgetting_is_checked(value):
    with pytest.raises(ValueError, match=r"`forgetting` must be in \(0, 1\]"):
        adapt.RecursiveLeastSquares(value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"delay": -1}, "delay"),
        ({"outlier": 0}, "outlier"),
        ({"memory": 0}, "memory"),
        ({"projection": np.ones((3, 2))}, "matrix with 7 rows"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        adapt.AdaptiveModel(small_model(), adapt.LeastMeanSquares(), **options)


def test_features_are_those_of_the_model_among_others_with_the_same_layers():
    layers = [keras.layers.SimpleRNN(4, return_sequences=True), keras.layers.Dense(2)]
    first = keras.Sequential([keras.Input((None, 3)), *layers])
    scaled = keras.Sequential([keras.Input((None, 3)), keras.layers.Rescaling(0.5), *layers])
    for model in (first, scaled):
        found = adapt.readout(model)
        inputs = found.features[1]
        whole = keras.Model(model.inputs, inputs)
        rows = np.ones((1, 2, 3), "float32")
        expected = rows if model is first else 0.5 * rows
        np.testing.assert_allclose(whole.predict(rows, verbose=0), expected)
