"""Adaptation of models to streams: tables of the user, streams with changes, patients."""

import numpy as np
import pandas as pd
import pytest
from command_line import lnn

import zoo
from zoo.adaptation import methods, patients, results, tables
from zoo.adaptation.streams import Stream, half_cheetah_streams
from zoo.data import etth1, half_cheetah
from zoo.hub import store
from zoo.tables import fitting, model, plan, training
from zoo.tables.fitted import read_for

PRESET = "half-cheetah-micro"
HORIZON = 2


@pytest.fixture(scope="module")
def hours():
    """The first real hours of ETTh1, with a category."""
    frame = pd.read_csv(etth1.DATASET.fetch()["ETTh1.csv"], nrows=300).round(3)
    return frame.assign(load=np.where(frame["HUFL"] > 8, "high", "low"))


@pytest.fixture(scope="module")
def fitted(hours, tmp_path_factory):
    """Folders of a forecast and of a classifier of rows."""
    folder = tmp_path_factory.mktemp("fitted")
    options = {"time": "date", "epochs": 1, "units": 4}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "MIN_BATCHES", 4)
        zoo.fit(hours, "OT", horizon=HORIZON, **options).save(folder / "forecast")
        # An LSTM is compared with no other network, and adapts as well.
        zoo.fit(hours, label="load", cell="lstm", **options).save(folder / "classes")
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Real observations whose sensors read more from the middle on."""
    rows = half_cheetah.traces("test")[0, :300].copy()
    rows[150:] *= 1.5
    path = tmp_path_factory.mktemp("table") / "stream.csv"
    pd.DataFrame(rows, columns=list(half_cheetah.COLUMNS)).to_csv(path, index=False)
    return path


def test_adapt_a_preset_to_a_table(table, tmp_path):
    state, plot = tmp_path / "state.npz", tmp_path / "plot.png"
    first = lnn("adapt", PRESET, "--input", table, "--state", state, "--plot", plot)
    assert first.returncode == 0, first.stderr
    assert "on 299 rows with a target" in first.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    again = lnn("adapt", PRESET, "--input", table, "--state", state)
    improved = [float(out.stdout.split("error is ")[1].split("%")[0]) for out in (first, again)]
    # What was learned in the first run is there at the start of the second.
    assert improved[1] < improved[0] < 0


def test_export_a_model_that_adapts_on_the_device(tmp_path):
    arguments = ["--adapt", "--recipe", "float32", "--steps", 60, "--out", tmp_path / "device"]
    done = lnn("export", PRESET, *arguments)
    assert done.returncode == 0, done.stderr
    assert "weights learned in 60 steps differ from those in Keras by" in " ".join(
        done.stdout.split()
    )
    assert "verification passed" in done.stdout


@pytest.mark.parametrize("name, method", zip(["forecast", "classes"], tables.METHODS, strict=True))
def test_adapt_a_fitted_model_to_its_table(fitted, hours, tmp_path, name, method):
    path = tmp_path / "hours.csv"
    hours.to_csv(path, index=False)
    done = lnn("adapt", fitted / name, "--input", path, "--method", method)
    assert done.returncode == 0, done.stderr
    rows = len(hours) - (HORIZON if name == "forecast" else 0)
    assert f"on {rows} rows with a target" in done.stdout


def test_a_forecast_learns_from_no_future_row(fitted, hours):
    folder = fitted / "forecast"
    columns = zoo.tables.fitted.columns_of(folder)
    model = store.load(str(folder))

    def predictions(frame):
        _, found, _ = read_for(columns, frame, with_targets=True)
        (stream,) = tables.fitted_streams(columns, found)
        adaptive = tables.adaptive_model(model, tables.METHODS[0], HORIZON)
        return tables.run(model, adaptive, [stream], HORIZON).adapted[0]

    changed = hours.copy()
    changed.loc[200:, "OT"] += 5
    before, after = predictions(hours), predictions(changed)
    np.testing.assert_allclose(before[:200], after[:200], atol=1e-4)
    assert np.abs(before[200:] - after[200:]).max() > 1


def test_recordings_begin_with_the_initial_states(fitted, hours):
    folder = fitted / "classes"
    columns = zoo.tables.fitted.columns_of(folder)
    _, found, _ = read_for(columns, hours[:100], with_targets=True)
    (stream,) = tables.fitted_streams(columns, found)
    unlabelled = tables.TableStream(stream.inputs, np.full_like(stream.targets, np.nan))
    model = store.load(str(folder))
    adaptive = tables.adaptive_model(model, tables.METHODS[0], 0)
    done = tables.run(model, adaptive, [unlabelled, unlabelled], 0)
    for outputs in done.adapted:
        np.testing.assert_allclose(outputs, done.frozen[0], atol=1e-5)
    assert done.log["learned"] == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["ecg-arrhythmia"], "finds no targets in a table"),
        ([PRESET, "--method", "least-square"], "Did you mean 'least-squares'?"),
        ([PRESET, "--plot", "plot.jpg"], ".png or .svg"),
        (["model.keras"], "names no columns"),
    ],
)
def test_adapt_refuses(table, arguments, message):
    done = lnn("adapt", *arguments, "--input", table)
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_state_of_another_model_is_refused(table, tmp_path):
    state = tmp_path / "state.npz"
    lnn("adapt", PRESET, "--input", table, "--state", state, "--method", tables.METHODS[1])
    before = state.read_bytes()
    done = lnn("adapt", PRESET, "--input", table, "--state", state)
    assert done.returncode != 0 and "another model or method" in done.stderr
    assert state.read_bytes() == before


def test_errors_of_constant_targets_stay_in_their_unit():
    targets = np.stack([np.full(4, 7.0), [0.0, 2.0, 0.0, 2.0]], axis=1)
    stream = tables.TableStream([], targets)
    errors = tables.mean_squared_errors([stream], [targets + 2.0])
    np.testing.assert_allclose(errors, (2**2 + 2**2) / 2)


def test_groups_with_one_class_each_are_refused(hours):
    frame = hours.assign(recording=np.arange(len(hours)) // 20)
    frame["kind"] = np.where(frame["recording"] % 2, "a", "b")
    options = plan.TableOptions(label="kind", group="recording", time="date")
    training_options = fitting.TrainingOptions(model.ModelConfig())
    prepared = fitting.prepare(frame, options, training_options)
    with pytest.raises(ValueError, match="known at its end"):
        tables.fitted_streams(prepared.columns, prepared.parts["train"])


def test_streams_change_in_the_middle():
    streams = {stream.name: stream for stream in half_cheetah_streams()}
    still = streams.pop("stationary")
    assert still.change is None and len(streams) == 4
    for stream in streams.values():
        change = stream.change
        np.testing.assert_array_equal(stream.inputs[0][:change], still.inputs[0][:change])
        assert not np.allclose(stream.inputs[0][change:], still.inputs[0][change:])
    np.testing.assert_allclose(
        streams["gain jump"].targets[4995:], 1.5 * still.targets[4995:], rtol=1e-5
    )


def test_results_of_a_short_stream(monkeypatch):
    names = ["frozen", "recursive least squares"]
    monkeypatch.setattr(results, "METHODS", {name: methods.METHODS[name] for name in names})
    monkeypatch.setattr(results, "SETTLING", 250)
    whole = {stream.name: stream for stream in half_cheetah_streams()}
    chosen = []
    for name in ("stationary", "bias jump"):
        stream = whole[name]
        rows = slice(4750, 5450)
        change = None if stream.change is None else stream.change - 4750
        inputs = (stream.inputs[0][rows],)
        chosen.append(Stream(name, "", PRESET, inputs, stream.targets[rows], change, stream.floor))
    found = list(results.results(chosen))
    assert len(found) == 2 * len(names)
    by = {(result.stream, result.method): result for result in found}
    frozen = by["bias jump", "frozen"]
    assert frozen.worst == pytest.approx(1) and frozen.removed is None
    least_squares = by["bias jump", "recursive least squares"]
    assert least_squares.after < 0.5 * frozen.after
    assert 0.6 < least_squares.removed < 1
    assert by["stationary", "recursive least squares"].worst < 1.02
    # 98 features and 17 outputs; 8 KB of float32 for the reduced method.
    assert least_squares.numbers == 98 * (98 + 17 + 1)
    last = chosen[-1]
    few = Stream("", "", PRESET, (last.inputs[0][:60],), last.targets[:60])
    reduced = methods.METHODS["recursive least squares, reduced"](store.load(PRESET), few)
    assert reduced.numbers <= 2048
    assert len(least_squares.cells()) == len(results.HEADINGS)


@pytest.mark.parametrize(
    "name",
    [
        "least mean squares",
        "retrained readout",
        "linear model",
        pytest.param("immediate derivatives", marks=pytest.mark.slow),
    ],
)
def test_every_way_predicts_before_it_learns(name, monkeypatch):
    monkeypatch.setattr(methods, "RETRAIN_EVERY", 25)
    monkeypatch.setattr(methods, "RETRAIN_ON", 40)
    whole = half_cheetah_streams()[0]
    model, way = store.load(PRESET), methods.METHODS[name]
    weights = [np.array(weight) for weight in model.get_weights()]
    changed = whole.targets[:60].copy()
    changed[40:] += 3
    first, second = (
        way(model, Stream("", "", PRESET, (whole.inputs[0][:60],), targets)).outputs
        for targets in (whole.targets[:60], changed)
    )
    # The target of row 40 is learned after its prediction.
    np.testing.assert_allclose(first[:41], second[:41], atol=1e-5)
    assert np.isfinite(second).all() and np.abs(first[41:] - second[41:]).max() > 1e-3
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_worst_window():
    errors, frozen = np.ones(10), np.ones(10)
    errors[4:6] = 3
    assert results.worst_window(errors, frozen, 2) == pytest.approx(3)
    assert results.worst_window(errors, frozen, 100) == pytest.approx(1.4)


def test_scores_of_patients():
    classes = np.array([0, 0, 1, 1, -1])
    right, wrong = np.eye(3)[[0, 0, 1, 1, 2]], np.eye(3)[[0, 0, 1, 0, 2]]
    scored = np.array([False, True, True, True, True])
    found = [
        patients.Patient("a", classes, scored, {"frozen": right, "adapted": wrong}),
        patients.Patient("b", classes, scored, {"frozen": wrong, "adapted": right}),
    ]
    assert patients.scores(found, "frozen")[0] == pytest.approx(
        patients.scores(found, "adapted")[0]
    )
    assert patients.f1_scores(*found[0].scored("frozen")) == (100, [100, 100])
    name, fall = patients.largest_fall(found, "adapted")
    assert name == "a" and fall == pytest.approx(100 * (2 / 3 - 1))
