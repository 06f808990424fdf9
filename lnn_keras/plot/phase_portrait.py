"""Phase portrait of a cell: the path of two neurons, and the direction of change around it."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from lnn_keras.cells import ODECell, ODERNNCell
from lnn_keras.cells.continuous_time import as_list
from lnn_keras.plot import arrays, style
from lnn_keras.plot.cells import cell_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Points of the grid on which curves of rest are computed; arrows are at some of them.
GRID = 41


def phase_portrait(
    cell: Any,
    inputs: Any,
    neurons: tuple[int, int] = (0, 1),
    sample: int = 0,
    elapsed: Any = None,
    held_step: int = -1,
    names: tuple[str, str] | None = None,
    title: str | None = None,
    size: style.Size | None = None,
) -> "Figure":
    """Draw the states of two neurons along a sequence, and the field of their change.

    Arrows show dh/dt = drive - decay h of the two neurons while one input is held, with all other
    neurons at their last state; their length is the square root of the speed. For cells without a
    differential equation, and for `ODERNNCell`, whose input acts in jumps, an arrow shows the
    displacement of one step. On the dashed and the dotted curve, one of the neurons is at rest.

    Args:
        cell: A built cell, a recurrent layer, or a model with one recurrent layer.
        inputs: The input of the cell (time, features) or (batch, time, features).
        neurons: Two indices of the state; the states of a cell with several follow each other.
        sample: Which sample of the batch.
        elapsed: Time between each step and the step before it, (time,) or (batch, time), or a
            number; by default that of the cell.
        held_step: The step whose input is held for the arrows; by default the last one.
        names: Names of the two neurons.
        title: Title; "" for none.
        size: Width and height in inches.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: No cell or several, a cell that is not built or has one neuron, neurons, sample
            or step that do not exist, another shape, or inputs with NaN.

    Example:

    ```python
    cell = lnn_keras.LiquidCell(4)
    cell.build((None, 2))
    inputs = np.sin(np.linspace(0, 12, 60))[:, None] * [1.0, -1.0]
    figure = lnn_keras.plot.phase_portrait(cell, inputs, neurons=(0, 2), elapsed=0.1)
    ```
    """
    style.require_matplotlib()
    cell = cell_of(cell, "phase_portrait")
    if not cell.built:
        raise ValueError(f"{cell.name!r} is not built: call its layer on data first.")
    values = arrays.one_sample("inputs", inputs, sample)
    if np.isnan(values).any():
        step = int(np.argmax(np.isnan(values).any(axis=1)))
        raise ValueError(
            f"`inputs` must be finite; received NaN or infinity at step {step}, after which no "
            "state is known. Fill or cut it."
        )
    total = sum(as_list(cell.state_size))
    if total < 2:
        raise ValueError("A phase portrait needs two neurons; the cell has one.")
    if len(neurons) != 2 or neurons[0] == neurons[1]:
        raise ValueError(f"`neurons` must be two different indices; received {neurons!r}.")
    pair = arrays.chosen_indices("neurons", neurons, (), total, "neuron")
    (held,) = arrays.chosen_indices("held_step", [held_step], (), len(values), "step")
    gaps = _gaps(elapsed, len(values), sample)
    path = _path(cell, values, gaps)
    labels = arrays.names_of("names", names, 2, "neuron") if names is not None else None
    labels = labels or [f"state of neuron {neuron}" for neuron in pair]
    grid = _grid(path[:, pair])
    change = _field(cell, values[held], gaps[held], path[-1], pair, grid)
    with style.new_figure(size, (6.4, 5.2)) as figure:
        axis: Any = figure.subplots()
        _draw_field(axis, grid, change, figure.get_figwidth())
        _draw_path(axis, path[:, pair])
        axis.set_xlabel(labels[0])
        axis.set_ylabel(labels[1])
        _draw_legend(axis, labels)
        default_title = f"Path of two of {total} neurons of {type(cell).__name__}"
        style.set_title(figure, default_title if title is None else title)
        rate = "direction of change" if _has_equation(cell) else "change in one step"
        others = ", other neurons at their last state" if total > 2 else ""
        style.set_notes(figure, [f"Arrows: {rate} while the input of step {held} is held{others}."])
    return figure


def _gaps(elapsed: Any, steps: int, sample: int) -> list[Any]:
    """The elapsed time of each step, None for the cell's own."""
    if elapsed is None:
        return [None] * steps
    times, _ = arrays.times(elapsed, steps, sample)
    return np.diff(times, prepend=0.0).tolist()


def _has_equation(cell: Any) -> bool:
    return isinstance(cell, ODECell) and not isinstance(cell, ODERNNCell)


def _advance(cell: Any, inputs: np.ndarray, states: list[Any], gap: float | None) -> list[Any]:
    given = {} if gap is None else {"elapsed": gap}
    try:
        return list(cell(keras.ops.convert_to_tensor(inputs, "float32"), states, **given)[1])
    except TypeError:
        if gap is None:
            raise
        raise ValueError(
            f"{type(cell).__name__} takes no elapsed time; leave `elapsed` out."
        ) from None


