"""README.md of a folder with a model in C."""

from __future__ import annotations

import math
from collections.abc import Mapping

from export.c.code.interface import by_value
from export.c.layouts import Layout
from export.c.model import CModel
from export.text_templates import fill
from export.tflite_file.flatbuffer import Tensor


def readme(
    model: CModel, layout: Layout, placeholders: Mapping[str, str], window_note: str = ""
) -> str:
    """Return the text of README.md.

    Args:
        model: The C source.
        layout: The layout of the folder.
        placeholders: The texts that the templates of the layout take.
        window_note: A sentence on the length of sequences, or "".
    """
    signature = model.signature
    inputs, outputs = _inputs(model), signature.data_outputs
    is_float = model.recipe == "float32"
    texts = {
        **placeholders,
        "number": "float" if is_float else "int16_t",
        "values": "\n".join(_row(model, t, "input", len(inputs)) for t in inputs)
        + "\n"
        + "\n".join(_row(model, t, "output", 0) for t in outputs),
        "state_bytes": str(sum(_size(t) * (4 if is_float else 2) for t, _ in signature.states)),
        "example": example(model),
        "raw": "" if is_float else fill("export.c", "readme_raw.md", **_raw(model)),
        "saturated": "" if is_float else fill("export.c", "readme_saturated.md", **placeholders),
        "learning": _learning(model),
        "window_note": f"{window_note}\n\n" if window_note else "",
    }
    build = fill("export.c", f"{layout.name}/README.md", **texts)
    return fill("export.c", "readme.md", **texts, build=build.rstrip())


def example(model: CModel) -> str:
    """Return a C function that runs a step on real values."""
    signature = model.signature
    declared, arguments = [], ["&state"]
    for tensor in _inputs(model):
        name = model.names[tensor.name]
        single = by_value(_size(tensor), len(_inputs(model)))
        declared.append(f"  float {name} = 1.0f;" if single else _array(model, tensor, " = {0.0f}"))
        arguments.append(name)
    for tensor in signature.data_outputs:
        declared.append(_array(model, tensor))
        arguments.append(model.names[tensor.name])
    return fill(
        "export.c",
        "readme_example.c",
        prefix=model.prefix,
        upper=model.prefix.upper(),
        declared="\n".join(declared),
        arguments=", ".join(arguments),
    ).rstrip()


def _inputs(model: CModel) -> list[Tensor]:
    """The inputs of a step, without the targets that it learns from."""
    return [t for t in model.signature.data_inputs if t.name not in model.targets]


def _learning(model: CModel) -> str:
    if not model.targets:
        return ""
    targets = ", ".join(f"const float *{model.names[name]}" for name in model.targets)
    names = {"prefix": model.prefix, "upper": model.prefix.upper(), "targets": targets}
    return fill("export.c", "readme_learning.md", **names)


def _raw(model: CModel) -> dict[str, str]:
    signature = model.signature
    kinds = []
    for tensor in _inputs(model):
        star = "" if by_value(_size(tensor), len(_inputs(model))) else "*"
        kinds.append(f"{'const ' if star else ''}int16_t {star}{model.names[tensor.name]}")
    kinds += [f"int16_t *{model.names[tensor.name]}" for tensor in signature.data_outputs]
    return {"prefix": model.prefix, "raw_parameters": ", ".join(kinds)}


def _array(model: CModel, tensor: Tensor, value: str = "") -> str:
    return f"  float {model.names[tensor.name]}[{_size_name(model, tensor)}]{value};"


def _size_name(model: CModel, tensor: Tensor) -> str:
    return f"{model.prefix.upper()}_{model.names[tensor.name].upper()}_SIZE"


def _size(tensor: Tensor) -> int:
    return math.prod(tensor.shape)


def _row(model: CModel, tensor: Tensor, kind: str, inputs: int) -> str:
    passed = "by value" if by_value(_size(tensor), inputs) else f"`{_size_name(model, tensor)}`"
    return f"| {kind} | `{model.names[tensor.name]}` | {_size(tensor)} | {passed} |"
