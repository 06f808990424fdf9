"""What a file says of itself: its recipe, its target, and whether it fits a model."""

from export import recipes, targets
from export.forms.step import Step
from export.tflite_file import flatbuffer


def recipe_of(content: bytes) -> recipes.Recipe:
    """The recipe that makes files of the types that this one has."""
    signature = flatbuffer.read_signature(content)
    return recipes.of_types(signature.inputs[0].dtype, flatbuffer.weights_dtype(content))


def target_of(content: bytes) -> targets.Target:
    """The target of a file: "phone" for one that holds sequences, else "micro"."""
    sequences = targets.SEQUENCE in flatbuffer.signature_names(content)
    return targets.get("phone" if sequences else "micro")


def require_same_interface(content: bytes, step: Step) -> None:
    """Raise a ValueError if a file's inputs are not those of a model's step."""
    signature = flatbuffer.read_signature(content)
    expected = {*step.inputs, *(state.name for state in step.states)}
    found = {tensor.name for tensor in signature.inputs}
    if expected != found:
        raise ValueError(
            f"The file was not made of model {step.model.name.removesuffix('_step')!r}: its inputs "
            f"are {', '.join(sorted(found))}; the model's are {', '.join(sorted(expected))}."
        )
    for tensor in signature.inputs:
        size = step.model.input[tensor.name].shape[-1]
        if tensor.shape[-1] != size:
            raise ValueError(
                f"The file's input {tensor.name!r} has {tensor.shape[-1]} values; "
                f"the model's has {size}."
            )
