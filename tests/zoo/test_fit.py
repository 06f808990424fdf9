"""`zoo.fit`: the same numbers from every form of a table, folders, predictions and exports."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from command_line import lnn

import zoo
from lnn_keras import ForwardFillCell, LiquidBlock
from zoo.data import etth1
from zoo.readers import table as tables
from zoo.tables import fitting, samples, sequences, training
from zoo.tables.fitted import columns_of

QUICK = {"units": 6, "epochs": 2, "window": 20}


@pytest.fixture(scope="module", autouse=True)
def _short_epochs():
    """The tests here do not depend on the quality of the models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "MIN_BATCHES", 16)
        yield


@pytest.fixture(scope="module")
def hours():
    """The first real hours of ETTh1, with a category."""
    frame = pd.read_csv(etth1.DATASET.fetch()["ETTh1.csv"], nrows=500).round(3)
    return frame.assign(load=np.where(frame["HUFL"] > 8, "high", "low"))


@pytest.fixture(scope="module")
def irregular(hours):
    """Hours without some rows and some values, in recordings of 20 rows, with a class for each."""
    random = np.random.default_rng(0)
    frame = hours[random.uniform(size=len(hours)) < 0.8].iloc[:380].copy()
    frame["recording"] = np.arange(len(frame)) // 20
    frame.loc[random.uniform(size=len(frame)) < 0.1, "OT"] = np.nan
    frame["kind"] = np.where(frame["recording"] % 3 == 0, 1, 2)
    return frame


@pytest.fixture(scope="module")
def forecast(hours, tmp_path_factory):
    """A forecast, in memory and as a folder."""
    fitted = zoo.fit(hours, "OT", time="date", horizon=1, **QUICK)
    folder = tmp_path_factory.mktemp("fitted") / "oil model"
    fitted.save(folder)
    return fitted, folder


@pytest.fixture(scope="module")
def classes(irregular, tmp_path_factory):
    """A classifier of recordings with gaps and irregular times, in memory and as a folder."""
    fitted = zoo.fit(irregular, label="kind", group="recording", time="date", **QUICK)
    folder = tmp_path_factory.mktemp("fitted") / "classes"
    fitted.save(folder)
    return fitted, folder


def test_a_forecast_starts_from_persistence(hours, forecast):
    fitted, _ = forecast
    assert list(fitted.metrics) == ["liquid", "persistence", "linear", "lstm"]
    assert fitted.metrics["liquid"]["RMSE"] < 1.05 * fitted.metrics["persistence"]["RMSE"]
    test = hours["OT"][int(0.85 * len(hours)) :].to_numpy()
    persistence = np.sqrt(np.mean(np.diff(test) ** 2))
    assert fitted.metrics["persistence"]["RMSE"] == pytest.approx(persistence, rel=1e-4)


def test_predictions_are_those_of_the_model(hours, forecast):
    fitted, _ = forecast
    frame = fitted.predict(hours)
    assert list(frame.columns) == ["date", "predicted OT (+1 rows)"]
    rows = hours[list(fitted.columns.numbers)].to_numpy("float32")
    one_hot = [hours["load"] == text for text in fitted.columns.categories["load"]]
    rows = np.concatenate([rows, np.stack(one_hot, -1)], axis=-1)
    expected = fitted.model.predict(rows[np.newaxis], verbose=0)[0, :, 0]
    np.testing.assert_allclose(frame.iloc[:, 1], expected, rtol=1e-5)
    assert list(frame["date"]) == list(hours["date"])


