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


def test_other_columns_are_not_read(write):
    others = []
    table = csv_table.read(write("speed,x,rain,sky,y\n1,?,2,fog,\n"), COLUMNS, others)
    assert set(table) == set(COLUMNS) and others == ["x", "y"]


def test_byte_order_mark_and_blank_lines(write):
    table = csv_table.read(write("\ufeffspeed,rain,sky\n\n1,2,fog\n\n"), COLUMNS)
    assert table["speed"] == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed,sky\n1,fog\n", "wrong columns: missing 'rain'"),
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


@pytest.mark.parametrize(
    "cell",
    "1_000 ١٢ １２ 0x10 1,5 1e400 nan +-1 1e . 1;0 ½ 1\x00 1\u200b --1 1f =1 TRUE 3.5e38".split(),
)
def test_texts_that_are_no_numbers(write, cell):
    path = write(f'speed,rain,sky\n"{cell}",2,fog\n')
    with pytest.raises(ValueError, match=r"holds .*(not a number|largest float32)|NUL") as caught:
        csv_table.read(path, COLUMNS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", 1), ("-1.", -1), ("+.5", 0.5), (" 2e-3\t", 0.002), ("1E+2", 100), ("-0", 0), ("007", 7)],
)
def test_numbers(write, cell, value):
    path = write(f"speed,rain,sky\n{cell},2,fog\n")
    assert csv_table.read(path, COLUMNS)["speed"][0] == value


def test_durations_are_at_least_0(write):
    path = write("t\n0\n2.5\n-1e-9\n")
    with pytest.raises(ValueError, match=r"line 4: column 't' holds '-1e-9'; elapsed times"):
        csv_table.read(path, {"t": csv_table.DURATION})


def test_lines_are_counted_as_editors_do(write):
    """Blank lines and line breaks within cells count."""
    path = write('speed,rain,sky\n\n1,2,"a\nb"\n\nx,2,fog\n')
    with pytest.raises(ValueError, match="line 6: column 'speed' holds 'x'"):
        csv_table.read(path, COLUMNS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'speed,rain,sky\n1,2,"fog\n', "is no CSV file: line"),
        (b'speed,rain,sky\n1,2,"a"b\n', "is no CSV file: line 2"),
        (b"speed,rain,sky\n1,2," + b"x" * 200_000, "field larger than field limit"),
        (b"speed,rain,sky\n1,2,a\0\n", "holds NUL"),
        (b"speed;rain;sky\n1,5;2;fog\n", "separates its columns by semicolons; .* be a comma"),
        (b"speed\train\tsky\n1\t2\tfog\n", "by tabs"),
        ("speed,rain,sky\n1,2,fog\n".encode("utf-16"), "no CSV file in UTF-8"),
        (b",".join(b"c%d" % n for n in range(99)) + b"\n", "'c9' and 89 more"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        csv_table.read(tmp_path / "x.csv", COLUMNS)
    assert "x.csv" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["２０12-10-02 09:00:00", "2012-10-02", "2012-13-02 09:00:00"])
def test_times(text):
    with pytest.raises(ValueError):
        csv_table.parse_time(text)
    assert csv_table.parse_time("2012-10-02 09:00:00").hour == 9
