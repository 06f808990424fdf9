"""The header of a model: NAME.h."""

from __future__ import annotations

import textwrap

import numpy as np

from export.c.code.interface import Interface, c_type
from export.c.code.saved_state import saved_bytes
from export.text_templates import fill


def header(interface: Interface, description: str) -> str:
    """Return the text of NAME.h."""
    prefix, upper = interface.prefix, interface.prefix.upper()
    named = {**interface.inputs, **interface.outputs, **interface.targets}
    sizes = [
        f"#define {upper}_{vector.name.upper()}_SIZE {vector.size}" for vector in named.values()
    ]
    members = [f"{c_type(v)} {v.name}[{v.size}];" for v in interface.states.values()]
    members = members or ["int16_t unused[2];"]
    return fill(
        "export.c",
        "model.h",
        description="\n".join(f" * {line}" for line in textwrap.wrap(description, 94)),
        prefix=prefix,
        upper=upper,
        sizes="\n".join(sizes),
        members="\n".join(f"  {member}" for member in members),
        statuses="\n".join(_statuses(interface)),
        step=f"int {prefix}_step({interface.parameters('float')});",
        raw=_raw(interface),
        learning=_learning(interface),
    )


def _statuses(interface: Interface) -> list[str]:
    upper = interface.prefix.upper()
    names = {
        "OK": "",
        "NOT_FINITE": "an input is infinite or not a number; nothing has changed",
    }
    if not interface.is_float:
        names["SATURATED"] = "an input is at the end of its range; the step has run"
    if interface.targets:
        names["DAMAGED"] = "saved bytes are damaged or of another model; nothing has changed"
    numbers = {"OK": 0, "NOT_FINITE": 1, "SATURATED": 2, "DAMAGED": 3}
    last = list(names)[-1]
    return [
        f"  {upper}_{name} = {numbers[name]}{'' if name == last else ','}"
        + (f" /* {text} */" if text else "")
        for name, text in names.items()
    ]


def _raw(interface: Interface) -> str:
    if interface.is_float:
        return ""
    declaration = f"void {interface.prefix}_step_raw({interface.parameters()});"
    formats = "\n".join(_formats(interface))
    return fill("export.c", "raw_step.h", formats=formats, declaration=declaration)


def _learning(interface: Interface) -> str:
    if not interface.targets:
        return ""
    return fill(
        "export.c",
        "learning.h",
        prefix=interface.prefix,
        upper=interface.prefix.upper(),
        targets=target_parameters(interface),
        delay="the step before" if interface.delay == 1 else f"{interface.delay} steps before",
        bytes=saved_bytes(interface),
    )


def target_parameters(interface: Interface) -> str:
    """Return the parameters of the function that learns."""
    targets = [f"const {c_type(v)} *{v.name}" for v in interface.targets.values()]
    return ", ".join([f"{interface.prefix}_state *state", *targets])


def _formats(interface: Interface) -> list[str]:
    """Comments that say which numbers stored integers stand for."""
    lines = []
    for name, vector in [*interface.inputs.items(), *interface.outputs.items()]:
        scaling = interface.scalings[name]
        unit = f"{vector.name} / 2^{vector.fraction}"
        if np.any(scaling.scale != 1) or np.any(scaling.offset != 0):
            unit = f"scale * {unit} + offset, per element"
        lines.append(f" *   {vector.name}: real = {unit}")
    return lines
