"""Measures a file that has the signature `sequence` and no step: whole sequences against Keras."""

import time
from typing import Any

import numpy as np

from export.forms.model_graph import ModelGraph
from export.recipes import Recipe
from export.runtimes.keras_step import KerasStep
from export.runtimes.sequences import run_sequence
from export.targets import XNNPACK, Target
from export.verification import check_forms, error_metrics
from export.verification.evaluate import mean_squared_error, require_one_output
from export.verification.failures import failures_and_warnings
from export.verification.report import Measurements, RuntimeResult, signals

# Length of the sequences if neither data nor the model say it, and their number.
DEFAULT_LENGTH = 32
LEAST_SEQUENCES = 4


def sequence_noise(graph: ModelGraph, steps: int) -> dict[str, np.ndarray]:
    """Return Gaussian noise for a model, by input name; integers are 0 or 1.

    Args:
        graph: The graph of the model.
        steps: Number of time steps in all sequences together.
    """
    random = np.random.default_rng(0)
    lengths = [value.shape[1] for value in graph.inputs.values() if len(value.shape) > 2]
    length = next((size for size in lengths if size), DEFAULT_LENGTH)
    batch = max(LEAST_SEQUENCES, steps // length)
    drawn = {}
    for name, value in graph.inputs.items():
        shape = (batch, *(size or length for size in value.shape[1:]))
        is_float = value.dtype.startswith("float")
        values = random.standard_normal(shape) if is_float else random.integers(0, 2, shape)
        drawn[name] = values.astype(value.dtype)
    return drawn


def measure_sequences(
    content: bytes,
    graph: ModelGraph,
    arrays: dict[str, np.ndarray],
    true_outputs: Any,
    target: Target,
    recipe: Recipe,
) -> Measurements:
    """Run a file on every runtime of a target and compare it with Keras.

    Args:
        content: The .tflite file.
        graph: The graph of the model.
        arrays: Sequences (batch, time, ...) by name.
        true_outputs: True outputs for the sequences, or None.
        target: The device that runs the file.
        recipe: The tolerances.
    """
    start = time.perf_counter()
    expected = check_forms.model_outputs(graph, arrays)
    seconds = [time.perf_counter() - start]
    outputs = [expected]
    for name in target.runtimes:
        start = time.perf_counter()
        outputs.append(run_sequence(content, arrays, xnnpack=name == XNNPACK))
        seconds.append(time.perf_counter() - start)
    outputs = [{name: _rows(values[name]) for name in expected} for values in outputs]
    changed = check_forms.model_outputs(graph, error_metrics.last_bit_changed(arrays))
    changed = {name: _rows(values) for name, values in changed.items()}
    floor = error_metrics.rounding(outputs[0], changed)
    batch, length = next(iter(arrays.values())).shape[:2]
    truth = None if true_outputs is None else _true_rows(np.asarray(true_outputs), expected)
    results = [
        _result(name, values, outputs[0], floor, truth, taken / (batch * length))
        for name, values, taken in zip(
            (KerasStep.name, *target.runtimes), outputs, seconds, strict=True
        )
    ]
    disagreement = error_metrics.disagreement(outputs)
    failures, warnings = failures_and_warnings(results, disagreement, recipe)
    return Measurements(
        steps=batch * length,
        results=tuple(results),
        disagreement=disagreement,
        arena_bytes=None,
        failures=tuple(failures),
        warnings=tuple(warnings),
        signals=signals(outputs[0], outputs[1], truth),
    )


def _true_rows(true_outputs, expected):
    """True outputs as rows, if they have the shape of the model's only output."""
    require_one_output(list(expected))
    (values,) = expected.values()
    if true_outputs.shape != values.shape:
        raise ValueError(
            f"The true outputs must have the shape of the model's outputs, {values.shape}; "
            f"received {true_outputs.shape}."
        )
    return _rows(true_outputs)


def _rows(values):
    """Outputs as rows (n, features): of each sequence, or of each of its time steps."""
    return values.reshape(-1, values.shape[-1])


def _result(name, outputs, reference, floor, truth, seconds):
    errors = error_metrics.step_errors(outputs, reference) if _same_length(reference) else None
    return RuntimeResult(
        name=name,
        output_error=error_metrics.largest_rms(outputs, reference),
        rounding=floor,
        state_error=0.0,
        worst_step=None if errors is None else int(np.argmax(errors)),
        worst_error=None if errors is None else float(errors.max()),
        error_curve=() if errors is None else error_metrics.curve(errors),
        metric=None if truth is None else mean_squared_error(truth, *outputs.values()),
        latency_p50=seconds * 1e6,
        latency_p99=seconds * 1e6,
    )


def _same_length(outputs):
    return len({len(values) for values in outputs.values()}) == 1
