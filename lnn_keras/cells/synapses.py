"""Synapses: conductance-based synapses of a wiring, for LTCCell."""

import keras
import numpy as np
from keras import ops

# Least and greatest initial value of what is drawn uniformly.
INITIAL_RANGES = {"weight": (0.001, 1.0), "sigma": (3.0, 8.0), "mu": (0.3, 0.8)}


class Synapses:
    """Synapses of one kind as an edge list, with the weights that they alone have.

    The neuron that a synapse leads to gets w s E and w s, with s = sigmoid(sigma (u - mu)) and u
    the value of where it comes from.

    Args:
        cell: The cell that holds the weights.
        prefix: What the names of the weights begin with.
        matrix: (sources, units): 1 or -1, the polarity, where there is a synapse.
    """

    def __init__(self, cell, prefix: str, matrix: np.ndarray):
        sources, targets = np.nonzero(matrix)
        polarity = matrix[sources, targets].astype("float32")
        # Small devices take no 64-bit positions.
        self.sources = sources.astype("int32")
        self._targets = targets.astype("int32")
        # Sums what arrives at each neuron; a constant of the graph, not a weight.
        self.arrivals = np.eye(matrix.shape[1], dtype="float32")[targets]
        self._fans = _Fans(matrix, sources, targets)
        initial = {
            name: keras.initializers.RandomUniform(*bounds)
            for name, bounds in INITIAL_RANGES.items()
        }
        self.weight, self.sigma, self.mu, self.reversal = (
            cell.add_weight(
                name=prefix + name,
                shape=sources.shape,
                initializer=initializer,
                constraint=constraint,
            )
            for name, initializer, constraint in (
                ("weight", initial["weight"], "non_neg"),
                ("sigma", initial["sigma"], None),
                ("mu", initial["mu"], None),
                (
                    "reversal",
                    lambda shape, dtype=None: ops.convert_to_tensor(polarity, dtype),
                    None,
                ),
            )
        )

    def currents(self, values):
        """Sums of w s E and of w s over the synapses of each neuron: two (..., units)."""
        arriving = ops.take(values, self.sources, axis=-1)
        conductance = self.weight * ops.sigmoid(self.sigma * (arriving - self.mu))
        arrivals = ops.cast(self.arrivals, conductance.dtype)
        return (
            ops.matmul(conductance * self.reversal, arrivals),
            ops.matmul(conductance, arrivals),
        )

    def constants(self, scale) -> list:
        """What `scaled_currents` needs of the weights, for a scale of each neuron (units,)."""
        weight = self.weight * ops.take(scale, self._targets) / 2
        fan = self._fans.of_synapses
        both = ops.stack([fan(weight * self.reversal), fan(weight)], axis=1)
        sigma = ops.expand_dims(fan(self.sigma / 2), -1)
        shift = sigma * ops.expand_dims(fan(self.mu), -1)
        return [sigma, shift, both, ops.sum(both, axis=-1, keepdims=True)]

    def scaled_currents(self, values, sigma, shift, both, total):
        """`currents`, scaled, of values that are columns: (sources, batch) -> two (units, batch).

        One product sums both for all neurons, and no sample waits for another within a row. For
        w sigmoid(z) it takes (w + w tanh(z / 2)) / 2, which compilers make less of.
        """
        s = ops.tanh(sigma * self._fans.of_values(values) - shift)
        found = ops.matmul(both, s) + total
        return self._fans.pad(found[:, 0]), self._fans.pad(found[:, 1])


class _Fans:
    """Synapses in rows: those to the first neuron, to the second ..., as many for each.

    Rows are as long as the longest must be, from the first neuron with a synapse to the last.
    """

    def __init__(self, matrix, sources, targets):
        count, (inputs, self._units) = len(sources), matrix.shape
        self._first = int(targets.min(initial=self._units))
        self._rows = max(0, int(targets.max(initial=-1)) + 1 - self._first)
        places, self._width = _places(targets)
        cells = (targets - self._first) * self._width + places
        # Where a row is not full it holds a synapse after the last one, which is none.
        self._synapses = _filled(self._rows * self._width, count, cells, np.arange(count))
        self._sources = _filled(self._rows * self._width, 0, cells, sources)
        # Seen from where synapses come from, so that gradients gather, and need not scatter.
        back, width = _places(sources)
        self._cells = _filled(
            inputs * width, self._rows * self._width, sources * width + back, cells
        ).reshape(inputs, width)
        self._joins_all = count == inputs * self._units

    def of_synapses(self, weights):
        """What each synapse has, in rows: (synapses,) -> (rows, width)."""
        found = ops.take(ops.pad(weights, (0, 1)), self._synapses)
        return ops.reshape(found, (self._rows, self._width))

    def of_values(self, values):
        """The value of where each comes from: (sources, batch) -> (rows, width, batch)."""
        if self._joins_all:
            return ops.expand_dims(values, 0)

        @ops.custom_gradient
        def gather(values):
            def backward(*args, upstream=None):
                upstream = args[0] if upstream is None else upstream
                flat = ops.reshape(upstream, (self._rows * self._width, -1))
                return ops.sum(
                    ops.take(ops.pad(flat, [(0, 1), (0, 0)]), self._cells, axis=0), axis=1
                )

            found = ops.take(values, self._sources, axis=0)
            return ops.reshape(found, (self._rows, self._width, -1)), backward

        return gather(values)

    def pad(self, sums):
        """Zeros for the neurons before and after those of rows: (rows, ...) -> (units, ...)."""
        after = self._units - self._first - self._rows
        return ops.pad(sums, [(self._first, after), (0, 0)])


def _places(groups):
    """The place of each among those of its group, and the size of the largest group."""
    places = np.zeros(len(groups), int)
    for group in np.unique(groups):
        places[groups == group] = np.arange((groups == group).sum())
    return places, int(places.max(initial=-1)) + 1


def _filled(size, filler, where, values):
    found = np.full(size, filler, "int32")
    found[where] = values
    return found
