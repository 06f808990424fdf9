"""The C source of a program: NAME.c and NAME.h."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.c.constants import Constants, float_literal
from export.c.expressions import Program, Vector
from export.c.identifiers import identifier
from export.c.memory import blocks_of
from export.c.statements import INDENT, Writer
from export.forms.folded_normalization import Scaling
from export.forms.step import Step
from export.text_templates import fill

PRIMITIVES = "lnn_primitives.h"


@dataclass(frozen=True)
class Interface:
    """The arguments of a model's functions in C.

    Attributes:
        prefix: Begins the names of its functions.
        inputs: Name in C and vector of each input, in the model's order.
        outputs: The same of each output.
        states: The same of each state.
        scalings: By name of an input or output, its conversion to real values.
        initial: By name of a state, its initial stored values.
    """

    prefix: str
    inputs: Mapping[str, Vector]
    outputs: Mapping[str, Vector]
    states: Mapping[str, Vector]
    scalings: Mapping[str, Scaling]
    initial: Mapping[str, np.ndarray]

    def by_value(self, name: str) -> bool:
        """Whether an input is one number, which is passed by value."""
        return by_value(self.inputs[name].size, len(self.inputs))


def by_value(size: int, inputs: int) -> bool:
    """Return whether an input of `size` numbers, one of several inputs, is passed by value."""
    return size == 1 and inputs > 1


def interface_of(program: Program, prefix: str, step: Step) -> Interface:
    """Return the interface of a step's program; `prefix` begins the names of its functions."""
    initial = step.initial_states
    return Interface(
        prefix=prefix,
        inputs={name: program.inputs[name] for name in step.inputs},
        outputs={name: program.outputs[name] for name in step.outputs},
        states=program.states,
        scalings=step.scalings,
        initial={name: stored(initial[name], v) for name, v in program.states.items()},
    )


def stored(values: np.ndarray, vector: Vector) -> np.ndarray:
    """Return real values as a vector stores them."""
    flat = np.asarray(values, "float64").ravel()
    if vector.dtype == "float32":
        return flat.astype("float32")
    integers = np.round(flat * 2.0**vector.fraction)
    return np.clip(integers, vector.low, vector.high).astype(vector.dtype)


def source_files(program: Program, interface: Interface, description: str) -> dict[str, str]:
    """Return NAME.c, NAME.h and the header of primitives, by file name."""
    prefix = interface.prefix
    return {
        f"{prefix}.c": _implementation(program, interface),
        f"{prefix}.h": _header(program, interface, description),
        PRIMITIVES: fill("export.c", PRIMITIVES),
    }


def _implementation(program: Program, interface: Interface) -> str:
    constants = Constants()
    is_float = program.recipe == "float32"
    states = set(program.states.values())
    vectors = [*program.inputs.values(), *program.outputs.values(), *program.locals, *states]

    def address(vector):
        return f"state->{vector.name}" if vector in states else vector.name

    weight_bits = 16 if program.recipe == "int16" else 8
    taken = frozenset(vector.name for vector in vectors)
    writer = Writer(constants, address, is_float, weight_bits, taken)
    lines = writer.statements(program.statements)
    locals_ = _declarations(program)
    unused = [] if any("state->" in line for line in lines) else ["(void)state;"]
    run = "\n".join(INDENT + line for line in [*locals_, *unused, *lines])
    reset = _reset(interface, constants)
    functions = (
        _float_functions(interface) if is_float else _integer_functions(interface, constants)
    )
    arguments = _arguments(interface, is_float)
    return fill(
        "export.c",
        "model.c",
        prefix=interface.prefix,
        constants=constants.text,
        arguments=arguments,
        run=run,
        reset=reset,
        functions=functions,
        primitives=PRIMITIVES,
    )


def _declarations(program: Program) -> list[str]:
    """Local vectors, and zeros in those with elements that no loop writes."""
    lines = []
    for number, block in enumerate(blocks_of(program), 1):
        kind = c_type(block.vectors[0])
        if len(block.vectors) == 1:
            lines.append(f"LNN_ALIGNED {kind} {block.vectors[0].name}[{block.size}];")
            continue
        lines.append(f"LNN_ALIGNED {kind} memory_{number}[{block.size}];")
        lines += [f"{kind} *const {vector.name} = memory_{number};" for vector in block.vectors]
    return lines


