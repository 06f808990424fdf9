"""`export.compare`: a row for every recipe of every target, and the same as text."""

import json
from dataclasses import replace
from io import StringIO

import keras
import numpy as np
import pytest
from export_models import reset_names_and_seeds
from rich.console import Console

import export
from export import comparison
from export.comparison import Comparison, ComparisonRow

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers
WINDOW = 24


@pytest.fixture(scope="module")
def walks():
    """Random walks, whose range grows: hard for int8."""
    steps = np.random.default_rng(0).standard_normal((16, WINDOW, 5))
    return steps.cumsum(axis=1).astype("float32")


@pytest.fixture(scope="module")
def model():
    reset_names_and_seeds()
    return keras.Sequential(
        [keras.Input((WINDOW, 5)), layers.LSTM(6), layers.Dense(1)], name="walk"
    )


@pytest.fixture(scope="module")
def compared(model, walks, tmp_path_factory):
    """The comparison, the stages that it reported, and the folder that it ran in."""
    folder = tmp_path_factory.mktemp("compared")
    stages = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        table = export.compare(model, calibration=walks, steps=240, progress=stages.append)
    return table, stages, folder


def row_of(table, target, recipe):
    (row,) = [row for row in table.rows if (row.target, row.recipe) == (target, recipe)]
    return row


def test_every_recipe_of_every_target_is_a_row(compared):
    table, stages, folder = compared
    pairs = [(row.target, row.recipe) for row in table.rows]
    expected = {(t.name, name) for t in export.TARGETS.values() for name in t.recipes}
    assert len(pairs) == len(expected) and set(pairs) == expected
    assert (table.model, table.steps, table.keras_metric) == ("walk", 240, None)
    assert len(stages) == len(pairs)
    assert "c int16x8 (1 of 11)" in stages and "phone int16x8 (11 of 11)" in stages
    assert list(folder.iterdir()) == []


def test_a_failed_recipe_is_a_row_with_its_reasons(compared, model, walks, tmp_path):
    """The same numbers as an export with that recipe."""
    row = row_of(compared[0], "micro", "int8")
    assert row.verdict == "failed"
    with pytest.raises(export.VerificationError) as failed:
        export.to_tflite(model, tmp_path / "out", calibration=walks, steps=240)
    report = failed.value.report
    assert row.reasons == report.failures and "allowed: 5 %" in row.reasons[0]
    assert (row.bytes, row.arena_bytes) == (report.bytes, report.arena_bytes)
    assert row.error == max(result.output_error for result in report.results[1:])
    assert row.error > 0.05 and row.latency_p50 > 0 and row.metric is None


def test_a_finer_recipe_passes(compared):
    for target in ("micro", "phone", "c"):
        row = row_of(compared[0], target, "int16x8")
        assert row.verdict == "passed" and row.reasons == () and 0 < row.error < 0.02
    assert row_of(compared[0], "phone", "int16x8").arena_bytes is None


@pytest.fixture
def micro_only(monkeypatch):
    monkeypatch.setattr(comparison, "TARGETS", {"micro": export.TARGETS["micro"]})


def test_true_outputs_decide(model, walks, micro_only, monkeypatch):
    """The mean squared error of each recipe, and of Keras."""
    micro = replace(export.TARGETS["micro"], recipes=("int8",))
    monkeypatch.setattr(comparison, "TARGETS", {"micro": micro})
    truth = model.predict(walks, verbose=0) + 3
    table = export.compare(model, calibration=walks, evaluation=(walks, truth), steps=240)
    (row,) = table.rows
    assert table.keras_metric == pytest.approx(9, rel=1e-3)
    assert row.verdict == "passed" and row.metric == pytest.approx(9, rel=0.03)
    assert row.error > 0.05
    assert "MSE of Keras: 9" in table.markdown()


