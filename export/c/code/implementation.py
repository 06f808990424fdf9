"""The C file of a model: NAME.c."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.c.arithmetic.expressions import Copy, Program, Statement, Vector
from export.c.arithmetic.memory import Block, blocks_of
from export.c.code.constants import Constants, float_literal
from export.c.code.header import header, target_parameters
from export.c.code.interface import Interface, c_type
from export.c.code.saved_state import saving_functions
from export.c.code.statements import INDENT, Writer
from export.text_templates import fill

PRIMITIVES = "lnn_primitives.h"


def source_files(
    program: Program, learning: Program | None, interface: Interface, description: str
) -> dict[str, str]:
    """Return NAME.c, NAME.h and the header of primitives, by file name.

    Args:
        program: The program of a step.
        learning: The program that learns from targets, or None.
        interface: The arguments of the model's functions.
        description: Sentences for the header.
    """
    return {
        f"{interface.prefix}.c": _implementation(program, learning, interface),
        f"{interface.prefix}.h": header(interface, description),
        PRIMITIVES: fill("export.c", PRIMITIVES),
    }


def _implementation(program: Program, learning: Program | None, interface: Interface) -> str:
    constants = Constants()
    runs = [_run(program, interface, constants, "run", "One step on stored numbers.")]
    if learning is not None:
        comment = "Learns from the truth of a past prediction."
        runs.append(_run(learning, interface, constants, "learn", comment))
    reset = _indented(_reset(interface, constants))
    is_float = interface.is_float
    functions = _float_step(interface) if is_float else _integer_step(interface, constants)
    if learning is not None:
        functions += fill(
            "export.c",
            "adapt.c",
            prefix=interface.prefix,
            parameters=target_parameters(interface),
            passed=", ".join(["state", *(v.name for v in interface.targets.values())]),
            saving=saving_functions(interface, constants.text),
        )
    return fill(
        "export.c",
        "model.c",
        prefix=interface.prefix,
        primitives=PRIMITIVES,
        constants=constants.text,
        runs="\n".join(runs).rstrip(),
        reset=reset,
        functions=functions.rstrip(),
    )


def _run(
    program: Program, interface: Interface, constants: Constants, name: str, comment: str
) -> str:
    """A function that runs a program on vectors."""
    states = set(program.states.values())
    vectors = [*program.inputs.values(), *program.outputs.values(), *program.locals, *states]

    def address(vector):
        return f"state->{vector.name}" if vector in states else vector.name

    weight_bits = 16 if program.recipe == "int16" else 8
    taken = frozenset(vector.name for vector in vectors)
    writer = Writer(constants, address, interface.is_float, weight_bits, taken)
    blocks = blocks_of(program)
    lines = [
        *_declarations(blocks),
        *writer.statements(_without_copies(program.statements, blocks)),
    ]
    unused = [] if any("state->" in line for line in lines) else ["(void)state;"]
    order = [*interface.inputs, *interface.targets, *interface.outputs]
    passed = [program.inputs.get(n) or program.outputs.get(n) for n in order]
    parameters = [f"{interface.prefix}_state *state"]
    parameters += [
        f"{'const ' if vector in program.inputs.values() else ''}{c_type(vector)} *{vector.name}"
        for vector in passed
        if vector is not None
    ]
    return fill(
        "export.c",
        "run.c",
        comment=comment,
        name=name,
        parameters=", ".join(parameters),
        body=_indented([*unused, *lines]),
    )


def _declarations(blocks: list[Block]) -> list[str]:
    """The memory of local vectors."""
    lines = []
    for number, block in enumerate(blocks, 1):
        kind = c_type(block.vectors[0])
        if block.state is None and len(block.vectors) == 1:
            lines.append(f"LNN_ALIGNED {kind} {block.vectors[0].name}[{block.size}];")
            continue
        memory = f"memory_{number}" if block.state is None else f"state->{block.state.name}"
        if block.state is None:
            lines.append(f"LNN_ALIGNED {kind} {memory}[{block.size}];")
        lines += [f"{kind} *const {vector.name} = {memory};" for vector in block.vectors]
    return lines


def _without_copies(statements: Sequence[Statement], blocks: list[Block]) -> list[Statement]:
    """The statements without copies of vectors that are in the target's memory already."""
    in_memory_of = {vector: block.state for block in blocks for vector in block.vectors}
    return [
        s
        for s in statements
        if not (isinstance(s, Copy) and in_memory_of.get(s.source) is s.target)
    ]