@pytest.mark.parametrize("form", ["columns", "epoch", "american", "decimal comma", "parquet"])
def test_every_form_of_a_table_has_the_same_numbers(hours, forecast, form, tmp_path):
    fitted, _ = forecast
    source = hours
    dates = pd.to_datetime(hours["date"])
    if form == "columns":
        source = hours[sorted(hours.columns)].assign(other="x")
    elif form == "epoch":
        source = hours.assign(date=dates.astype("int64") // 10**6)
    elif form == "american":
        source = hours.assign(date=dates.dt.strftime("%m/%d/%Y %I:%M %p"))
    elif form == "decimal comma":
        source = tmp_path / "x.csv"
        hours.to_csv(source, index=False, sep=";", decimal=",", encoding="utf-8-sig")
    else:
        source = tmp_path / "x.parquet"
        hours.to_parquet(source)
    assert fitted.evaluate(source) == fitted.evaluate(hours)
    prepared = [
        fitting.prepare(
            table,
            fitting.plan.TableOptions(("OT",), time="date", horizon=1, ignore=ignored),
            fitting.TrainingOptions(fitting.ModelConfig()),
        )
        for table, ignored in ((hours, ()), (source, ("other",) if form == "columns" else ()))
    ]
    first, second = (p.parts["train"][0] for p in prepared)
    order = [prepared[1].columns.features.index(name) for name in prepared[0].columns.features]
    np.testing.assert_array_equal(
        first.inputs[sequences.ROW], second.inputs[sequences.ROW][:, order]
    )


def test_the_folder_is_a_preset(hours, forecast):
    fitted, folder = forecast
    loaded = zoo.Fitted.load(folder)
    assert loaded.columns == fitted.columns == columns_of(folder)
    assert loaded.metrics == fitted.metrics
    pd.testing.assert_frame_equal(loaded.predict(hours), fitted.predict(hours))
    names = {path.name for path in folder.iterdir()}
    assert {"card.md", "sample.csv", "plot.png", "samples.npz"} <= names
    card = zoo.card(folder)
    assert "Predict `OT` 1 row ahead" in card and "| persistence |" in card
    samples = zoo.samples(folder)
    assert samples["inputs"].shape == (1, 74, 9) and samples["targets"].shape == (1, 74, 1)
    assert zoo.load(folder).count_params() == fitted.model.count_params()


def test_one_prediction_per_recording(irregular, classes):
    fitted, folder = classes
    assert fitted.columns.per_group and fitted.columns.has_gaps and fitted.columns.longest
    frame = fitted.predict(irregular)
    assert list(frame.columns) == ["recording", "predicted kind", "probability 1", "probability 2"]
    assert len(frame) == irregular["recording"].nunique()
    np.testing.assert_allclose(frame.filter(like="probability").sum(axis=1), 1, rtol=1e-5)
    # Predictions of a recording do not depend on the others, nor on their order.
    some = irregular[irregular["recording"].isin([3, 7])]
    pd.testing.assert_frame_equal(
        fitted.predict(some),
        frame[frame["recording"].isin([3, 7])].reset_index(drop=True),
        rtol=1e-4,
    )
    assert set(zoo.samples(folder)["inputs"]) == {"row", "observed", "elapsed"}


def test_missing_values_are_the_last_ones_in_the_model(irregular, classes):
    """The model fills in gaps itself: the value at a masked step has no influence."""
    fitted, _ = classes
    found, _ = sequences.read(tables.read(irregular), fitted.columns)
    outputs = training.predictions(fitted.model, found[:3])
    place = fitted.columns.numbers.index("OT")
    for sequence in found[:3]:
        missing = sequence.inputs[sequences.OBSERVED][:, place] == 0
        sequence.inputs[sequences.ROW][missing, place] = 77.0
    for before, after in zip(outputs, training.predictions(fitted.model, found[:3]), strict=True):
        np.testing.assert_allclose(before, after, atol=1e-5)


def test_forward_fill():
    values = np.array([[[1.0], [9.0], [9.0], [4.0]]], "float32")
    observed = np.array([[[0.0], [1.0], [0.0], [1.0]]], "float32")
    layer = keras.layers.RNN(ForwardFillCell(1), return_sequences=True)
    filled = layer(np.concatenate([values * [[[1], [1], [99], [1]]], observed], -1))
    np.testing.assert_array_equal(np.ravel(filled), [0, 9, 9, 4])
    with pytest.raises(ValueError, match="needs 2 input features, values and then masks"):
        keras.layers.RNN(ForwardFillCell(1))(np.ones((1, 2, 3), "float32"))
    with pytest.raises(ValueError, match="`units` must be an integer of at least 1"):
        ForwardFillCell(0)


def test_exports_of_recordings(classes, tmp_path):
    """A barely trained model, so a recipe with a tight tolerance."""
    result = lnn("export", classes[1], "--recipe", "int16x8", "--out", tmp_path / "device")
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / "device" / "report.json").read_text())
    assert "each sequence from the initial states" in report["inputs"]


