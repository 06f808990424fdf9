"""Wirings of ncps as matrices, read from the masks that a built layer computes with."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from lnn_keras.tensors import concrete_values
from lnn_keras.wirings import Adjacency


# Saved models contain this name.
@keras.saving.register_keras_serializable(package="lnn_keras", name="Layered")
class LayeredAdjacency(Adjacency):
    """The adjacency matrices and the layers of an ncps wiring.

    Args:
        recurrent: Array-like (units, units) of -1, 0, 1.
        sensory: Array-like (inputs, units) of -1, 0, 1.
        outputs: Number of motor neurons; `units` by default.
        layers: Neurons of each layer; without any, all neurons form one layer.
    """

    def __init__(
        self,
        recurrent: Any,
        sensory: Any,
        outputs: int | None = None,
        layers: Sequence[Sequence[int]] = (),
    ):
        super().__init__(recurrent, sensory, outputs)
        self._layers = tuple(tuple(int(neuron) for neuron in layer) for layer in layers)

    @property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        return self._layers or super().layers

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layers": [list(layer) for layer in self._layers]}


def mask_values(mask: Any, argument: str, cell: Any) -> np.ndarray:
    """The values of a mask that a cell of ncps created when it was built.

    Args:
        mask: Tensor or array.
        argument: Name of the mask, for the message.
        cell: The cell of ncps.

    Raises:
        ValueError: The mask belongs to a graph, so it has no values.
    """
    values = concrete_values(mask)
    if values is None:
        raise ValueError(
            f"Cell {cell.name!r} ({type(cell).__name__}) was built within a graph (by `fit`, for "
            f"instance), so its `{argument}` has no values, and ncps itself cannot call it outside "
            "of `fit`. Create the same model with keras.Input as its first layer, give it the "
            "weights by `set_weights`, and convert it."
        )
    return values


def ltc_wiring(source: Any) -> tuple[LayeredAdjacency, np.ndarray, np.ndarray]:
    """The wiring of an LTCCell, its recurrent and its sensory mask.

    The cell's masks count, not the wiring's matrices: `build` of ncps adds synapses to a wiring
    for each layer that shares it.
    """
    wiring = source.wiring
    recurrent, sensory = (
        mask_values(source._params[name], name, source)
        for name in ("sparsity_mask", "sensory_sparsity_mask")
    )
    return (
        LayeredAdjacency(
            _polarities(recurrent, wiring.adjacency_matrix),
            _polarities(sensory, wiring.sensory_adjacency_matrix),
            wiring.output_dim,
            _layers(wiring),
        ),
        recurrent,
        sensory,
    )


def wired_cfc_wiring(source: Any) -> tuple[LayeredAdjacency, list[np.ndarray]]:
    """The wiring of a WiredCfCCell, and the mask (inputs + units, units) of each layer."""
    wiring, layers = source.wiring, _layers(source.wiring)
    masks = [mask_values(cell.sparsity_mask, "sparsity_mask", cell) for cell in source._cfc_layers]
    recurrent = np.sign(wiring.adjacency_matrix)
    sensory = np.sign(wiring.sensory_adjacency_matrix)
    sensory[:, layers[0]] = np.sign(masks[0][: len(sensory)])
    for (previous, layer), mask in zip(itertools.pairwise(layers), masks[1:], strict=True):
        recurrent[np.ix_(previous, layer)] = np.sign(mask[: len(previous)])
    return LayeredAdjacency(recurrent, sensory, wiring.output_dim, layers), masks


def _layers(wiring):
    return [list(wiring.get_neurons_of_layer(i)) for i in range(wiring.num_layers)]


def _polarities(mask, matrix):
    """-1 or 1 where the mask has a synapse."""
    return np.where(mask != 0, np.where(np.asarray(matrix) < 0, -1, 1), 0)
