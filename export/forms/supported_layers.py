"""Which models can be exported: checks of a model's layers, with errors that name the layer."""

import inspect
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from export.forms.rnn_layers import cells_of, exported_layer, is_rnn
from lnn_keras import EachStep
from lnn_keras.elapsed import LAST_FEATURE

# Layers that act on each time step independently, and so need no state.
POINTWISE_LAYERS = {
    getattr(keras.layers, name)
    for name in (
        "Activation ActivityRegularization Add AlphaDropout Average BatchNormalization "
        "Concatenate Dense Dropout ELU GaussianDropout GaussianNoise Identity "
        "LayerNormalization LeakyReLU Maximum Minimum Multiply Normalization ReLU Rescaling "
        "Softmax SpatialDropout1D Subtract UnitNormalization"
    ).split()
}
# Layers that act on an image, which is one time step inside a layer of `EACH_STEP`.
IMAGE_LAYERS = {
    getattr(keras.layers, name)
    for name in (
        "AveragePooling2D Conv2D DepthwiseConv2D Flatten GlobalAveragePooling2D "
        "GlobalMaxPooling2D MaxPooling2D Reshape SeparableConv2D ZeroPadding2D"
    ).split()
}
EACH_STEP = {EachStep, keras.layers.TimeDistributed}
# Layers that require a time axis, or weights of the rank of their input.
RANKED_LAYERS = {
    keras.layers.BatchNormalization,
    keras.layers.Normalization,
    keras.layers.SpatialDropout1D,
}
POINTWISE_OPERATORS = {"Add", "Subtract", "Multiply", "Maximum", "Minimum"}
LAST_STEP = (slice(None), -1)


@dataclass(frozen=True)
class Call:
    """One call of a layer in a model's graph, with the tensors that it reads and returns."""

    layer: Any
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]


def as_functional(model: keras.Model) -> keras.Model:
    """Return a built Sequential or Functional model as a Functional one.

    Raises:
        ValueError: The model is not built, is subclassed, computes in another type than
            float32, or has a layer that cannot be exported; the message names it.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model; received {type(model).__name__}.")
    if isinstance(model, keras.Sequential):
        if not model.built or not model.inputs:
            raise ValueError(
                f"Model {model.name!r} is not built; call it on data, or add keras.Input, first."
            )
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    elif not getattr(model, "inputs", None):
        raise ValueError(
            f"Model {model.name!r} ({type(model).__name__}) is subclassed, so its layers' order is "
            "unknown; only Sequential and Functional models can be exported."
        )
    for tensor in model.inputs:
        _require_sequence(tensor)
    model = exported_layer(model)
    # Before the graph is cloned, so that errors name layers and not their operations.
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            require_form(layer)
            _require_float32(layer)
    return model


def require_form(layer: Any) -> Any:
    """Return the layer itself if it depends only on the present and past time steps.

    Raises:
        ValueError: It cannot be exported; the message says why.
    """
    kind = type(layer)
    if is_rnn(layer):
        if layer.go_backwards:
            raise ValueError(
                f"Layer {layer.name!r} runs backwards in time (go_backwards=True); "
                "a device receives time steps in order."
            )
        return layer
    if is_convolution(layer):
        _require_causal(layer)
        return layer
    if kind in POINTWISE_LAYERS:
        _require_last_axis(layer)
        return layer
    if kind in EACH_STEP:
        _require_image_layers(layer)
        return layer
    operators = POINTWISE_OPERATORS | {"GetItem"}
    if not isinstance(layer, keras.layers.Layer) and kind.__name__ in operators:
        return layer
    if isinstance(layer, keras.layers.Bidirectional):
        why = "reads the sequence backwards as well; a device receives time steps in order"
    elif "Pooling" in kind.__name__ or kind is keras.layers.Flatten:
        why = (
            "looks at a whole sequence at once, but a device receives one time step at a time; "
            "use the last step instead: return_sequences=False, or x[:, -1]. For images, wrap it "
            "in lnn_keras.EachStep"
        )
    elif kind in IMAGE_LAYERS:
        why = "acts on images; wrap it in lnn_keras.EachStep, which calls it once per time step"
    else:
        why = "has no form for a single time step"
    allowed = ", ".join(sorted(cls.__name__ for cls in POINTWISE_LAYERS | EACH_STEP))
    raise ValueError(
        f"Layer {layer.name!r} ({kind.__name__}) {why}. "
        f"Allowed: RNN, LiquidRNN, LSTM, GRU, SimpleRNN, Conv1D (causal), {allowed}, x[:, -1]."
    )


def calls_of(functional: keras.Model) -> tuple[list[Call], list[keras.KerasTensor]]:
    """Return the calls of a model's layers in order, and the model's output tensors.

    The calls start from `functional.inputs`. A layer that is called twice has two calls.
    """
    calls = []

    def record(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        read = [t for t in keras.tree.flatten((args, kwargs)) if isinstance(t, keras.KerasTensor)]
        calls.append(Call(layer, read, keras.tree.flatten(outputs)))
        return outputs

    retraced = keras.models.clone_model(
        functional,
        input_tensors=functional.input,
        clone_function=lambda layer: layer,
        call_function=record,
    )
    return calls, retraced.outputs


def takes_elapsed(functional: keras.Model) -> bool:
    """Return whether an input of the model holds elapsed times, which are never negative."""
    if any(len(tensor.shape) == 2 for tensor in functional.inputs):
        return True
    return any(
        is_rnn(call.layer)
        and (len(call.inputs) > 1 or LAST_FEATURE in _elapsed_arguments(call.layer))
        for call in calls_of(functional)[0]
    )


def _elapsed_arguments(layer):
    return [cell.elapsed for cell in cells_of(layer.cell) if hasattr(cell, "elapsed")]


def is_convolution(layer: Any) -> bool:
    """Return whether a layer reads a fixed number of past rows."""
    return type(layer) is keras.layers.Conv1D


def is_last_step(layer: Any) -> bool:
    """Return whether an operation of a graph is `x[...]`; see `require_last_step`."""
    return not isinstance(layer, keras.layers.Layer) and type(layer).__name__ == "GetItem"


def require_last_step(layer: Any, key: Any) -> None:
    """Raise a ValueError if `x[key]` is not the last step `x[:, -1]`."""
    if tuple(key) != LAST_STEP:
        raise ValueError(
            f"Operation {layer.name!r} takes x[{key}]; of a sequence only x[:, -1], "
            "the last step, can be exported."
        )


def call_pointwise(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a layer without state on tensors with a time axis, or without."""
    kwargs = {name: value for name, value in kwargs.items() if name not in ("mask", "training")}
    if type(layer) in EACH_STEP:
        return _call_each_step(layer, *args)
    if type(layer) is keras.layers.Concatenate:
        return ops.concatenate(*args, axis=-1)
    if type(layer) in RANKED_LAYERS and len(args[0].shape) == 2:
        return ops.squeeze(layer(ops.expand_dims(args[0], 1)), 1)
    return layer(*args, **kwargs)