def test_predict_and_evaluate_commands(hours, forecast, tmp_path):
    fitted, folder = forecast
    hours.to_csv(tmp_path / "new.csv", index=False)
    arguments = ["predict", folder, "--input", tmp_path / "new.csv", "--out", tmp_path / "p.csv"]
    result = lnn(*arguments)
    assert result.returncode == 0 and "against the targets in the table: RMSE" in result.stdout
    written = pd.read_csv(tmp_path / "p.csv")
    pd.testing.assert_frame_equal(written, fitted.predict(hours), check_dtype=False, rtol=1e-5)
    result = lnn("evaluate", folder, "--input", tmp_path / "new.csv", "--json")
    assert json.loads(result.stdout)["metrics"] == pytest.approx(fitted.evaluate(hours))
    # Without a file: the sample rows of the folder.
    assert "predictions for" in lnn("predict", folder, "--out", tmp_path / "s.parquet").stdout
    assert len(pd.read_parquet(tmp_path / "s.parquet")) == 75
    wrong = lnn("predict", folder, "--out", tmp_path / "p.xlsx")
    assert wrong.returncode == 2 and ".csv, .parquet, .npz" in wrong.stderr
    hours.drop(columns="MULL").to_csv(tmp_path / "less.csv", index=False)
    result = lnn("predict", folder, "--input", tmp_path / "less.csv")
    assert result.returncode == 2 and "has no column 'MULL', which the model reads" in result.stderr
    result = lnn("evaluate", folder, "--split", "train")
    assert result.returncode == 2 and "was fitted to a table" in result.stderr


def test_tables_as_calibration_data(hours, forecast, tmp_path):
    fitted, folder = forecast
    hours.to_csv(tmp_path / "new.csv", index=False)
    arguments = ["--recipe", "int16x8", "--calibration", tmp_path / "new.csv"]
    result = lnn("export", folder, *arguments, "--out", tmp_path / "device")
    assert result.returncode == 0, result.stdout + result.stderr
    file = tmp_path / "device/model.tflite"
    result = lnn("verify", file, "--model", folder, "--input", tmp_path / "new.csv")
    assert result.returncode == 0 and "the given data" in result.stdout
    # The targets of the table give the metric, in the units of the table.
    error = fitted.evaluate(hours)["RMSE"] ** 2
    report = json.loads((tmp_path / "device/report.json").read_text())
    assert report["results"][0]["metric"] == pytest.approx(error, rel=1e-3)
    assert f"{error:.3g}"[:3] in result.stdout


def test_a_table_of_another_model_is_one_line(hours, forecast, tmp_path):
    _, folder = forecast
    path = tmp_path / "other.csv"
    hours.drop(columns=["HUFL", "MULL"]).to_csv(path, index=False)
    (tmp_path / "model.tflite").write_bytes(b"not read")
    for command in (
        ("predict", folder, "--input", path, "--out", tmp_path / "new.csv"),
        ("evaluate", folder, "--input", path),
        ("export", folder, "--calibration", path, "--out", tmp_path / "new"),
        ("verify", tmp_path / "model.tflite", "--model", folder, "--input", path),
        ("compare", folder, "--calibration", path, "--out", tmp_path / "new"),
    ):
        result = lnn(*command)
        assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
        assert "has no column 'HUFL', 'MULL', which the model reads." in result.stderr
        assert "It has: date, HULL" in result.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"other.csv", "model.tflite"}


