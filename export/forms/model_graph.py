"""A model's graph as a list of calls, with nested models inlined and stable names.

The graph is read, never called symbolically, so the model's layers stay as they are.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from export import compat
from export.forms import names
from export.forms.functional_model import functional_graph
from export.forms.rnn_layers import exported_layer
from lnn_keras.layers.cell_step import accepts

# In a traced graph, the operations of a call are in the scope of the layer's name and this suffix,
# which no name of a layer contains.
SCOPE = ".call"

# Step and sequence forms run in inference mode.
_MODE = "training"


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph: the result of one call, or an input."""

    shape: tuple[int | None, ...]
    dtype: str

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row of a sequence; elapsed times (batch, time) have rows of one value."""
        return tuple(size or 0 for size in self.shape[2:]) or (1,)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer or operation.

    Attributes:
        layer: The layer or operation, without its training-only parts.
        args: Positional arguments, with a `Value` in the place of each tensor.
        kwargs: Keyword arguments, likewise.
        outputs: The results, in flat order.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Value]

    @property
    def inputs(self) -> list[Value]:
        """The tensors that the call reads."""
        return list(values_of((self.args, self.kwargs)))

    @property
    def described(self) -> str:
        """Name and type of the layer, for messages."""
        return f"Layer {self.layer.name!r} ({type(self.layer).__name__})"


@dataclass(frozen=True)
class ModelGraph:
    """A model as calls in order.

    Attributes:
        model: The user's model.
        name: Its name in files: the name that the user gave, or else "model".
        inputs: By name in files, in the model's order.
        keys: By name in files, the name that the model itself has for an input.
        outputs: By name in files, in the model's order.
        calls: In an order in which each reads only inputs and earlier results.
        layer_names: By `id` of a layer, its name in files.
        is_exact: Whether the calls are those of the model itself; false if layers were replaced
            by their exported form.
    """

    model: keras.Model
    name: str
    inputs: dict[str, Value]
    keys: dict[str, str]
    outputs: dict[str, Value]
    calls: list[Call]
    layer_names: dict[int, str]
    is_exact: bool

    def evaluate(
        self, inputs: Mapping[str, Any], call: Callable[..., Any] | None = None
    ) -> dict[str, Any]:
        """Run the calls on tensors by name, and return the outputs by name.

        Args:
            inputs: A tensor for each input.
            call: Function of a `Call` and its arguments with tensors, which returns the results
                in the layer's structure; by default the layer is called.
        """
        tensors = {id(value): inputs[name] for name, value in self.inputs.items()}
        for entry in self.calls:
            args, kwargs = replace_values(
                (entry.args, entry.kwargs), lambda value: tensors[id(value)]
            )
            with keras.name_scope(self.layer_names[id(entry.layer)] + SCOPE):
                results = call(entry, *args, **kwargs) if call else entry.layer(*args, **kwargs)
            results = keras.tree.flatten(results)
            tensors.update(zip(map(id, entry.outputs), results, strict=True))
        return {name: tensors[id(value)] for name, value in self.outputs.items()}

    def readers(self, value: Value) -> list[Call]:
        """Return the calls that read a tensor."""
        return [call for call in self.calls if any(read is value for read in call.inputs)]


def values_of(structure: Any) -> Iterator[Value]:
    """Yield the `Value` objects of a nested structure."""
    return (leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, Value))


def replace_values(structure: Any, function: Callable[[Value], Any]) -> Any:
    """Return a nested structure with `function` applied to each `Value`."""
    return keras.tree.map_structure(
        lambda leaf: function(leaf) if isinstance(leaf, Value) else leaf, structure
    )


def read_graph(model: keras.Model) -> ModelGraph:
    """Read the graph of a built Sequential or Functional model.

    Raises:
        ValueError: The model is not built, is subclassed, calls a layer in training mode, computes
            in another type than float32, has weights that are not finite, or an output (batch,).
    """
    functional = functional_graph(model)
    _require_finite_weights(functional)
    inputs = [Value(tuple(t.shape), t.dtype) for t in functional.inputs]
    calls: list[Call] = []
    outputs = _read_calls(functional, inputs, calls)
    keys = names.input_keys(functional)
    input_names = names.unique(names.input_names(keys))
    _require_known_sizes(input_names, inputs)
    output_names = names.output_names(functional, input_names)
    _require_output_axis(output_names, outputs)
    layers = list({id(call.layer): call.layer for call in calls}.values())
    return ModelGraph(
        model=model,
        name=names.model_name(model),
        inputs=dict(zip(input_names, inputs, strict=True)),
        keys=dict(zip(input_names, keys, strict=True)),
        outputs=dict(zip(output_names, outputs, strict=True)),
        calls=calls,
        layer_names=dict(zip(map(id, layers), names.layer_names(layers), strict=True)),
        is_exact=not any(exported_layer(layer) is not layer for layer in _all_layers(functional)),
    )


def _is_nested_model(layer: Any, arguments: list[Value]) -> bool:
    """Whether a layer is a model with a graph for arguments of these shapes."""
    inputs = getattr(layer, "inputs", None) if isinstance(layer, keras.Model) else None
    return bool(inputs) and [len(t.shape) for t in inputs] == [len(v.shape) for v in arguments]


def _read_calls(functional: keras.Model, inputs: list[Value], calls: list[Call]) -> list[Value]:
    """Append the calls of a model to `calls`; return the outputs."""
    values = {id(tensor): value for tensor, value in zip(functional.inputs, inputs, strict=True)}
    for layer, args, kwargs, outputs in compat.graph_nodes(functional):
        arguments: Any = keras.tree.map_structure(
            lambda leaf: values[id(leaf)] if isinstance(leaf, keras.KerasTensor) else leaf,
            (args, kwargs),
        )
        args, kwargs = arguments
        if kwargs.pop(_MODE, None) is True:
            raise ValueError(
                f"Layer {layer.name!r} ({type(layer).__name__}) is called with training=True; "
                "an exported model runs in inference mode. Call it without `training`."
            )
        tensors = list(values_of(args))
        if _is_nested_model(layer, tensors):
            results = _read_calls(functional_graph(layer), tensors, calls)
        else:
            results = [Value(tuple(tensor.shape), tensor.dtype) for tensor in outputs]
            _require_float32(layer)
            layer = exported_layer(layer)
            if kwargs.get("mask") is None or not accepts(layer.call, "mask"):
                kwargs.pop("mask", None)
            calls.append(Call(layer, args, kwargs, results))
        values.update(zip(map(id, outputs), results, strict=True))
    return [values[id(tensor)] for tensor in functional.outputs]


def _require_finite_weights(model: keras.Model) -> None:
    for weight in model.weights:
        values = np.asarray(keras.ops.convert_to_numpy(weight.value))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(
                f"Weight {weight.path!r} has {np.count_nonzero(~np.isfinite(values))} NaN or "
                "infinite values. Train the model again, for example with a lower learning rate or "
                "clipped gradients."
            )


def _require_known_sizes(input_names: list[str], values: list[Value]) -> None:
    for name, value in zip(input_names, values, strict=True):
        if None in value.shape[2:]:
            raise ValueError(
                f"Input {name!r} of shape {value.shape} has an unknown number of features. Rebuild "
                "the model with keras.Input((time, features)) and load the same weights."
            )


def _require_output_axis(output_names: list[str], values: list[Value]) -> None:
    for name, value in zip(output_names, values, strict=True):
        if len(value.shape) < 2:
            raise ValueError(
                f"Output {name!r} of shape {value.shape} has no axis after the batch. Add "
                "keras.layers.Reshape((1,)) behind it, or take x[:, -1:] instead of x[:, -1]."
            )


def _require_float32(layer: Any) -> None:
    for inner in compat.flatten_layers(layer):
        if getattr(inner, "compute_dtype", "float32") != "float32":
            raise ValueError(
                f"Layer {inner.name!r} computes in {inner.compute_dtype}; export takes float32. "
                "Rebuild the model with dtype float32 and load the same weights, or apply the "
                "layer before the model."
            )


def _all_layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)
        else:
            yield layer
