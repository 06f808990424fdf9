"""The arguments of a model's functions in C."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.c.arithmetic.expressions import Program, Vector
from export.forms.folded_normalization import Scaling
from export.forms.step import Step


@dataclass(frozen=True)
class Interface:
    """The arguments of a model's functions in C.

    Attributes:
        prefix: Begins the names of its functions.
        inputs: By name, the vector of each input of a step, in the model's order.
        outputs: The same of each output.
        states: The same of each state.
        targets: The same of each input that holds the truth of a prediction, to learn from.
        scalings: By name of an input or output, its conversion to real values.
        initial: By name of a state, its initial stored values.
        learned: Names of the states that hold what is learned.
        delay: Number of steps after which the truth of a prediction comes.
    """

    prefix: str
    inputs: Mapping[str, Vector]
    outputs: Mapping[str, Vector]
    states: Mapping[str, Vector]
    targets: Mapping[str, Vector]
    scalings: Mapping[str, Scaling]
    initial: Mapping[str, np.ndarray]
    learned: tuple[str, ...] = ()
    delay: int = 0

    @property
    def is_float(self) -> bool:
        """Whether the model computes with floats."""
        vectors = [*self.inputs.values(), *self.outputs.values()]
        return vectors[0].dtype == "float32"

    def by_value(self, name: str) -> bool:
        """Whether an input is one number, which is passed by value."""
        return by_value(self.inputs[name].size, len(self.inputs))

    def parameters(self, kind: str | None = None) -> str:
        """Return the parameters of a step: of type `kind`, or of the vectors' own types."""
        texts = [f"{self.prefix}_state *state"]
        for name, vector in self.inputs.items():
            of = kind or c_type(vector)
            pointer = f"const {of} *{vector.name}"
            texts.append(f"{of} {vector.name}" if self.by_value(name) else pointer)
        texts += [f"{kind or c_type(v)} *{v.name}" for v in self.outputs.values()]
        return ", ".join(texts)


def by_value(size: int, inputs: int) -> bool:
    """Return whether an input of `size` numbers, one of several inputs, is passed by value."""
    return size == 1 and inputs > 1


def interface_of(
    program: Program, learning: Program | None, prefix: str, step: Step, delay: int
) -> Interface:
    """Return the interface of a step.

    Args:
        program: The program of a step.
        learning: The program that learns from targets, or None.
        prefix: Begins the names of its functions.
        step: The step form.
        delay: Number of steps after which the truth of a prediction comes.
    """
    states = dict(program.states)
    if learning is not None:
        states |= {name: v for name, v in learning.states.items() if name not in states}
    initial = step.initial_states
    return Interface(
        prefix=prefix,
        inputs={name: program.inputs[name] for name in step.inputs if name not in step.targets},
        outputs={name: program.outputs[name] for name in step.outputs},
        states={name: states[name] for name in initial},
        targets={} if learning is None else dict(learning.inputs),
        scalings=step.scalings,
        initial={name: stored(initial[name], states[name]) for name in initial},
        learned=tuple(state.name for state in step.states if state.is_learned),
        delay=delay,
    )


def stored(values: np.ndarray, vector: Vector) -> np.ndarray:
    """Return real values as a vector stores them."""
    flat = np.asarray(values, "float64").ravel()
    if vector.dtype == "float32":
        return flat.astype("float32")
    integers = np.round(flat * 2.0**vector.fraction)
    return np.clip(integers, vector.low, vector.high).astype(vector.dtype)


def c_type(vector: Vector) -> str:
    """Return the type of a vector's elements in C."""
    return "float" if vector.dtype == "float32" else f"{vector.dtype}_t"
