"""Evaluation data of an export: inputs and their true outputs, checked before any work."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from export.data import Data, as_arrays, as_sequences, as_whole_sequences
from export.forms.model_graph import ModelGraph
from export.forms.step import Step
from export.verification.evaluate import TrueOutputs, require_one_output


def evaluation_pair(
    graph: ModelGraph,
    step: Step | None,
    evaluation: Data | tuple[Data, ArrayLike] | None,
    calibration: dict[str, np.ndarray] | None,
) -> tuple[dict[str, np.ndarray] | None, np.ndarray | None]:
    """Return the inputs to verify on, by name, and their true outputs or None.

    Args:
        graph: The graph of the model.
        step: Its step form, or None if it has none.
        evaluation: Sequences, or a pair of them and their true outputs.
        calibration: The calibration data by name; used if `evaluation` is None.

    Raises:
        ValueError: The data do not fit the model, or the true outputs do not fit the data.
    """
    if evaluation is None:
        return calibration, None
    true_outputs: Any = None
    if isinstance(evaluation, tuple):
        if len(evaluation) != 2:
            raise ValueError(
                "`evaluation` must be sequences, or a pair of them and their true outputs; "
                f"received a tuple of {len(evaluation)}."
            )
        evaluation, true_outputs = evaluation
    data: Any = evaluation
    check = as_whole_sequences if step is None else as_arrays
    inputs = check(graph, data, "evaluation")
    sequences = None if step is None else as_sequences(step, inputs, "evaluation")
    if true_outputs is None:
        return inputs, None
    true_outputs = np.asarray(true_outputs)
    require_finite_targets(true_outputs)
    if step is not None and sequences is not None:
        TrueOutputs(step, sequences, true_outputs)
    else:
        _require_shape(graph, inputs, true_outputs)
    return inputs, true_outputs


def require_finite_targets(true_outputs: np.ndarray) -> None:
    """Raise a ValueError unless true outputs are numbers that are finite in float32."""
    if true_outputs.dtype.kind not in "fiub":
        raise ValueError(f"The true outputs must be numbers; received {true_outputs.dtype}.")
    with np.errstate(over="ignore"):
        finite = np.isfinite(true_outputs.astype("float32"))
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"The true outputs must be finite in float32; {np.count_nonzero(~finite)} values are "
            f"not, the first at (batch, time, output) {first}."
        )


def _require_shape(graph: ModelGraph, inputs: dict[str, np.ndarray], true_outputs: np.ndarray):
    require_one_output(list(graph.outputs))
    (output,) = graph.outputs.values()
    expected = (len(next(iter(inputs.values()))), *output.shape[1:])
    received = true_outputs.shape
    if len(received) != len(expected) or any(
        size not in (None, given) for size, given in zip(expected, received, strict=True)
    ):
        sizes = ", ".join("time" if size is None else str(size) for size in expected)
        raise ValueError(f"The true outputs must have shape ({sizes}); received {received}.")
