"""Files of predictions: tables in CSV or Parquet, and arrays in .npz."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.extras import extra
from zoo.preset import Preset
from zoo.readers.files import shown
from zoo.readers.table import pandas

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet", ".npz")


def require_suffix(out: Path | None) -> None:
    """Check that predictions can be written in the format of a file's suffix.

    Raises:
        ValueError: It has another suffix, or the package for it is missing.
    """
    if out is None:
        return
    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"Predictions are written as {', '.join(SUFFIXES)}; received {shown(out)}."
        )
    if out.suffix.lower() == ".parquet":
        with extra("parquet"):
            import pyarrow  # noqa: F401


def require_writable(out: Path | None) -> None:
    """Check that a file can be written, before any long work; imports Keras.

    Raises:
        OSError: It cannot be written.
    """
    from lnn_keras import atomic_folder

    if out is not None:
        atomic_folder.require_writable(out)


def as_table(
    predictions: np.ndarray, preset: Preset | None = None, names: Sequence[str] = ()
) -> "pd.DataFrame":
    """Predictions as a table, one row per step.

    Args:
        predictions: Array (sequences, ..., outputs).
        preset: The preset whose table was read, which names its outputs in real units.
        names: Names of the outputs of other models.
    """
    pd = pandas()

    if preset is not None and preset.to_table is not None:
        return pd.DataFrame(preset.to_table(predictions))
    outputs = predictions.reshape(len(predictions), -1, predictions.shape[-1])
    titles = list(names) or [f"output {i + 1}" for i in range(outputs.shape[-1])]
    frames = [
        _numbered(i, dict(zip(titles, sequence.T, strict=True)))
        for i, sequence in enumerate(outputs)
    ]
    return pd.concat(frames, ignore_index=True)


def _numbered(sequence: int, columns: dict[str, np.ndarray]) -> "pd.DataFrame":
    pd = pandas()

    steps = len(next(iter(columns.values())))
    places = {"sequence": sequence + 1, "step": np.arange(1, steps + 1)}
    return pd.DataFrame({**places, **columns})


def write(out: Path, frame: "pd.DataFrame", predictions: np.ndarray | None) -> None:
    """Write predictions in the format of the file's suffix; the file appears as a whole.

    Args:
        out: The file.
        frame: The predictions as a table.
        predictions: The array for an .npz file; by default the numbers of the table.
    """
    from lnn_keras.atomic_folder import whole_file

    with whole_file(out) as file:
        if out.suffix.lower() == ".parquet":
            frame.to_parquet(file, index=False)
        elif out.suffix.lower() == ".csv":
            frame.to_csv(file, index=False)
        else:
            numbers = frame.select_dtypes("number") if predictions is None else None
            array = predictions if numbers is None else numbers.to_numpy()
            np.savez_compressed(file, prediction=array)  # pyright: ignore[reportArgumentType]