def _reset(interface: Interface, constants: Constants) -> list[str]:
    lines = []
    for name, vector in interface.states.items():
        values = interface.initial[name]
        if np.all(values == values[0]):
            is_float = vector.dtype == "float32"
            text = float_literal(values[0]) if is_float else str(int(values[0]))
        else:
            dtype = vector.dtype if vector.dtype == "float32" else None
            text = f"{constants.named(f'initial_{vector.name}', values, dtype)}[i]"
        head = f"for (int i = 0; i < {vector.size}; ++i)"
        lines.append(f"{head} state->{vector.name}[i] = {text};")
    return lines or ["(void)state;"]


def _finite_checks(interface: Interface) -> list[str]:
    lines = []
    failed = f"return {interface.prefix.upper()}_NOT_FINITE;"
    for name, vector in interface.inputs.items():
        if interface.by_value(name):
            lines.append(f"if (!lnn_is_finite({vector.name})) {failed}")
        else:
            lines += [
                f"for (int i = 0; i < {vector.size}; ++i) {{",
                f"{INDENT}if (!lnn_is_finite({vector.name}[i])) {failed}",
                "}",
            ]
    return lines


def _float_step(interface: Interface) -> str:
    passed = _passed(interface) + [vector.name for vector in interface.outputs.values()]
    return fill(
        "export.c",
        "float_step.c",
        prefix=interface.prefix,
        upper=interface.prefix.upper(),
        parameters=interface.parameters("float"),
        checks=_indented(_finite_checks(interface)),
        passed=", ".join(["state", *passed]),
    )


def _passed(interface: Interface) -> list[str]:
    """The inputs as pointers."""
    return [
        f"&{vector.name}" if interface.by_value(name) else vector.name
        for name, vector in interface.inputs.items()
    ]


def _integer_step(interface: Interface, constants: Constants) -> str:
    before, quantize, dequantize = [], [], []
    for name, vector in interface.inputs.items():
        before.append(f"LNN_ALIGNED int16_t stored_{vector.name}[{vector.size}];")
        quantize += _quantized(interface, name, vector, constants)
    for name, vector in interface.outputs.items():
        before.append(f"int16_t stored_{vector.name}[{vector.size}];")
        scaling = interface.scalings[name]
        scale = _of_elements(scaling.scale, vector) / 2.0**vector.fraction
        offset = _of_elements(scaling.offset, vector)
        factor = _per_element(constants, f"scale_{vector.name}", scale)
        term = _per_element(constants, f"offset_{vector.name}", offset)
        real = f"(float)stored_{vector.name}[i] * {factor} + {term}"
        head = f"for (int i = 0; i < {vector.size}; ++i)"
        dequantize.append(f"{head} {vector.name}[i] = {real};")
    vectors = [*interface.inputs.values(), *interface.outputs.values()]
    raw = _passed(interface) + [vector.name for vector in interface.outputs.values()]
    return fill(
        "export.c",
        "integer_step.c",
        prefix=interface.prefix,
        upper=interface.prefix.upper(),
        raw_parameters=interface.parameters(),
        raw_passed=", ".join(["state", *raw]),
        parameters=interface.parameters("float"),
        before=_indented(before),
        checks=_indented(_finite_checks(interface)),
        quantize=_indented(quantize),
        passed=", ".join(["state", *(f"stored_{vector.name}" for vector in vectors)]),
        dequantize=_indented(dequantize),
    )


def _quantized(interface: Interface, name: str, vector: Vector, constants: Constants) -> list[str]:
    """Lines that convert a real input, and note values beyond its range."""
    scaling = interface.scalings[name]
    scale = 2.0**vector.fraction / _of_elements(scaling.scale, vector)
    offset = -_of_elements(scaling.offset, vector) * scale
    factor = _per_element(constants, f"scale_{vector.name}", scale)
    term = _per_element(constants, f"offset_{vector.name}", offset)
    element = vector.name if interface.by_value(name) else f"{vector.name}[i]"
    stored = f"stored_{vector.name}[i]"
    return [
        f"for (int i = 0; i < {vector.size}; ++i) {{",
        f"{INDENT}{stored} = lnn_quantize({element}, {factor}, {term});",
        f"{INDENT}if ({stored} == INT16_MAX || {stored} == INT16_MIN) {{",
        f"{INDENT * 2}status = {interface.prefix.upper()}_SATURATED;",
        f"{INDENT}}}",
        "}",
    ]


def _of_elements(values: np.ndarray, vector: Vector) -> np.ndarray:
    """Numbers of features, for all elements of a vector of one or several rows."""
    return np.resize(values, vector.size)


def _per_element(constants: Constants, name: str, values: np.ndarray) -> str:
    if np.all(values == values[0]):
        return float_literal(values[0])
    return f"{constants.named(name, values, 'float32')}[i]"


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(INDENT + line for line in lines)
