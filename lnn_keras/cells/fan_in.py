"""FanInLayout: synapses in padded rows, one row per target neuron."""

import numpy as np

from lnn_keras.autodiff.linear_map import linear_map
from lnn_keras.tensors import Tensor, ops


class FanInLayout:
    """The synapses of a wiring as a matrix (rows, width) of slots.

    Row i holds the synapses to the i-th target neuron; `width` is the largest fan-in. Rows range
    from the first to the last neuron that is a target. Slots without a synapse are padding: their
    weight is 0, and their source is source 0.

    Sums over the synapses of each neuron are then one batched matrix product, where an edge list
    needs a scatter. The gradient of the gather by source gathers as well: a second table holds
    the slots that each source feeds, padded to the largest fan-out. A scatter writes to shared
    addresses and runs on one thread or with atomics.

    Args:
        sources: Index of the source of each synapse (synapses,).
        targets: Index of the target of each synapse (synapses,).
        shape: Number of sources and number of neurons.
    """

    def __init__(self, sources: np.ndarray, targets: np.ndarray, shape: tuple[int, int]):
        source_count, self._units = shape
        synapses = len(sources)
        self._first_target = int(targets.min(initial=self._units))
        self._rows = max(0, int(targets.max(initial=-1)) + 1 - self._first_target)
        columns, self._width = _positions_in_group(targets)
        slots = (targets - self._first_target) * self._width + columns
        slot_count = self._rows * self._width
        # Padding refers to the entry after the last synapse, which `pad_weights` appends.
        self._synapse_of_slot = _table(slot_count, synapses, slots, np.arange(synapses))
        self._source_of_slot = _table(slot_count, 0, slots, sources)
        positions, fan_out = _positions_in_group(sources)
        self._slots_of_source = _table(
            source_count * fan_out, slot_count, sources * fan_out + positions, slots
        ).reshape(source_count, fan_out)
        self._is_fully_connected = synapses == source_count * self._units

    def pad_weights(self, weights: Tensor) -> Tensor:
        """Weights in padded rows: (synapses,) -> (rows, width)."""
        padded = ops.take(ops.pad(weights, (0, 1)), self._synapse_of_slot)
        return ops.reshape(padded, (self._rows, self._width))

    def gather_sources(self, values: Tensor) -> Tensor:
        """The source value of each slot: (sources, batch) -> (rows, width, batch).

        Fully connected rows are all equal to `values`, which broadcasts: (1, sources, batch).
        """
        if self._is_fully_connected:
            return ops.expand_dims(values, 0)

        # No size is inferred (-1), which is impossible where there is no synapse. Each map takes
        # the size of the batch from its own argument, since it may use no other tensors.
        def gather(values):
            gathered = ops.take(values, self._source_of_slot, axis=0)
            return ops.reshape(gathered, (self._rows, self._width, ops.shape(values)[-1]))

        def sum_of_slots(slots):
            flat = ops.reshape(slots, (self._rows * self._width, ops.shape(slots)[-1]))
            flat = ops.pad(flat, [(0, 1), (0, 0)])
            return ops.sum(ops.take(flat, self._slots_of_source, axis=0), axis=1)

        return linear_map(gather, sum_of_slots, values)

    def pad_units(self, sums: Tensor) -> Tensor:
        """Append zeros for neurons without a row: (rows, batch) -> (units, batch)."""
        after = self._units - self._first_target - self._rows
        return ops.pad(sums, [(self._first_target, after), (0, 0)])


def _positions_in_group(groups: np.ndarray) -> tuple[np.ndarray, int]:
    """The position of each element in its group, and the size of the largest group."""
    positions = np.zeros(len(groups), int)
    for group in np.unique(groups):
        positions[groups == group] = np.arange((groups == group).sum())
    return positions, int(positions.max(initial=-1)) + 1


def _table(size: int, padding: int, indices: np.ndarray, values: np.ndarray) -> np.ndarray:
    """An array of `padding`, with `values` at `indices`."""
    table = np.full(size, padding, "int32")
    table[indices] = values
    return table
