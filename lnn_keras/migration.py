"""From ncps: its Keras layers become ours, with the same numbers."""

import keras
import numpy as np

from lnn_keras.cells import CfCCell, LTCCell, MixedMemoryCell, WiredCfCCell
from lnn_keras.layers.liquid_rnn import LiquidRNN
from lnn_keras.wirings import Adjacency, Wiring

_RNN_ARGUMENTS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
)


class _Layered(Adjacency):
    """The matrices of a wiring of ncps, with its layers."""

    def __init__(self, recurrent, sensory, outputs=None, layers=()):
        super().__init__(recurrent, sensory, outputs)
        self._layers = tuple(tuple(int(neuron) for neuron in layer) for layer in layers)

    @property
    def layers(self):
        return self._layers

    def get_config(self):
        return {**super().get_config(), "layers": [list(layer) for layer in self._layers]}


keras.saving.register_keras_serializable(package="lnn_keras", name="Layered")(_Layered)


def from_ncps(layer: keras.layers.RNN) -> LiquidRNN:
    """Turn a built layer of ncps 1.0.1's Keras package into one of ours.

    Args:
        layer: `ncps.keras.LTC` or `ncps.keras.CfC` (wired or not, with mixed memory or
            without), called once so that its weights exist.

    Returns:
        A built `LiquidRNN` with the same weights on the synapses that exist, and the
        same outputs.

    Raises:
        ValueError: The layer is not built, or its cell is none of these.
    """
    cell = getattr(layer, "cell", None)
    if cell is None or not type(cell).__module__.startswith("ncps.keras"):
        raise ValueError(
            f"`layer` must be ncps.keras.LTC or ncps.keras.CfC; received {type(layer).__name__}."
        )
    if not cell.built:
        raise ValueError(f"Layer {layer.name!r} is not built; call it on data first.")
    ours = _cell(cell)
    options = {name: getattr(layer, name) for name in _RNN_ARGUMENTS}
    return LiquidRNN(ours, name=layer.name, **options)


def _cell(cell):
    converters = {
        "LTCCell": _ltc,
        "CfCCell": _cfc,
        "WiredCfCCell": _wired_cfc,
        "MixedMemoryRNN": _mixed_memory,
    }
    kind = type(cell).__name__
    if kind not in converters:
        raise ValueError(
            f"Cells of type {kind} have no counterpart; allowed: {', '.join(converters)}."
        )
    return converters[kind](cell)


def _wiring(wiring) -> Wiring:
    layers = [wiring.get_neurons_of_layer(i) for i in range(wiring.num_layers)]
    return _Layered(
        wiring.adjacency_matrix, wiring.sensory_adjacency_matrix, wiring.output_dim, layers
    )


def _ltc(cell):
    theirs = {name: np.asarray(value) for name, value in cell._params.items()}
    ours = LTCCell(_wiring(cell.wiring), unfolds=cell._ode_unfolds)
    inputs, outputs = cell.wiring.input_dim, cell.wiring.output_dim
    ours.build((None, inputs))
    # Without a mapping of inputs or outputs, it is the identity.
    ours.input_scale.assign(theirs.get("input_w", np.ones(inputs)))
    ours.input_bias.assign(theirs.get("input_b", np.zeros(inputs)))
    ours.output_scale.assign(theirs.get("output_w", np.ones(outputs)))
    ours.output_bias.assign(theirs.get("output_b", np.zeros(outputs)))
    ours.leak.assign(theirs["gleak"])
    ours.leak_reversal.assign(theirs["vleak"])
    if (theirs["cm"] <= 0).any():
        raise ValueError("The layer holds a capacitance `cm` of 0, which has no dynamics.")
    ours.log_capacitance.assign(np.log(theirs["cm"]))
    for synapses, matrix, prefix in (
        (ours.recurrent, cell.wiring.adjacency_matrix, ""),
        (ours.sensory, cell.wiring.sensory_adjacency_matrix, "sensory_"),
    ):
        live = np.nonzero(matrix)
        synapses.weight.assign(theirs[prefix + "w"][live])
        synapses.sigma.assign(theirs[prefix + "sigma"][live])
        synapses.mu.assign(theirs[prefix + "mu"][live])
        synapses.reversal.assign(theirs[prefix + "erev"][live])
    return ours


def _cfc(cell):
    dense = [] if cell.backbone_fn is None else cell.backbone_fn.layers
    layers = [(d.kernel, d.bias) for d in dense if isinstance(d, keras.layers.Dense)]
    ours = CfCCell(
        cell.units,
        cell.mode,
        backbone_units=max(cell._backbone_units, 1),
        backbone_layers=cell._backbone_layers,
        activation=cell._activation,
        head_activation="linear",
    )
    (kernel, bias), *deeper = [*layers, _heads(cell, 1.0)]
    features = kernel.shape[0] - cell.units
    ours.build((None, features))
    _assign_cfc(ours, cell, kernel, bias, features)
    for (our_kernel, our_bias), (their_kernel, their_bias) in zip(ours.deeper, deeper, strict=True):
        our_kernel.assign(their_kernel)
        our_bias.assign(their_bias)
    return ours


def _wired_cfc(cell):
    ours = WiredCfCCell(_wiring(cell.wiring), cell.mode, head_activation="linear")
    ours.build((None, cell.wiring.input_dim))
    for our_layer, their_layer in zip(ours.cells, cell._cfc_layers, strict=True):
        # Its masks hold signs, which our weights hold themselves.
        kernel, bias = _heads(their_layer, np.asarray(their_layer.sparsity_mask))
        _assign_cfc(our_layer, their_layer, kernel, bias, len(kernel) - their_layer.units)
    return ours


def _heads(cell, mask):
    """The heads of a CfC cell side by side: kernel and bias."""
    kernels, biases = [np.asarray(cell.ff1_kernel) * mask], [np.asarray(cell.ff1_bias)]
    if cell.mode != "pure":
        kernels += [np.asarray(cell.ff2_kernel) * mask, cell.time_a.kernel, cell.time_b.kernel]
        biases += [cell.ff2_bias, cell.time_a.bias, cell.time_b.bias]
    return (
        np.concatenate([np.asarray(kernel) for kernel in kernels], axis=1),
        np.concatenate([np.asarray(bias) for bias in biases]),
    )


def _assign_cfc(ours, theirs, kernel, bias, features):
    kernel = np.asarray(kernel)
    ours.kernel.assign(kernel[:features])
    ours.recurrent_kernel.assign(kernel[features:])
    ours.bias.assign(bias)
    if theirs.mode == "pure":
        ours.w_tau.assign(np.asarray(theirs.w_tau)[0])
        ours.amplitude.assign(np.asarray(theirs.A)[0])


def _mixed_memory(cell):
    ours = MixedMemoryCell(_cell(cell.rnn_cell), forget_bias=cell.forget_gate_bias)
    ours.build((None, cell.input_kernel.shape[0]))
    ours.kernel.assign(cell.input_kernel)
    ours.recurrent_kernel.assign(cell.recurrent_kernel)
    ours.bias.assign(cell.bias)
    return ours
