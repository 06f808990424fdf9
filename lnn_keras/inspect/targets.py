"""The argument `target` of saliency methods: the number of a model's outputs that is explained."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from lnn_keras.tensors import Tensor, ops

Target = int | tuple[int, int] | Callable[[Any], Any] | None


def require_target(model: Any, inputs: Any, target: Target) -> None:
    """Check a target that is no function before the model runs, where Keras would wrap the error.

    Args:
        model: The model to explain.
        inputs: Its inputs in their structure, (batch, time, ...).
        target: The target.

    Raises:
        ValueError: The target does not fit the outputs.
    """
    if callable(target):
        return
    symbolic = keras.tree.map_structure(_symbolic, inputs)
    target_values(model(symbolic, training=False), target)


def target_values(outputs: Any, target: Target) -> Tensor:
    """The explained number of each sequence (batch,).

    Args:
        outputs: Outputs of a model.
        target: None for a model with one output; the number of an output; a step and the number
            of an output; or a function from the outputs to (batch,). Of outputs at every step,
            None and a number take the last step.

    Raises:
        ValueError: The target does not fit the outputs.
    """
    if callable(target):
        values = ops.convert_to_tensor(target(outputs))
        if len(values.shape) != 1:
            raise ValueError(
                "`target` must return one number for each sequence, (batch,); it returned shape "
                f"{tuple(values.shape)}."
            )
        return values
    leaves = keras.tree.flatten(outputs)
    if len(leaves) != 1:
        raise ValueError(
            f"The model has {len(leaves)} outputs: `target` must be a function that takes them all "
            f"and returns (batch,); received {target!r}."
        )
    output = leaves[0]
    if len(output.shape) == 1:
        output = ops.expand_dims(output, -1)
    if len(output.shape) not in (2, 3):
        raise ValueError(
            f"The output has shape {tuple(output.shape)}: `target` must be a function that returns "
            f"(batch,); received {target!r}."
        )
    step, number = target if isinstance(target, tuple) and len(target) == 2 else (None, target)
    if len(output.shape) == 3:
        output = output[:, _index("step", -1 if step is None else step, output.shape[1])]
    elif step is not None:
        raise ValueError(f"The model has no output at each step; received target={target!r}.")
    size = output.shape[-1]
    if number is None and size != 1:
        raise ValueError(
            f"The model has {size} output numbers: `target` must be one of 0 to {size - 1}, a pair "
            "(step, number), or a function of the outputs; received None."
        )
    return output[:, _index("number", 0 if number is None else number, size)]


def _symbolic(array):
    return keras.KerasTensor((None, *np.shape(array)[1:]), "float32")


def _index(kind, index, size):
    if isinstance(index, bool) or not hasattr(index, "__index__"):
        raise ValueError(
            "`target` must be the number of an output, a pair (step, number), or a function of "
            f"the outputs; received {index!r} as the {kind}."
        )
    if size is not None and not -size <= index < size:
        raise ValueError(f"The {kind} of `target` must be below {size}; received {index}.")
    return int(index)