def test_refused_recipes_are_rows_that_name_the_layer_or_the_data(micro_only):
    """A layer that microcontrollers cannot run; integers without calibration data."""
    both_ways = keras.Sequential([keras.Input((None, 2)), layers.Bidirectional(layers.GRU(2))])
    rows = export.compare(both_ways, steps=20).rows
    assert [row.verdict for row in rows] == ["refused"] * 3
    assert all("Layer 'bidirectional'" in row.reasons[0] for row in rows)
    assert all(row.bytes is row.error is row.latency_p50 is None for row in rows)
    table = export.compare(keras.Sequential([keras.Input((None, 2)), layers.GRU(2)]), steps=20)
    verdicts = {row.recipe: row.verdict for row in table.rows}
    assert verdicts == {"float32": "passed", "int8": "refused", "int16x8": "refused"}
    assert "needs `calibration` data" in row_of(table, "micro", "int8").reasons[0]


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "`steps` must be an integer of at least 2; received 0"),
        ({"calibration": np.ones((2, WINDOW, 4))}, r"`calibration` .* must have shape"),
        ({"calibration": np.ones((2, WINDOW - 1, 5))}, "23"),
        ({"calibration": iter(())}, "empty"),
        ({"evaluation": np.full((2, WINDOW, 5), np.nan)}, "`evaluation` .* must be finite"),
        ({"evaluation": (np.ones((4, WINDOW, 5)), np.ones((3, 1)))}, r"shape \(4, 1\)"),
        ({"evaluation": (np.ones((4, WINDOW, 5)),) * 3}, "received a tuple of 3"),
        ({"model": Subclassed()}, "Subclassed|subclass"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(changes, message, model, walks, monkeypatch):
    def work(*args, **kwargs):
        raise AssertionError("worked")

    for name in ("artifact", "verify", "closed_loop_samples"):
        monkeypatch.setattr(comparison, name, work)
    arguments = {"model": model, "calibration": walks} | changes
    with pytest.raises(ValueError, match=message):
        export.compare(arguments.pop("model"), **arguments)


def test_true_outputs_of_files_without_a_step_are_checked_too(monkeypatch, walks):
    monkeypatch.setattr(comparison, "artifact", None)
    both_ways = keras.Sequential([keras.Input((None, 5)), layers.Bidirectional(layers.GRU(2))])
    for shape in ((16, 3), (16, WINDOW, 4), (15, 4)):
        with pytest.raises(ValueError, match=r"shape \(16, 4\); received"):
            export.compare(both_ways, evaluation=(walks, np.ones(shape)))


LONG = "Layer 'a|b' (Own) [c] is not known. " + "It has no kernel on this target. " * 3
TABLE = Comparison(
    model="own",
    steps=1000,
    keras_metric=0.123456,
    rows=(
        ComparisonRow("micro", "float32", "passed", (), 1_043_220, 106_696, 3.2e-7, 0.1234, 125.0),
        ComparisonRow("micro", "int8", "failed", ("Off by 9 %.",), 17_872, 6480, 0.09, 0.13, 3.0),
        ComparisonRow("phone", "int8", "failed", ("Off by 9 %.",), 17_872, None, 0.09, 0.13, 3.0),
        ComparisonRow("phone", "dynamic", "refused", (LONG.strip(),)),
    ),
)


def printed(width, terminal=False):
    file = StringIO()
    TABLE.print(Console(file=file, width=width, force_terminal=terminal, color_system=None))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [30, 50, 60, 80])
def test_the_table_fits_a_narrow_terminal(width):
    lines = printed(width, terminal=True)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text and "[c]" in text
    for cell in ("1,043,220", "106,696", "3.2e-05", "0.123", "125", "refused"):
        assert cell in text


def test_rows_are_lists_in_a_terminal_that_is_too_narrow():
    lines = [line.rstrip() for line in printed(50, terminal=True)]
    first = lines.index("micro int8")
    assert lines[first + 1 : first + 7] == [
        "  bytes    17,872",
        "  arena    6,480",
        "  error %  9",
        "  MSE      0.13",
        "  µs       3",
        "  verdict  failed",
    ]


@pytest.mark.parametrize("width", [20, 80])
def test_a_pipe_gets_one_line_per_row_and_reason(width):
    lines = printed(width)
    (row,) = [line for line in lines if line.startswith("micro int8 ")]
    assert row.split() == ["micro", "int8", "17,872", "6,480", "9", "0.13", "3", "failed"]
    assert "micro int8, phone int8 failed: Off by 9 %." in lines
    assert f"phone dynamic refused: {LONG.strip()}" in lines
    assert TABLE.text().splitlines() == [line.rstrip() for line in lines]


def test_columns_without_values_are_left_out():
    table = Comparison("own", 10, None, (ComparisonRow("phone", "dynamic", "refused", ("No.",)),))
    assert table.table() == [("target recipe", "verdict"), ("phone dynamic", "refused")]


def test_markdown():
    lines = TABLE.markdown().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(TABLE.rows)
    assert {line.count("|") for line in rows} == {8}
    assert "| micro float32 | 1,043,220 | 106,696 | 3.2e-05 | 0.123 | 125 | passed |" in rows
    assert "- phone dynamic refused: Layer 'a\\|b' (Own)" in TABLE.markdown()


def test_json_has_all_values_unrounded():
    saved = json.loads(TABLE.json())
    assert saved["keras_metric"] == 0.123456 and saved["model"] == "own"
    assert saved["rows"][0] == {
        "target": "micro",
        "recipe": "float32",
        "verdict": "passed",
        "reasons": [],
        "bytes": 1_043_220,
        "arena_bytes": 106_696,
        "error": 3.2e-7,
        "metric": 0.1234,
        "latency_p50": 125.0,
    }
    broken = replace(TABLE, rows=(replace(TABLE.rows[0], error=float("nan")),))
    assert json.loads(broken.json(), parse_constant=pytest.fail)["rows"][0]["error"] is None
