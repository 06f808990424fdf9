"""ICU mortality: the features of a stay, the loss and the metrics."""

import keras
import numpy as np
import pytest

from zoo.biosignals import icu_mortality as task
from zoo.biosignals import stay_table, vital_names, vitals
from zoo.data import physionet2012 as data
from zoo.training.metrics import area_under_roc

PERSON = np.array([70, 1, 180, 2, np.nan])
CHANNELS = list(vitals.CHANNELS)


def stay(hours, **measured):
    """A stay with measurements of the named vital signs only."""
    rows = np.full((len(hours), 1 + len(data.VITALS)), np.nan, "float32")
    rows[:, 0] = hours
    for name, values in measured.items():
        rows[:, 1 + data.VITALS.index(name)] = values
    return rows


def summaries_of(features, channel):
    """The summaries of a channel, by name: (times,) each."""
    start = CHANNELS.index(channel) * len(vitals.SUMMARIES)
    columns = features[:, start : start + len(vitals.SUMMARIES)]
    return dict(zip(vitals.SUMMARIES, columns.T, strict=True))


def random_stay(random, times=30):
    rows = stay(np.sort(random.uniform(0, 48, times)))
    for i, name in enumerate(data.VITALS):
        channel = vitals.CHANNELS.get(name, vitals.Channel(20, 200, 100, 1))
        values = random.uniform(channel.low, channel.high, times)
        rows[:, 1 + i] = np.where(random.random(times) < 0.3, values, np.nan)
    return rows


