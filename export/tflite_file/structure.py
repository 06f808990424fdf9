"""The structure of a .tflite file: each offset, table, vector and string lies within its bytes.

Runtimes read files in place without checks, so an offset that points elsewhere kills the process.
"""

import struct

from export.tflite_file.schema_fields import Field, fields_of, options_tables

IDENTIFIER = b"TFL3"
LARGEST_FILE = 2**31 - 1
# Tables that several others refer to count each time, as readers copy them.
MOST_TABLES = 200_000

_U16, _U32, _I32 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i")


class FileError(ValueError):
    """The content is not a .tflite file that runtimes can read."""

    def __init__(self, cause: str):
        super().__init__(f"The .tflite file is damaged: {cause}.")


def require_structure(content: bytes) -> None:
    """Raise a FileError if the tables of a file do not lie within its bytes.

    Raises:
        FileError: The content has no identifier, an offset or a size out of bounds, a field that
            is not aligned, or a field that no exported file has.
    """
    if content[4:8] != IDENTIFIER:
        raise FileError("its identifier TFL3 is missing")
    if len(content) > LARGEST_FILE:
        raise FileError(f"it has {len(content):,} bytes, more than {LARGEST_FILE:,}")
    _Reader(content).table(_U32.unpack_from(content, 0)[0], "Model")


class _Reader:
    """Walks through the tables of a file; each table is checked once, so the walk ends."""

    def __init__(self, content: bytes):
        self._content, self._size = content, len(content)
        self._tables: dict[tuple[int, str], int] = {}

    def table(self, start: int, name: str) -> int:
        """Check a table and all that it refers to, and return the number of these tables."""
        if (start, name) not in self._tables:
            count = 1 + self._fields(start, name)
            if count > MOST_TABLES:
                raise FileError(f"it has more than {MOST_TABLES:,} tables")
            self._tables[start, name] = count
        return self._tables[start, name]

    def _fields(self, start: int, name: str) -> int:
        """Check the fields of a table, and return the number of tables that they refer to."""
        self._require(start, 4, 4, name)
        vtable = start - _I32.unpack_from(self._content, start)[0]
        self._require(vtable, 4, 2, name)
        vtable_size, table_size = struct.unpack_from("<HH", self._content, vtable)
        self._require(vtable, vtable_size, 2, name)
        self._require(start, table_size, 4, name)
        if vtable_size < 4 or vtable_size % 2 or table_size < 4:
            raise FileError(f"a table {name} has the size {table_size}")
        slots = struct.unpack_from(f"<{vtable_size // 2 - 2}H", self._content, vtable + 4)
        fields, count = fields_of(name), 0
        for slot, offset in enumerate(slots):
            if not offset:
                continue
            if slot not in fields:
                raise FileError(f"a table {name} has the field {slot}, which no exported file has")
            field = fields[slot]
            size = field.size if field.kind == "scalar" else 4
            if offset < 4 or offset + size > table_size:
                raise FileError(f"field {slot} of a table {name} lies outside of the table")
            self._require(start + offset, size, size, name)
            if field.kind != "scalar":
                target = start + offset + _U32.unpack_from(self._content, start + offset)[0]
                # The type of a union is the field before it.
                options = self._content[start + slots[slot - 1]] if slots[slot - 1] else 0
                count += self._value(target, field, name, options)
        return count

    def _value(self, target: int, field: Field, name: str, options: int) -> int:
        """Check the target of an offset, and return its number of tables."""
        if field.kind == "table":
            return self.table(target, field.table)
        if field.kind == "union":
            if options not in options_tables():
                raise FileError(f"an operation has options of the unknown type {options}")
            return self.table(target, options_tables()[options])
        if field.kind == "string":
            self._text(target, name)
            return 0
        count = self._vector(target, field.size, name)
        if field.kind == "vector":
            return 0
        offsets = struct.unpack_from(f"<{count}I", self._content, target + 4)
        return sum(
            self.table(target + 4 + 4 * index + offset, field.table)
            for index, offset in enumerate(offsets)
        )

    def _text(self, start: int, name: str) -> None:
        end = start + 4 + self._vector(start, 1, name)
        try:
            self._content[start + 4 : end].decode()
        except UnicodeDecodeError:
            raise FileError(f"a text in a table {name} is not UTF-8") from None
        if self._content[end : end + 1] != b"\0":
            raise FileError(f"a text in a table {name} has no end")

    def _vector(self, start: int, element: int, name: str) -> int:
        """Check a vector, and return its number of elements."""
        self._require(start, 4, 4, name)
        count = _U32.unpack_from(self._content, start)[0]
        self._require(start + 4, count * element, min(element, 8), name)
        return count

    def _require(self, start: int, size: int, alignment: int, name: str) -> None:
        if start < 0 or start + size > self._size:
            raise FileError(f"a table {name} refers to bytes outside of the file")
        if start % alignment:
            raise FileError(f"a value of a table {name} is not aligned")
