"""Constants of a C file: matrices, tables and the numbers of each neuron."""

from __future__ import annotations

import textwrap

import numpy as np

from export.c.arithmetic import floats, integers
from export.c.arithmetic.expressions import Rows

_TYPES = ("int8", "int16", "int32")
_INDEX_TYPES = ("uint8", "uint16", "uint32")


class Constants:
    """Hands out the names of constant arrays; equal arrays are one."""

    def __init__(self):
        self._names: dict[tuple[str, bytes], str] = {}
        self._texts: list[str] = []
        self._bases: dict[str, int] = {}

    @property
    def text(self) -> str:
        """The definitions of all arrays."""
        return "\n".join(self._texts)

    def named(self, name: str, values: np.ndarray, dtype: str | None = None) -> str:
        """Return the name of an array with these values."""
        dtype = dtype or smallest(values, _TYPES)
        if name.startswith(("exp", "log", "softplus", "erf", "sin", "cos", "sigmoid")):
            dtype = dtype if dtype.startswith("float") else "int16"
        stored = np.ascontiguousarray(values, dtype)
        key = dtype, stored.tobytes()
        if key not in self._names:
            number = self._bases.get(name, 0) + 1
            self._bases[name] = number
            full = f"{name}_{number}" if number > 1 else name
            self._names[key] = full
            aligned = "" if dtype.startswith("uint") else " LNN_ALIGNED"
            self._texts.append(array_text(full, stored, f"static const{aligned}"))
        return self._names[key]

    def sigmoid(self, is_float: bool) -> str:
        """Return the name of the table that sigmoid and tanh use."""
        if is_float:
            return self.named("sigmoid_table", floats.sigmoid_values(), "float32")
        return self.named("tanh_table", integers.tanh_values(), "int16")

    def matrix(self, integers: np.ndarray, bits: int) -> str:
        """Return the name of the rows of a matrix, as the dot products read them."""
        if bits == 8:
            whole = integers.shape[1] // 4 * 4
            groups = integers[:, :whole].reshape(len(integers), -1, 4)[:, :, [0, 2, 1, 3]]
            integers = np.concatenate(
                [groups.reshape(len(integers), -1), integers[:, whole:]], axis=1
            )
        return self.named("weights", integers, f"int{bits}" if bits < 32 else "float32")

    def index(self, index: np.ndarray, counter: str) -> str:
        """Return the element of a table of indices."""
        return f"{self.named('indices', index, smallest(index, _INDEX_TYPES))}[{counter}]"

    def element(self, values: np.ndarray, rows: Rows | None, is_float: bool) -> str:
        """Return the element of constants that differ between neurons, or between elements."""
        dtype = "float32" if is_float else None
        if rows is None:
            return f"{self.named('factors', values, dtype)}[i]"
        if rows.columns:
            grid = values.reshape(-1, rows.columns)
            if np.all(grid == grid[:1]):
                return f"{self.named('factors', grid[0], dtype)}[j]"
            if np.all(grid == grid[:, :1]):
                return f"{self.named('factors', grid[:, 0], dtype)}[i]"
        return f"{self.named('factors', values, dtype)}[s]"

    def offsets(self, rows: Rows) -> str:
        """Return the name of the table of the offsets of rows."""
        return self.named("offsets", rows.offsets, smallest(rows.offsets, _INDEX_TYPES))


def smallest(values: np.ndarray, types: tuple[str, ...]) -> str:
    """Return the first of the types that holds all values."""
    low, high = values.min(), values.max()
    return next(t for t in types if np.iinfo(t).min <= low and high <= np.iinfo(t).max)


def float_literal(value: float) -> str:
    """Return a 32-bit float in C."""
    text = f"{np.float32(value):.9g}"
    return f"{text if '.' in text or 'e' in text else f'{text}.0'}f"


def array_text(name: str, values: np.ndarray, qualifier: str = "static const") -> str:
    """Return the definition of an array in C."""
    if values.dtype == "float32":
        texts = [float_literal(value) for value in values.ravel()]
        kind = "float"
    else:
        texts = [
            "INT32_MIN" if value == -(2**31) else str(value) for value in values.ravel().tolist()
        ]
        kind = f"{values.dtype}_t"
    lines = textwrap.wrap(", ".join(texts), 96, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([f"{qualifier} {kind} {name}[{values.size}] = {{", *lines, "};"])
