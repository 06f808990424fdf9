"""Which models have a form on a device: checks of a model, layer by layer, by name."""

import inspect
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from export.forms.rnn_layers import cells_of, exported_layer, is_rnn
from lnn_keras import EachStep
from lnn_keras.elapsed import LAST_FEATURE

# Layers that act on each time step alone, and so need no state.
POINTWISE_LAYERS = {
    getattr(keras.layers, name)
    for name in (
        "Activation ActivityRegularization Add AlphaDropout Average BatchNormalization "
        "Concatenate Dense Dropout ELU GaussianDropout GaussianNoise Identity "
        "LayerNormalization LeakyReLU Maximum Minimum Multiply Normalization ReLU Rescaling "
        "Softmax SpatialDropout1D Subtract UnitNormalization"
    ).split()
}
# Layers that act on a picture, which a step is within a layer of `EACH_STEP`.
PICTURE_LAYERS = {
    getattr(keras.layers, name)
    for name in (
        "AveragePooling2D Conv2D DepthwiseConv2D Flatten GlobalAveragePooling2D "
        "GlobalMaxPooling2D MaxPooling2D Reshape SeparableConv2D ZeroPadding2D"
    ).split()
}
EACH_STEP = {EachStep, keras.layers.TimeDistributed}
# They ask for a time axis, or their weights have the rank of their input.
RANKED_LAYERS = {
    keras.layers.BatchNormalization,
    keras.layers.Normalization,
    keras.layers.SpatialDropout1D,
}
POINTWISE_OPERATORS = {"Add", "Subtract", "Multiply", "Maximum", "Minimum"}
LAST_STEP = (slice(None), -1)


@dataclass(frozen=True)
class Call:
    """One call of a layer in a model's graph: what it reads, and what it gives."""

    layer: keras.Operation
    inputs: list
    outputs: list


def as_functional(model: keras.Model) -> keras.Model:
    """Return a built Sequential or Functional model as a Functional one.

    Raises:
        ValueError: The model is not built, is subclassed, computes in another type than
            float32, or holds a layer that has no form on a device; the message names it.
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
    if any(exported_layer(layer) is not layer for layer in model.layers):
        model = _exported_model(model)
    # Before the graph is cloned, whose operations would be named instead of their layers.
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            require_form(layer)
            _require_float32(layer)
    return model


def require_form(layer):
    """Return the layer itself, if it looks at no time but now and the past.

    Raises:
        ValueError: It has no form on a device; the message says why.
    """
    kind = type(layer)
    if is_rnn(layer):
        if layer.go_backwards:
            raise ValueError(
                f"Layer {layer.name!r} runs backwards in time (go_backwards=True); "
                "a device sees time forwards only."
            )
        return layer
    if is_convolution(layer):
        _require_causal(layer)
        return layer
    if kind in POINTWISE_LAYERS:
        _require_last_axis(layer)
        return layer
    if kind in EACH_STEP:
        _require_picture_layers(layer)
        return layer
    operators = POINTWISE_OPERATORS | {"GetItem"}
    if not isinstance(layer, keras.layers.Layer) and kind.__name__ in operators:
        return layer
    if isinstance(layer, keras.layers.Bidirectional):
        why = "reads the sequence backwards as well; a device sees time forwards only"
    elif "Pooling" in kind.__name__ or kind is keras.layers.Flatten:
        why = (
            "looks at a whole sequence at once, and a device sees one time step after the other; "
            "let the last step speak: return_sequences=False, or x[:, -1]. Over pictures, wrap it "
            "in lnn_keras.EachStep"
        )
    elif kind in PICTURE_LAYERS:
        why = "acts on pictures; wrap it in lnn_keras.EachStep, which shows it one step at a time"
    else:
        why = "has no form for a single time step here"
    allowed = ", ".join(sorted(cls.__name__ for cls in POINTWISE_LAYERS | EACH_STEP))
    raise ValueError(
        f"Layer {layer.name!r} ({kind.__name__}) {why}. "
        f"Allowed: RNN, LiquidRNN, LSTM, GRU, SimpleRNN, Conv1D (causal), {allowed}, x[:, -1]."
    )


def calls_of(functional: keras.Model) -> tuple[list[Call], list]:
    """The calls of a model's layers, in order, and the outputs that they end in.

    The first inputs are `functional.inputs`. A layer that is called twice has two calls.
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
    """Whether a model is fed elapsed times, which are never negative."""
    if any(len(tensor.shape) == 2 for tensor in functional.inputs):
        return True
    return any(
        is_rnn(call.layer)
        and (len(call.inputs) > 1 or any(c.elapsed == LAST_FEATURE for c in _timed(call.layer)))
        for call in calls_of(functional)[0]
    )


