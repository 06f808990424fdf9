"""Tables of presets: the kinds of columns, and errors that name the file, the line and the cell."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from zoo.cli import input_files
from zoo.data import column_kinds, metro_traffic
from zoo.data.column_kinds import DURATION, NUMBER, NUMBER_OR_BLANK, TEXT, TIME

COLUMNS = {"speed": NUMBER, "rain": NUMBER_OR_BLANK, "sky": TEXT}


@pytest.fixture
def write(tmp_path):
    def write_table(text):
        path = tmp_path / "x.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_table


def test_columns_in_any_order(write):
    table = column_kinds.read(write("sky,rain,x,speed\nclear,,?,1.5\n fog,2e-1,7, -3\n"), COLUMNS)
    np.testing.assert_array_equal(table["speed"], [1.5, -3])
    np.testing.assert_array_equal(table["rain"], [np.nan, 0.2])
    assert list(table["sky"]) == ["clear", "fog"] and set(table) == set(COLUMNS)
    stacked = column_kinds.stacked(table, ["speed", "rain"])
    assert stacked.shape == (1, 2, 2) and stacked[0, 1, 0] == -3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed,sky\n1,fog\n", "wrong columns: missing 'rain'"),
        ("Speed,rain,sky\n1,2,fog\n", "missing 'speed'; not known 'Speed'"),
        ("speed,rain,sky,sky\n1,2,fog,fog\n", "names the column 'sky' twice"),
        ("speed,rain,sky\n1,2,fog\nfast,2,fog\n", "line 3: column 'speed' holds 'fast', not a"),
        ("speed,rain,sky\n,2,fog\n", "line 2: column 'speed' holds '', not a number"),
        ("speed,rain,sky\n1,2,a\n,,\n3,,b\n,2,c\n", "line 5: column 'speed' holds ''"),
        ("speed,rain,sky\n1,-,fog\n", "line 2: column 'rain' holds '-', not a number"),
        (
            "speed;rain;sky\n1,5;2;fog\n1.5;2;fog\n2,5;;\n",
            "line 3: .* number with decimal mark ','",
        ),
        ("speed,rain,sky\n1,2\n", "line 2: 2 cells, but the header names 3"),
        ("speed,rain,sky\n", "has no rows below its header"),
        ("", "is empty"),
        ("\n", "is empty"),
        ("1,2,3\n1,2,3\n", "has no header"),
        ('speed,rain,sky\n1,2,"fog\n', "is no table"),
        ("speed,rain,sky\n1,2,a\0\n", "holds NUL"),
        ("speed,rain,sky\n" + "1,2,a\n" * 50_000 + "1,2,a\0\n", "line 50,002: .*NUL is no text"),
        (",".join(f"c{n}" for n in range(99)) + "\n" + "1," * 98 + "1\n", "'c9' and 89 more"),
        ('speed,rain,sky\n\n1,2,"a\nb"\n\nx,2,fog\n', "line 6: column 'speed' holds 'x'"),
        (b"\xff\xfe\x00\x01", "has no rows"),
    ],
)
def test_faults_are_named(write, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        column_kinds.read(write(text), COLUMNS)
    assert "x.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_too_many_rows_are_refused_before_reading(write):
    path = write("speed,rain,sky\n" + "1,2,fog\n" * 100)
    with pytest.raises(ValueError, match=r"has about 100 rows; at most 50 are read.*--max-rows"):
        column_kinds.read(path, COLUMNS, 50)


@pytest.mark.parametrize(
    "cell",
    "1_000 ١٢ １２ 0x10 1,5 1e400 nan NaN inf -Infinity +-1 1e . 1;0 ½ 1\x00 1\u200b 7\u00a0 --1 "
    "1f =1 TRUE NA 3.5e38".split(" "),
)
@pytest.mark.parametrize("column", ["speed", "rain"])
def test_texts_that_are_no_numbers(write, column, cell):
    cells = {"speed": "1", "rain": "2", column: f'"{cell}"'}
    path = write(f"speed,rain,sky\n{cells['speed']},{cells['rain']},fog\n")
    with pytest.raises(ValueError, match=r"holds .*(not a number|largest float32)|NUL") as caught:
        column_kinds.read(path, COLUMNS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", 1), ("-1.", -1), ("+.5", 0.5), (" 2e-3\t", 0.002), ("1E+2", 100), ("-0", 0), ("007", 7)],
)
def test_numbers(write, cell, value):
    path = write(f"speed,rain,sky\n{cell},2,fog\n")
    assert column_kinds.read(path, COLUMNS)["speed"][0] == value
    path = write(f"speed;rain;sky\n{cell.replace('.', ',')};2,5;fog\n")
    assert column_kinds.read(path, COLUMNS)["speed"][0] == value


def test_durations_are_at_least_0(write):
    path = write("t\n0\n2.5\n-1e-9\n")
    with pytest.raises(ValueError, match=r"line 4: column 't' holds '-1e-9'; elapsed times"):
        column_kinds.read(path, {"t": DURATION})


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([1.0, np.nan], NUMBER, "row 2: column 'x' holds 'nan', not a number"),
        ([1.0, np.inf], NUMBER_OR_BLANK, "row 2: column 'x' holds 'inf', which exceeds"),
        (["1", "nan"], NUMBER_OR_BLANK, "row 2: column 'x' holds 'nan', not a number"),
        (["1", None], NUMBER, "row 2: column 'x' holds '(None|nan)', not a number"),
        ([1.0, -0.5], DURATION, "row 2: column 'x' holds '-0.5'; elapsed"),
        (pd.to_datetime(["2016-01-01"] * 2), NUMBER, "row 1: column 'x' holds '2016-01-01"),
        ([[1.0], [2.0]], NUMBER, r"row 1: column 'x' holds '\[1.\]', not a number"),
        ([1, 2], TIME, "row 1: column 'x' holds '1', not a time"),
    ],
)
def test_columns_with_types(tmp_path, values, kind, message):
    pd.DataFrame({"x": values, "y": 1}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=message):
        column_kinds.read(tmp_path / "x.parquet", {"x": kind})


def test_blank_cells_of_parquet_files(tmp_path):
    frame = pd.DataFrame({"a": [1, None], "b": ["2.5", None], "c": ["x", None], "d": 1})
    frame["a"] = frame["a"].astype("Int64")
    frame.to_parquet(tmp_path / "x.parquet")
    kinds = {"a": NUMBER_OR_BLANK, "b": NUMBER_OR_BLANK, "c": TEXT}
    table = column_kinds.read(tmp_path / "x.parquet", kinds)
    np.testing.assert_array_equal(table["a"], [1, np.nan])
    np.testing.assert_array_equal(table["b"], [2.5, np.nan])
    assert list(table["c"]) == ["x", ""]


TIMES = [
    "2012-10-02 09:00:00",
    "2012-10-02T09:00",
    "2012-10-02 09:00:00.000Z",
    "2012-10-02 09:00:00-05:00",
    "2012-10-02T09:00:00+0530",
    "02.10.2012 09:00",
    "Oct 02, 2012 09:00:00",
    "1349168400",
    "1349168400000",
]


@pytest.mark.parametrize("text", TIMES)
def test_times_are_those_of_the_clock(write, text):
    path = write(f't,x\n"{text}",1\n')
    assert column_kinds.read(path, {"t": TIME})["t"][0] == np.datetime64("2012-10-02T09:00")


def test_a_clock_that_is_set_back(write):
    path = write("t,x\n2012-11-04 01:30:00-05:00,1\n2012-11-04 01:00:00-06:00,1\n")
    assert list(column_kinds.read(path, {"t": TIME})["t"].astype("datetime64[m]")) == [
        np.datetime64("2012-11-04T01:30"),
        np.datetime64("2012-11-04T01:00"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "２０12-10-02 09:00:00",
            "line 2: column 't' holds '２０12-10-02 09:00:00', not a time such",
        ),
        ("2012-13-02 09:00:00", "holds '2012-13-02 09:00:00', not"),
        ("20121002", "holds '20121002', not a time such as"),
        ("noon", "holds 'noon', not a time such as"),
        ("", "1 cells of the time column 't' are blank, the first in line 2"),
        ("02/10/2012", r"can be read as %d/%m/%Y or %m/%d/%Y; write them as 2026-01-31\."),
    ],
)
def test_texts_that_are_no_times(write, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        column_kinds.read(write(f"t,x\n{text},1\n"), {"t": TIME})
    assert "\n" not in str(caught.value) and "--time-format" not in str(caught.value)


def _times(form):
    return lambda frame: frame.assign(
        date_time=pd.to_datetime(frame["date_time"]).dt.strftime(form)
    )


def _zone(frame):
    times = pd.to_datetime(frame["date_time"]).dt.tz_localize("America/Chicago", ambiguous=True)
    return frame.assign(date_time=times)


FORMS = {
    "comma.csv": lambda frame, path: frame.to_csv(path, index=False, sep=";", decimal=","),
    "tab.tsv": lambda frame, path: _times("%d.%m.%Y %H:%M")(frame).to_csv(
        path, index=False, sep="\t", encoding="utf-8-sig"
    ),
    "utf16.txt": lambda frame, path: _times("%Y-%m-%dT%H:%M:%SZ")(frame).to_csv(
        path, index=False, encoding="utf-16"
    ),
    # As pandas reads the public file and writes it: with an index, and without "None".
    "pandas.csv": lambda frame, path: frame[frame.columns[::-1]].replace("None", None).to_csv(path),
    "zone.parquet": lambda frame, path: _zone(frame).replace("None", None).to_parquet(path),
    "text.parquet": lambda frame, path: frame.astype(str).to_parquet(path),
}


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """The first rows of the public file, among them a holiday: path and inputs."""
    lines = metro_traffic.DATASET.fetch()[metro_traffic.FILE].read_text().splitlines()[:200]
    path = tmp_path_factory.mktemp("public") / "plain.csv"
    path.write_text("\n".join(lines))
    return path, input_files.read(path, "metro-traffic")


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_the_public_file_is_the_same_input(public, tmp_path, name, capsys):
    path, expected = public
    frame = pd.read_csv(path, keep_default_na=False)
    assert (frame["holiday"] == "Columbus Day").any()
    FORMS[name](frame, tmp_path / name)
    read = input_files.read(tmp_path / name, "metro-traffic")
    assert set(read) == set(expected)
    for key in expected:
        np.testing.assert_array_equal(read[key], expected[key])
    assert capsys.readouterr().err.count("note: ") == (name == "pandas.csv")


def test_wrong_tables_are_refused_before_keras_loads(tmp_path):
    program = """
import sys
from zoo.cli import main

class NoKeras:
    def find_spec(self, name, *where):
        if name.partition(".")[0] in ("keras", "lnn_keras", "tensorflow"):
            sys.exit(f"imports {name}")

sys.meta_path.insert(0, NoKeras())
main.main()
"""
    rows = "holiday,temp,rain_1h,snow_1h,clouds_all,weather_main,weather_description,date_time\n"
    rows += "Sunday,280,0,0,40,Clouds,few,2018-06-04 00:00:00\n"
    (tmp_path / "x.csv").write_text(rows)
    arguments = ["predict", "metro-traffic", "--input", tmp_path / "x.csv"]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert result.returncode == 2 and "Column 'holiday' holds 'Sunday'" in result.stderr
