"""Replay: recorded inputs and a hash of all states and outputs, which a device compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.c.code.constants import array_text
from export.c.code.interface import by_value
from export.c.model import CModel
from export.text_templates import fill

REPLAY_STEPS = 1000
# Bytes of recorded inputs; longer recordings repeat their first rows.
MAX_BYTES = 48_000
_START, _FACTOR = 2166136261, 16777619


@dataclass(frozen=True)
class Replay:
    """Inputs of consecutive steps, and what a runtime returned.

    Attributes:
        inputs: Stored values by the name of each data input (rows, size); step t reads row
            t modulo the number of rows.
        hash: FNV-1a over the states and outputs of `REPLAY_STEPS` steps.
    """

    inputs: Mapping[str, np.ndarray]
    hash: int


def recorded_rows(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the first rows (rows, size) of inputs, as many as a device's memory may hold."""
    size = sum(array[0].nbytes for array in rows.values())
    count = max(1, min(REPLAY_STEPS, MAX_BYTES // max(1, size)))
    return {name: array[:count] for name, array in rows.items()}


def hash_of(records: list[np.ndarray]) -> int:
    """Return FNV-1a over the words of arrays: 16-bit integers, or the bits of floats."""
    total = _START
    for record in records:
        flat = np.ascontiguousarray(record).ravel()
        words = flat.view("uint32") if flat.dtype == "float32" else flat.view("uint16")
        for word in words.tolist():
            total = ((total ^ word) * _FACTOR) & 0xFFFFFFFF
    return total


def replay_files(model: CModel, replay: Replay) -> dict[str, str]:
    """Return replay.c and replay.h, by file name."""
    signature = model.signature
    is_float = model.recipe == "float32"
    kind = "float" if is_float else "int16_t"
    arrays, arguments, targets = [], ["&state"], ["&state"]
    for tensor in signature.data_inputs:
        values = replay.inputs[tensor.name].reshape(len(replay.inputs[tensor.name]), -1)
        name = f"recorded_{model.names[tensor.name]}"
        arrays.append(array_text(name, values.astype(tensor.dtype), qualifier="static const"))
        place = f"{name} + row * {values.shape[1]}"
        if tensor.name in model.targets:
            targets.append(place)
            continue
        count = len(signature.data_inputs) - len(model.targets)
        arguments.append(f"{name}[row]" if by_value(values.shape[1], count) else place)
    outputs = []
    for tensor in signature.data_outputs:
        size = int(np.prod(tensor.shape))
        name = f"returned_{model.names[tensor.name]}"
        outputs.append((name, size))
        arguments.append(name)
    states = [
        (f"state.{model.names[state.name]}", int(np.prod(state.shape)))
        for state, _ in signature.states
    ]
    hashed = [f"  hash_{'floats' if is_float else 'integers'}({n}, {s});" for n, s in states]
    hashed += [f"  hash_{'floats' if is_float else 'integers'}({n}, {s});" for n, s in outputs]
    rows = len(next(iter(replay.inputs.values())))
    return {
        "replay.c": fill(
            "export.c",
            "replay.c",
            prefix=model.prefix,
            arrays="\n".join(arrays),
            outputs="\n".join(f"static {kind} {name}[{size}];" for name, size in outputs),
            function=f"{model.prefix}_step" if is_float else f"{model.prefix}_step_raw",
            discard="(void)" if is_float else "",
            arguments=", ".join(arguments),
            learn=f"  {model.prefix}_adapt({', '.join(targets)});\n" if model.targets else "",
            rows=rows,
            hashed="\n".join(hashed),
            hasher=fill("export.c", "hash_floats.c" if is_float else "hash_integers.c").rstrip(),
            expected=f"0x{replay.hash:08x}",
        ),
        "replay.h": fill("export.c", "replay.h", steps=REPLAY_STEPS),
    }
