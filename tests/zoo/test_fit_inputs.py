"""Tables of users before any training: columns, splits, and one line for each fault."""

import numpy as np
import pandas as pd
import pytest

from zoo.tables import fitting, sequences
from zoo.tables.model import ModelConfig
from zoo.tables.plan import TableOptions


def prepare(frame, window=None, seed=0, quantize_aware=0, **options):
    targets = options.pop("target", ())
    targets = (targets,) if isinstance(targets, str) else tuple(targets)
    training = fitting.TrainingOptions(ModelConfig(units=4), window, 1, seed, quantize_aware)
    return fitting.prepare(frame, TableOptions(targets, **options), training)


@pytest.fixture
def frame():
    """100 rows of two sensors, at times that are not regular."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "time": np.cumsum(random.uniform(1, 3, 100)),
            "temp [K]": random.normal(280, 5, 100),
            "sky": random.choice(["clear", "fog"], 100),
            "level": random.normal(size=100),
            "gesture": np.repeat(["wave", "point"], 50),
            "recording": np.repeat(np.arange(10), 10),
        }
    )


def test_columns_of_a_regression(frame):
    columns = prepare(frame, target="level", time="time", ignore=("gesture", "recording")).columns
    assert columns.features == ("temp [K]", "sky = clear", "sky = fog")
    assert columns.units == {"temp [K]": "K"} and columns.horizon == 0
    assert columns.interval == pytest.approx(np.median(np.diff(frame["time"])))
    assert columns.longest == pytest.approx(np.diff(frame["time"]).max())


def test_a_forecast_reads_its_target(frame):
    prepared = prepare(frame, target="level", horizon=3, ignore=("gesture",))
    assert "level" in prepared.columns.numbers
    train, validation, test = (prepared.parts[name][0] for name in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (70, 15, 15)
    np.testing.assert_allclose(train.targets[0, 0], frame["level"][3], rtol=1e-6)
    # No target of a part lies in the next one.
    for part in (train, validation, test):
        assert np.isnan(part.targets[-3:]).all() and np.isfinite(part.targets[:-3]).all()


def test_groups_and_classes_stay_apart(frame):
    frame["time"] %= 7
    prepared = prepare(frame, label="gesture", group="recording", ignore=("time",))
    assert prepared.columns.per_group and prepared.columns.classes == ("point", "wave")
    groups = {name: {s.group for s in part} for name, part in prepared.parts.items()}
    assert sorted(g for part in groups.values() for g in part) == list(range(10))
    for part in groups.values():
        # Both classes in each part.
        assert {g < 5 for g in part} == {True, False}
    other = prepare(frame, label="gesture", group="recording", ignore=("time",), seed=1)
    assert {s.group for s in other.parts["test"]} != groups["test"]


def test_gaps_become_masks_and_keep_the_last_value(frame):
    frame.loc[[0, 5, 6], "temp [K]"] = np.nan
    prepared = prepare(frame, target="level", ignore=("gesture",))
    assert prepared.columns.has_gaps
    inputs = prepared.parts["train"][0].inputs
    place = prepared.columns.numbers.index("temp [K]")
    observed = inputs[sequences.OBSERVED][:8, place]
    np.testing.assert_array_equal(observed, [0, 1, 1, 1, 1, 0, 0, 1])
    values = inputs[sequences.ROW][:8, place]
    np.testing.assert_allclose(values[[5, 6]], frame["temp [K]"][4], rtol=1e-6)
    assert np.isfinite(values).all()


def test_regular_times_need_no_input(frame):
    frame["time"] = pd.date_range("2026-01-01", periods=100, freq="h")
    prepared = prepare(frame, target="level", time="time")
    assert prepared.columns.longest is None and prepared.columns.interval == 3600
    assert sequences.ELAPSED not in prepared.parts["train"][0].inputs


def test_columns_that_cannot_be_read_are_noted(frame):
    frame["id"] = [f"row {i}" for i in range(100)]
    frame["constant"] = 1.0
    frame["day"] = pd.date_range("2026-01-01", periods=100)
    notes = " ".join(prepare(frame, target="level").notes)
    assert "'id' has 100 different texts" in notes and "'constant' has one value" in notes
    assert "'day' holds times" in notes


BAD = {
    "no column": (dict(target="lvel"), r"no column 'lvel'\. Did you mean 'level'\?"),
    "no time": (dict(target="level", time="Time"), r"Did you mean 'time'\?"),
    "nothing to predict": ({}, "Give the column to predict"),
    "two things": (dict(target="level", label="sky"), "Give the column to predict"),
    "twice": (dict(target="level", time="level"), "Column 'level' has two meanings"),
    "text target": (dict(target="sky"), "'sky' of the table holds text with 2 different values"),
    "numbers as classes": (dict(label="temp [K]", ignore=()), None),
    "negative horizon": (dict(target="level", horizon=-1), "`horizon` must be an integer"),
    "duplicates": (dict(target="level", duplicates="mean"), "duplicates"),
    "long window": (dict(target="level", window=500), "`window` is 500 rows, but the longest"),
    "short window": (dict(target="level", window=1), "`window` must be an integer of at least 2"),
    "negative epochs": (dict(target="level", quantize_aware=-1), "must be at least 0 epochs"),
    "unsorted": (dict(target="level", time="recording"), "times occur more than once"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(frame, name):
    options, message = BAD[name]
    if message is None:
        prepare(frame, **options)
        return
    with pytest.raises(ValueError, match=message) as error:
        prepare(frame, **options)
    assert "\n" not in str(error.value)


def _set(column, rows, value):
    def change(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[rows, column] = value
        return frame

    return change


TABLES = {
    "constant": (lambda f: f.assign(level=2.5), "'level' of the table is constant: it holds 2.5"),
    "empty target": (lambda f: f.assign(level=np.nan), "is constant: it holds no value"),
    "text": (
        _set("level", [3, 4], "broken"),
        "row 4: column 'level' holds 'broken' where numbers were expected; 2 such",
    ),
    "infinite": (lambda f: f.assign(level=np.inf), "row 1: column 'level' holds inf; numbers must"),
    "too large": (_set("level", [2], 1e39), "row 3: column 'level' holds 1e.39; numbers must lie"),
    "few rows": (lambda f: f[:20], "has 20 rows, of which 3 with a target are for the"),
    "one row": (lambda f: f[:1], "is constant"),
    "blank time": (_set("time", [7], None), "1 cells of the time column 'time' are blank"),
    "no time": (_set("time", [7], "noon"), "row 8: column 'time' holds 'noon' where numbers were"),
    "backwards": (
        lambda f: f[::-1],
        "99 times are earlier than the one before, the first in row 2",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_bad_tables(frame, name):
    change, message = TABLES[name]
    with pytest.raises(ValueError, match=message) as error:
        prepare(change(frame), target="level", time="time", ignore=("gesture", "recording"))
    assert "\n" not in str(error.value)


def test_bad_groups(frame):
    frame.loc[99, "recording"] = 10
    with pytest.raises(
        ValueError, match="group 10, from row 100, has 1 row; at least 2 are needed"
    ):
        prepare(frame, target="level", group="recording")
    frame.loc[99, "recording"] = None
    with pytest.raises(ValueError, match="row 100: the group column 'recording' is blank"):
        prepare(frame, target="level", group="recording")
    few = frame[frame["recording"].isin([0, 1, 5, 6, 7])]
    with pytest.raises(
        ValueError, match="Class 'wave' of column 'gesture' has fewer than 3 groups"
    ):
        prepare(few, label="gesture", group="recording")
