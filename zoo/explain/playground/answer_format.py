"""The way from a model's outputs to numbers in real units, in a form that the page computes."""

from typing import Any

import numpy as np

from zoo.explain.playground.embedding import float32
from zoo.explain.subject import Answer
from zoo.labels import NUMBERS, RISK


def answer_format(answer: Answer, outputs: int) -> dict[str, Any]:
    """Names, units and the way to real units, as `page/answers.js` takes them.

    Args:
        answer: The meaning of the outputs.
        outputs: Number of outputs.
    """
    kind, units = answer.kind, list(answer.units)
    matrix = np.diag(np.broadcast_to(answer.scale, outputs).astype("float64"))
    offset = np.broadcast_to(answer.offset, outputs).astype("float64")
    if kind == RISK:
        kind, units, matrix, offset = NUMBERS, ["%"] * outputs, 100 * matrix, 100 * offset
    return {
        "kind": "distribution" if answer.gaussian else kind,
        "names": list(answer.names),
        "units": units,
        "matrix": float32(matrix),
        "offset": float32(offset),
        "gaussian": answer.gaussian,
        "outputs": outputs,
    }