def c_type(vector: Vector) -> str:
    """Return the type of a vector's elements in C."""
    return "float" if vector.dtype == "float32" else f"{vector.dtype}_t"


def _parameters(interface: Interface, kind: str | None) -> list[str]:
    """The parameters of a step: of `kind`, or of the vectors' own types."""
    parameters = []
    for name, vector in interface.inputs.items():
        of = kind or c_type(vector)
        by_value = interface.by_value(name)
        parameters.append(f"{of} {vector.name}" if by_value else f"const {of} *{vector.name}")
    parameters += [f"{kind or c_type(v)} *{v.name}" for v in interface.outputs.values()]
    return parameters


def _arguments(interface: Interface, is_float: bool) -> str:
    """The parameters of the function that runs a step on vectors."""
    kind = "float" if is_float else "int16_t"
    inputs = [f"const {kind} *{vector.name}" for vector in interface.inputs.values()]
    outputs = [f"{kind} *{vector.name}" for vector in interface.outputs.values()]
    return ", ".join([f"{interface.prefix}_state *state", *inputs, *outputs])


def _reset(interface: Interface, constants: Constants) -> str:
    lines = []
    for name, vector in interface.states.items():
        values = interface.initial[name]
        if np.all(values == values[0]):
            is_float = vector.dtype == "float32"
            text = float_literal(values[0]) if is_float else str(int(values[0]))
        else:
            dtype = vector.dtype if vector.dtype == "float32" else None
            text = f"{constants.named(f'initial_{vector.name}', values, dtype)}[i]"
        lines.append(f"for (int i = 0; i < {vector.size}; ++i) state->{vector.name}[i] = {text};")
    if not lines:
        lines = ["(void)state;"]
    return "\n".join(INDENT + line for line in lines)


def _float_functions(interface: Interface) -> str:
    checks = _finite_checks(interface)
    passed = [
        f"&{vector.name}" if interface.by_value(name) else vector.name
        for name, vector in interface.inputs.items()
    ]
    passed += [vector.name for vector in interface.outputs.values()]
    return fill(
        "export.c",
        "float_step.c",
        prefix=interface.prefix,
        parameters=", ".join(
            [f"{interface.prefix}_state *state", *_parameters(interface, "float")]
        ),
        upper=interface.prefix.upper(),
        checks="\n".join(INDENT + line for line in checks),
        passed=", ".join(["state", *passed]),
    )


def _finite_checks(interface: Interface) -> list[str]:
    lines = []
    for name, vector in interface.inputs.items():
        failed = f"return {interface.prefix.upper()}_NOT_FINITE;"
        if interface.by_value(name):
            lines.append(f"if (!lnn_is_finite({vector.name})) {failed}")
        else:
            lines += [
                f"for (int i = 0; i < {vector.size}; ++i) {{",
                f"{INDENT}if (!lnn_is_finite({vector.name}[i])) {failed}",
                "}",
            ]
    return lines


