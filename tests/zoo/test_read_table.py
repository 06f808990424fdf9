"""Tables in any common format are the same table; failures are one line."""

import numpy as np
import pandas as pd
import pytest

from zoo.data import etth1
from zoo.readers import table as tables
from zoo.readers import time_column
from zoo.tables import row_order

ROWS = 300


@pytest.fixture(scope="module")
def frame():
    """Real hours; the date as text, as the public file has it."""
    hours = pd.read_csv(etth1.DATASET.fetch()["ETTh1.csv"], nrows=ROWS).round(3)
    hours["load"] = np.where(hours["HUFL"] > 8, "high", "low")
    return hours


def _decimal_comma(frame, path):
    frame.to_csv(path, index=False, sep=";", decimal=",")


def _byte_order_mark(frame, path):
    frame.to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\r\n")


FORMATS = {
    "semicolon.csv": lambda frame, path: frame.to_csv(path, index=False, sep=";"),
    "decimal_comma.csv": _decimal_comma,
    "tab.tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "pipe.txt": lambda frame, path: frame.to_csv(path, index=False, sep="|"),
    "tab_comma.txt": lambda frame, path: frame.to_csv(path, index=False, sep="\t", decimal=","),
    "mark.csv": _byte_order_mark,
    "utf16.csv": lambda frame, path: frame.to_csv(path, index=False, encoding="utf-16"),
    "quoted.csv": lambda frame, path: frame.to_csv(path, index=False, quoting=1),
    "with_index.csv": lambda frame, path: frame.to_csv(path),
    "reversed.csv": lambda frame, path: frame[frame.columns[::-1]].to_csv(path, index=False),
    "binary.parquet": lambda frame, path: frame.to_parquet(path, index=False),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_the_same_table(frame, tmp_path, name):
    FORMATS[name](frame, tmp_path / name)
    read = tables.read(tmp_path / name).frame
    pd.testing.assert_frame_equal(
        read[list(frame.columns)], frame, check_dtype=False, check_index_type=False
    )


def _zone(dates):
    return pd.to_datetime(dates).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")


def _formatted(form):
    return lambda dates: pd.to_datetime(dates).dt.strftime(form)


def _epoch(scale):
    return lambda dates: (pd.to_datetime(dates) - pd.Timestamp(0)) // pd.Timedelta(scale)


TIMES = {
    "text": lambda dates: dates,
    "iso": _formatted("%Y-%m-%dT%H:%M:%SZ"),
    "iso with zone": lambda dates: _zone(dates).map(lambda time: time.isoformat()),
    "datetime": pd.to_datetime,
    "zone": _zone,
    "seconds": _epoch("1s"),
    "milliseconds": _epoch("1ms"),
    "microseconds": _epoch("1us"),
    "nanoseconds": _epoch("1ns"),
    "german": _formatted("%d.%m.%Y %H:%M"),
    "british": _formatted("%d/%m/%Y %H:%M:%S"),
    "american": _formatted("%m/%d/%Y %I:%M %p"),
    "month name": _formatted("%d %b %Y %H:%M:%S"),
}


@pytest.mark.parametrize("kind", TIMES)
def test_every_form_of_time_is_the_same_time(frame, kind, tmp_path):
    times = pd.DataFrame({"when": TIMES[kind](frame["date"]), "x": 1.5})
    table = tables.read(times)
    parsed = time_column.parse(table, "when")
    expected = pd.to_datetime(frame["date"]).astype("datetime64[ns]").astype("int64") / 1e9
    assert parsed.is_date and parsed.unit == "s"
    np.testing.assert_allclose(parsed.values, expected, rtol=0, atol=1e-6)
    if kind not in ("datetime", "zone"):
        times.to_csv(tmp_path / "x.csv", index=False)
        read = time_column.parse(tables.read(tmp_path / "x.csv"), "when")
        np.testing.assert_array_equal(read.values, parsed.values)


def test_numbers_that_are_no_dates_stay_numbers():
    parsed = time_column.parse(tables.read(pd.DataFrame({"t": [0.0, 0.5, 2.0]})), "t")
    assert (parsed.unit, list(parsed.values)) == ("", [0.0, 0.5, 2.0])


def test_day_and_month_that_cannot_be_told_apart():
    """The form in which the days are in order is right; if both are, the user must say."""
    days = pd.DataFrame({"day": ["11/01/2026", "12/01/2026", "01/02/2026"]})
    parsed = time_column.parse(tables.read(days), "day")
    np.testing.assert_array_equal(np.diff(parsed.values) / 86400, [1, 20])
    with pytest.raises(ValueError, match="can be read as %d/%m/%Y or %m/%d/%Y; choose one with"):
        time_column.parse(tables.read(days[:2]), "day")
    parsed = time_column.parse(tables.read(days[:2]), "day", "%m/%d/%Y")
    assert parsed.values[0] == pd.Timestamp("2026-11-01").timestamp()


def test_missing_cells_in_every_notation(tmp_path):
    cells = ["1.5", "", "NA", "nan", "null", "None", "-", "?", "2"]
    (tmp_path / "x.csv").write_text("a,b\n" + "".join(f"{cell},7\n" for cell in cells))
    read = tables.read(tmp_path / "x.csv").frame
    np.testing.assert_array_equal(read["a"], [1.5, *[np.nan] * 7, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"a,b\n", "has no rows below its header"),
        (b"a,b\n,\n", "has no rows below its header"),
        (b"1,2\n3,4\n", "has no header: its first line holds numbers only"),
        (b"a,b\n1,2\n3\n", "line 3: 1 cells, but the header names 2"),
        (b"a,b\n1,2\n3,4,5\n", "line 3: 3 cells, but the header names 2"),
        (b"a,b\n1,2,3\n4,5,6\n", "line 2: 3 cells, but the header names 2"),
        (b"a,b\n1,2\n3,4,5\n\xe9,6\n", "line 3: 3 cells, but the header names 2"),
        (b"a,b\n1,\x81\n", "is no text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "is no text in UTF-16"),
        (b"a," + b"b" * 300_000 + b"\n", "its first line is longer than 262,144 bytes"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n2,\n", "line 2: field larger than field limit"),
        (b"a,a\n1,2\n", "names the column 'a' twice"),
        (b"a, a,b\n1,2,3\n", "names the column 'a' twice"),
        (b"a,\n1,2\n", "column 2 has no name"),
        (b"a,,\n1,2,3\n", "column 2 has no name"),
        (b"a" + b",a" * 5000 + b"\n1" + b",1" * 5000, "has 5,001 columns; at most 4,096"),
        ("\ufeff\ufeff\rt".encode(), "its header names 1 columns, but there are 0"),
        (b"a,b\n1,\x00\n", "holds NUL characters"),
        (b'a,b\n1,"2\n', "is no table"),
    ],
)
def test_faults_are_one_line(tmp_path, content, message):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        tables.read(tmp_path / "x.csv")
    assert "\n" not in str(error.value) and "x.csv" in str(error.value)


def test_other_files(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no parquet")
    with pytest.raises(ValueError, match="is no Parquet file"):
        tables.read(tmp_path / "x.parquet")
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"must be a table: \.csv, \.tsv, \.txt, \.parquet"):
        tables.read(tmp_path / "x.xlsx")
    with pytest.raises(ValueError, match="is a folder"):
        tables.read(tmp_path)
    with pytest.raises(ValueError, match="There is no file"):
        tables.read(tmp_path / "none.csv")


def test_too_many_rows_are_refused_before_reading(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "1.25,2.5\n" * 100_000)
    monkeypatch.setattr(pd, "read_csv", lambda *arguments, **options: pytest.fail("was read"))
    with pytest.raises(ValueError, match=r"about 99,996 rows; at most 50,000 are read"):
        tables.read(path, max_rows=50_000)
    pd.DataFrame({"a": range(1000)}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="has 1,000 rows; at most 999 are read"):
        tables.read(tmp_path / "x.parquet", max_rows=999)


def test_lines_are_counted_as_editors_do(tmp_path):
    """Blank lines count, above the header too, and line breaks within cells."""
    (tmp_path / "x.csv").write_text('\n\u2028\x0c\nwhen,b\n1,"p\nq"\n\n,r\n')
    table = tables.read(tmp_path / "x.csv")
    assert [table.place(row) for row in range(2)] == ["line 5", "line 7"]
    assert table.notes == ("Rows without any value are left out: 1, the first is line 6.",)
    with pytest.raises(ValueError, match="column 'when' are blank, the first in line 7"):
        time_column.parse(table, "when")


def test_separators_at_the_ends_of_lines(tmp_path, recwarn):
    (tmp_path / "x.csv").write_text("a;b\n1;2;\n3;4;\n;;\n")
    table = tables.read(tmp_path / "x.csv")
    np.testing.assert_array_equal(table.frame, [[1, 2], [3, 4]])
    assert not table.notes and not recwarn


@pytest.mark.parametrize("rows", [["1;2"] * 60 + ["1,5;2"], ["1,5;v1.2", "2,5;3"]])
def test_decimal_commas_that_are_rare(tmp_path, rows):
    """Further down than the first rows, or with a text that has a point."""
    (tmp_path / "x.csv").write_text("\n".join(["a;b", *rows]))
    assert 1.5 in tables.read(tmp_path / "x.csv").frame["a"].to_numpy()


def test_names_that_pandas_would_write(tmp_path):
    (tmp_path / "x.csv").write_text('Unnamed: 0,x,x.1,"y\nz"\n0,1,2,3\n')
    frame = tables.read(tmp_path / "x.csv", text=["x"]).frame
    assert list(frame.columns) == ["x", "x.1", "yz"] and frame["x"][0] == "1"


def test_windows_1252(tmp_path):
    (tmp_path / "x.csv").write_bytes("Température,b\n1,2\n".encode("cp1252"))
    table = tables.read(tmp_path / "x.csv")
    assert list(table.frame.columns) == ["Température", "b"]
    assert "read as Windows-1252" in table.notes[0]


def test_order_of_times():
    frame = pd.DataFrame({"t": [0, 1, 1, 3, 2], "x": range(5)})
    table = tables.read(frame)
    times = time_column.parse(table, "t")
    groups = np.zeros(5, int)
    with pytest.raises(
        ValueError, match="1 times are earlier than the one before, the first in row 5"
    ):
        row_order.in_order(table, times, groups, "keep", False)
    with pytest.raises(ValueError, match="1 times occur more than once, the first again in row 3"):
        row_order.in_order(table, times, groups, "refuse", True)
    rows = {
        d: list(row_order.in_order(table, times, groups, d, True))
        for d in ("keep", "first", "last")
    }
    assert rows == {"keep": [0, 1, 2, 4, 3], "first": [0, 1, 4, 3], "last": [0, 2, 4, 3]}
    two = np.array([0, 0, 1, 1, 0])
    assert list(row_order.in_order(table, times, two, "refuse", False)) == [0, 1, 4, 2, 3]
