"""Keras against each runtime over a long closed-loop rollout."""

from collections import Counter
from dataclasses import replace

import keras
import numpy as np

from export import flatbuffer, runtimes
from export.calibration import as_sequences
from export.layers import as_functional
from export.recipes import Recipe
from export.recipes import get as get_recipe
from export.report import Report, RuntimeResult, percent
from export.step import to_step
from export.targets import Target
from export.targets import get as get_target

STEP_FORM_TOLERANCE = 1e-5


def verify(
    model: keras.Model,
    content: bytes,
    inputs=None,
    targets: np.ndarray | None = None,
    *,
    target: str | Target = "micro",
    recipe: str | Recipe | None = None,
    steps: int = 500,
) -> Report:
    """Run Keras, LiteRT and TFLite Micro side by side, each feeding back its own state.

    Args:
        model: The Keras model that the file was made of.
        content: The bytes of the .tflite file.
        inputs: Sequences (batch, time, features) or (time, features), by input name if
            there are several; laid end to end. Gaussian noise without them.
        targets: True outputs beside `inputs`, of a model with one output; gives the
            mean squared error of each runtime.
        target: Where the file is meant to run.
        recipe: Its tolerances apply; by default that of the file's own type.
        steps: Most steps to run.

    Raises:
        ValueError: The file does not fit the model, or the data do not.
    """
    signature = flatbuffer.read_signature(content)
    recipe = get_recipe(recipe or signature.inputs[0].dtype)
    step = to_step(model, fold_scaling=recipe.is_integer)
    _require_same_interface(signature, step)
    if steps < 2:
        raise ValueError(f"`steps` must be at least 2; received {steps}.")
    described, rows = _end_to_end(step, inputs, steps)
    length = len(next(iter(rows.values())))
    truth = None if targets is None else _true_outputs(targets, step, length)

    keras_step = runtimes.KerasStep(step)
    reference = _real_rollout(keras_step, step, rows)
    results = [_result(keras_step.name, reference, reference, truth)]
    failures = _step_form_failures(as_functional(model), step, rows, reference)
    started, not_run, refusals = _start(content)
    rolled = [_real_rollout(runtime, step, rows) for runtime in started]
    for runtime, values in zip(started, rolled, strict=True):
        results.append(_result(runtime.name, values, reference, truth))
        failures += _failures(results[-1], results[0], recipe)
    disagreement = None
    if len(rolled) == 2:
        disagreement = max(_errors(rolled[1].outputs, rolled[0].outputs, reference.outputs))
        if not disagreement <= recipe.agreement:
            failures.append(
                f"The runtimes differ by {percent(disagreement)} of the outputs' standard "
                f"deviation; allowed: {percent(recipe.agreement)}."
            )
    operations = Counter()
    for (name, _), count in flatbuffer.read_operations(content).items():
        operations[name] += count
    return Report(
        model=model.name,
        target=get_target(target).name,
        recipe=recipe.name,
        steps=length,
        inputs=described,
        parameters=model.count_params(),
        bytes=len(content),
        arena_bytes=next((r.arena_bytes for r in started if hasattr(r, "arena_bytes")), None),
        operations=dict(sorted(operations.items())),
        results=(*results, *not_run),
        disagreement=disagreement,
        tolerance=recipe.tolerance,
        failures=(*failures, *refusals),
    )


def evaluate_file(
    content: bytes, model: keras.Model, inputs, targets: np.ndarray
) -> dict[str, float]:
    """Mean squared error of a file, by runtime, each sequence from its initial state.

    Args:
        content: The bytes of the .tflite file.
        model: The Keras model that the file was made of, with one output.
        inputs: Sequences (batch, time, features), by input name if there are several.
        targets: True outputs (batch, time, ...).

    Raises:
        ValueError: The file does not fit the model, or the data do not.
    """
    signature = flatbuffer.read_signature(content)
    step = to_step(model, fold_scaling=get_recipe(signature.inputs[0].dtype).is_integer)
    _require_same_interface(signature, step)
    sequences = as_sequences(step, inputs, "inputs")
    initial = {state.name: state.initial for state in step.states}
    errors = {}
    for runtime in _start(content)[0]:
        ((name, values),) = runtimes.predict(runtime, sequences, initial).items()
        output = step.scalings[name].to_real(values)
        errors[runtime.name] = float(np.mean((output.astype("float64") - targets) ** 2))
    return errors


def _start(content):
    """The runtimes that run the file here, results for those that do not, and refusals."""
    started, not_run, refusals = [], [], []
    for runtime_class in (runtimes.LiteRT, runtimes.Micro):
        try:
            started.append(runtime_class(content))
        except ImportError:
            note = f"not run on {runtime_class.name} here: no wheel for this platform"
            not_run.append(RuntimeResult(runtime_class.name, note))
        except RuntimeError as error:
            not_run.append(RuntimeResult(runtime_class.name, "refuses the file"))
            refusals.append(f"{error}.")
    return started, not_run, refusals