def _integer_functions(interface: Interface, constants: Constants) -> str:
    before, quantize, dequantize, limits = [], [], [], []
    for name, vector in interface.inputs.items():
        scaling = interface.scalings[name]
        scale = 2.0**vector.fraction / np.broadcast_to(scaling.scale, vector.size)
        offset = -np.broadcast_to(scaling.offset, vector.size) * scale
        factors = _per_element(constants, f"scale_{vector.name}", scale)
        offsets = _per_element(constants, f"offset_{vector.name}", offset)
        before.append(f"LNN_ALIGNED int16_t stored_{vector.name}[{vector.size}];")
        element = vector.name if interface.by_value(name) else f"{vector.name}[i]"
        quantize += [
            f"for (int i = 0; i < {vector.size}; ++i) {{",
            f"{INDENT}stored_{vector.name}[i] = lnn_quantize({element}, {factors}, {offsets});",
            f"{INDENT}if (stored_{vector.name}[i] == INT16_MAX || stored_{vector.name}[i] == INT16_MIN) {{",
            f"{INDENT * 2}status = {interface.prefix.upper()}_SATURATED;",
            f"{INDENT}}}",
            "}",
        ]
    for name, vector in interface.outputs.items():
        scaling = interface.scalings[name]
        scale = np.broadcast_to(scaling.scale, vector.size) / 2.0**vector.fraction
        factors = _per_element(constants, f"scale_{vector.name}", scale)
        offsets = _per_element(
            constants, f"offset_{vector.name}", np.broadcast_to(scaling.offset, vector.size)
        )
        before.append(f"int16_t stored_{vector.name}[{vector.size}];")
        dequantize += [
            f"for (int i = 0; i < {vector.size}; ++i) {{",
            f"{INDENT}{vector.name}[i] = (float)stored_{vector.name}[i] * {factors} + {offsets};",
            "}",
        ]
    raw_inputs = [
        f"&{vector.name}" if interface.by_value(name) else vector.name
        for name, vector in interface.inputs.items()
    ]
    raw = [*raw_inputs, *(vector.name for vector in interface.outputs.values())]
    passed = [f"stored_{v.name}" for v in [*interface.inputs.values(), *interface.outputs.values()]]
    state = f"{interface.prefix}_state *state"
    return fill(
        "export.c",
        "integer_step.c",
        prefix=interface.prefix,
        upper=interface.prefix.upper(),
        raw_parameters=", ".join([state, *_parameters(interface, None)]),
        raw_passed=", ".join(["state", *raw]),
        parameters=", ".join([state, *_parameters(interface, "float")]),
        before="\n".join(INDENT + line for line in before),
        checks="\n".join(INDENT + line for line in _finite_checks(interface)),
        quantize="\n".join(INDENT + line for line in quantize),
        passed=", ".join(["state", *passed]),
        dequantize="\n".join(INDENT + line for line in dequantize),
    )


def _per_element(constants: Constants, name: str, values: np.ndarray) -> str:
    if np.all(values == values[0]):
        return float_literal(values[0])
    return f"{constants.named(name, values, 'float32')}[i]"


def _header(program: Program, interface: Interface, description: str) -> str:
    prefix, upper = interface.prefix, interface.prefix.upper()
    is_float = program.recipe == "float32"
    sizes = [
        f"#define {upper}_{identifier(name).upper()}_SIZE {vector.size}"
        for name, vector in [*interface.inputs.items(), *interface.outputs.items()]
    ]
    members = [f"{c_type(v)} {v.name}[{v.size}];" for v in interface.states.values()]
    members = members or ["int16_t unused[2];"]
    state = f"{prefix}_state *state"
    step = f"int {prefix}_step({', '.join([state, *_parameters(interface, 'float')])});"
    raw = (
        ""
        if is_float
        else fill(
            "export.c",
            "raw_step.h",
            formats="\n".join(_formats(interface)),
            declaration=f"void {prefix}_step_raw({', '.join([state, *_parameters(interface, None)])});",
        )
    )
    return fill(
        "export.c",
        "model.h",
        description="\n".join(f" * {line}" for line in textwrap.wrap(description, 94)),
        prefix=prefix,
        upper=upper,
        sizes="\n".join(sizes),
        members="\n".join(INDENT + member for member in members),
        saturated=""
        if is_float
        else f",\n  {upper}_SATURATED = 2 /* an input is at the end of its range; the step has run */",
        step=step,
        raw=raw,
    )


def _formats(interface: Interface) -> list[str]:
    """Comments that say what stored integers stand for."""
    lines = []
    for name, vector in [*interface.inputs.items(), *interface.outputs.items()]:
        scaling = interface.scalings[name]
        trivial = np.all(scaling.scale == 1) and np.all(scaling.offset == 0)
        unit = f"value / 2^{vector.fraction}"
        if not trivial:
            unit = f"scale * value / 2^{vector.fraction} + offset, per element"
        lines.append(f" *   {vector.name}: real = {unit}")
    return lines