def _timed(layer):
    return [cell for cell in cells_of(layer.cell) if hasattr(cell, "elapsed")]


def _exported_model(functional):
    """The model of its layers' exported forms, with the same weights."""

    def call(layer, *args, **kwargs):
        # Layers that train otherwise than they predict leave traces of it in their calls.
        kwargs.pop("training", None)
        return layer(*args, **kwargs)

    return keras.models.clone_model(functional, clone_function=exported_layer, call_function=call)


def is_convolution(layer) -> bool:
    """Whether a layer looks at a fixed number of past rows."""
    return type(layer) is keras.layers.Conv1D


def is_last_step(layer) -> bool:
    """Whether an operation of a graph is `x[...]`, which `require_last_step` narrows down."""
    return not isinstance(layer, keras.layers.Layer) and type(layer).__name__ == "GetItem"


def require_last_step(layer, key) -> None:
    """Raise a ValueError if `x[key]` is not the last step `x[:, -1]`."""
    if tuple(key) != LAST_STEP:
        raise ValueError(
            f"Operation {layer.name!r} takes x[{key}]; of a sequence only x[:, -1], "
            "the last step, has a form on a device."
        )


def call_pointwise(layer, *args, **kwargs):
    """Call a layer that acts on each time step alone on tensors with a time axis, or without."""
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
    # One call for all steps, whose count a traced TimeDistributed takes for that of the batch.
    return EachStep(layer.layer, name=layer.name)(inputs)


def rnn_arguments(layer, args, kwargs) -> tuple:
    """The sequences, and the elapsed times or None, with which an RNN layer is called.

    Raises:
        ValueError: The call carries a state or a mask as well.
    """
    arguments = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    for name in ("initial_state", "mask"):
        if arguments.get(name) is not None:
            raise ValueError(
                f"Layer {layer.name!r} is called with `{name}`, which no form on a device carries."
            )
    return arguments["sequences"], arguments.get("elapsed")


def output_names(functional: keras.Model) -> list[str]:
    """Names of the outputs: the dict's keys, else "output" or "output_0", "output_1", ..."""
    structure = functional.output
    if isinstance(structure, dict):
        return sorted(structure)
    count = len(keras.tree.flatten(structure))
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _require_sequence(tensor):
    if len(tensor.shape) not in (2, 3):
        raise ValueError(
            f"Input {tensor.name!r} has shape {tuple(tensor.shape)}; only (batch, time, features), "
            "and (batch, time) for elapsed times, have a form on a device."
        )
    if len(tensor.shape) == 3 and tensor.shape[2] is None:
        raise ValueError(f"Input {tensor.name!r} has an unknown number of features.")


def _require_picture_layers(layer):
    """Raise a ValueError if a layer of `EACH_STEP` holds what has no form on a device."""
    inner = layer.layer
    within = inner.layers if isinstance(inner, keras.Model) else [inner]
    for one in within:
        kind = type(one)
        if kind not in POINTWISE_LAYERS | PICTURE_LAYERS | {keras.layers.InputLayer}:
            allowed = ", ".join(sorted(cls.__name__ for cls in POINTWISE_LAYERS | PICTURE_LAYERS))
            raise ValueError(
                f"Layer {one.name!r} ({kind.__name__}) within {layer.name!r} has no form for a "
                f"single time step here. Allowed: {allowed}."
            )
        if getattr(one, "data_format", "channels_last") != "channels_last":
            raise ValueError(
                f"Layer {one.name!r} within {layer.name!r} has data_format={one.data_format!r}; "
                "export takes 'channels_last'."
            )
        _require_float32(one)


def _require_float32(layer):
    if getattr(layer, "compute_dtype", "float32") != "float32":
        raise ValueError(
            f"Layer {layer.name!r} computes in {layer.compute_dtype}; export takes float32. "
            "Rebuild the model with dtype float32 and load the same weights."
        )


def _require_causal(layer):
    if layer.padding != "causal" and (layer.kernel_size[0] > 1 or layer.padding == "same"):
        raise ValueError(
            f"Layer {layer.name!r} (Conv1D) has padding={layer.padding!r}, which looks ahead or "
            "drops the first steps; a device sees the past only. Use padding='causal'."
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
            "only the features' axis (-1) is within a single time step."
        )
