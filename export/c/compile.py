"""From a step to a program."""

from __future__ import annotations

import numpy as np

from export.c.expressions import Program
from export.c.fixed_point import FixedPoint
from export.c.floating_point import FloatingPoint
from export.c.loops import plan_loops
from export.c.lowering import lower
from export.c.nodes import Graph, Node, evaluate
from export.c.repeats import fold_repeats
from export.c.typed_loops import typed_program
from export.forms.step import Step
from export.graph import tf_graph
from export.graph.fold_linear import fold_linear_maps
from export.graph.missing_values import without_missing_values
from export.recipes import Recipe

# Samples of calibration data, evenly spaced, on which intermediate values are looked at.
MAX_SAMPLES = 8000
BATCH = 256


def compile_step(step: Step, recipe: Recipe, samples: list[dict[str, np.ndarray]]) -> Program:
    """Compile a step for a recipe.

    Args:
        step: The step form.
        recipe: "float32", "int16x8" or "int16".
        samples: Inputs and states of typical steps, by name; for integer recipes.

    Raises:
        ValueError: An operation has no form in C; the message names its layer.
    """
    flat = tf_graph.flatten(tf_graph.trace(step.model, 1))
    if recipe.is_integer:
        flat = tf_graph.flatten(without_missing_values(flat))
    flat = tf_graph.flatten(fold_linear_maps(flat))
    graph = lower(flat, step.model)
    folded = fold_repeats(graph)
    if recipe.is_integer:
        original = calibrated_ranges(graph, samples)
        ranges = {
            node: (
                min(original[o][0] for o in origins),
                max(original[o][1] for o in origins),
            )
            for node, origins in folded.origins.items()
        }
        numbers = FixedPoint(16 if recipe.weights == "int16" else 8)
    else:
        ranges = {node: (0.0, 0.0) for node in folded.origins}
        numbers = FloatingPoint()
    return typed_program(
        plan_loops(folded), numbers, ranges, list(step.initial_states), recipe.name
    )


def calibrated_ranges(
    graph: Graph, samples: list[dict[str, np.ndarray]]
) -> dict[Node, tuple[float, float]]:
    """Return the least and greatest value of each node on samples."""
    samples = samples[:: max(1, len(samples) // MAX_SAMPLES)]
    ranges: dict[Node, tuple[float, float]] = {}
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        stacked = {name: np.stack([s[name].ravel() for s in batch]) for name in batch[0]}
        for node, values in evaluate(graph.nodes, stacked).items():
            low, high = ranges.get(node, (np.inf, -np.inf))
            ranges[node] = min(low, float(values.min())), max(high, float(values.max()))
    return ranges
