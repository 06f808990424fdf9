"""Tables and arrays of the user: damaged .csv, .npy and .npz files."""

import csv
import datetime
import functools
import io
import tempfile
from pathlib import Path

import numpy as np
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
_BLANK = ["", " ", " 7 ", "\t7", "\u00a07", "7\u2009", "\x00", "\x1b[31m", "a\nb", '"']
CELLS = [*_WRITTEN.replace("\n", "").split("|"), *_BLANK, "x" * 200_000]

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
    """Rows as the text of a CSV file."""
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
    options = draw(
        st.sampled_from([{}] * 8 + [{"delimiter": ";"}, {"lineterminator": "\r"}, {"quoting": 1}])
    )
    encoding = draw(st.sampled_from(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-32"]))
    content = text_of(rows, **options).encode(encoding, "surrogatepass")
    return name, ".csv", draw(damaged_bytes(content)) if draw(st.integers(0, 3)) == 0 else content


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
    return run_with_little_memory(damaged_tables() | damaged_arrays(), try_table, count, seed)


KINDS = (Kind("table mutations", 5_000, run, "finite numbers, or one error that names the file"),)
