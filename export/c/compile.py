"""From a step to C source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from export.c.arithmetic.expressions import Program, TypedLoop, TypedRepeat, Vector, expressions_of
from export.c.arithmetic.fixed_point import FixedPoint
from export.c.arithmetic.floating_point import FloatingPoint
from export.c.arithmetic.typed_loops import typed_program
from export.c.code.identifiers import default_prefix, require_prefix
from export.c.code.implementation import source_files
from export.c.code.interface import interface_of
from export.c.graph.learning import learning_graph, prediction_graph
from export.c.graph.loops import plan_loops
from export.c.graph.lowering import lower, require_no_loops
from export.c.graph.nodes import Graph, Node, evaluate
from export.c.graph.ranges import Range
from export.c.graph.repeats import fold_repeats
from export.c.model import CModel
from export.forms.adaptive_readout import delay_of
from export.forms.names import NEXT
from export.forms.step import Step
from export.graph import tf_graph
from export.graph.fold_linear import fold_linear_maps
from export.graph.gptq import round_weights
from export.graph.missing_values import without_missing_values
from export.recipes import Recipe
from export.tflite_file.flatbuffer import Signature, Tensor

# Samples of calibration data, evenly spaced, on which intermediate values are looked at.
MAX_SAMPLES = 8000
BATCH = 256


def c_model(
    step: Step,
    recipe: Recipe,
    samples: Sequence[dict[str, np.ndarray]] = (),
    prefix: str | None = None,
) -> CModel:
    """Return the C source of a step.

    Args:
        step: The step form; with folded scaling for an integer recipe.
        recipe: "float32", "int16x8" or "int16".
        samples: Inputs and states of typical steps, by name; for integer recipes.
        prefix: Begins the names of functions and files; by default the model's name.

    Raises:
        ValueError: An operation has no form in C, or `prefix` is no C identifier.
    """
    prefix = default_prefix(step.name) if prefix is None else require_prefix(prefix)
    graph = read_step(step, recipe, samples)
    if step.targets:
        require_learning(step, recipe)
        learned = [state.name for state in step.states if state.is_learned]
        others = [name for name in step.inputs if name not in step.targets]
        learning = _typed(learning_graph(graph, learned, others), step, recipe, samples)
        graph = prediction_graph(graph, learned, list(step.targets))
    else:
        learning = None
    program = _typed(graph, step, recipe, samples)
    interface = interface_of(program, learning, prefix, step, delay_of(step.graph) or 0)
    shapes = {name: spec.shape[1:] for name, spec in step.model.input_specs.items()}
    shapes |= {name: (vector.size,) for name, vector in program.outputs.items()}
    shapes |= {NEXT + name: shapes[name] for name in interface.states}
    inputs = {**interface.inputs, **interface.targets, **interface.states}
    outputs = {**interface.outputs, **{NEXT + n: v for n, v in interface.states.items()}}
    description = f"{step.name}: {recipe.description}."
    return CModel(
        prefix=prefix,
        recipe=recipe.name,
        files=source_files(program, learning, interface, description),
        signature=Signature(_tensors(inputs, shapes), _tensors(outputs, shapes)),
        multiply_accumulates=multiply_accumulates(program),
        names={name: vector.name for name, vector in {**inputs, **interface.outputs}.items()},
        targets=tuple(interface.targets),
        program=program,
        learning=learning,
    )


def require_learning(step: Step, recipe: Recipe) -> None:
    """Raise a ValueError if a model that learns has no form in C."""
    if recipe.is_integer:
        raise ValueError(
            f"A model that learns on the device needs recipe 'float32' in C; received "
            f"{recipe.name!r}. Target 'micro' takes integers with a readout in floats."
        )
    if not delay_of(step.graph):
        raise ValueError(
            "C learns from the truth of earlier predictions: `delay` must be at least 1; received "
            "0."
        )


def _tensors(vectors: Mapping[str, Vector], shapes) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=name,
            position=position,
            shape=(1, *shapes[name]),
            dtype=vector.dtype,
            scale=2.0**-vector.fraction if vector.dtype == "int16" else 0.0,
            zero_point=0,
            shape_signature=(1, *shapes[name]),
        )
        for position, (name, vector) in enumerate(vectors.items())
    )


def multiply_accumulates(program: Program) -> int:
    """Return the number of multiply-accumulates of a step's products with constant matrices."""

    def count(statements):
        total = 0
        for statement in statements:
            if isinstance(statement, TypedRepeat):
                total += statement.count * count(statement.body)
            elif isinstance(statement, TypedLoop):
                for e in expressions_of(statement):
                    if e.operation == "dot" and e.values is not None:
                        total += e.values.size
                    elif e.operation == "reduce" and e.rows is not None and e.label == "add":
                        total += int(e.rows.offsets[-1])
        return total

    return count(program.statements)


def read_step(step: Step, recipe: Recipe, samples: Sequence[dict[str, np.ndarray]] = ()) -> Graph:
    """Return a step as a graph of vectors.

    Args:
        step: The step form.
        recipe: With 8-bit weights, matrices are rounded for the calibration data.
        samples: Inputs and states of typical steps, by name; for integer recipes.

    Raises:
        ValueError: An operation has no form in C; the message names its layer.
    """
    flat = tf_graph.flatten(tf_graph.trace(step.model, 1))
    require_no_loops(flat, step.model)
    if recipe.is_integer:
        flat = tf_graph.flatten(without_missing_values(flat))
    flat = tf_graph.flatten(fold_linear_maps(flat))
    if recipe.is_integer and recipe.weights == "int8":
        flat = tf_graph.flatten(round_weights(flat, recipe, samples, for_c=True))
    return lower(flat, step.model)


def _typed(
    graph: Graph, step: Step, recipe: Recipe, samples: Sequence[dict[str, np.ndarray]]
) -> Program:
    """The program of a graph."""
    folded = fold_repeats(graph)
    states = list(step.initial_states)
    if not recipe.is_integer:
        return typed_program(plan_loops(folded), FloatingPoint(), {}, states, recipe.name)
    of_original = calibrated_ranges(graph, samples)
    ranges = {
        node: Range.over([of_original[origin] for origin in origins])
        for node, origins in folded.origins.items()
    }
    numbers = FixedPoint(16 if recipe.weights == "int16" else 8)
    return typed_program(plan_loops(folded), numbers, ranges, states, recipe.name)


def calibrated_ranges(graph: Graph, samples: Sequence[dict[str, np.ndarray]]) -> dict[Node, Range]:
    """Return the least and greatest value of each element of each node on samples."""
    samples = samples[:: max(1, len(samples) // MAX_SAMPLES)]
    ranges: dict[Node, Range] = {}
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        stacked = {name: np.stack([s[name].ravel() for s in batch]) for name in batch[0]}
        for node, values in evaluate(graph.nodes, stacked).items():
            seen = Range(values.min(axis=0), values.max(axis=0))
            ranges[node] = Range.over([ranges[node], seen]) if node in ranges else seen
    return ranges
