"""The plot of a fitted model: targets and predictions of the test part, or confused classes."""

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.extras import extra
from zoo.readers.table import Table
from zoo.tables import scores
from zoo.tables.columns import Columns
from zoo.tables.sequences import TableSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 500
MOST_TARGETS = 4
MOST_CLASSES = 20


def held_out(
    columns: Columns, found: Sequence[TableSequence], outputs: Sequence[np.ndarray], table: Table
) -> bytes:
    """A picture (PNG) of the predictions on the test part.

    Args:
        columns: The columns of the table.
        found: The test sequences.
        outputs: Their outputs.
        table: The table, for the times.
    """
    with extra("zoo"):
        from matplotlib.figure import Figure
    if columns.classes:
        figure = Figure(figsize=(5, 4.5), layout="constrained")
        _confusion(figure, columns, *scores.labelled(found, outputs, columns))
    else:
        shown = columns.targets[:MOST_TARGETS]
        figure = Figure(figsize=(9, 1 + 2.2 * len(shown)), layout="constrained")
        _lines(figure, columns, found, outputs, table)
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Names in scripts that the font lacks.
        warnings.simplefilter("ignore")
        figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _lines(
    figure: "Figure",
    columns: Columns,
    found: Sequence[TableSequence],
    outputs: Sequence[np.ndarray],
    table: Table,
) -> None:
    """Targets and predictions of the longest test sequence, over time or rows."""
    longest = int(np.argmax([len(sequence) for sequence in found]))
    sequence, predicted = found[longest].part(slice(0, ROWS)), outputs[longest][:ROWS]
    times, label = np.arange(len(sequence)), "row"
    if columns.time is not None:
        from zoo.readers import time_column

        parsed = time_column.parse(table, columns.time, columns.time_format)
        values = parsed.values[sequence.rows]
        times = (values * 1e3).astype("datetime64[ms]") if parsed.is_date else values
        label = columns.time
    shown = columns.targets[:MOST_TARGETS]
    axes: Any = figure.subplots(len(shown), squeeze=False, sharex=True)[:, 0]
    for place, (name, axis) in enumerate(zip(shown, axes, strict=True)):
        axis.plot(times, sequence.targets[:, place], color="0.45", linewidth=1.5, label="target")
        axis.plot(times, predicted[:, place], color="C0", linewidth=1, label="prediction")
        axis.set_ylabel(_plain(name))
        axis.spines[["top", "right"]].set_visible(False)
    ahead = f"{columns.horizon} row{'s' * (columns.horizon > 1)} ahead"
    later = f", {ahead}" if columns.horizon else ""
    where = f", {columns.group} {sequence.group}" if columns.group else ""
    axes[0].set_title(_plain(f"test part{where}{later}"), loc="left", fontsize=10)
    axes[0].legend(frameon=False, ncols=2, loc="upper right", bbox_to_anchor=(1, 1.18))
    axes[-1].set_xlabel(_plain(label))


def _confusion(
    figure: "Figure", columns: Columns, targets: np.ndarray, predicted: np.ndarray
) -> None:
    """How many targets of each class were predicted as each class, of the most frequent ones."""
    count = len(columns.classes)
    table = np.zeros((count, count), int)
    np.add.at(table, (targets, predicted.argmax(axis=-1)), 1)
    shown = np.sort(np.argsort(-table.sum(axis=1), kind="stable")[:MOST_CLASSES])
    table = table[np.ix_(shown, shown)]
    names = [_plain(columns.classes[i][:16]) for i in shown]
    axis: Any = figure.subplots()
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(table):
        color = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, f"{value:,}", ha="center", va="center", color=color, fontsize=8)
    axis.set_xticks(range(len(names)), names, rotation=45 if len(names) > 4 else 0)
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("prediction")
    axis.set_ylabel(_plain(columns.targets[0]))
    axis.set_title("test part", loc="left", fontsize=10)


def _plain(text: str) -> str:
    """A text that matplotlib does not read as a formula."""
    return text.replace("$", r"\$")
