"""C and C++ source of a file: its bytes as an array, and how its tensors are read."""

import re

from export.layout import TensorLayout


def sources(
    content: bytes, layout: tuple[TensorLayout, ...], model: str, arena_bytes: int | None
) -> dict[str, str]:
    """Return file name -> text of model.h, model_data.cc and lnn_model.h.

    Args:
        content: The .tflite file.
        layout: Its inputs, outputs and states.
        model: Name of the model, for comments.
        arena_bytes: Working memory as measured on the host, if it was.
    """
    return {
        "model.h": _model_header(model),
        "model_data.cc": _model_data(content),
        "lnn_model.h": _layout_header(layout, model, arena_bytes),
    }


def _model_header(model):
    return f"""\
// The model {_comment(model)} as bytes, for tflite::GetModel.
#ifndef LNN_MODEL_DATA_H_
#define LNN_MODEL_DATA_H_

extern const unsigned char lnn_model_data[];
extern const unsigned int lnn_model_data_size;

#endif  // LNN_MODEL_DATA_H_
"""


def _model_data(content):
    body = "\n".join(_lines([f"0x{byte:02x}" for byte in content], per_line=12))
    return f"""\
#include "model.h"

// TensorFlow Lite reads 32- and 64-bit numbers in place, hence the alignment.
alignas(16) const unsigned char lnn_model_data[] = {{
{body}
}};
const unsigned int lnn_model_data_size = {len(content)};
"""


def _layout_header(layout, model, arena_bytes):
    by_kind = {kind: [t for t in layout if t.kind == kind] for kind in ("input", "output", "state")}
    arena = (
        "// The arena was not measured."
        if arena_bytes is None
        else "// Measured with 8-byte pointers; a 32-bit device needs about half.\n"
        f"#define LNN_ARENA_BYTES {arena_bytes}"
    )
    ends = [
        _end(f"LNN_{kind.upper()}", getattr(tensor, kind), tensor)
        for kind in ("input", "output")
        for tensor in by_kind[kind]
    ]
    number = "int8_t" if layout[0].dtype == "int8" else "float"
    return f"""\
// How to run one time step of {_comment(model)}.
//
// At each step: write every data input and every state, invoke, copy every
// output away before anything is written again. A state starts at its zero
// point; its output, copied as it is, is its input at the next step.
//
//     real[i] = scale[i] * (number[i] - zero_point) + offset[i]
#ifndef LNN_MODEL_H_
#define LNN_MODEL_H_

#include <stdint.h>

typedef {number} lnn_number;

typedef struct {{
  int position;         // among the interpreter's inputs or outputs
  int size;             // numbers in the tensor
  int zero_point;       // the number that stands for a value of 0
  const float *scale;   // of each number
  const float *offset;  // of each number
}} lnn_tensor;

typedef struct {{
  int input;       // position among the interpreter's inputs
  int output;      // position among its outputs
  int size;        // numbers in the tensor
  int zero_point;  // where each number starts
  float scale;     // the same for input and output
}} lnn_state;

{arena}

{chr(10).join(ends)}
{_states(by_kind["state"])}

#endif  // LNN_MODEL_H_
"""


def _end(prefix, position, tensor):
    name = prefix + "_" + re.sub(r"\W+", "_", tensor.name).strip("_").upper()
    arrays = [
        f"static const float {name}_{field.upper()}[{tensor.size}] = {{\n"
        + "\n".join(_lines([_float(value) for value in getattr(tensor, field)]))
        + "\n};\n"
        for field in ("scale", "offset")
    ]
    return (
        "".join(arrays) + f"static const lnn_tensor {name} = {{{position}, {tensor.size}, "
        f"{tensor.zero_point}, {name}_SCALE, {name}_OFFSET}};\n"
    )


def _states(states):
    if not states:
        return "#define LNN_STATE_COUNT 0"
    rows = [
        f"    {{{t.input}, {t.output}, {t.size}, {t.zero_point}, {_float(t.scale[0])}}},"
        f"  // {_comment(t.name)}"
        for t in states
    ]
    return "\n".join(
        [
            f"#define LNN_STATE_COUNT {len(states)}",
            "static const lnn_state LNN_STATES[LNN_STATE_COUNT] = {",
            *rows,
            "};",
        ]
    )


def _lines(items, per_line=6):
    return [
        "    " + ", ".join(items[start : start + per_line]) + ","
        for start in range(0, len(items), per_line)
    ]


def _float(value):
    """A C float literal that reads back to the same number."""
    text = f"{value:.9g}"
    return (text if "." in text or "e" in text else text + ".0") + "f"


def _comment(text):
    """Keep a name from ending or continuing the comment that holds it."""
    return re.sub(r"[^\w .:/-]", "_", text)
