"""Dropout of inputs and of recurrent connections, with one mask per sequence.

Input dropout multiplies the inputs by a mask. Recurrent dropout multiplies the state by a mask
where it enters a recurrent product, which equals a mask on the rows of the recurrent kernels.
"""

import keras
import numpy as np
import pytest
from gradients import gradients
from matrix import CELLS, DIAGONAL, FEATURES, TOLERANCE, UNITS, numbers, same

from lnn_keras import CTGRUCell, LiquidCell, LTCCell, MixedMemoryCell

NO_DROPOUT = {"ltc", "ltc-ncp", "lrc"}
DROPOUT_CELLS = [name for name in CELLS if name not in NO_DROPOUT]
every_cell = pytest.mark.parametrize("name", DROPOUT_CELLS)
every_recurrent_cell = pytest.mark.parametrize(
    "name", [name for name in DROPOUT_CELLS if name not in DIAGONAL]
)
RECURRENT_KERNELS = {
    "recurrent_kernel",
    "scale_kernel",
    "event_kernel",
    "hidden_kernel",
    "gate_kernel",
    "candidate_kernel",
}


def built(cell):
    cell.build((None, FEATURES))
    return cell


def states_of(cell, random, batch=1):
    sizes = np.atleast_1d(cell.state_size)
    return [0.3 * random.standard_normal((batch, size)).astype("float32") for size in sizes]


@every_cell
def test_input_dropout_multiplies_the_inputs_by_a_mask(name, random):
    cell = built(CELLS[name](dropout=0.5, seed=1))
    x, states = random.standard_normal((8, FEATURES)).astype("float32"), states_of(cell, random, 8)
    mask = numbers(cell.get_dropout_mask(x))
    assert set(np.unique(mask)) == {0.0, 2.0}
    same(cell(x, states, training=True)[0], cell(x * mask, states)[0], TOLERANCE[name])
    change = numbers(cell(x, states, training=True)[0]) - numbers(cell(x, states)[0])
    assert np.abs(change).max() > 1e-3


@every_recurrent_cell
def test_recurrent_dropout_multiplies_rows_of_the_recurrent_kernels(name, random):
    cell = built(CELLS[name](recurrent_dropout=0.5, seed=1))
    x, states = random.standard_normal((1, FEATURES)).astype("float32"), states_of(cell, random)
    dropped, _ = cell(x, states, training=True)
    full, _ = cell(x, states)
    mask = numbers(cell.get_recurrent_dropout_mask(states[0]))[0]
    assert set(np.unique(mask)) == {0.0, 2.0}
    # The layers of a wired cell share the mask of the whole state.
    start = 0
    for variable in cell.trainable_variables:
        if variable.name in RECURRENT_KERNELS:
            rows = variable.shape[0]
            start = start if name == "cfc-wired" else 0
            variable.assign(numbers(variable) * mask[start : start + rows, None])
            start += rows
    same(dropped, cell(x, states)[0], TOLERANCE[name])
    assert np.abs(numbers(dropped) - numbers(full)).max() > 1e-4


def test_rates():
    cell = LiquidCell(100, dropout=0.3, recurrent_dropout=0.6, seed=1)
    ones = np.ones((100, 100), "float32")
    for rate, mask in (
        (0.3, numbers(cell.get_dropout_mask(ones))),
        (0.6, numbers(cell.get_recurrent_dropout_mask(ones))),
    ):
        # 10,000 draws: the standard deviation of the fraction is at most 0.005.
        assert abs(np.mean(mask == 0) - rate) < 0.02
        np.testing.assert_allclose(mask[mask > 0], 1 / (1 - rate), rtol=1e-5)


class Recorder(LiquidCell):
    """A cell that records its projected inputs and its recurrent masks."""

    def project(self, inputs, training=False):
        self.inputs.append(numbers(inputs))
        return super().project(inputs, training=training)

    def advance(self, projected, states, elapsed, constants=None, training=False):
        if constants:
            self.masks.append(numbers(constants[-1]))
        return super().advance(projected, states, elapsed, constants, training=training)


