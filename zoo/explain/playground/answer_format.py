"""The way from a model's outputs to numbers in real units, in a form that the page computes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from zoo.explain.playground.embedding import float32
from zoo.explain.subject import Answer

# Parameters of two Gaussians, natural and as the means of y and y², for comparisons.
_NATURAL = np.array([[0.5, -0.25, -2.0, -1.5]])
_MEANS = np.array([[0.5, 0.75, -2.0, 5.5]])


def answer_format(answer: Answer, outputs: int) -> dict[str, Any]:
    """Names, units and the way to real units, as `page/answers.js` takes them.

    Numbers are a linear function of the outputs, or the means of Gaussians. Those of any other
    function are shown as the outputs that they come from.

    Args:
        answer: The meaning of the outputs.
        outputs: Number of outputs.
    """
    linear, gaussian = as_matrix(answer.to_real, outputs), None
    names, units = list(answer.names), list(answer.units)
    if linear is None:
        gaussian = gaussian_parameters(answer, outputs)
        linear = np.eye(outputs), np.zeros(outputs)
        if gaussian is None:
            names, units = [f"output {index + 1}" for index in range(outputs)], [""] * outputs
    elif answer.kind == "distribution" and outputs == 2 * len(names):
        gaussian = gaussian_parameters(answer, outputs)
    return {
        "kind": answer.kind,
        "names": names,
        "units": units,
        "matrix": float32(linear[0]),
        "offset": float32(linear[1]),
        "gaussian": gaussian,
        "outputs": outputs,
    }


def gaussian_parameters(answer: Answer, outputs: int) -> str | None:
    """How outputs give Gaussians: "natural" parameters, "means" of y and y², or None.

    Args:
        answer: The meaning of the outputs.
        outputs: Number of outputs, two for each Gaussian.
    """
    if answer.deviation is None or outputs != 2 * len(answer.names):
        return None
    for name, probe in (("natural", _NATURAL), ("means", _MEANS)):
        parameters = np.resize(probe, (1, outputs))
        first, second = parameters[:, 0::2], parameters[:, 1::2]
        if name == "natural":
            mean, deviation = -first / (2 * second), np.sqrt(-1 / (2 * second))
        else:
            mean, deviation = first, np.sqrt(second - first**2)
        received = answer.to_real(parameters), answer.deviation(parameters)
        if np.allclose(received[0], mean) and np.allclose(received[1], deviation):
            return name
    return None


def as_matrix(
    function: Callable[[np.ndarray], np.ndarray], outputs: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the matrix and the offset of a linear function of a model's outputs.

    Args:
        function: From arrays (..., outputs) to arrays (..., numbers).
        outputs: Number of outputs.

    Returns:
        Arrays (numbers, outputs) and (numbers,), or None if the function is not linear.
    """
    # Any other point tells a function with a curve apart.
    probe = np.linspace(-1.5, 2.5, outputs)
    # Other functions need not be defined at these points.
    with np.errstate(all="ignore"):
        offset = np.asarray(function(np.zeros((1, outputs))), "float64")[0]
        matrix = np.asarray(function(np.eye(outputs)), "float64").T - offset[:, None]
        expected = np.asarray(function(probe[None]), "float64")[0]
        is_linear = np.allclose(matrix @ probe + offset, expected, rtol=1e-4, atol=1e-6)
    return (matrix, offset) if is_linear else None