def relative_rms(values: np.ndarray, reference: np.ndarray, scale_of: np.ndarray) -> float:
    """RMS of values - reference, over the standard deviation over time of `scale_of`.

    Each feature's standard deviation is taken about its own mean, then pooled;
    where `scale_of` is constant, the RMS itself is returned.
    """
    scale = np.sqrt(np.mean(np.var(scale_of.astype("float64"), axis=0)))
    rms = np.sqrt(np.mean((values.astype("float64") - reference) ** 2))
    return float(rms / scale) if scale > 0 else float(rms)


def _real_rollout(runtime, step, rows):
    """A rollout whose outputs are real values."""
    initial = {state.name: state.initial for state in step.states}
    rolled = runtimes.rollout(runtime, rows, initial)
    outputs = {name: step.scalings[name].to_real(v) for name, v in rolled.outputs.items()}
    return replace(rolled, outputs=outputs)


def _errors(values, reference, scale_of):
    return [relative_rms(values[name], reference[name], scale_of[name]) for name in reference]


def _result(name, rolled, reference, truth):
    squared = sum(
        np.mean((rolled.outputs[key] - value) ** 2, axis=tuple(range(1, value.ndim)))
        for key, value in reference.outputs.items()
    )
    p50, p99 = np.percentile(rolled.seconds * 1e6, [50, 99])
    (output,) = rolled.outputs.values() if truth is not None else (None,)
    return RuntimeResult(
        name=name,
        output_error=max(_errors(rolled.outputs, reference.outputs, reference.outputs)),
        state_error=max(_errors(rolled.states, reference.states, reference.states), default=0.0),
        worst_step=int(np.argmax(squared)),
        metric=None if truth is None else float(np.mean((output - truth) ** 2)),
        latency_p50=float(p50),
        latency_p99=float(p99),
    )


def _failures(result, reference, recipe):
    failures = []
    # `not <=` also catches NaN.
    if not result.output_error <= recipe.tolerance:
        failures.append(
            f"{result.name}: the outputs' RMS error is {percent(result.output_error)} of their "
            f"standard deviation; allowed: {percent(recipe.tolerance)}."
        )
    if result.metric is not None:
        loss = result.metric / reference.metric - 1 if reference.metric else result.metric
        if not loss <= recipe.metric_tolerance:
            failures.append(
                f"{result.name}: the mean squared error is {percent(loss)} worse than in Keras; "
                f"allowed: {percent(recipe.metric_tolerance)}."
            )
    return failures


def _step_form_failures(model, step, rows, reference):
    """Compare the step form, which the runtimes are measured against, with the model itself."""
    fixed = [tensor.shape[1] for tensor in model.inputs if tensor.shape[1] is not None]
    length = min([len(next(iter(rows.values()))), *fixed])
    real = {name: step.scalings[name].to_real(values) for name, values in rows.items()}
    flat = [
        real[tensor.name][np.newaxis, :length].reshape((1, length, *tensor.shape[2:]))
        for tensor in model.inputs
    ]
    outputs = model(keras.tree.pack_sequence_as(model.input, flat), training=False)
    failures = []
    for name, whole in zip(step.outputs, keras.tree.flatten(outputs), strict=True):
        whole = keras.ops.convert_to_numpy(whole)[0]
        stepped = reference.outputs[name][:length]
        if whole.shape != stepped.shape:
            stepped = stepped[-1]
        difference = relative_rms(stepped, whole, reference.outputs[name])
        if not difference <= STEP_FORM_TOLERANCE:
            failures.append(
                f"Output {name!r} of the step form differs from the model's by "
                f"{percent(difference)}."
            )
    return failures


def _end_to_end(step, inputs, steps):
    """The data as single sequences of at most `steps` rows, and what they are."""
    if inputs is None:
        noise = np.random.default_rng(0)
        rows = {
            name: noise.standard_normal((steps, step.model.input[name].shape[-1])).astype("float32")
            for name in step.inputs
        }
        return "inputs: Gaussian noise, since no data were given", rows
    sequences = as_sequences(step, inputs, "inputs")
    rows = {name: array.reshape(-1, array.shape[-1])[:steps] for name, array in sequences.items()}
    return "inputs: the data given, end to end", rows


def _true_outputs(targets, step, length):
    if len(step.outputs) != 1:
        raise ValueError("`targets` need a model with one output.")
    size = step.model.output[step.outputs[0]].shape[-1]
    targets = np.asarray(targets)
    if targets.shape[-1] != size or targets.size < length * size:
        raise ValueError(
            f"`targets` must have a row of {size} values for each of the {length} steps; "
            f"received shape {targets.shape}."
        )
    return targets.reshape(-1, size)[:length]


def _require_same_interface(signature, step):
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
