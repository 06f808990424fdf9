"""Requirements: models that a page can explain."""

from typing import TYPE_CHECKING, Any

from export.forms.model_graph import ModelGraph
from export.forms.rnn_layers import is_rnn
from zoo.readers.files import shown

if TYPE_CHECKING:
    import keras


def require_explainable(model: "keras.Model", graph: ModelGraph, source: str) -> None:
    """Check that a model has a recurrent layer, a signal, and answers that depend on nothing else.

    Raises:
        ValueError: It has not.
    """
    layers = [call.layer for call in graph.calls]
    if not any(is_rnn(layer) or _holds_rnn(layer) for layer in layers):
        kinds = sorted({type(layer).__name__ for layer in layers})
        raise ValueError(
            f"{shown(source)} has no recurrent layer to look into; it has {', '.join(kinds)}. "
            "Layers that can be explained: LiquidRNN, keras.layers.RNN, LSTM and GRU, also within "
            "Bidirectional."
        )
    if len(model.outputs) != 1:
        raise ValueError(
            f"{shown(source)} has {len(model.outputs)} outputs; a page explains a model with one. "
            "Save a model of the output in question: keras.Model(inputs, output)."
        )
    if len(model.outputs[0].shape) > 3:
        raise ValueError(
            f"{shown(source)} returns arrays {tuple(model.outputs[0].shape)}; a page explains a "
            "model that returns (batch, time, outputs) or (batch, outputs)."
        )
    if not any(len(value.shape) > 2 for value in graph.inputs.values()):
        raise ValueError(
            f"{shown(source)} has no input (batch, time, features); a page explains the values of "
            "such an input. Of a model with an Embedding, save the part after it."
        )
    stateful = [layer.name for layer in layers if getattr(layer, "stateful", False)]
    if stateful:
        raise ValueError(
            f"{shown(source)}: the layer {stateful[0]!r} is stateful, so its answers depend on "
            "earlier calls. Save the model with stateful=False."
        )


def _holds_rnn(layer: Any) -> bool:
    inner = [getattr(layer, name, None) for name in ("forward_layer", "layer")]
    return any(part is not None and is_rnn(part) for part in inner)