def test_all_steps_of_a_sequence_share_a_mask():
    cell = Recorder(20, dropout=0.5, recurrent_dropout=0.5, seed=1, elapsed="last_feature")
    layer = keras.layers.RNN(cell, unroll=True)
    x = np.ones((6, 5, 11), "float32")
    layer.build(x.shape)
    calls = []
    for _ in range(2):
        cell.inputs, cell.masks = [], []
        layer(x, training=True)
        assert len(cell.inputs) == len(cell.masks) == 5
        for masks in (cell.inputs, cell.masks):
            for mask in masks:
                np.testing.assert_array_equal(mask, masks[0])
        # The elapsed time in the last feature is not data, so it has no mask.
        assert cell.inputs[0].shape == (6, 10)
        # Each sample of the batch has a mask.
        assert len(np.unique(cell.inputs[0], axis=0)) == 6
        calls.append((cell.inputs[0], cell.masks[0]))
    # Each call draws other masks.
    for first, second in zip(*calls, strict=True):
        assert (first != second).any()
    cell.inputs, cell.masks = [], []
    layer(x)
    assert not cell.masks
    np.testing.assert_array_equal(cell.inputs, 1)


@every_cell
def test_no_dropout_at_inference(name, random):
    recurrent = {} if name in DIAGONAL else {"recurrent_dropout": 0.5}
    cell = built(CELLS[name](dropout=0.5, seed=1, **recurrent))
    plain = built(CELLS[name]())
    plain.set_weights(cell.get_weights())
    x, states = random.standard_normal((2, FEATURES)).astype("float32"), states_of(cell, random, 2)
    np.testing.assert_array_equal(numbers(cell(x, states)[0]), numbers(plain(x, states)[0]))


def test_a_seed_determines_the_masks(x):
    def outputs(seed):
        keras.utils.set_random_seed(0)
        cell = LiquidCell(UNITS, dropout=0.5, recurrent_dropout=0.5, seed=seed)
        return numbers(keras.layers.RNN(cell, unroll=True)(x[:, :2], training=True))

    np.testing.assert_array_equal(outputs(1), outputs(1))
    assert (outputs(1) != outputs(2)).any()


@every_cell
def test_only_cells_with_dropout_have_a_seed_generator(name):
    assert CELLS[name]().seed_generator is None
    assert not CELLS[name]().non_trainable_variables
    cell = CELLS[name](**{"dropout" if name in DIAGONAL else "recurrent_dropout": 0.1})
    assert len(cell.non_trainable_variables) == 1


def test_config_round_trip():
    cell = LiquidCell(3, dropout=0.1, recurrent_dropout=0.2, seed=4)
    copy = LiquidCell.from_config(cell.get_config())
    assert (copy.dropout, copy.recurrent_dropout, copy.seed) == (0.1, 0.2, 4)
    assert copy.get_config() == cell.get_config()


def test_adjoint_has_the_gradients_of_backpropagation(random):
    x, h = random.standard_normal((2, FEATURES)), random.standard_normal((2, UNITS))
    results = []
    for adjoint in (False, True):
        keras.utils.set_random_seed(0)
        cell = LiquidCell(UNITS, unfolds=2, recurrent_dropout=0.5, seed=1, adjoint=adjoint)
        built(cell)
        cell.get_recurrent_dropout_mask(h.astype("float32"))
        loss = lambda cell=cell: keras.ops.sum(cell(x, [h], training=True)[0] ** 2)  # noqa: E731
        results.append(gradients(loss, cell.trainable_variables))
    for expected, actual in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_model_with_dropout_is_trained_and_saved(x, tmp_path):
    layer = keras.layers.RNN(LiquidCell(UNITS, dropout=0.2, recurrent_dropout=0.2, unfolds=1))
    model = keras.Sequential([keras.Input((None, FEATURES)), layer])
    model.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=False)
    # Without it, TensorFlow traces the training step twice.
    model.optimizer.build(model.trainable_variables)
    # Predicted without dropout, whose noise exceeds the progress of a few steps.
    before = np.mean((numbers(model(x[:, :3])) - 1) ** 2)
    model.fit(x[:, :3], np.ones((3, UNITS)), epochs=8, verbose=0)
    assert np.mean((numbers(model(x[:, :3])) - 1) ** 2) < before
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded(x)), numbers(model(x)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LiquidCell(3, dropout=1.0), r"`dropout` must be in \[0, 1\); received 1.0"),
        (lambda: CTGRUCell(3, recurrent_dropout=-0.1), r"`recurrent_dropout` must be in \[0, 1\)"),
        (lambda: MixedMemoryCell(LiquidCell(3, dropout=0.1)), "not to the inner cell"),
        (lambda: LTCCell(3, dropout=0.1), "dropout"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