def _joined(states: list[Any]) -> np.ndarray:
    parts = [_numpy(state) for state in states]
    return np.concatenate(parts, axis=-1)


def _path(cell: Any, values: np.ndarray, gaps: list[Any]) -> np.ndarray:
    """The states after each step (time, state)."""
    states = list(cell.get_initial_state(batch_size=1))
    path = []
    for row, gap in zip(values, gaps, strict=True):
        states = _advance(cell, row[None], states, gap)
        path.append(_joined(states)[0])
    found = np.array(path)
    if not np.isfinite(found).all():
        raise ValueError("The states of the cell are not finite along these inputs.")
    return found


def _grid(path: np.ndarray) -> np.ndarray:
    """Coordinates (2, GRID) around a path."""
    low, high = path.min(axis=0), path.max(axis=0)
    spread = high - low
    margin = np.where(spread > 0, 0.25 * spread, np.maximum(0.5 * spread.max(), 0.1))
    return np.linspace(low - margin, high + margin, GRID, axis=1)


def _field(
    cell: Any, row: np.ndarray, gap: float | None, last: np.ndarray, pair: list[int], grid: Any
) -> np.ndarray:
    """The change (2, GRID, GRID) of both neurons at each point of the grid."""
    states = np.tile(last, (GRID * GRID, 1))
    states[:, pair[0]] = np.tile(grid[0], GRID)
    states[:, pair[1]] = np.repeat(grid[1], GRID)
    rows = np.tile(row, (len(states), 1)).astype("float32")
    states = states.astype("float32")
    if _has_equation(cell):
        change = _derivatives(cell, rows, states, gap)
    else:
        ends = np.cumsum(as_list(cell.state_size))[:-1]
        parts = [keras.ops.convert_to_tensor(part) for part in np.split(states, ends, axis=1)]
        change = _joined(_advance(cell, rows, parts, gap)) - states
    return change[:, pair].T.reshape(2, GRID, GRID)


def _derivatives(cell: Any, rows: np.ndarray, states: np.ndarray, gap: float | None) -> np.ndarray:
    features, _ = cell.separate_elapsed(keras.ops.convert_to_tensor(rows), gap)
    h = keras.ops.convert_to_tensor(states)
    # The constants of LTCCell are for another form of its equation.
    constants = [] if hasattr(cell, "advance_batch_last") else cell.constants()
    drive, decay = cell.increments(cell.project(features), h, 1.0, *constants)
    return _numpy(drive - decay * h)


def _numpy(values: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(values, "float32")))


def _draw_field(axis: Any, grid: np.ndarray, change: np.ndarray, width: float) -> None:
    for level, line, color in ((0, (0, (5, 2)), style.BLUE), (1, (0, (1, 1.3)), style.GREEN)):
        # A curve exists where the change has both signs.
        if change[level].min() < 0 < change[level].max():
            axis.contour(
                *grid, change[level], [0], colors=[color], linestyles=[line], linewidths=1.6
            )
    every = slice(2, None, 3 if width >= 5 else 4)
    u, v = change[:, every, every]
    # Lengths as they appear on the figure, so that both axes count the same.
    spans = np.ptp(grid, axis=1)
    u, v = u / spans[0], v / spans[1]
    speed = np.hypot(u, v)
    fastest = speed.max()
    factor = np.sqrt(speed / fastest) / np.maximum(speed, 1e-30) if fastest else speed
    axis.quiver(
        *(part[every] for part in grid),
        u * factor,
        v * factor,
        color="0.5",
        scale=16,
        width=0.004,
        headwidth=4,
        zorder=2,
    )
    axis.set_xlim(grid[0, 0], grid[0, -1])
    axis.set_ylim(grid[1, 0], grid[1, -1])


def _draw_path(axis: Any, path: np.ndarray) -> None:
    if len(path) > 1:
        width = 1.5 if len(path) <= 80 else 0.8
        axis.plot(*path.T, color="white", linewidth=2 * width, zorder=3)
        axis.plot(*path.T, color=style.VERMILION, linewidth=width, zorder=4)
    ends = ((path[0], "o", "white"), (path[-1], "s", "black"))
    for point, marker, face in ends[-min(len(path), 2) :]:
        axis.plot(
            *point, marker=marker, markersize=7, color="black", markerfacecolor=face, zorder=5
        )


def _draw_legend(axis: Any, labels: list[str]) -> None:
    from matplotlib.lines import Line2D

    shape = {"color": "black", "linestyle": "none", "markersize": 6}
    first, second = (style.shortened(label.removeprefix("state of "), 24) for label in labels)
    entries = [
        Line2D([], [], color=style.VERMILION, linewidth=1.5, label="path"),
        Line2D([], [], marker="o", markerfacecolor="white", label="after the first step", **shape),
        Line2D([], [], marker="s", label="after the last step", **shape),
        Line2D([], [], color=style.BLUE, linestyle=(0, (5, 2)), label=f"{first} at rest"),
        Line2D([], [], color=style.GREEN, linestyle=(0, (1, 1.3)), label=f"{second} at rest"),
    ]
    style.set_legend(axis, entries)
