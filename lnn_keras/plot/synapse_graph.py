"""The synapses of wirings and cells as weights between inputs and neurons."""

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from lnn_keras.cells import CfCCell, LTCCell, MixedMemoryCell, WiredCfCCell
from lnn_keras.plot.cells import cell_of
from lnn_keras.wirings import NCP, Wiring

DRAWN = (
    "a wiring, LTCCell, WiredCfCCell, and cells with the weights `kernel` and `recurrent_kernel` "
    "per pair of neurons (LiquidCell, CTRNNCell, LRCCell, ...)"
)


@dataclass(frozen=True)
class SynapseGraph:
    """Weights from inputs and neurons to neurons, 0 without a synapse.

    Attributes:
        name: Name of the wiring or cell.
        sensory: (inputs, units).
        recurrent: (units, units), from row to column.
        layers: Title and neurons of each column, in the order of the signal.
        outputs: The neurons whose states are the outputs.
        signs: Names of positive and negative weights; of one kind if weights have no sign.
        dense: Whether almost every pair of neurons has a weight.
        note: A remark about the weights, or "".
    """

    name: str
    sensory: np.ndarray
    recurrent: np.ndarray
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: tuple[int, ...]
    signs: tuple[str, ...]
    dense: bool = False
    note: str = ""


def graph_of(source: Any, inputs: int | None) -> SynapseGraph:
    """The graph of a wiring, a cell, or a layer or model with one.

    Args:
        source: The wiring, cell, layer or model.
        inputs: Number of inputs of a bare wiring or of a cell that is not built.

    Raises:
        ValueError: It has no such weights, is not built, or the number of inputs is another one
            or unknown.
    """
    if isinstance(source, Wiring):
        return _of_wiring(source, _known(inputs, None, repr(source)), type(source).__name__)
    cell = cell_of(source, "wiring")
    while isinstance(cell, MixedMemoryCell):
        cell = cell.cell
    name = type(cell).__name__
    if isinstance(cell, (LTCCell, WiredCfCCell)):
        count = _known(inputs, cell._feature_count if cell.built else None, name)
        graph = _of_wiring(cell.wiring, count, f"{name}, {type(cell.wiring).__name__}")
        if isinstance(cell, WiredCfCCell):
            return _between_layers(graph)
        return _with_weights(graph, cell) if cell.built else graph
    return _of_kernels(cell, name, inputs)


def _known(given: int | None, own: int | None, name: str) -> int:
    if given is None and own is None:
        raise ValueError(
            f"The number of inputs of {name} is not known: give `inputs`, their names or number."
        )
    if given is not None and own is not None and given != own:
        raise ValueError(f"{name} has {own} inputs; `inputs` gives {given}.")
    return int(own if own is not None else given)  # pyright: ignore[reportArgumentType]


def _of_wiring(wiring: Wiring, inputs: int, name: str) -> SynapseGraph:
    connections = wiring.connect(inputs)
    outputs = tuple(range(wiring.outputs))
    groups = [tuple(layer) for layer in wiring.layers if len(layer)]
    if isinstance(wiring, NCP):
        titles = ["inter neurons", "command neurons", "motor neurons"]
    elif len(groups) > 1:
        titles = [f"layer {number + 1}" for number in range(len(groups))]
    else:
        titles, groups = _hidden_and_outputs(wiring.units, outputs)
    return SynapseGraph(
        name,
        connections.sensory.astype("float64"),
        connections.recurrent.astype("float64"),
        tuple(zip(titles, groups, strict=True)),
        outputs,
        ("excites", "inhibits"),
    )


def _hidden_and_outputs(units: int, outputs: tuple[int, ...]) -> tuple[list[str], list[Any]]:
    hidden = tuple(range(len(outputs), units))
    return (["hidden", "outputs"], [hidden, outputs]) if hidden else (["neurons"], [outputs])


def _with_weights(graph: SynapseGraph, cell: Any) -> SynapseGraph:
    """The trained weights w, with the signs of the trained potentials E."""

    def matrix(synapses: Any, shape: tuple[int, ...]) -> np.ndarray:
        weights, potentials = (_numpy(x) for x in (synapses.weight, synapses.reversal))
        found = np.zeros(shape)
        found[synapses.sources, synapses._targets] = weights * np.sign(potentials)
        return found

    return replace(
        graph,
        sensory=matrix(cell.sensory, graph.sensory.shape),
        recurrent=matrix(cell.recurrent, graph.recurrent.shape),
        note="Width: conductance w of the synapse.",
    )


def _between_layers(graph: SynapseGraph) -> SynapseGraph:
    """Synapses from each layer to the next; the signs of the wiring have no meaning here."""
    recurrent = np.zeros_like(graph.recurrent)
    for (_, before), (_, after) in zip(graph.layers, graph.layers[1:], strict=False):
        block = np.ix_(before, after)
        recurrent[block] = np.abs(graph.recurrent[block])
    return replace(
        graph,
        sensory=np.abs(graph.sensory),
        recurrent=recurrent,
        signs=("synapse",),
        note="Within a layer, every neuron also takes the state of every other one.",
    )


def _of_kernels(cell: Any, name: str, inputs: int | None) -> SynapseGraph:
    kernels = [getattr(cell, key, None) for key in ("kernel", "recurrent_kernel")]
    units = getattr(cell, "units", 0)
    hidden_layers = isinstance(cell, CfCCell) and cell.backbone_layers > 0
    if any(kernel is None for kernel in kernels) or hidden_layers:
        if not cell.built and not hidden_layers and hasattr(type(cell), "build"):
            raise ValueError(
                f"{name} has no weights yet: build it, or call its layer on data first. wiring "
                f"draws {DRAWN}."
            )
        raise ValueError(f"{name} has no weight per pair of neurons. wiring draws {DRAWN}.")
    sensory, recurrent = (_numpy(kernel) for kernel in kernels)
    _known(inputs, len(sensory), name)
    if sensory.shape[1] % units or recurrent.shape != (units, sensory.shape[1]):
        raise ValueError(f"{name} has no weight per pair of neurons. wiring draws {DRAWN}.")
    gates = sensory.shape[1] // units
    signs, note = ("positive weight", "negative weight"), "Width: size of the weight."
    if gates > 1:
        # The gates of a neuron have signs of their own.
        sensory, recurrent = (
            np.sqrt(np.square(kernel.reshape(len(kernel), gates, units)).sum(axis=1))
            for kernel in (sensory, recurrent)
        )
        signs, note = ("weight",), f"Width: root of the sum of squares over {gates} gates."
    outputs = tuple(range(units))
    return SynapseGraph(
        name, sensory, recurrent, (("neurons", outputs),), outputs, signs, True, note
    )


def _numpy(values: Any) -> np.ndarray:
    return np.asarray(
        keras.ops.convert_to_numpy(keras.ops.cast(values, "float32")), dtype="float64"
    )