def test_true_outputs_of_a_table_are_those_of_the_most_rows(irregular, classes):
    columns = classes[0].columns
    found, _ = sequences.read(tables.read(irregular), columns)
    whole = [sequence for sequence in found if len(sequence) == 20]
    short = whole[0].part(slice(0, 5))
    inputs, truth = samples.labelled([*whole[1:4], short], columns)
    assert truth.shape == (3, 20, 2) and inputs["row"].shape[:2] == (3, 20)
    np.testing.assert_array_equal(truth.argmax(-1), [s.targets for s in whole[1:4]])
    for sequence in whole[1:3]:
        sequence.targets[4:] = -1
    _, truth = samples.labelled([*whole[1:3], short], columns)
    assert truth.shape == (3, 4, 2)
    short.targets[1:] = -1
    assert samples.labelled([short], columns) is None


def test_fit_command(hours, tmp_path):
    hours.to_csv(tmp_path / "x.csv", index=False)
    common = ["fit", tmp_path / "x.csv", "--target", "OT", "--out", tmp_path / "model"]
    options = ["--horizon", 2, "--cell", "lstm", "--units", 4, "--epochs", 1, "--ignore", "load"]
    result = lnn(*common, *options)
    assert result.returncode == 0, result.stderr
    assert "lstm: epoch 1/1" in result.stderr and "note: Column 'date'" in result.stderr
    for name in ("persistence", "linear", "lstm", "RMSE", "next: lnn export"):
        assert name in result.stdout
    assert (tmp_path / "model" / "plot.png").read_bytes().startswith(b"\x89PNG")
    # A model may be replaced, other folders not; and nothing is written after an error.
    result = lnn("fit", tmp_path / "x.csv", "--target", "Ot", "--out", tmp_path / "other")
    assert result.returncode == 2 and "Did you mean 'OT'?" in result.stderr
    assert not (tmp_path / "other").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    result = lnn(*common[:-1], tmp_path / "mine", *options)
    assert result.returncode == 2 and "holds other files" in result.stderr


def test_several_targets(hours):
    fitted = zoo.fit(hours, ["OT", "HUFL"], horizon=3, cell="lstm", units=4, epochs=1)
    assert "RMSE / deviation" in fitted.metrics["lstm"]
    names = ["row", "predicted OT (+3 rows)", "predicted HUFL (+3 rows)"]
    assert list(fitted.predict(hours).columns) == names


def test_quantize_aware_epochs(hours):
    """They train the weights further; the model itself has no quantizers."""
    options: dict = dict(horizon=3, cell="lstm", units=4, epochs=1, ignore=["HUFL"])
    plain = zoo.fit(hours[:200], "OT", **options)
    epochs = []
    rounded = zoo.fit(hours[:200], "OT", **options, quantize_aware=1, progress=epochs.append)
    own = [epoch for epoch in epochs if epoch.model == "lstm"]
    assert [epoch.epoch for epoch in own] == [1, 2] and own[0].epochs == 2
    weights = zip(plain.model.weights, rounded.model.weights, strict=True)
    assert any(np.abs(before - after).max() > 1e-4 for before, after in weights)
    assert not any("quantize" in layer.name for layer in rounded.model.layers)


def test_a_stack_of_liquid_blocks(irregular):
    """Its time constants are in rows; its elapsed times are those of the table."""
    options: dict = dict(group="recording", time="date", horizon=1, ignore=["kind"])
    fitted = zoo.fit(irregular, "OT", cell="stack", units=6, epochs=1, window=20, **options)
    blocks = [layer for layer in fitted.model.layers if isinstance(layer, LiquidBlock)]
    assert [block.get_config()["elapsed"] for block in blocks] == ["input", "input"]
    assert np.isfinite(list(fitted.metrics["stack"].values())).all()
    predicted = fitted.predict(irregular)["predicted OT (+1 rows)"]
    assert len(predicted) == len(irregular) and np.isfinite(predicted).all()
