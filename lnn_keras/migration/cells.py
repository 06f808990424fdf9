"""Cells of ncps as cells of lnn_keras with the same outputs."""

from typing import Any

import keras
import numpy as np

from lnn_keras.cells import CfCCell, ContinuousTimeCell, LTCCell, MixedMemoryCell, WiredCfCCell
from lnn_keras.cells.cfc import lecun_tanh
from lnn_keras.migration.wirings import ltc_wiring, mask_values, wired_cfc_wiring


@keras.saving.register_keras_serializable(package="lnn_keras", name="KeepZeros")
class _KeepZeros(keras.constraints.Constraint):
    """Weights that a mask removed stay zero while a converted cell trains.

    Args:
        mask: 1 for a weight and 0 where it was removed, of the weight's shape.
    """

    def __init__(self, mask: Any):
        self.mask = np.asarray(mask, "float32")

    def __call__(self, w: Any) -> Any:
        return w * keras.ops.cast(self.mask, w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"mask": self.mask.tolist()}


def is_ncps(layer: Any) -> bool:
    """Return whether a layer or cell belongs to ncps."""
    return type(layer).__module__.startswith("ncps.")


def convert_cell(source: Any) -> ContinuousTimeCell:
    """Convert a built cell of `ncps.keras`.

    Args:
        source: LTCCell, CfCCell, WiredCfCCell or MixedMemoryRNN of `ncps.keras`.

    Returns:
        A built cell. It has no weights for synapses that do not exist.

    Raises:
        ValueError: The cell has no counterpart, is not built, or has an argument that cannot be
            carried over; the message names it.
    """
    converters = {
        "LTCCell": _convert_ltc,
        "CfCCell": _convert_cfc,
        "WiredCfCCell": _convert_wired_cfc,
        "MixedMemoryRNN": _convert_mixed_memory,
    }
    kind = type(source).__name__
    if kind not in converters or not type(source).__module__.startswith("ncps.keras"):
        raise ValueError(
            f"Cells of type {type(source).__module__}.{kind} have no counterpart; allowed: "
            f"{', '.join(converters)} of ncps.keras."
        )
    if not source.built:
        raise ValueError(f"Cell {source.name!r} ({kind}) is not built; call it on data first.")
    require_exact_dtype(source)
    cell = converters[kind](source)
    cell.trainable = source.trainable
    return cell


def require_exact_dtype(layer: keras.layers.Layer) -> None:
    """Raise a ValueError if a layer or cell of ncps computes in half precision."""
    if layer.compute_dtype not in ("float32", "float64"):
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} has `dtype` {layer.dtype_policy.name}, in "
            "which the outputs of ncps and of lnn_keras differ by rounding; allowed: float32, "
            "float64. Create the layer with dtype='float32' and give it the weights by "
            "`set_weights`."
        )


def _convert_ltc(source: Any) -> LTCCell:
    weights = {
        name: np.asarray(value)
        for name, value in source._params.items()
        if not name.endswith("sparsity_mask")
    }
    if (weights["cm"] <= 0).any():
        raise ValueError(
            f"Cell {source.name!r} holds a capacitance `cm` of 0, which has no dynamics."
        )
    wiring, recurrent_mask, sensory_mask = ltc_wiring(source)
    cell = LTCCell(wiring, unfolds=source._ode_unfolds, dtype=source.dtype_policy)
    inputs, outputs = source.wiring.input_dim, source.wiring.output_dim
    cell.build((None, inputs))
    # An input or output mapping that ncps does not have is the identity.
    cell.input_scale.assign(weights.get("input_w", np.ones(inputs)))
    cell.input_bias.assign(weights.get("input_b", np.zeros(inputs)))
    cell.output_scale.assign(weights.get("output_w", np.ones(outputs)))
    cell.output_bias.assign(weights.get("output_b", np.zeros(outputs)))
    leak, leak_reversal = _leak(source, weights["gleak"], weights["vleak"])
    cell.leak.assign(leak)
    cell.leak_reversal.assign(leak_reversal)
    cell.log_capacitance.assign(np.log(weights["cm"]))
    for synapses, mask, prefix in (
        (cell.recurrent, recurrent_mask, ""),
        (cell.sensory, sensory_mask, "sensory_"),
    ):
        existing = np.nonzero(mask)
        synapses.weight.assign((weights[prefix + "w"] * mask)[existing])
        synapses.sigma.assign(weights[prefix + "sigma"][existing])
        synapses.mu.assign(weights[prefix + "mu"][existing])
        synapses.reversal.assign(weights[prefix + "erev"][existing])
    return cell


