"""from_ncps: convert layers of the ncps package."""

from typing import Any

import keras
import numpy as np

from lnn_keras.cells import CfCCell, ContinuousTimeCell, LTCCell, MixedMemoryCell, WiredCfCCell
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


@keras.saving.register_keras_serializable(package="lnn_keras", name="Layered")
class _LayeredAdjacency(Adjacency):
    """The adjacency matrices and the layers of an ncps wiring."""

    def __init__(self, recurrent, sensory, outputs=None, layers=()):
        super().__init__(recurrent, sensory, outputs)
        self._layers = tuple(tuple(int(neuron) for neuron in layer) for layer in layers)

    @property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        return self._layers

    def get_config(self) -> dict:
        return {**super().get_config(), "layers": [list(layer) for layer in self._layers]}


def from_ncps(layer: keras.layers.RNN) -> LiquidRNN:
    """Convert a built Keras layer of ncps 1.0.1 to a `LiquidRNN` with the same outputs.

    Args:
        layer: `ncps.keras.LTC` or `ncps.keras.CfC` (with or without wiring and mixed memory).
            It must have been called once, so that its weights exist.

    Returns:
        A built `LiquidRNN`. Of weights on a wiring it has those of existing synapses.

    Raises:
        ValueError: The layer is not built, or its cell has no counterpart.

    Example:

    ```
    layer = ncps.keras.LTC(ncps.wirings.AutoNCP(32, 4))
    layer(x)
    converted = lnn_keras.from_ncps(layer)
    ```
    """
    cell = getattr(layer, "cell", None)
    if cell is None or not type(cell).__module__.startswith("ncps.keras"):
        raise ValueError(
            f"`layer` must be ncps.keras.LTC or ncps.keras.CfC; received {type(layer).__name__}."
        )
    if not cell.built:
        raise ValueError(f"Layer {layer.name!r} is not built; call it on data first.")
    options = {name: getattr(layer, name) for name in _RNN_ARGUMENTS}
    return LiquidRNN(_convert_cell(cell), name=layer.name, **options)


def _convert_cell(source: Any) -> ContinuousTimeCell:
    converters = {
        "LTCCell": _convert_ltc,
        "CfCCell": _convert_cfc,
        "WiredCfCCell": _convert_wired_cfc,
        "MixedMemoryRNN": _convert_mixed_memory,
    }
    kind = type(source).__name__
    if kind not in converters:
        raise ValueError(
            f"Cells of type {kind} have no counterpart; allowed: {', '.join(converters)}."
        )
    return converters[kind](source)


def _convert_wiring(wiring: Any) -> Wiring:
    layers = [wiring.get_neurons_of_layer(i) for i in range(wiring.num_layers)]
    return _LayeredAdjacency(
        wiring.adjacency_matrix, wiring.sensory_adjacency_matrix, wiring.output_dim, layers
    )


def _convert_ltc(source: Any) -> LTCCell:
    weights = {name: np.asarray(value) for name, value in source._params.items()}
    if (weights["cm"] <= 0).any():
        raise ValueError("The layer holds a capacitance `cm` of 0, which has no dynamics.")
    cell = LTCCell(_convert_wiring(source.wiring), unfolds=source._ode_unfolds)
    inputs, outputs = source.wiring.input_dim, source.wiring.output_dim
    cell.build((None, inputs))
    # An input or output mapping that ncps does not have is the identity.
    cell.input_scale.assign(weights.get("input_w", np.ones(inputs)))
    cell.input_bias.assign(weights.get("input_b", np.zeros(inputs)))
    cell.output_scale.assign(weights.get("output_w", np.ones(outputs)))
    cell.output_bias.assign(weights.get("output_b", np.zeros(outputs)))
    cell.leak.assign(weights["gleak"])
    cell.leak_reversal.assign(weights["vleak"])
    cell.log_capacitance.assign(np.log(weights["cm"]))
    for synapses, matrix, prefix in (
        (cell.recurrent, source.wiring.adjacency_matrix, ""),
        (cell.sensory, source.wiring.sensory_adjacency_matrix, "sensory_"),
    ):
        existing = np.nonzero(matrix)
        synapses.weight.assign(weights[prefix + "w"][existing])
        synapses.sigma.assign(weights[prefix + "sigma"][existing])
        synapses.mu.assign(weights[prefix + "mu"][existing])
        synapses.reversal.assign(weights[prefix + "erev"][existing])
    return cell


def _convert_cfc(source: Any) -> CfCCell:
    backbone = [] if source.backbone_fn is None else source.backbone_fn.layers
    layers = [(d.kernel, d.bias) for d in backbone if isinstance(d, keras.layers.Dense)]
    cell = CfCCell(
        source.units,
        source.mode,
        backbone_units=max(source._backbone_units, 1),
        backbone_layers=source._backbone_layers,
        activation=source._activation,
        head_activation="linear",
    )
    (kernel, bias), *later_layers = [*layers, _concatenate_heads(source, 1.0)]
    features = kernel.shape[0] - source.units
    cell.build((None, features))
    _assign_first_layer(cell, source, kernel, bias, features)
    for variables, values in zip(cell.later_layers, later_layers, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return cell


def _convert_wired_cfc(source: Any) -> WiredCfCCell:
    cell = WiredCfCCell(_convert_wiring(source.wiring), source.mode, head_activation="linear")
    cell.build((None, source.wiring.input_dim))
    for layer, source_layer in zip(cell.cells, source._cfc_layers, strict=True):
        # The masks of ncps hold polarities, which our weights include.
        kernel, bias = _concatenate_heads(source_layer, np.asarray(source_layer.sparsity_mask))
        features = len(kernel) - source_layer.units
        _assign_first_layer(layer, source_layer, kernel, bias, features)
    return cell


def _concatenate_heads(source: Any, mask: Any) -> tuple[np.ndarray, np.ndarray]:
    """The heads of a CfC cell as one layer: kernel and bias."""
    kernels, biases = [np.asarray(source.ff1_kernel) * mask], [np.asarray(source.ff1_bias)]
    if source.mode != "pure":
        kernels += [np.asarray(source.ff2_kernel) * mask]
        kernels += [np.asarray(source.time_a.kernel), np.asarray(source.time_b.kernel)]
        biases += [source.ff2_bias, source.time_a.bias, source.time_b.bias]
    return (
        np.concatenate(kernels, axis=1),
        np.concatenate([np.asarray(bias) for bias in biases]),
    )


def _assign_first_layer(cell: CfCCell, source: Any, kernel: Any, bias: Any, features: int) -> None:
    kernel = np.asarray(kernel)
    cell.kernel.assign(kernel[:features])
    cell.recurrent_kernel.assign(kernel[features:])
    cell.bias.assign(bias)
    if source.mode == "pure":
        cell.w_tau.assign(np.asarray(source.w_tau)[0])
        cell.amplitude.assign(np.asarray(source.A)[0])


def _convert_mixed_memory(source: Any) -> MixedMemoryCell:
    cell = MixedMemoryCell(_convert_cell(source.rnn_cell), forget_bias=source.forget_gate_bias)
    cell.build((None, source.input_kernel.shape[0]))
    cell.kernel.assign(source.input_kernel)
    cell.recurrent_kernel.assign(source.recurrent_kernel)
    cell.bias.assign(source.bias)
    return cell
