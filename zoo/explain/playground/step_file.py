"""The .tflite file of one time step that the page runs, and how its inputs and outputs connect."""

import math
from dataclasses import dataclass, replace
from typing import Any

from export import Step, targets
from export.convert import convert
from export.recipes import RECIPES
from export.tflite_file import flatbuffer
from zoo.explain.playground.embedding import float32

# All operations of the converter, as on phones; one sequence, as in a page.
BROWSER = replace(targets.get("phone"), name="browser", batch=1)


@dataclass(frozen=True)
class StepFile:
    """A float32 file of one step.

    Attributes:
        content: The .tflite file.
        wiring: Positions of its inputs and outputs, as `page/step_runner.js` takes them.
    """

    content: bytes
    wiring: dict[str, Any]


def step_file(step: Step, output: str) -> StepFile:
    """Convert a step to the file that the page runs.

    Args:
        step: The step form of the model.
        output: Name of the output that the page shows.

    Raises:
        ValueError: The model has an operation that no runtime has a kernel for.
        RuntimeError: The converter failed.

    Example:
        >>> step_file(export.to_step(model), "output").wiring["states"][0]["input"]
        1
    """
    content = convert(step, RECIPES["float32"], BROWSER)
    signature = flatbuffer.read_signature(content)
    inputs = {tensor.name: tensor.position for tensor in signature.inputs}
    outputs = {tensor.name: tensor for tensor in signature.outputs}
    following = {state.name: after.position for state, after in signature.states}
    wiring = {
        "inputs": [inputs[name] for name in step.inputs],
        "states": [
            {
                "input": inputs[state.name],
                "output": following[state.name],
                "initial": float32(state.initial),
            }
            for state in step.states
        ],
        "output": outputs[output].position,
        "outputs": math.prod(outputs[output].shape[1:]),
        "window": step.window,
    }
    return StepFile(content, wiring)
