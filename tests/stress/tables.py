"""Tables and arrays of the user: damaged text, Parquet, .npy and .npz files."""

import csv
import datetime
import functools
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from export import Step, as_sequences, to_step
from tests.stress.archive_damage import ODD_ARRAYS, damaged_archive, with_header
from tests.stress.isolated import run_with_little_memory
from tests.stress.kinds import Kind, Result
from tests.stress.trials import damaged_bytes, unclear_error
from zoo import registry
from zoo.cli import input_files
from zoo.hub import store

ARRAYS = "half-cheetah-micro"
PRESETS = [name for name, preset in registry.PRESETS.items() if preset.columns]
# Cells that spreadsheets, programs and strangers write.
_WRITTEN = """
1_000|١٢|１２|0x10|1e5|1e400|1e-400|-1e39|nan|NaN|inf|-inf|infinity|1,5|1.5.2|--1|+-1|1e|e5|.|-|
1 000|True|None|=1+1|0b1|1d5|1f|½|²|1j|9999999999999999999999999|-0|-1|1e38|3.5e38|..|1__0
"""
_TIMES = """
2018-06-04T05:00Z|2018-06-04 05:00:00+02:00|04.06.2018 05:00|06/04/2018 5:00 AM|1528088400|
1528088400000|20180604|9999-12-31|0001-01-01 00:00:00|2018-06-04 25:00:00|２０18-06-04|24:00|1e30
"""
_BLANK = ["", " ", " 7 ", "\t7", "\u00a07", "7\u2009", "\x00", "\x1b[31m", "a\nb", '"']
CELLS = [*(_WRITTEN + _TIMES).replace("\n", "").split("|"), *_BLANK, "x" * 200_000]
FORMS = [{"delimiter": d} for d in ";\t|"] + [{"lineterminator": "\r"}, {"quoting": 1}]

# Functions from a column of text to one of another type.
COLUMNS = [
    lambda cells: pd.to_numeric(cells, errors="coerce"),
    lambda cells: pd.to_numeric(cells, errors="coerce").astype("Float64"),
    lambda cells: pd.to_datetime(cells, format="ISO8601", errors="coerce", utc=True),
    lambda cells: cells.where(cells.index != 2),
    lambda cells: cells.astype("category"),
    lambda cells: cells == "1",
    lambda cells: [list(cell) for cell in cells],
    lambda cells: [cell.encode() for cell in cells],
    lambda cells: [datetime.date(2018, 6, 4)] * len(cells),
    lambda cells: [datetime.timedelta(hours=1)] * len(cells),
    lambda cells: np.where(cells.index == 3, np.inf, 1.0),
]

Example = tuple[str, str, bytes]


def _row(columns: dict[str, str], index: int) -> dict[str, str]:
    """A valid row of the table of a preset."""
    time = datetime.datetime(2018, 6, 4) + datetime.timedelta(hours=index)
    special = {
        "date": str(time),
        "date_time": str(time),
        "holiday": "None",
        "weather_main": "Clear",
        "weather_description": "sky is clear",
        "peak": str(int(index % 3 == 0)),
        "hours": str(index / 10),
        "temp": "280",
        "elapsed": "1",
        **{name: str(value) for name, value in (("Age", 60), ("Gender", 1), ("ICUType", 2))},
    }
    return {name: special.get(name, f"{0.5 + index % 7:g}") for name in columns}