def _leak(source, conductance, reversal):
    """The leak with `epsilon`, which ncps adds to the denominator of each solver step.

    That is a second leak, of conductance epsilon and potential 0.
    """
    total = conductance + np.float32(source._epsilon)
    if (total < 0).any():
        raise ValueError(
            f"Cell {source.name!r} has `epsilon` {source._epsilon!r}, which makes the leak "
            f"conductance {total.min():g}; allowed: an `epsilon` of at least 0."
        )
    share = np.divide(conductance, total, out=np.ones_like(total), where=total > 0)
    return total, reversal * share


def _convert_cfc(source: Any) -> CfCCell:
    _require_no_dropout(source)
    backbone = [] if source.backbone_fn is None else source.backbone_fn.layers
    layers = [(d.kernel, d.bias) for d in backbone if isinstance(d, keras.layers.Dense)]
    mask = source.sparsity_mask
    if mask is not None:
        mask = mask_values(mask, "sparsity_mask", source)
    heads = _concatenate_heads(source, 1.0 if mask is None else mask)
    (kernel, bias), *later_layers = [*layers, heads]
    features = kernel.shape[0] - source.units
    cell = CfCCell(
        source.units,
        source.mode,
        backbone_units=max(source._backbone_units, 1),
        backbone_layers=source._backbone_layers,
        activation=_activation(source._activation),
        head_activation="linear",
        dtype=source.dtype_policy,
        **_mask_constraints(source, mask, features),
    )
    cell.build((None, features))
    _assign_first_layer(cell, source, kernel, bias, features)
    for variables, values in zip(cell.later_layers, later_layers, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return cell


def _require_no_dropout(source):
    rate = source._backbone_dropout
    if rate and source._backbone_layers:
        raise ValueError(
            f"Cell {source.name!r} has `backbone_dropout` {rate!r}, which CfCCell does not have "
            "(its `dropout` and `recurrent_dropout` act on the input and the state). Create the "
            "layer with backbone_dropout=0.0, give it the weights by `set_weights`, and convert "
            "it: outputs outside of training are the same."
        )


def _activation(activation):
    """The activation; that of ncps by our name for it, so that files load without ncps."""
    is_ncps = getattr(activation, "__module__", "").startswith("ncps.")
    return lecun_tanh if is_ncps and activation.__name__ == "lecun_tanh" else activation


def _mask_constraints(source, mask, features) -> dict[str, Any]:
    """Constraints that keep the weights zero which `sparsity_mask` removes."""
    if mask is None:
        return {}
    shape = source.ff1_kernel.shape
    head, ones = np.broadcast_to(mask != 0, shape), np.ones(shape)
    heads = [head] if source.mode == "pure" else [head, head, ones, ones]
    kept = np.concatenate(heads, axis=1)
    return {
        "kernel_constraint": _KeepZeros(kept[:features]),
        "recurrent_constraint": _KeepZeros(kept[features:]),
    }


def _convert_wired_cfc(source: Any) -> WiredCfCCell:
    wiring, masks = wired_cfc_wiring(source)
    cell = WiredCfCCell(wiring, source.mode, head_activation="linear", dtype=source.dtype_policy)
    cell.build((None, source.wiring.input_dim))
    for layer, source_layer, mask in zip(cell.cells, source._cfc_layers, masks, strict=True):
        # The masks of ncps hold polarities, which our weights include.
        kernel, bias = _concatenate_heads(source_layer, mask)
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
    inner = convert_cell(source.rnn_cell)
    cell = MixedMemoryCell(inner, forget_bias=source.forget_gate_bias)
    cell.build((None, source.input_kernel.shape[0]))
    cell.kernel.assign(source.input_kernel)
    cell.recurrent_kernel.assign(source.recurrent_kernel)
    cell.bias.assign(source.bias)
    return cell
