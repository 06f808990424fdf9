"""The graph of a wiring or a cell: inputs and neurons in columns, and their synapses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lnn_keras.argument_checks import require_at_least
from lnn_keras.plot import arrays, style
from lnn_keras.plot.synapse_graph import SynapseGraph, graph_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_OF_DENSE, MOST_SYNAPSES = 150, 1500
SIGN_STYLES: tuple[tuple[str, Any], ...] = ((style.BLUE, "-"), (style.ORANGE, (0, (3, 1.5))))
# Points of an arc.
ARC_POINTS = 13
# Space of a name, in points.
NAME_HEIGHT = 7.5


def wiring(
    wiring_or_cell: Any,
    inputs: int | Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    strongest: int | None = None,
    title: str | None = None,
    size: style.Size | None = None,
) -> "Figure":
    """Draw the synapses of a wiring or a cell, layers as columns from left to right.

    Solid lines excite (positive weights), dashed ones inhibit (negative weights). The width of a
    line is the weight: the trained one of a cell that is built, 1 of a bare wiring. Synapses within
    a layer are arcs, to the right of it where they lead downwards and to the left upwards; a
    synapse of a neuron to itself is a ring around it.

    Args:
        wiring_or_cell: A `lnn_keras.wirings.Wiring`, a cell, a recurrent layer, or a model with one
            recurrent layer.
        inputs: Names of the inputs, or their number: required for a bare wiring.
        outputs: Names of the output neurons. By default they are numbered, but where all neurons
            are outputs.
        strongest: How many synapses to draw; by default all up to 1,500, of cells with dense
            kernels the 150 strongest.
        title: Title; "" for none.
        size: Width and height in inches.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: The number of inputs is not known or another one, a wrong number of names, or a
            cell without a weight per pair of neurons; the message lists those that have one.

    Example:

    ```python
    wiring = lnn_keras.wirings.AutoNCP(12, outputs=2)
    figure = lnn_keras.plot.wiring(wiring, inputs=["speed", "angle"], outputs=["left", "right"])
    ```
    """
    style.require_matplotlib()
    names = None if inputs is None or hasattr(inputs, "__index__") else _texts(inputs)
    count = len(names) if names is not None else inputs
    if count is not None:
        count = require_at_least(1, "inputs", count)  # pyright: ignore[reportArgumentType]
    graph = graph_of(wiring_or_cell, count)
    input_names = arrays.names_of("inputs", names, len(graph.sensory), "input")
    output_names = arrays.names_of("outputs", outputs, len(graph.outputs), "output")
    limit = MOST_OF_DENSE if graph.dense else MOST_SYNAPSES
    limit = limit if strongest is None else require_at_least(1, "strongest", strongest)
    units = len(graph.recurrent)
    rows = max(len(graph.sensory), *(len(neurons) for _, neurons in graph.layers))
    default = (8.0, float(np.clip(1.4 + 0.16 * rows, 3.2, 8)))
    with style.new_figure(size, default) as figure:
        axis: Any = figure.subplots()
        axis.set_axis_off()
        room = (figure.get_figheight() - 1.1) * 72 / max(rows, 1)
        places = _places(graph)
        drawn, total = _draw_synapses(axis, graph, places, limit, room)
        _draw_neurons(axis, graph, places, room)
        letters = int(figure.get_figwidth() * 3.6)
        first, hidden = len(graph.sensory), []
        if room * rows / first >= NAME_HEIGHT:
            _draw_names(axis, places[:first], input_names, -8, letters)
        elif names is not None:
            hidden.append("inputs")
        if room * rows / len(graph.layers[-1][1]) >= NAME_HEIGHT:
            ends = places[[first + neuron for neuron in graph.outputs]]
            # To the right of the arcs of the only layer.
            ends = ends + np.array([0.36 if len(graph.layers) == 1 else 0, 0])
            if outputs is not None or len(graph.outputs) < units:
                _draw_names(axis, ends, output_names, 8, letters)
        elif outputs is not None:
            hidden.append("outputs")
        notes = [graph.note] if graph.note else []
        if drawn < total:
            notes.append(f"The {drawn:,} strongest of {total:,} synapses are drawn.")
        if hidden:
            kinds = " and ".join(hidden)
            notes.append(f"Names of {kinds} do not fit at this height; give a taller `size`.")
        default_title = (
            f"{graph.name}: {_counted(len(graph.sensory), 'input')}, {_counted(units, 'neuron')}, "
            f"{_counted(total, 'synapse')}"
        )
        style.set_title(figure, default_title if title is None else title)
        style.set_notes(figure, notes)
    return figure


def _texts(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else [str(name) for name in names]


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'s' * (count != 1)}"


def _columns(graph: SynapseGraph) -> list[tuple[str, list[int]]]:
    """Title and members of each column; inputs are numbered before neurons."""
    first = len(graph.sensory)
    columns = [("inputs", list(range(first)))]
    return columns + [(title, [first + n for n in neurons]) for title, neurons in graph.layers]


def _places(graph: SynapseGraph) -> np.ndarray:
    """Positions (inputs + units, 2) with columns at 0, 1, 2, ... and rows within [-1, 0]."""
    places = np.zeros((len(graph.sensory) + len(graph.recurrent), 2))
    for column, (_, members) in enumerate(_columns(graph)):
        count = len(members)
        places[members, 0] = column
        places[members, 1] = -(np.arange(count) + 0.5) / count
    return places


def _draw_synapses(
    axis: Any, graph: SynapseGraph, places: np.ndarray, limit: int, room: float
) -> tuple[int, int]:
    """Draw the strongest synapses; return how many were drawn and how many exist."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    weights = np.concatenate([graph.sensory, graph.recurrent])
    weights = np.nan_to_num(weights)
    sources, targets = np.nonzero(weights)
    total = len(sources)
    sizes = np.abs(weights[sources, targets])
    kept = np.sort(np.argsort(-sizes, kind="stable")[:limit])
    sources, targets, sizes = sources[kept], targets[kept], sizes[kept]
    positive = weights[sources, targets] > 0
    widest = float(np.clip(30 / np.sqrt(max(len(kept), 1)), 0.7, 2.2))
    relative = sizes / sizes.max() if len(sizes) else sizes
    alpha = float(np.clip(9 / np.sqrt(max(len(kept), 1)), 0.25, 0.85))
    targets = targets + len(graph.sensory)
    loops = sources == targets
    entries = []
    for place, name in enumerate(graph.signs):
        color, line = SIGN_STYLES[place]
        chosen = (positive if place == 0 else ~positive) & ~loops
        paths = [
            _path(places[a], places[b])
            for a, b in zip(sources[chosen], targets[chosen], strict=True)
        ]
        widths = 0.35 + (widest - 0.35) * relative[chosen]
        lines = LineCollection(
            paths, colors=color, linestyles=[line], linewidths=widths, alpha=alpha, zorder=1
        )
        axis.add_collection(lines, autolim=False)
        _draw_loops(
            axis, places, sources[(positive if place == 0 else ~positive) & loops], place, room
        )
        entries.append(Line2D([], [], color=color, linestyle=line, label=name))
    style.set_legend(axis, entries, space=style.TITLED + 1.2)
    return len(kept), total


