"""Read a model and one sequence of its inputs as a `Subject`."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export import Step, to_step
from export.data import as_arrays
from export.forms.model_graph import ModelGraph, read_graph
from export.forms.rnn_layers import cells_of, is_rnn
from lnn_keras import LEFCell
from lnn_keras.compat import predict
from lnn_keras.elapsed import LAST_FEATURE
from zoo import registry
from zoo.explain.requirements import require_explainable
from zoo.explain.sequences import Sequences, labels_of
from zoo.explain.subject import Answer, Subject
from zoo.hub import store
from zoo.labels import CLASSES, Labels
from zoo.readers.files import reason, shown
from zoo.training.prediction import require_finite

if TYPE_CHECKING:
    import keras


def subject_of(
    source: str,
    given: Sequences,
    sequence: int | None = None,
    step: int | None = None,
    output: int | None = None,
) -> Subject:
    """A model with one of the given sequences, and the step to explain.

    Args:
        source: The model: name, folder or address of a preset, or a .keras file.
        given: The sequences.
        sequence: The number of the sequence, from 1; by default the first.
        step: The number of the step, from 1; by default the last one, for classes the last one
            whose class is not the most common one.
        output: The number of the output, from 1, of models that predict numbers; by default that
            of the labels.

    Raises:
        ValueError: The model cannot run on the sequences, or has no recurrent layer; there is no
            such sequence or step.
        NotFiniteError: A prediction is NaN or infinite.
    """
    model = store.load(source)
    graph, form = _forms(model, source)
    require_explainable(model, graph, source)
    arrays = as_arrays(graph, given.inputs, given.origin)
    count = len(next(iter(arrays.values())))
    chosen = _index("sequence", 1 if sequence is None else sequence, count)
    inputs = {name: array[chosen : chosen + 1] for name, array in arrays.items()}
    notes = list(given.notes)
    if count > 1 and sequence is None:
        notes.append(
            f"There are {count:,} sequences in {given.origin}; this is the first. "
            "--sequence N explains another one."
        )
    length = next(iter(inputs.values())).shape[1]
    at_each_step = _has_outputs_at_each_step(model)
    targets = None if given.targets is None else _targets_of(given.targets, chosen, count)
    if step is not None:
        last = _index("step", step, length)
        if not at_each_step and last + 1 < length:
            # Such a model speaks after its last step.
            inputs = {name: array[:, : last + 1] for name, array in inputs.items()}
            length, targets = last + 1, None
    labels = _completed(labels_of(source), model, graph)
    answer = _answer(labels, model)
    if output is not None:
        answer = _with_output(answer, output)
    raw = _outputs(model, _ordered(inputs, graph), length if at_each_step else 1, source)
    raw = raw if at_each_step else raw[0]
    outputs = answer.to_real(raw)
    if targets is not None:
        targets = _real_targets(targets, outputs.shape, answer)
    index = length - 1 if step is None else min(step, length) - 1
    if step is None and at_each_step and answer.kind == CLASSES:
        index = _last_unusual(outputs)
    if answer.kind == CLASSES:
        at = outputs[index] if at_each_step else outputs
        answer = dataclasses.replace(answer, explained=int(np.argmax(at)))
    names = _feature_names(graph, labels)
    main = next(array for array in arrays.values() if array.ndim > 2)
    return Subject(
        name=Path(source).name if source not in registry.PRESETS else source,
        model=model,
        step=form,
        inputs=inputs,
        feature_names=names,
        units={
            name: tuple(labels.units.get(feature, "") for feature in features)
            for name, features in names.items()
        },
        elapsed=_elapsed(graph),
        answer=answer,
        labels=labels,
        outputs=outputs,
        targets=targets,
        step_index=index,
        origin=given.origin,
        deviations=answer.deviations(raw),
        typical=None if at_each_step or count == 1 else main.mean(axis=(0, 1)),
        sequences=count,
        notes=tuple(notes),
    )


def _forms(model: "keras.Model", source: str) -> tuple[ModelGraph, Step | None]:
    """The graph of a model, and its step form if it has one."""
    try:
        graph = read_graph(model)
    except ValueError as error:
        raise ValueError(f"{shown(source)} cannot be explained: {reason(error)}.") from error
    try:
        return graph, to_step(model)
    except ValueError:
        return graph, None


def _has_outputs_at_each_step(model: "keras.Model") -> bool:
    return len(model.outputs[0].shape) > 2


def _outputs(model: "keras.Model", inputs: Any, rows: int, source: str) -> np.ndarray:
    """The outputs (rows, outputs) for one sequence."""
    raw = predict(model, inputs, 1)
    if not isinstance(raw, np.ndarray):
        raise ValueError(
            f"{shown(source)} returns a {type(raw).__name__}; a page explains a model that returns "
            "one tensor. Save it as keras.Model(model.inputs, model.outputs[0])."
        )
    require_finite(raw, shown(source))
    if rows > 1 and raw.shape[1] != rows:
        raise ValueError(
            f"{shown(source)} returns {raw.shape[1]} rows for {rows} steps; a page explains a "
            "model that answers at each step, or once for a sequence."
        )
    return raw.reshape(rows, -1)


def _ordered(inputs: Mapping[str, np.ndarray], graph: ModelGraph) -> Any:
    arrays = [inputs[name] for name in graph.inputs]
    return arrays if len(arrays) > 1 else arrays[0]


def _elapsed(graph: ModelGraph) -> str | None:
    """How a model takes elapsed times."""
    for name, value in graph.inputs.items():
        if len(value.shape) == 2:
            return name
    cells = [cell for call in graph.calls if is_rnn(call.layer) for cell in cells_of(call.layer)]
    takes = any(getattr(cell, "elapsed", None) == LAST_FEATURE for cell in cells)
    return LAST_FEATURE if takes else None


def _completed(labels: Labels, model: "keras.Model", graph: ModelGraph) -> Labels:
    """Labels with numbered names where there are none."""
    main = next(value for value in graph.inputs.values() if len(value.shape) > 2)
    features = _width(main.shape)
    outputs = int(np.prod(model.outputs[0].shape[2:] or model.outputs[0].shape[1:]))
    outputs = outputs // 2 if _gaussian(model) else outputs
    if len(labels.features) != features:
        numbered = tuple(f"feature {number + 1}" for number in range(features))
        labels = dataclasses.replace(labels, features=numbered, picture=None)
    if len(labels.outputs) != outputs:
        numbered = tuple(f"output {number + 1}" for number in range(outputs))
        labels = dataclasses.replace(labels, outputs=numbered, scale=(1.0,), offset=(0.0,))
    explained = min(labels.explained, outputs - 1)
    return dataclasses.replace(labels, explained=explained)


def _answer(labels: Labels, model: "keras.Model") -> Answer:
    kind = labels.kind
    last = getattr(model.layers[-1], "activation", None)
    if kind == "numbers" and getattr(last, "__name__", "") == "softmax":
        kind = CLASSES
    return Answer(
        kind=kind,
        names=labels.outputs,
        units=tuple(labels.units.get(name, "") for name in labels.outputs),
        scale=np.asarray(labels.scale),
        offset=np.asarray(labels.offset),
        explained=labels.explained,
        gaussian=_gaussian(model),
    )


def _gaussian(model: "keras.Model") -> str | None:
    """The parameters of the Gaussians that a model of a LEFCell returns; None for other models."""
    cell = getattr(model.layers[-1], "cell", None)
    if not isinstance(cell, LEFCell) or cell.family != "gaussian" or cell.variances:
        return None
    return "natural" if cell.parameters == "natural" else "means"


def _with_output(answer: Answer, output: int) -> Answer:
    if answer.is_probability:
        raise ValueError(
            "`--output` is for models that predict several numbers; of classes, the most probable "
            "one is explained."
        )
    return dataclasses.replace(answer, explained=_index("output", output, len(answer.names)))


def _feature_names(graph: ModelGraph, labels: Labels) -> dict[str, tuple[str, ...]]:
    """The names of the features of each input; the first one with features has those of labels."""
    names: dict[str, tuple[str, ...]] = {}
    for name, value in graph.inputs.items():
        width = _width(value.shape)
        if len(value.shape) > 2 and labels.features not in names.values():
            names[name] = labels.features
        else:
            names[name] = (name,) if width == 1 else tuple(f"{name} {i + 1}" for i in range(width))
    return names


def _width(shape: Sequence[int | None]) -> int:
    """The number of features of a row of shape (batch, time, ...)."""
    return math.prod(size or 1 for size in shape[2:])


def _targets_of(targets: np.ndarray, chosen: int, count: int) -> np.ndarray:
    """The targets of one sequence, which are without an axis of sequences if there is only one."""
    targets = np.asarray(targets, "float64")
    return targets[chosen] if count > 1 or targets.shape[0] == 1 else targets


def _real_targets(targets: np.ndarray, shape: tuple[int, ...], answer: Answer) -> np.ndarray | None:
    if targets.size != np.prod(shape):
        return None
    return answer.to_real(targets.reshape(shape))


def _last_unusual(outputs: np.ndarray) -> int:
    """The last step whose class is not the most common one; the last one without any."""
    classes = outputs.argmax(axis=-1)
    common = np.bincount(classes).argmax()
    unusual = np.flatnonzero(classes != common)
    return int(unusual[-1]) if len(unusual) else len(classes) - 1


def _index(kind: str, number: int, count: int) -> int:
    if not 1 <= number <= count:
        raise ValueError(
            f"`--{kind}` must be from 1 to {count}, the number of {kind}s; received {number}."
        )
    return number - 1
