"""C and C++ source of a file: its bytes as an array, and how its tensors are read."""

import re

from export.flatbuffer import Signature, Tensor

_BYTES_PER_LINE = 12


def sources(content: bytes, signature: Signature, model: str, arena_bytes: int | None) -> dict:
    """Return file name -> text of model.h, model_data.cc and lnn_model.h.

    Args:
        content: The .tflite file.
        signature: Its inputs and outputs.
        model: Name of the model, for comments.
        arena_bytes: Working memory as measured on the host, if it was.
    """
    return {
        "model.h": _model_header(model),
        "model_data.cc": _model_data(content),
        "lnn_model.h": _layout_header(signature, model, arena_bytes),
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
    lines = [
        "    "
        + ", ".join(f"0x{byte:02x}" for byte in content[start : start + _BYTES_PER_LINE])
        + ","
        for start in range(0, len(content), _BYTES_PER_LINE)
    ]
    body = "\n".join(lines)
    return f"""\
#include "model.h"

// TensorFlow Lite reads 32- and 64-bit numbers in place, hence the alignment.
alignas(16) const unsigned char lnn_model_data[] = {{
{body}
}};
const unsigned int lnn_model_data_size = {len(content)};
"""


def _layout_header(signature, model, arena_bytes):
    inputs = [_tensor("LNN_INPUT", tensor) for tensor in signature.data_inputs]
    outputs = [_tensor("LNN_OUTPUT", tensor) for tensor in signature.data_outputs]
    states = [
        f"    {{{state.position}, {following.position}, {_size(state)}, "
        f"{_float(state.scale)}, {state.zero_point}}},  // {_comment(state.name)}"
        for state, following in signature.states
    ]
    arena = (
        "// The arena was not measured."
        if arena_bytes is None
        else "// Measured with 8-byte pointers; a 32-bit device needs about half.\n"
        f"#define LNN_ARENA_BYTES {arena_bytes}"
    )
    state_table = f"#define LNN_STATE_COUNT {len(states)}\n" + (
        "static const lnn_state LNN_STATES[LNN_STATE_COUNT] = {\n" + "\n".join(states) + "\n};"
        if states
        else "// The model has no state."
    )
    number = "int8_t" if signature.inputs[0].dtype == "int8" else "float"
    return f"""\
// How to run one time step of {_comment(model)}.
//
// At each step: write every data input and every state, invoke, copy every
// output away before anything is written again. A state starts at its zero
// point; its output, copied as it is, is its input at the next step.
// A real value is scale * (number - zero_point); in float files scale is 0 and
// numbers are real values.
#ifndef LNN_MODEL_H_
#define LNN_MODEL_H_

#include <stdint.h>

typedef {number} lnn_number;

typedef struct {{
  int position;    // among the interpreter's inputs or outputs
  int size;        // numbers in the tensor
  float scale;     // real value of one unit
  int zero_point;  // the number that stands for 0
}} lnn_tensor;

typedef struct {{
  int input;       // position among the interpreter's inputs
  int output;      // position among its outputs
  int size;
  float scale;     // the same for input and output
  int zero_point;
}} lnn_state;

{arena}

{chr(10).join(inputs)}
{chr(10).join(outputs)}

{state_table}

#endif  // LNN_MODEL_H_
"""


def _tensor(prefix, tensor: Tensor):
    name = re.sub(r"\W+", "_", tensor.name).strip("_").upper()
    return (
        f"static const lnn_tensor {prefix}_{name} = "
        f"{{{tensor.position}, {_size(tensor)}, {_float(tensor.scale)}, {tensor.zero_point}}};"
    )


def _size(tensor):
    size = 1
    for extent in tensor.shape:
        size *= extent
    return size


def _float(value):
    """A C float literal that reads back to the same number."""
    text = f"{value:.9g}"
    return (text if "." in text or "e" in text else text + ".0") + "f"


def _comment(text):
    """Keep a name from ending or continuing the comment that holds it."""
    return re.sub(r"[^\w .:/-]", "_", text)