def _call_each_step(layer, inputs):
    if len(inputs.shape) < len(layer.get_build_config()["input_shape"]):
        return layer.layer(inputs)
    # A traced TimeDistributed confuses the number of steps with the batch size.
    return EachStep(layer.layer, name=layer.name)(inputs)


def rnn_arguments(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Return the sequences, and the elapsed times or None, of a call of an RNN layer.

    Raises:
        ValueError: The call has an initial state or a mask.
    """
    arguments = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    for name in ("initial_state", "mask"):
        if arguments.get(name) is not None:
            raise ValueError(
                f"Layer {layer.name!r} is called with `{name}`, which cannot be exported."
            )
    return arguments["sequences"], arguments.get("elapsed")


def output_names(functional: keras.Model) -> list[str]:
    """Return the outputs' names: dict keys, else "output", or "output_0", "output_1", ..."""
    structure = functional.output
    if isinstance(structure, dict):
        return sorted(structure)
    count = len(keras.tree.flatten(structure))
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _require_sequence(tensor):
    if len(tensor.shape) not in (2, 3):
        raise ValueError(
            f"Input {tensor.name!r} has shape {tuple(tensor.shape)}; inputs must be "
            "(batch, time, features), or (batch, time) for elapsed times."
        )
    if len(tensor.shape) == 3 and tensor.shape[2] is None:
        raise ValueError(f"Input {tensor.name!r} has an unknown number of features.")


def _require_image_layers(layer):
    """Raise a ValueError if a layer of `EACH_STEP` wraps a layer that cannot be exported."""
    wrapped = layer.layer
    allowed = POINTWISE_LAYERS | IMAGE_LAYERS
    for inner in wrapped.layers if isinstance(wrapped, keras.Model) else [wrapped]:
        kind = type(inner)
        if kind not in allowed | {keras.layers.InputLayer}:
            raise ValueError(
                f"Layer {inner.name!r} ({kind.__name__}) within {layer.name!r} has no form for a "
                f"single time step. Allowed: {', '.join(sorted(c.__name__ for c in allowed))}."
            )
        if getattr(inner, "data_format", "channels_last") != "channels_last":
            raise ValueError(
                f"Layer {inner.name!r} within {layer.name!r} has data_format="
                f"{inner.data_format!r}; export takes 'channels_last'."
            )
        _require_float32(inner)


def _require_float32(layer):
    if getattr(layer, "compute_dtype", "float32") != "float32":
        raise ValueError(
            f"Layer {layer.name!r} computes in {layer.compute_dtype}; export takes float32. "
            "Rebuild the model with dtype float32 and load the same weights."
        )


def _require_causal(layer):
    if layer.padding != "causal" and (layer.kernel_size[0] > 1 or layer.padding == "same"):
        raise ValueError(
            f"Layer {layer.name!r} (Conv1D) has padding={layer.padding!r}, which reads future "
            "steps or drops the first ones. Use padding='causal'."
        )
    if layer.data_format != "channels_last":
        raise ValueError(
            f"Layer {layer.name!r} (Conv1D) has data_format={layer.data_format!r}; "
            "export takes 'channels_last'."
        )


def _require_last_axis(layer):
    axes = np.atleast_1d(getattr(layer, "axis", -1)).tolist()
    if axes not in ([-1], [2]):
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) works along axis {axes}; "
            "a single time step has only the feature axis (-1)."
        )
