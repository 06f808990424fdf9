"""Recipe and target of a file, and whether it belongs to a model."""

from export import recipes, targets
from export.forms.model_graph import ModelGraph
from export.forms.step import Step
from export.tflite_file import flatbuffer


def recipe_of(content: bytes) -> recipes.Recipe:
    """Return the recipe whose files have this file's dtypes."""
    name, *_ = flatbuffer.signature_names(content)
    signature = flatbuffer.read_signature(content, name)
    return recipes.of_types(signature.inputs[0].dtype, flatbuffer.weights_dtype(content))


def target_of(content: bytes) -> targets.Target:
    """Return the target of a file: "phone" if it has the signature `sequence`, else "micro"."""
    has_sequence = targets.SEQUENCE in flatbuffer.signature_names(content)
    return targets.get("phone" if has_sequence else "micro")


def require_same_interface(content: bytes, step: Step) -> None:
    """Raise a ValueError if a file's inputs differ from those of a model's step."""
    signature = flatbuffer.read_signature(content)
    expected = {*step.inputs, *step.initial_states}
    received = {tensor.name for tensor in signature.inputs}
    if expected != received:
        raise ValueError(
            f"The file was not made of model {step.name!r}: its inputs "
            f"are {', '.join(sorted(received))}; the model's are {', '.join(sorted(expected))}."
        )
    for tensor in signature.inputs:
        shape = step.model.input_specs[tensor.name].shape[1:]
        if tensor.shape[1:] != shape:
            raise ValueError(
                f"The file's input {tensor.name!r} has the shape {tensor.shape[1:]}; "
                f"the model's has {shape}."
            )


def require_same_sequence(content: bytes, graph: ModelGraph) -> None:
    """Raise a ValueError if the inputs of a file's sequences differ from those of a model."""
    signature = flatbuffer.read_signature(content, targets.SEQUENCE)
    received = {tensor.name for tensor in signature.inputs}
    if received != set(graph.inputs):
        raise ValueError(
            f"The file was not made of model {graph.name!r}: its inputs are "
            f"{', '.join(sorted(received))}; the model's are {', '.join(graph.inputs)}."
        )
