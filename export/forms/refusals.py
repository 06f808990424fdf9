"""Layers without a step form, with the reason and the remedy."""

import inspect
from typing import Any

import keras

from export.forms.model_graph import Call, Value, values_of

ON_PHONES = "Target 'phone' takes it, in files that run whole sequences"

_WHOLE_SEQUENCE = (
    "looks at a whole sequence at once, but a device receives one time step at a time. Use the "
    f"last step instead: return_sequences=False, or x[:, -1]. {ON_PHONES}"
)
# By name of a layer's type, why it has no form for a single step, and what to do.
_REASONS = {
    "Bidirectional": (
        "reads the sequence backwards as well; a device receives time steps in order. Use its "
        f"forward layer, wider. {ON_PHONES}"
    ),
    "Masking": (
        "skips time steps by their values; call the device only for time steps that exist. "
        f"{ON_PHONES}"
    ),
    "Embedding": (
        "looks up integers, which a step does not receive. Use keras.layers.CategoryEncoding "
        f"before the model. {ON_PHONES}"
    ),
    "RepeatVector": f"makes a sequence of one vector. {ON_PHONES}",
    "Flatten": _WHOLE_SEQUENCE,
    **dict.fromkeys(
        ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"),
        f"compares all time steps; use an RNN layer, which remembers by its states. {ON_PHONES}",
    ),
}


class NoStepFormError(ValueError):
    """A model has no form for a single time step."""


def refuse(call: Call) -> None:
    """Raise a `NoStepFormError` for a layer that is known to have no step form."""
    layer, kind = call.layer, type(call.layer).__name__
    reason = _REASONS.get(kind)
    if "Pooling" in kind:
        reason = _WHOLE_SEQUENCE + ". For images, wrap it in lnn_keras.EachStep"
    elif kind.startswith("ConvLSTM"):
        reason = f"has images as states. Use lnn_keras.EachStep before an RNN layer. {ON_PHONES}"
    elif kind == "Conv1D":
        reason = _convolution_reason(layer)
    if reason:
        raise NoStepFormError(f"{call.described} {reason}.")


def require_rnn_step(call: Call) -> Value:
    """Return the sequence that an RNN layer reads.

    Raises:
        NoStepFormError: It runs backwards, or takes an initial state or a mask.
    """
    if call.layer.go_backwards:
        raise NoStepFormError(
            f"{call.described} runs backwards in time (go_backwards=True); "
            f"a device receives time steps in order. {ON_PHONES}."
        )
    arguments = rnn_arguments(call.layer, call.args, call.kwargs)
    for name in ("initial_state", "mask"):
        if arguments.get(name) is not None:
            raise NoStepFormError(
                f"{call.described} is called with `{name}`, which a step does not receive. "
                f"{ON_PHONES}."
            )
    return next(values_of(arguments["sequences"]))


def require_layers_within(wrapper: Any) -> None:
    """Raise a ValueError if a layer that is applied to each step has a loop, or other channels."""
    wrapped = wrapper.layer
    for inner in wrapped.layers if isinstance(wrapped, keras.Model) else [wrapped]:
        if isinstance(inner, (keras.layers.RNN, keras.layers.Bidirectional)):
            raise ValueError(
                f"Layer {inner.name!r} ({type(inner).__name__}) within {wrapper.name!r} runs a "
                "loop in each time step, which has no form for devices. Allowed: layers without "
                "loops, for example Conv2D, pooling, Flatten and Dense."
            )
        if getattr(inner, "data_format", "channels_last") != "channels_last":
            raise ValueError(
                f"Layer {inner.name!r} within {wrapper.name!r} has data_format="
                f"{inner.data_format!r}; export takes 'channels_last'."
            )


def rnn_arguments(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call of an RNN layer, by name.

    `initial_state` may also be given as the first argument: [sequences, state, ...].
    """
    arguments = dict(inspect.signature(layer.call).bind(*args, **kwargs).arguments)
    if isinstance(arguments["sequences"], (list, tuple)):
        arguments["sequences"], *initial = arguments["sequences"]
        arguments["initial_state"] = initial or None
    return arguments


def _convolution_reason(layer: keras.layers.Conv1D) -> str | None:
    if layer.data_format != "channels_last":
        return f"has data_format={layer.data_format!r}; export takes 'channels_last'"
    if layer.padding != "causal" and (layer.kernel_size[0] > 1 or layer.padding == "same"):
        return (
            f"has padding={layer.padding!r}, which reads future steps or drops the first ones. "
            f"Use padding='causal'. {ON_PHONES}"
        )
    return None
