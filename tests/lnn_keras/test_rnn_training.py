"""LiquidRNN trains as keras.layers.RNN does: gradients, dropout, and the argument `training`."""

import keras
import numpy as np
import pytest
from drivers import BACKEND, DRIVERS, every_cell
from gradients import gradients
from matrix import CELLS, numbers, same

from lnn_keras import CfCCell, LiquidCell, LiquidRNN, LTCCell

STEPS = 3


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
    x = np.ones((4, 2, 2), "float32")
    losses = model.fit(x, x[:, 0, :1], epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
