"""Runs .tflite files with the interpreter's own API, without the code under test."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def interpreter_of(content):
    return Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )


def run_sequence(content, inputs):
    """Outputs of the signature `sequence` by name."""
    return interpreter_of(content).get_signature_runner("sequence")(**inputs)


def run_steps(content, inputs, initial=None):
    """Outputs of the signature `step` over time, by name: (batch, time, ...).

    States start from `initial` by name, or from zeros, and are fed back by their names.

    Args:
        inputs: By name, (batch, time, ...).
    """
    run = interpreter_of(content).get_signature_runner("step")
    details = run.get_input_details()
    batch, length = next(iter(inputs.values())).shape[:2]
    states = {
        name: np.zeros((batch, *detail["shape"][1:]), "float32")
        for name, detail in details.items()
        if name not in inputs
    }
    states |= {name: np.repeat(value, batch, axis=0) for name, value in (initial or {}).items()}
    outputs = []
    for t in range(length):
        rows = {
            name: values[:, t].reshape(batch, *details[name]["shape"][1:])
            for name, values in inputs.items()
        }
        results = run(**{name: value.astype("float32") for name, value in (rows | states).items()})
        states = {name: results["next_" + name] for name in states}
        outputs.append({k: v for k, v in results.items() if k.removeprefix("next_") not in states})
    return {name: np.stack([row[name] for row in outputs], axis=1) for name in outputs[0]}


def largest_difference(values, expected):
    """The largest difference, relative to the largest expected value."""
    expected = np.asarray(expected)
    return np.abs(values - expected).max() / max(np.abs(expected).max(), 1e-12)
