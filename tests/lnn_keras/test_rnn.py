"""LiquidRNN gives the results of keras.layers.RNN, with every option of the layer.

The fast tests run all cells where a cell's equations matter, and otherwise one cell of each kind:
"liquid" (rematerialized, its output is its state), "ltc-ncp" (batch-last steps), "cfc" (constants
for a fixed elapsed time) and "mixed-ltc" (several states). `-m slow` runs all cells everywhere.
"""

import itertools

import keras
import numpy as np
import pytest
from gradients import gradients
from matrix import CELLS, TOLERANCE, numbers, same

from lnn_keras import CfCCell, LiquidCell, LiquidRNN, LTCCell, NODECell
from lnn_keras import elapsed as elapsed_time

BACKEND = keras.backend.backend()
KINDS = ("liquid", "ltc-ncp", "cfc", "mixed-ltc")
DRIVERS = (keras.layers.RNN, LiquidRNN)
LENGTHS = (3, 2, 1)

every_cell = pytest.mark.parametrize("name", CELLS)
every_kind = pytest.mark.parametrize(
    "name",
    [name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in CELLS],
)


@pytest.fixture
def x(random):
    return random.standard_normal((3, 3, 4)).astype("float32")


@pytest.fixture
def elapsed(random):
    return (random.random((3, 3)) * 2).astype("float32")


@pytest.fixture
def mask():
    return np.arange(3)[None] < np.array(LENGTHS)[:, None]


def skip_where_the_stock_layer_errs(name, driver=keras.layers.RNN):
    """On JAX, keras.layers.RNN outputs the first state of the cell at masked steps."""
    other_output = {"ltc-ncp", "lef", "cfc-wired", "ct-gru", "mixed-ltc"}
    if BACKEND == "jax" and driver is keras.layers.RNN and name in other_output:
        pytest.skip("masks of keras.layers.RNN on JAX need a state that is the output")


def with_gaps_behind(inputs, mask):
    """keras.layers.RNN hides its direction from the cell, so it needs the gaps in its order."""
    features, elapsed = elapsed_time.split(keras.ops.convert_to_tensor(inputs))
    mask = None if mask is None else mask[..., None]
    return elapsed_time.append(features, elapsed_time.backwards(elapsed, mask))


def assert_drivers_agree(name, options, inputs, elapsed="last_feature", **kwargs):
    if "mask" in kwargs:
        skip_where_the_stock_layer_errs(name)
    cell = CELLS[name](elapsed=elapsed)
    liquid = LiquidRNN(cell, **options)(inputs, **kwargs)
    if options.get("go_backwards") and elapsed == "last_feature":
        inputs = with_gaps_behind(inputs, kwargs.get("mask"))
    stock = keras.layers.RNN(cell, **options)(inputs, **kwargs)
    for a, b in zip(keras.tree.flatten(stock), keras.tree.flatten(liquid), strict=True):
        same(a, b)


@every_cell
def test_drivers_agree(name, x):
    assert_drivers_agree(name, {"return_sequences": True}, x, elapsed=0.7)


@every_cell
def test_drivers_agree_with_all_options(name, x, elapsed, mask):
    options = {"return_sequences": True, "return_state": True, "zero_output_for_mask": True}
    timed = np.concatenate([x, elapsed[..., None]], axis=-1)
    assert_drivers_agree(name, {**options, "go_backwards": True}, timed, mask=mask)


@every_kind
@pytest.mark.parametrize(
    ("options", "masked"),
    [
        ({"return_sequences": True}, True),
        ({"return_sequences": False}, True),
        ({"return_sequences": False}, False),
        ({"return_sequences": True, "go_backwards": True}, False),
        ({"return_sequences": True, "unroll": True}, True),
    ],
)
def test_drivers_agree_with_each_option(name, options, masked, x, elapsed, mask):
    timed = np.concatenate([x, elapsed[..., None]], axis=-1)
    assert_drivers_agree(name, options, timed, **({"mask": mask} if masked else {}))


VARIANTS = list(
    itertools.product(
        ("liquid", "cfc", "mixed-ltc"), (False, True), (False, True), (False, True), (None, 1, 2)
    )
)