def _path(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """A straight line to a later column, an arc within a column or to an earlier one."""
    if end[0] > start[0]:
        return np.stack([start, end])
    t = np.linspace(0, 1, ARC_POINTS)[:, None]
    side = 1 if end[1] < start[1] else -1
    bulge = side * (0.12 + 0.5 * abs(end[1] - start[1]))
    control = (start + end) / 2 + [bulge, 0]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def _draw_loops(
    axis: Any, places: np.ndarray, neurons: np.ndarray, place: int, room: float
) -> None:
    if len(neurons):
        color, line = SIGN_STYLES[place]
        axis.scatter(
            *places[neurons].T,
            s=(_diameter(room) * 1.5 + 1) ** 2,
            facecolors="none",
            edgecolors=color,
            linestyles=[line],
            linewidths=0.9,
            zorder=2,
        )


def _diameter(room: float) -> float:
    return float(np.clip(0.5 * room, 2, 9))


def _draw_neurons(axis: Any, graph: SynapseGraph, places: np.ndarray, room: float) -> None:
    columns = _columns(graph)
    outputs = {len(graph.sensory) + neuron for neuron in graph.outputs}
    for column, (title, members) in enumerate(columns):
        # Shape and grey tell inputs, neurons and outputs apart.
        is_output = bool(outputs & set(members))
        marker = "s" if column == 0 else "D" if is_output and len(columns) > 2 else "o"
        face = "white" if column == 0 else "0.25" if is_output and len(columns) > 2 else "0.8"
        axis.scatter(
            *places[members].T,
            s=_diameter(room) ** 2,
            marker=marker,
            facecolor=face,
            edgecolor="black",
            linewidth=0.7,
            zorder=3,
        )
        head = title.replace(" neurons", "\nneurons") if len(columns) > 3 else title
        axis.annotate(
            head, (column, 0), (0, 4), textcoords="offset points", ha="center", va="bottom"
        )
    side = 0.42 if len(columns) == 2 else 0.35
    axis.set_xlim(-0.15, len(columns) - 1 + side)
    axis.set_ylim(-1, 0.06)


def _draw_names(axis: Any, places: np.ndarray, names: list[str], offset: int, letters: int) -> None:
    for place, name in zip(places, names, strict=True):
        axis.annotate(
            style.shortened(name, letters),
            place,
            (offset, 0),
            textcoords="offset points",
            ha="right" if offset < 0 else "left",
            va="center",
            fontsize=7.5,
            # Readable across arcs.
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.4},
            zorder=4,
        )