@functools.cache
def table(name: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a valid table of a preset, and its header."""
    columns = registry.get(name).columns
    count = {"etth1-96": 336, "ecg-arrhythmia-micro": 900, "ecg-arrhythmia": 900}.get(name, 8)
    rows = [_row(columns, index) for index in range(count)]
    return (tuple(columns), *(tuple(row.values()) for row in rows))


def text_of(rows: list[list[str]], **options) -> str:
    """Rows as the text of a table."""
    stream = io.StringIO(newline="")
    csv.writer(stream, **options).writerows(rows)
    return stream.getvalue()


@st.composite
def damaged_tables(draw: st.DrawFn) -> Example:
    """The name of a preset, a suffix, and the content of a damaged table."""
    name = draw(st.sampled_from(PRESETS))
    rows = [list(row) for row in table(name)]
    for _ in range(draw(st.integers(0, 2))):
        if not rows:
            break
        # Most damage is to the first rows, which are valid tables already.
        row = rows[draw(st.integers(0, min(8, len(rows) - 1)))]
        at = draw(st.integers(0, max(0, len(row) - 1)))
        edit = draw(st.sampled_from(["cell", "cell", "cell", "add", "cut", "blank", "rows"]))
        if edit == "cell" and row:
            row[at] = draw(st.sampled_from(CELLS) | st.text(max_size=8))
        elif edit == "add":
            row.insert(at, draw(st.sampled_from(CELLS)))
        elif edit == "cut":
            del row[at:]
        elif edit == "blank":
            rows.insert(draw(st.integers(0, len(rows))), [])
        else:
            del rows[draw(st.integers(0, len(rows) - 1)) :]
    options = draw(st.sampled_from([{}] * 8 + FORMS))
    if options.get("delimiter") == ";" and draw(st.booleans()):
        rows = [[cell.replace(".", ",") for cell in row] for row in rows]
    suffix = draw(st.sampled_from([".csv"] * 4 + [".tsv", ".txt", ".parquet"]))
    encoding = draw(st.sampled_from(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-32"]))
    content = text_of(rows, **options).encode(encoding, "surrogatepass")
    return name, suffix, draw(damaged_bytes(content)) if draw(st.integers(0, 3)) == 0 else content


@st.composite
def damaged_parquet_files(draw: st.DrawFn) -> Example:
    """The name of a preset, the suffix, and a Parquet file with odd columns or damaged bytes."""
    name = draw(st.sampled_from(PRESETS))
    header, *rows = table(name)
    frame = pd.DataFrame(rows, columns=header)
    for column in draw(st.lists(st.sampled_from(header), max_size=3, unique=True)):
        frame[column] = draw(st.sampled_from(COLUMNS))(frame[column])
    stream = io.BytesIO()
    frame.to_parquet(stream)
    content = stream.getvalue()
    return name, ".parquet", draw(damaged_bytes(content)) if draw(st.booleans()) else content


@st.composite
def damaged_arrays(draw: st.DrawFn) -> Example:
    """The name of a preset, a suffix, and the content of a damaged .npy or .npz file."""
    array = np.ones((4, 17), draw(st.sampled_from(["float32", "float64", "int16", "bool", ">f4"])))
    if draw(st.booleans()):
        stream = io.BytesIO()
        np.savez(stream, **{draw(st.sampled_from(["observation", "x", "a/b", "é"])): array})
        damage = draw(st.sampled_from([damaged_archive, damaged_bytes]))
        return ARRAYS, ".npz", draw(damage(stream.getvalue()))
    if draw(st.booleans()):
        return ARRAYS, ".npy", draw(st.sampled_from(ODD_ARRAYS))
    if draw(st.integers(0, 4)) == 0:
        return ARRAYS, ".npy", with_header(draw(st.text(max_size=60).map(ascii)), 64)
    stream = io.BytesIO()
    np.save(stream, array)
    return ARRAYS, ".npy", draw(damaged_bytes(stream.getvalue()))


@functools.cache
def _step(name: str) -> Step:
    return to_step(store.load(name))


def try_table(example: Example) -> str | None:
    """Write a damaged file and read it as inputs of a preset, as the command line does."""
    name, suffix, content = example
    step = _step(name)
    with tempfile.TemporaryDirectory() as parent:
        path = Path(parent) / f"table{suffix}"
        path.write_bytes(content)
        sequences = {}
        failure = unclear_error(
            lambda: sequences.update(as_sequences(step, input_files.read(path, name), str(path))),
            str(path),
        )
    if any(not np.isfinite(array).all() for array in sequences.values()):
        return f"{name}: values that are not finite pass"
    return failure


def run(count: int, seed: int) -> Result:
    """Try damaged files in a process with little memory."""
    files = damaged_tables() | damaged_parquet_files() | damaged_arrays()
    return run_with_little_memory(files, try_table, count, seed)


KINDS = (Kind("table mutations", 5_000, run, "finite numbers, or one error that names the file"),)