@pytest.mark.parametrize(
    ("number", "variant"),
    [
        (n, v) if n % 6 == 0 else pytest.param(n, v, marks=pytest.mark.slow)
        for n, v in enumerate(VARIANTS)
    ],
)
def test_drivers_agree_in_every_variant(number, variant, x, elapsed, mask):
    """Cell, all outputs, backwards, masked and rematerialization; other options alternate."""
    name, return_sequences, go_backwards, masked, remat = variant
    options = {
        "return_sequences": return_sequences,
        "go_backwards": go_backwards,
        "return_state": True,
        "unroll": number % 4 == 1,
        "zero_output_for_mask": number % 3 == 0,
        "stateful": number % 2 == 0,
    }
    arguments = {"mask": mask} if masked else {}
    if masked:
        skip_where_the_stock_layer_errs(name)
    cell = CELLS[name](elapsed="last_feature")
    timed = np.concatenate([x, elapsed[..., None]], axis=-1)
    behind = with_gaps_behind(timed, mask if masked else None) if go_backwards else timed
    stock = keras.layers.RNN(cell, **options)
    liquid = LiquidRNN(cell, remat=remat, **options)
    starts = [None]
    if options["stateful"]:
        starts *= 2
    else:
        stock.build(timed.shape)
        starts.append([0.1 + numbers(s) for s in stock.get_initial_state(len(x))])
    for start in starts:
        expected = stock(behind, initial_state=start, **arguments)
        for a, b in zip(liquid(timed, initial_state=start, **arguments), expected, strict=True):
            same(a, b)


@every_cell
def test_gradients_of_the_drivers_agree(name, x):
    cell = CELLS[name]()
    x, results = x[:, :2], []
    for driver in DRIVERS:
        layer = driver(cell, return_sequences=True)
        layer.build(x.shape)
        results.append(gradients(lambda layer=layer: keras.ops.sum(layer(x) ** 2), cell.weights))
    for a, b in zip(*results, strict=True):
        # Both sum the same terms, in a different order.
        assert np.abs(a - b).max() <= 3e-5 * np.abs(b).max()


def test_the_second_argument_is_the_initial_state(x):
    """As in keras.layers.RNN; elapsed time is a keyword, though it may have the same shape."""
    state = np.full((3, 3), 0.5, "float32")
    stock, liquid = (driver(cell) for cell in [CfCCell(3)] for driver in DRIVERS)
    same(liquid(x, [state]), stock(x, [state]))
    assert np.abs(numbers(liquid(x, [state])) - numbers(liquid(x))).max() > 1e-3
    assert np.abs(numbers(liquid(x, elapsed=state)) - numbers(liquid(x))).max() > 1e-3


@every_kind
@pytest.mark.parametrize("driver", DRIVERS)
def test_masked_steps_change_nothing(name, driver, x, mask):
    skip_where_the_stock_layer_errs(name, driver)
    layer = driver(CELLS[name](), return_sequences=True, return_state=True)
    _, *states = layer(x, mask=mask)
    for i, length in enumerate(LENGTHS):
        _, *unpadded = layer(x[i : i + 1, :length])
        for state, expected in zip(states, unpadded, strict=True):
            same(state[i : i + 1], expected, TOLERANCE[name])


@every_kind
@pytest.mark.parametrize("driver", DRIVERS)
def test_stateful_continues_a_sequence(name, driver, x):
    cell = CELLS[name]()
    at_once = driver(cell, return_sequences=True)(x)
    stateful = driver(cell, return_sequences=True, stateful=True)
    first, second = stateful(x[:, :2]), stateful(x[:, 2:])
    same(np.concatenate([numbers(first), numbers(second)], axis=1), at_once)
    stateful.reset_state()
    same(stateful(x[:, :2]), first)


@every_kind
@pytest.mark.parametrize("driver", DRIVERS)
def test_initial_state(name, driver, x):
    layer = driver(CELLS[name](), return_sequences=True, return_state=True)
    outputs, *final = layer(x)
    _, *middle = layer(x[:, :2])
    rest, *states = layer(x[:, 2:], initial_state=middle)
    same(rest, outputs[:, 2:])
    for state, expected in zip(states, final, strict=True):
        same(state, expected)


@every_kind
@pytest.mark.parametrize("driver", DRIVERS)
def test_bidirectional(name, driver, x):
    layer = keras.layers.Bidirectional(driver(CELLS[name](), return_sequences=True))
    output = layer(x)
    same(output[..., :5], layer.forward_layer(x))
    same(output[..., 5:], numbers(layer.backward_layer(x))[:, ::-1])


