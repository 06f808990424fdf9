"""ETTh1: the inputs of the model, and its response to the level of a series."""

import keras
import numpy as np
import pytest

import export
from zoo.data import etth1 as data
from zoo.forecasting import etth1_96 as task
from zoo.forecasting import linear_map
from zoo.training.loop import predict, train
from zoo.training.recipe import TrainingRecipe


@pytest.fixture
def days(random):
    """Windows of a noisy daily cycle, ending at all hours of the day: (96, 14, 24)."""
    hours = np.arange(96)[:, None] + np.arange(task.LOOK_BACK)
    series = np.sin(2 * np.pi * hours / task.DAY) + 0.1 * random.standard_normal(hours.shape)
    return series.reshape(-1, task.DAYS, task.DAY).astype("float32")


def with_correction(config, random):
    """A model with random weights in place of the zeros of its correction."""
    model = task.build(config)
    correct = model.get_layer("correct")
    correct.set_weights([random.standard_normal(w.shape) for w in correct.get_weights()])
    return model


def test_untrained_it_repeats_yesterday(days):
    forecast = predict(task.build(task.Etth196Config()), days)
    np.testing.assert_allclose(forecast, np.tile(days[:, -1], (1, 4)), atol=1e-6)


@pytest.mark.parametrize("cell", ["liquid", "lstm"])
def test_a_fixed_share_of_a_level_remains(days, cell, random):
    """Adding c to all hours adds a fixed share of c to the forecast, for any hours."""
    model = with_correction(task.Etth196Config(cell, units=4, width=4), random)
    before = predict(model, days)
    np.testing.assert_allclose(predict(model, days + 3), before + 3, atol=1e-4)
    targets = random.standard_normal((len(days), task.HORIZON)).astype("float32")
    task.fit_linear_map(model, days, targets)
    shares = linear_map.fit(days.reshape(len(days), -1), targets).sum(axis=0)
    moved = predict(model, days + 3) - predict(model, days)
    np.testing.assert_allclose(moved, np.tile(3 * shares, (len(days), 1)), atol=1e-4)


def test_a_step_is_a_day_and_the_last_one_forecasts(days, random):
    """Fourteen steps from the initial state equal the model on fourteen days."""
    model = with_correction(task.Etth196Config(units=4, width=4), random)
    task.fit_linear_map(model, days, random.standard_normal((len(days), task.HORIZON)))
    step = export.to_step(model)
    state = {s.name: keras.ops.repeat(s.initial, 3, axis=0) for s in step.states}
    for day in range(task.DAYS):
        outputs = step.model({"hours": keras.ops.convert_to_tensor(days[:3, day]), **state})
        state = {name: outputs[f"next_{name}"] for name in state}
    stepped = keras.ops.convert_to_numpy(outputs["output"])
    np.testing.assert_allclose(stepped, predict(model, days[:3]), atol=1e-5)


def test_a_known_linear_map_is_recovered(random, monkeypatch):
    """The map keeps 0.9 of the level of a series."""
    for name in ("PENALTY", "DAILY_PENALTY", "LEVEL_PENALTY"):
        monkeypatch.setattr(linear_map, name, 1e-9)
    hours = random.standard_normal((4000, 48)).astype("float32")
    expected = random.standard_normal((48, 2)) / 48
    expected += (0.9 - expected.sum(axis=0)) / 48
    matrix = linear_map.fit(hours, (hours @ expected).astype("float32"))
    np.testing.assert_allclose(matrix, expected, atol=1e-5)


def test_daily_penalty_makes_consecutive_days_similar(random, monkeypatch):
    """On noise, where the weights are arbitrary."""
    hours = random.standard_normal((500, 72)).astype("float32")
    targets = random.standard_normal((500, 3)).astype("float32")

    def changes(penalty):
        monkeypatch.setattr(linear_map, "DAILY_PENALTY", penalty)
        matrix = linear_map.fit(hours, targets)
        return np.abs(matrix[24:71] - matrix[:47]).mean()

    assert changes(100.0) < 0.05 * changes(0.0)


def test_windows_are_weighted_by_their_variance(random):
    """Quiet and loud windows follow different maps; the fit is the mean of both."""
    hours = random.standard_normal((4000, 30)).astype("float32")
    hours[::2] *= 10
    targets = np.where(np.arange(4000) % 2, hours[:, 3], hours[:, 5])[:, None]
    weights = linear_map.fit(hours, targets)[:, 0]
    np.testing.assert_allclose(weights[[3, 5]], 0.5, atol=0.1)


def test_training_improves_on_the_linear_map(days, tmp_path):
    """The targets depend nonlinearly on the shape of the last day."""
    model = task.build(task.Etth196Config(units=4, width=4, dropout=0.0))
    rising = np.sign(days[:, -1, -1:] - days[:, -1, :1])
    targets = predict(model, days) + rising
    recipe = TrainingRecipe(epochs=6, batch_size=16, learning_rate=0.1)
    history = train(model, (days, targets), (days, targets), recipe, 0, tmp_path)
    # The error of the linear map, which is not trained, is 1 everywhere.
    assert history[-1].validation_loss < 0.5


def table(rows=400, start="2016-07-01T05:00:00"):
    dates = np.datetime64(start) + np.arange(rows) * np.timedelta64(1, "h")
    columns = {name: 100.0 * i + np.arange(rows) for i, name in enumerate(data.COLUMNS)}
    return {"date": dates.astype("datetime64[us]"), **columns}


def test_inputs_are_the_last_two_weeks_of_each_variable():
    rows = table()
    inputs = task.inputs_of(rows)
    assert inputs.shape == (task.VARIABLES, task.DAYS, task.DAY)
    for i, name in enumerate(data.COLUMNS):
        expected = (rows[name][-task.LOOK_BACK :] - task.MEAN[i]) / task.DEVIATION[i]
        np.testing.assert_allclose(inputs[i].ravel(), expected, rtol=1e-6)


def test_wrong_tables_are_refused():
    with pytest.raises(ValueError, match="There are 335 rows; a forecast needs 336 hours"):
        task.inputs_of(table(335))
    gap = {name: np.delete(column, 7) for name, column in table().items()}
    with pytest.raises(ValueError, match=r"2016-07-01 11:00:00 is followed by .* 13:00:00; rows"):
        task.inputs_of(gap)


def test_windows_of_the_public_file(real_data):
    """The windows of the protocol, standardized; a table that ends with a window is one."""
    mean, deviation = data.scaling()
    np.testing.assert_allclose(task.MEAN, mean, atol=1e-4)
    np.testing.assert_allclose(task.DEVIATION, deviation, atol=1e-4)
    splits = task.load_splits(0)
    counts = {name: len(targets) // task.VARIABLES for name, (_, targets) in splits.items()}
    assert counts == {"train": 8209, "validation": 2785, "test": 2785}
    inputs, targets = splits["test"]
    end = data.ROWS["validation"][1]
    raw = data.series()
    rows = {"date": np.datetime64("2016-07-01", "h") + np.arange(end)}
    rows |= {name: raw[:end, i] for i, name in enumerate(data.COLUMNS)}
    np.testing.assert_allclose(task.inputs_of(rows), inputs[: task.VARIABLES], atol=2e-3)
    following = (raw[end : end + task.HORIZON] - mean) / deviation
    np.testing.assert_allclose(targets[: task.VARIABLES], following.T, atol=1e-4)
