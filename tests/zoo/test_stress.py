"""A few trials of each kind of stress on files; `python -m tests.stress` runs thousands."""

import pytest

from tests.stress import keras_files, preset_files, tables
from tests.stress.trials import run_trials


@pytest.mark.parametrize(
    ("strategy", "check"),
    [
        (preset_files.damaged_presets, preset_files.try_preset),
        (keras_files.damaged_keras_files, keras_files.try_keras_file),
        (tables.damaged_tables, tables.try_table),
        (tables.damaged_parquet_files, tables.try_table),
        (tables.damaged_arrays, tables.try_table),
    ],
)
def test_damaged_files_are_refused_in_one_line(strategy, check):
    preset_files.preset_files()
    keras_files.archive_files()
    result = run_trials(strategy(), check, count=15, seed=1)
    assert result.tried >= 15 and result.failures == []