@every_kind
def test_stacked_cells_equal_stacked_layers(name, x):
    cells = [CELLS[name](), NODECell(3)]
    stacked = keras.layers.RNN(keras.layers.StackedRNNCells(cells), return_sequences=True)
    layers = [LiquidRNN(cell, return_sequences=True) for cell in cells]
    same(stacked(x), layers[1](layers[0](x)))


@pytest.mark.parametrize(
    ("name", "dtype", "driver"),
    [
        pytest.param(
            name,
            dtype,
            driver,
            # Half precision depends on the cell's equations, which both drivers call.
            marks=()
            if driver is LiquidRNN and (dtype == "mixed_float16" or name in KINDS)
            else pytest.mark.slow,
        )
        for name in CELLS
        for dtype in ("mixed_float16", "float64")
        for driver in DRIVERS
    ],
)
def test_compute_dtypes(name, dtype, driver, x):
    if dtype == "float64" and BACKEND == "jax":
        pytest.skip("JAX computes in float32 by default")
    x = x[:, :2]
    single = driver(CELLS[name](), return_sequences=True)
    expected = single(x)
    layer = driver(CELLS[name](dtype=dtype), return_sequences=True, dtype=dtype)
    layer.build(x.shape)
    layer.set_weights(single.get_weights())
    output = layer(x)
    compute = "float16" if dtype == "mixed_float16" else "float64"
    assert keras.backend.standardize_dtype(output.dtype) == compute
    same(output, expected, atol=2e-2 if compute == "float16" else TOLERANCE[name])


def test_cell_without_protocol_is_refused():
    with pytest.raises(ValueError, match="LSTMCell lacks project and advance"):
        LiquidRNN(keras.layers.LSTMCell(3))


def test_training_reaches_project_and_advance(x):
    """Each only if it has the argument; a cell of the user need not."""
    calls = []

    class Recording(LiquidCell):
        def project(self, inputs, training=False):
            calls.append(("project", training))
            return super().project(inputs)

        def advance(self, projected, states, elapsed, constants=None, training=False):
            calls.append(("advance", training))
            return super().advance(projected, states, elapsed, constants)

    class WithoutTraining(LiquidCell):
        def project(self, inputs):
            return super().project(inputs)

        def advance(self, projected, states, elapsed, constants=None):
            return super().advance(projected, states, elapsed, constants)

    layer = LiquidRNN(Recording(3), remat=None)
    for training in (False, True):
        calls.clear()
        layer(x, training=training)
        assert set(calls) == {("project", training), ("advance", training)}
    plain = LiquidRNN(WithoutTraining(3))
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    same(plain(x, training=True), layer(x))


@pytest.mark.parametrize("remat", [None, 1, 2])
@pytest.mark.parametrize(
    "make",
    [
        lambda **k: LiquidCell(3, unfolds=2, **k),
        lambda **k: CfCCell(3, backbone_units=4, **k),
    ],
    ids=["liquid", "cfc"],
)
def test_dropout_of_the_drivers_agrees(make, remat, x, elapsed):
    """One mask per sequence for features and states, and the same gradients."""
    results = []
    for driver, options in ((keras.layers.RNN, {}), (LiquidRNN, {"remat": remat})):
        keras.utils.set_random_seed(1)
        cell = make(dropout=0.4, recurrent_dropout=0.4, seed=2, elapsed="last_feature")
        layer = driver(cell, return_sequences=True, **options)
        inputs = np.concatenate([x, elapsed[..., None]], axis=-1)
        layer.build(inputs.shape)
        start = cell.seed_generator.state.value

        def outputs(training, layer=layer, cell=cell, inputs=inputs, start=start):
            cell.seed_generator.state.assign(start)
            return layer(inputs, training=training)

        loss = lambda outputs=outputs: keras.ops.sum(outputs(True) ** 2)  # noqa: E731
        results.append([numbers(outputs(True)), *gradients(loss, cell.trainable_variables)])
        assert np.abs(results[-1][0] - numbers(outputs(False))).max() > 1e-3
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["liquid", "ltc"])
def test_a_model_without_input_shape_is_built_by_fit(name):
    """On JAX the weights are then initialized while the model is traced."""
    cell = {"liquid": LiquidCell, "ltc": LTCCell}[name](3, unfolds=1)
    model = keras.Sequential([LiquidRNN(cell), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=BACKEND == "jax")
    x = np.ones((4, 3, 2), "float32")
    losses = model.fit(x, x[:, 0, :1], epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
