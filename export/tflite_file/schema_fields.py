"""Fields of the tables of the .tflite schema, for the check of a file's structure."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from export import compat

# Bytes of the scalar types, by their names in FlatBuffers.
SCALARS = {
    "Bool": 1,
    "Int8": 1,
    "Uint8": 1,
    "Int16": 2,
    "Uint16": 2,
    "Int32": 4,
    "Uint32": 4,
    "Float32": 4,
    "Int64": 8,
    "Uint64": 8,
    "Float64": 8,
}


@dataclass(frozen=True)
class Field:
    """A field of a table.

    Attributes:
        kind: "scalar", "string", "vector" of scalars, "table", "tables" (a vector of them), or
            "union", whose type is the field before it.
        size: Bytes of the scalar, or of an element of the vector.
        table: Name of the table, for "table" and "tables".
    """

    kind: str
    size: int = 4
    table: str = ""


def _scalar(size: int) -> Field:
    return Field("scalar", size)


def _vector(size: int) -> Field:
    return Field("vector", size)


def _tables(table: str) -> Field:
    return Field("tables", table=table)


_STRING = Field("string")
# By slot. Fields of the schema that are not listed must be absent: no exported file has them
# (sparse tensors, variables of any type, buffers outside of the file, custom operations).
CORE: Mapping[str, Mapping[int, Field]] = {
    "Model": {
        0: _scalar(4),
        1: _tables("OperatorCode"),
        2: _tables("SubGraph"),
        3: _STRING,
        4: _tables("Buffer"),
        5: _vector(4),
        6: _tables("Metadata"),
        7: _tables("SignatureDef"),
    },
    "OperatorCode": {0: _scalar(1), 2: _scalar(4), 3: _scalar(4)},
    "SubGraph": {
        0: _tables("Tensor"),
        1: _vector(4),
        2: _vector(4),
        3: _tables("Operator"),
        4: _STRING,
        5: _scalar(4),
    },
    "Tensor": {
        0: _vector(4),
        1: _scalar(1),
        2: _scalar(4),
        3: _STRING,
        4: Field("table", table="QuantizationParameters"),
        5: _scalar(1),
        7: _vector(4),
        8: _scalar(1),
    },
    "QuantizationParameters": {
        0: _vector(4),
        1: _vector(4),
        2: _vector(4),
        3: _vector(8),
        6: _scalar(4),
    },
    "Operator": {
        0: _scalar(4),
        1: _vector(4),
        2: _vector(4),
        3: _scalar(1),
        4: Field("union"),
        6: _scalar(1),
        7: _vector(1),
        13: _scalar(4),
    },
    "Buffer": {0: _vector(1)},
    "Metadata": {0: _STRING, 1: _scalar(4)},
    "SignatureDef": {
        0: _tables("TensorMap"),
        1: _tables("TensorMap"),
        2: _STRING,
        4: _scalar(4),
    },
    "TensorMap": {0: _STRING, 1: _scalar(4)},
}


@functools.lru_cache(maxsize=256)
def fields_of(table: str) -> Mapping[int, Field]:
    """Return the fields of a table by slot: of `CORE`, or of an operation's options."""
    if table in CORE:
        return CORE[table]
    schema = compat.tflite_schema()
    prefix = f"{table}Add"
    fields: dict[int, Field] = {}
    for name in [name for name in vars(schema) if name.startswith(prefix)]:
        recorder = _Recorder()
        getattr(schema, name)(recorder, 0)
        start = getattr(schema, f"{table}Start{name.removeprefix(prefix)}Vector", None)
        if recorder.kind != "UOffsetTRelative":
            fields[recorder.slot] = _scalar(SCALARS[recorder.kind])
        elif start is not None:
            start(recorder, 0)
            fields[recorder.slot] = _vector(recorder.element)
    return fields


@functools.lru_cache(maxsize=1)
def options_tables() -> Mapping[int, str]:
    """Return the tables of operations' options, by the code of the union's type."""
    union = vars(compat.tflite_schema().BuiltinOptions)
    return {code: name for name, code in union.items() if isinstance(code, int) and code > 0}


class _Recorder:
    """Takes the place of a FlatBuffers builder, and records the field that a function adds."""

    kind, slot, element = "", 0, 0

    def StartVector(self, size: int, *_: Any) -> int:  # noqa: N802 - the schema calls this method
        self.element = size
        return 0

    def __getattr__(self, name: str) -> Any:
        found = re.fullmatch(r"Prepend(\w+)Slot", name)
        if found is None:
            raise AttributeError(name)

        def record(slot: int, *_: Any) -> None:
            self.kind, self.slot = found[1], slot

        return record
