"""CSV tables: error messages name the fault."""

import numpy as np
import pytest

from zoo.data import csv_table

COLUMNS = {"speed": csv_table.NUMBER, "rain": csv_table.NUMBER_OR_BLANK, "sky": csv_table.TEXT}


@pytest.fixture
def write(tmp_path):
    def write_table(text):
        path = tmp_path / "x.csv"
        path.write_text(text)
        return path

    return write_table


def test_columns_in_any_order(write):
    table = csv_table.read(write("sky,rain,speed\nclear,,1.5\nfog,2e-1, -3\n"), COLUMNS)
    np.testing.assert_array_equal(table["speed"], [1.5, -3])
    np.testing.assert_array_equal(table["rain"], [np.nan, 0.2])
    assert list(table["sky"]) == ["clear", "fog"]
    stacked = csv_table.stacked(table, ["speed", "rain"])
    assert stacked.shape == (1, 2, 2) and stacked[0, 1, 0] == -3


def test_byte_order_mark_and_blank_lines(write):
    table = csv_table.read(write("\ufeffspeed,rain,sky\n\n1,2,fog\n\n"), COLUMNS)
    assert table["speed"] == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed,sky\n1,fog\n", "wrong columns: missing 'rain'"),
        ("speed,rain,sky,x\n1,2,fog,3\n", "wrong columns: not known 'x'"),
        ("Speed,rain,sky\n1,2,fog\n", "missing 'speed'; not known 'Speed'"),
        ("speed,rain,sky,sky\n1,2,fog,fog\n", "named twice 'sky'"),
        ("speed,rain,sky\n1,2,fog\nfast,2,fog\n", "line 3: column 'speed' holds 'fast', not a"),
        ("speed,rain,sky\n,2,fog\n", "line 2: column 'speed' holds '', not a number"),
        ("speed,rain,sky\ninf,2,fog\n", "line 2: column 'speed' holds 'inf'"),
        ("speed,rain,sky\n1,2\n", "line 2: 2 cells, but the header names 3"),
        ("speed,rain,sky\n", "has no rows below its header"),
        ("", "is empty: it holds 0 bytes"),
        ("\n", "missing 'speed', 'rain', 'sky'"),
    ],
)
def test_faults_are_named(write, text, message):
    with pytest.raises(ValueError, match=message):
        csv_table.read(write(text), COLUMNS)


def test_no_text_file(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="is no CSV file"):
        csv_table.read(tmp_path / "x.csv", COLUMNS)