def test_summaries_of_a_vital_sign():
    features = vitals.features(stay([1, 2, 14], HR=[102, np.nan, 68], Temp=[38.8, 37, 37]), PERSON)
    assert features.shape == (3, vitals.FEATURES) and features.dtype == np.float32
    heart = summaries_of(features, "HR")
    np.testing.assert_allclose(heart["last"], [1, 1, -1], atol=1e-6)
    np.testing.assert_allclose(heart["first"], [1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(heart["least"], [1, 1, -1], atol=1e-6)
    np.testing.assert_allclose(heart["most"], [1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(heart["mean"], [1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(heart["change"], [0, 0, -2], atol=1e-6)
    np.testing.assert_allclose(heart["fresh"], [1, np.exp(-1 / 12), 1], atol=1e-6)
    np.testing.assert_allclose(heart["count"], np.log([2, 2, 3]), atol=1e-6)
    faded = np.exp(-13 / 12)
    assert heart["recent mean"][2] == pytest.approx((faded - 1) / (faded + 1))
    assert summaries_of(features, "Temp")["most"][2] == pytest.approx(2)
    assert not np.any(list(summaries_of(features, "Lactate").values()))


def test_impossible_values_are_left_out():
    features = vitals.features(stay([1, 2], HR=[85, 0], pH=[7.4, 735], SysABP=[118, 0]), PERSON)
    for channel in ("HR", "pH", "systolic"):
        np.testing.assert_array_equal(
            summaries_of(features, channel)["count"], np.log([2, 2], dtype="f")
        )
    # The cuff pressure replaces an impossible arterial one.
    features = vitals.features(stay([1], SysABP=[0], NISysABP=[140]), PERSON)
    assert summaries_of(features, "systolic")["last"][0] == pytest.approx(1)


def test_features_are_causal(random):
    known = random_stay(random)
    before = vitals.features(known, PERSON)
    assert np.isfinite(before).all()
    changed = known.copy()
    changed[20:, 1:] = random_stay(random)[20:, 1:]
    after = vitals.features(changed, PERSON)
    np.testing.assert_array_equal(before[:20], after[:20])
    assert (before[20:] != after[20:]).any()
    np.testing.assert_array_equal(before[:12], vitals.features(known[:12], PERSON))


def test_rows_end_at_the_last_measurement():
    known = stay([0.5, 5, 13, 47], HR=[85, 102, 119, 136])
    rows = task.rows_of(known, PERSON)
    np.testing.assert_allclose(rows["elapsed"], [0, 0, 0, 0, 0, 5 / 6, 8 / 6, 34 / 6], rtol=1e-6)
    features = vitals.features(known, PERSON)
    np.testing.assert_array_equal(rows["known"][-3:], features[[1, 2, 3]])
    heart = summaries_of(rows["known"], "HR")
    assert not heart["count"][:5].any() and heart["last"][-1] == pytest.approx(3)
    empty = task.rows_of(known[:0], PERSON)
    assert not empty["elapsed"].any() and np.isfinite(empty["known"]).all()


def test_rows_before_the_first_measurement_do_not_change_the_state():
    model = task.build(task.IcuMortalityConfig(units=4, width=4))
    rows = task.rows_of(stay([30, 47], HR=[85, 102]), PERSON)
    for name in ("linear", "decide"):
        layer = model.get_layer(name)
        layer.kernel.assign(np.ones(layer.kernel.shape))
    whole = {name: row[np.newaxis] for name, row in rows.items()}
    last = {name: row[np.newaxis, -2:] for name, row in rows.items()}
    np.testing.assert_allclose(model(whole), model(last), rtol=1e-5)


def test_severity_ranks_the_outcomes():
    deaths = np.array([1, 0, 0, 0, 0])
    stayed = np.array([5, 10, 10, 10, np.nan])
    survived = np.array([5, 15, 400, np.nan, np.nan])
    severities = task.severity(deaths, stayed, survived)
    assert severities[0] == 1 and severities[-1] == 0
    assert (np.diff(severities) < 0).all() and severities.min() >= 0


def test_later_rows_weigh_more_and_only_the_last_is_judged():
    targets = np.array([[1.0], [0.0]], "float32")
    risks = np.full((2, 4, 1), 0.5, "float32")

    def loss(row):
        changed = risks.copy()
        changed[:, row] = 0.9
        return keras.ops.convert_to_numpy(task.rows_cross_entropy(targets, changed))[0]

    assert keras.ops.convert_to_numpy(task.rows_cross_entropy(targets, risks)) == pytest.approx(
        np.log(2) * np.ones(2)
    )
    assert loss(3) < loss(2) < loss(0) < np.log(2)
    (preset,) = task.PRESETS
    risks[:, -1, 0] = (0.9, 0.1)
    assert preset.metric(targets, risks) == preset.metric(targets, risks[:, -1]) == 1
    assert area_under_roc(targets, risks[:, 0]) == 0.5
    # A severity below 1 is not a death.
    assert preset.metric(np.array([[1.0], [0.8]]), risks) == 1
    assert task.validation_entropy(targets, risks) == pytest.approx(-np.log(0.9), rel=1e-5)


def test_the_trained_model_shares_the_weights_of_the_saved_one():
    model = task.build(task.IcuMortalityConfig(units=4, width=4))
    rows = {name: row[np.newaxis] for name, row in task.rows_of(stay([3, 9]), PERSON).items()}
    every = keras.ops.convert_to_numpy(task.every_row(model)(rows))
    assert every.shape == (1, task.ROWS, 1)
    np.testing.assert_allclose(every[:, -1], model(rows), rtol=1e-6)


def test_normalization_is_by_median_and_clipped_deviation(random):
    model = task.build(task.IcuMortalityConfig(units=4, width=4))
    known = random.normal(2, 3, (1000, task.ROWS, vitals.FEATURES)).astype("float32")
    known[0] = 1e4
    task.prepare(model, {"known": known})
    layer = model.get_layer("normalize")
    mean, variance = (keras.ops.convert_to_numpy(x) for x in (layer.mean, layer.variance))
    np.testing.assert_allclose(mean.ravel(), np.median(known[:, -1], axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(variance).mean(), 3, rtol=0.05)


def table(hours, **columns):
    blank = np.full(len(hours), np.nan)
    names = (*stay_table.PERSON, *data.VITALS)
    return {"hours": np.array(hours, float), **dict.fromkeys(names, blank), **columns}


def test_a_stay_in_a_table():
    heart = np.array([85, np.nan, 102.0])
    first = np.array([1, np.nan, np.nan])
    columns = {"HR": heart, "Age": 70 * first, "Gender": first, "ICUType": 2 * first}
    inputs = task.inputs_of(table([1, 7, 40], **columns, Height=180 * first))
    expected = task.rows_of(stay([1, 7, 40], HR=heart), PERSON)
    for name, rows in expected.items():
        np.testing.assert_array_equal(inputs[name][0], rows)


@pytest.mark.parametrize(
    ("hours", "columns", "message"),
    [
        ([3, 1], {}, "'hours' must rise from row to row; 3 is followed by 1"),
        ([2, 2], {}, "'hours' must rise from row to row; 2 is followed by 2"),
        ([1, 50], {}, "'hours' holds 50; allowed: 0 to 48"),
        ([-1, 3], {}, "'hours' holds -1; allowed: 0 to 48"),
        ([1, 3], {"Age": [np.nan, np.nan]}, "'Age' is blank"),
        ([1, 3], {"Gender": [2, np.nan]}, "'Gender' holds 2; allowed: 0, 1"),
        ([1, 3], {"ICUType": [np.nan, 7]}, "'ICUType' holds 7; allowed: 1, 2, 3, 4"),
    ],
)
def test_wrong_tables_are_refused(hours, columns, message):
    columns = {"Age": [70.0, np.nan], **columns}
    arrays = {name: np.array(column, float) for name, column in columns.items()}
    with pytest.raises(ValueError, match=message):
        task.inputs_of(table(hours, **arrays))


def test_no_stay_is_in_two_splits(random, monkeypatch):
    """With the number of a stay in place of its features."""
    deaths = (random.random(4000) < 0.14).astype(int)
    unknown = np.full(4000, np.nan)
    stays = range(4000), np.zeros((4000, 5)), deaths
    monkeypatch.setattr(data, "stays", lambda: stays)
    monkeypatch.setattr(data, "afterwards", lambda: (unknown, np.where(deaths, 5.0, np.nan)))
    monkeypatch.setattr(task, "rows_of", lambda stay, static: {"known": np.array([stay])})
    splits, chosen = task.load_splits(1), data.split_stays(1)
    assert sorted(np.concatenate(list(chosen.values()))) == list(range(4000))
    assert set(np.unique(splits["test"][1])) == {0, 1}
    for name, (inputs, targets) in splits.items():
        np.testing.assert_array_equal(inputs["known"][:, 0], chosen[name])
        np.testing.assert_array_equal(targets[:, 0] == task.DEATH, deaths[chosen[name]] == 1)


def test_the_split_to_test_on_has_deaths_as_targets(first_stays, monkeypatch):
    """The other splits have the severity; all of it read from the public files."""
    monkeypatch.setattr(
        data, "split_stays", lambda seed: {"train": np.arange(40), "test": np.arange(40)}
    )
    outcomes = [array[:40] for array in data.afterwards()]
    monkeypatch.setattr(data, "afterwards", lambda: outcomes)
    splits, (_, _, deaths) = task.load_splits(0), data.stays()
    np.testing.assert_array_equal(splits["test"][1][:, 0], deaths)
    expected = task.severity(deaths, *outcomes)
    np.testing.assert_allclose(splits["train"][1][:, 0], expected, rtol=1e-6)
    assert splits["test"][0]["known"].shape == (40, task.ROWS, vitals.FEATURES)


def test_measured_quantities_are_those_of_the_stay():
    measured = stay([0, 5, 12], HCT=[30, 33, np.nan], BUN=[20, 40, np.nan])
    rows = vitals.features(measured, np.array([81, 1, 180, 3, 80]))
    convert, names = vital_names.measured(), vital_names.names()
    assert len(names) == len(set(names)) == rows.shape[1] and set(convert) <= set(names)

    def last(name):
        return float(convert[name](rows[-1, names.index(name)]))

    assert last("HCT: last value") == pytest.approx(33)
    assert last("HCT: change since the first value") == pytest.approx(3)
    assert last("HCT: number of values") == pytest.approx(2)
    assert last("BUN: lowest value") == pytest.approx(20)
    assert last("BUN: change since the first value") == pytest.approx(2)
    assert last("BUN: time since the last value") == pytest.approx(7)
    assert last("age") == pytest.approx(81) and last("age above 75") == pytest.approx(6)
    assert last("height") == pytest.approx(180) and last("hours since admission") == 12
    assert np.isnan(last("HR: time since the last value"))
    assert set(vital_names.units()) <= set(names)
