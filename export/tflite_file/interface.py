"""Recipe and target of a file, and whether it belongs to a model."""

from collections.abc import Iterable

from export import recipes, targets
from export.forms.model_graph import ModelGraph
from export.forms.names import NEXT
from export.forms.step import Step
from export.tflite_file import flatbuffer
from export.tflite_file.flatbuffer import Signature, Tensor


def recipe_of(content: bytes) -> recipes.Recipe:
    """Return the recipe whose files have this file's dtypes."""
    name, *_ = flatbuffer.signature_names(content)
    signature = flatbuffer.read_signature(content, name)
    return recipes.of_types(signature.inputs[0].dtype, flatbuffer.weights_dtype(content))


def target_of(content: bytes) -> targets.Target:
    """Return the target of a file: "phone" if it has the signature `sequence`, else "micro"."""
    has_sequence = targets.SEQUENCE in flatbuffer.signature_names(content)
    return targets.get("phone" if has_sequence else "micro")


def require_same_interface(signature: Signature, step: Step) -> None:
    """Raise a ValueError if a file's inputs and outputs differ from those of a model's step."""
    states = step.initial_states
    _require_names(signature.inputs, {*step.inputs, *states}, "inputs", step.name)
    following = {NEXT + name for name in states}
    _require_names(signature.outputs, {*step.outputs, *following}, "outputs", step.name)
    for tensor in signature.inputs:
        _require_shape(tensor, step.model.input_specs[tensor.name].shape[1:], "input")
    for tensor in signature.outputs:
        if tensor.name in following:
            _require_shape(tensor, states[tensor.name.removeprefix(NEXT)].shape[1:], "output")
        else:
            shape = step.graph.outputs[tensor.name].shape
            _require_features(tensor, shape[1:])
    dtypes = {tensor.dtype for tensor in (*signature.inputs, *signature.outputs)}
    if len(dtypes) > 1 or not dtypes <= set(recipes.ACTIVATIONS):
        raise ValueError(
            "The file's inputs and outputs must have one type, "
            f"{', '.join(recipes.ACTIVATIONS)}; received {', '.join(sorted(dtypes))}."
        )


def require_same_sequence(content: bytes, graph: ModelGraph) -> None:
    """Raise a ValueError if a file's sequences differ from those of a model."""
    signature = flatbuffer.read_signature(content, targets.SEQUENCE)
    _require_names(signature.inputs, set(graph.inputs), "inputs", graph.name)
    _require_names(signature.outputs, set(graph.outputs), "outputs", graph.name)
    for tensor in signature.inputs:
        _require_features(tensor, graph.inputs[tensor.name].shape[1:])
    for tensor in signature.outputs:
        _require_features(tensor, graph.outputs[tensor.name].shape[1:])


def _require_names(tensors: Iterable[Tensor], expected: set[str], kind: str, model: str) -> None:
    received = {tensor.name for tensor in tensors}
    if received != expected:
        raise ValueError(
            f"The file was not made of model {model!r}: its {kind} "
            f"are {', '.join(sorted(received))}; the model's are {', '.join(sorted(expected))}."
        )


def _require_shape(tensor: Tensor, shape: tuple[int, ...], kind: str) -> None:
    if tensor.shape[1:] != tuple(shape) or tensor.shape[:1] != (1,):
        raise ValueError(
            f"The file's {kind} {tensor.name!r} has the shape {tensor.shape[1:]}; "
            f"the model's has {tuple(shape)}."
        )


def _require_features(tensor: Tensor, shape: tuple[int | None, ...]) -> None:
    """Raise a ValueError if the last axis differs from the model's, where both have one."""
    features = shape[-1] if shape else None
    # -1 stands for any length of the time axis, which is the last one of inputs without features.
    last = tensor.shape_signature[-1] if len(tensor.shape) > 1 else None
    if features and last not in (features, -1):
        raise ValueError(
            f"The file's tensor {tensor.name!r} has the shape {tensor.shape}; the model's last "
            f"axis has {features} values."
        )
