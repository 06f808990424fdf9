"""The style of all figures: sizes, colours, titles, legends and notes."""

import contextlib
import textwrap
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Size = tuple[float, float]

# Colours that people with each kind of colour blindness tell apart: Okabe and Ito, 2008.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
# Series in one plot differ in line style too, for prints in black and white.
SERIES: tuple[dict[str, Any], ...] = (
    {"color": BLACK, "linestyle": "-"},
    {"color": VERMILION, "linestyle": (0, (5, 1.5))},
    {"color": BLUE, "linestyle": (0, (1, 1))},
    {"color": ORANGE, "linestyle": "-"},
    {"color": GREEN, "linestyle": (0, (6, 1.5, 1, 1.5))},
    {"color": PURPLE, "linestyle": (0, (3, 1, 1, 1, 1, 1))},
    {"color": SKY, "linestyle": (0, (8, 2))},
)
COLORMAP = "cividis"
MISSING_HATCH = "//////"
# Space between an axis with a title and its legend, in units of the font size.
TITLED = 2.6

_SETTINGS: dict[str, Any] = {
    # Names with $ or _ are not formulas.
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.formatter.use_mathtext": False,
    "axes.titlelocation": "left",
    "axes.xmargin": 0.01,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.5,
    "hatch.color": "0.45",
}
# Settings are global in matplotlib; two threads at once would restore each other's.
_LOCK = threading.RLock()


@contextlib.contextmanager
def new_figure(size: Size | None, default: Size) -> Iterator["Figure"]:
    """A figure in the style of this package, whatever the settings of matplotlib are.

    The settings are as before after the block. Nothing of it needs a display.

    Args:
        size: Width and height in inches, or None for `default`.
        default: Width and height in inches.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: `size` is not a pair of lengths of 1 to 100 inches.
    """
    require_matplotlib()
    from matplotlib import style
    from matplotlib.figure import Figure

    size = default if size is None else _checked_size(size)
    with _LOCK, style.context(["default", _SETTINGS]):
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        # Tick labels take their style when they are created, so create them now.
        figure.draw_without_rendering()


def require_matplotlib() -> None:
    """Raise an error that names the extra if matplotlib is not installed.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            f"lnn_keras.plot needs the package {error.name!r}, which is not installed: "
            'pip install "lnn-keras[plot]"'
        ) from error


def set_title(figure: "Figure", text: str) -> None:
    """Set the title of a figure, in as many lines as its width needs."""
    if text:
        figure.suptitle(_wrapped(figure, text, 0.075), x=0.01, ha="left")


def set_notes(figure: "Figure", notes: Sequence[str]) -> None:
    """Set notes below the plots."""
    if notes:
        text = "\n".join(_wrapped(figure, note, 0.062) for note in notes)
        figure.supxlabel(text, x=0.01, ha="left", fontsize=7.5, color="0.25")


def set_legend(axis: Any, handles: Sequence[Any] | None = None, space: float = 0.3) -> None:
    """Put the legend above an axis, in as many columns as fit.

    Args:
        axis: The axes.
        handles: The entries; those of the axis by default.
        space: Distance from the axis, in units of the font size: `TITLED` above its title.
    """
    from matplotlib.lines import Line2D

    handles = axis.get_legend_handles_labels()[0] if handles is None else list(handles)
    if not handles:
        return
    width = axis.get_figure().get_figwidth() - 0.7
    letters = int(np.clip((width - 0.7) / 0.08, 10, 48))
    labels = [shortened(str(handle.get_label()), letters) for handle in handles]
    columns = _fitting_columns(labels, width)
    legend = axis.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        borderaxespad=space,
        borderpad=0,
        handlelength=2.4,
        columnspacing=1.2,
    )
    for handle in legend.legend_handles:
        if isinstance(handle, Line2D):
            handle.set_linewidth(max(handle.get_linewidth(), 1.2))
            handle.set_alpha(1)


def shortened(text: str, length: int) -> str:
    """A text with at most this number of characters, in one line."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def plain_log_axis(axis: Any) -> None:
    """Label a logarithmic axis (an `Axis`) with plain numbers instead of powers of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = np.linspace(low, high, 3)
    for steps in ([1.0], [1.0, 2.0, 5.0], [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]):
        places = np.outer(powers, steps).ravel()
        places = places[(low <= places) & (places <= high)]
        if len(places) >= 3:
            ticks = places[:: -(-len(places) // 6)]
            break
    axis.set_major_locator(FixedLocator(ticks.tolist()))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def integer_ticks(axis: Any) -> None:
    """Place the ticks of an axis (an `Axis`) at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def marker_of(values: np.ndarray) -> dict[str, Any]:
    """Markers for a line with values that have no neighbours: a line does not show them."""
    known = np.isfinite(values)
    neighbours = np.zeros(len(known), bool)
    neighbours[1:] |= known[:-1]
    neighbours[:-1] |= known[1:]
    single = np.flatnonzero(known & ~neighbours)
    return {"marker": "o", "markersize": 3.5, "markevery": single.tolist()} if len(single) else {}


def mark_as_empty(axis: Any, text: str) -> None:
    """Write into an axis without data why it has none."""
    axis.set_yticks([])
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color="0.25")


def _fitting_columns(labels: list[str], width: float) -> int:
    """The largest number of columns whose widest entries fit in a width in inches."""
    for columns in range(len(labels), 1, -1):
        # As matplotlib divides the entries among the columns.
        parts = [
            [len(labels[i]) for i in part] for part in np.array_split(range(len(labels)), columns)
        ]
        if sum(max(part) * 0.068 + 0.55 for part in parts) <= width:
            return columns
    return 1


def _wrapped(figure: "Figure", text: str, inches_per_letter: float) -> str:
    letters = max(16, int((figure.get_figwidth() - 0.15) / inches_per_letter))
    return "\n".join(textwrap.fill(line, letters) for line in text.splitlines())


def _checked_size(size: Any) -> Size:
    try:
        width, height = (float(length) for length in size)
    except (TypeError, ValueError):
        width = height = 0.0
    if not (1 <= width <= 100 and 1 <= height <= 100):
        raise ValueError(
            f"`size` must be (width, height) in inches, each from 1 to 100; received {size!r}."
        )
    return width, height
