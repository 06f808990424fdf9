"""The text of loops in C."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence

from export.c.arithmetic.expressions import (
    Assignment,
    Copy,
    Expression,
    Rows,
    TypedLoop,
    TypedRepeat,
    Vector,
    expressions_of,
)
from export.c.code.constants import Constants
from export.c.code.expression_text import Body
from export.c.code.identifiers import Names
from export.c.code.indices import index_text

INDENT = "  "
# Columns of an inner loop that the compiler unrolls.
LONG_ROW = 32


class Writer:
    """Writes statements.

    Args:
        constants: The constants of the file.
        address: Returns the C expression of a vector's first element.
        is_float: Whether the program computes with floats.
        weight_bits: 8 or 16, the bits of matrices of integers.
        taken: Names that the function has.
    """

    def __init__(
        self,
        constants: Constants,
        address: Callable[[Vector], str],
        is_float: bool,
        weight_bits: int,
        taken: frozenset[str],
    ):
        self._constants, self._address, self._taken = constants, address, taken
        self._is_float, self._weight_bits = is_float, weight_bits

    def statements(self, statements: Sequence[TypedLoop | TypedRepeat | Copy]) -> list[str]:
        """Return the lines of statements."""
        lines: list[str] = []
        for statement in statements:
            if isinstance(statement, Copy):
                lines += self._copy(statement)
            elif isinstance(statement, TypedRepeat):
                body = _indented(self.statements(statement.body))
                lines += [f"for (int u = 0; u < {statement.count}; ++u) {{", *body, "}"]
            else:
                lines += self._loop(statement)
        return lines

    def _copy(self, copy: Copy) -> list[str]:
        target, source = self._address(copy.target), self._address(copy.source)
        return [f"for (int i = 0; i < {copy.target.size}; ++i) {target}[i] = {source}[i];"]

    def _loop(self, loop: TypedLoop) -> list[str]:
        expressions = expressions_of(loop)
        dots = [e for e in expressions if e.operation == "dot"]
        pairs = bool(dots) and loop.size > 1 and not self._is_float
        names = Names(self._taken)
        known: dict[Expression, str] = {}
        sums = {dot: names.unique("products") for dot in dots}
        for dot, name in sums.items():
            known[dot] = f"{name}[k]" if pairs else name
        body: list[str] = []
        for rows, totals in _by_rows(expressions).items():
            body += self._inner_loop(rows, totals, known, names)
        body += self._assignments(loop.assignments, known, names)
        lines = _comment(loop.comment)
        if pairs:
            return [*lines, *self._pair_loop(loop.size, sums, body)]
        inside = [*(self._dot(dot, name, "i") for dot, name in sums.items()), *body]
        if loop.size == 1:
            uses_i = any("i" in _words(line) for line in inside)
            inside = ["const int i = 0;", *inside] if uses_i else inside
            return [*lines, "{", *_indented(inside), "}"]
        return [*lines, *_neurons(loop.size, inside)]

    def _dot(self, dot: Expression, name: str, row: str, count: int = 0) -> str:
        """A product of a row, or of `count` rows as an array."""
        weights, vector = dot.values, dot.vector
        assert weights is not None and vector is not None and dot.index is not None
        bits = 32 if self._is_float else self._weight_bits
        columns, first = weights.shape[1], int(dot.index)
        source = self._address(vector) + (f" + {first}" if first else "")
        arguments = (
            f"({self._constants.matrix(weights, bits)} + {row} * {columns}, {source}, {columns})"
        )
        if self._is_float:
            return f"const float {name} = lnn_dot_f32{arguments};"
        if count == 2:
            return f"const lnn_pair {name}_pair = lnn_dot2_w{bits}{arguments};"
        value = f"lnn_dot_w{bits}{arguments}"
        if count == 1:
            return f"const int32_t {name}[1] = {{{value}}};"
        return f"const int32_t {name} = {value};"

    def _pair_loop(self, size: int, sums: dict[Expression, str], body: list[str]) -> list[str]:
        """A loop over pairs of neurons, whose products read each number once."""
        inside = []
        for dot, name in sums.items():
            inside.append(self._dot(dot, name, "pair", 2))
            inside.append(f"const int32_t {name}[2] = {{{name}_pair.first, {name}_pair.second}};")
        inside += [
            "LNN_UNROLL",
            "for (int k = 0; k < 2; ++k) {",
            *_indented(["const int i = pair + k;", *body]),
            "}",
        ]
        head = f"for (int pair = 0; pair < {size // 2 * 2}; pair += 2) {{"
        lines = [head, *_indented(inside), "}"]
        if size % 2:
            last = [self._dot(dot, name, "i", 1) for dot, name in sums.items()]
            place = f"const int i = {size - 1}, k = 0;"
            lines += ["{", *_indented([place, *last, *body]), "}"]
        return lines

    def _inner_loop(
        self, rows: Rows, sums: list[Expression], known: dict[Expression, str], names: Names
    ) -> list[str]:
        kind = "float" if self._is_float else "int32_t"
        least = "-3.4028235e38f" if self._is_float else "INT32_MIN"
        zero = "0.0f" if self._is_float else "0"
        lines = []
        body = Body(self._constants, self._address, self._is_float, rows, {}, names.unique)
        for total in sums:
            body.count(total.arguments[0])
        updates = []
        for total in sums:
            name = names.unique("total" if total.label == "add" else "largest")
            known[total] = name
            lines.append(f"{kind} {name} = {zero if total.label == 'add' else least};")
            term = body.text(total.arguments[0])
            if total.label == "add":
                updates.append(f"{name} += {term};")
            else:
                suffix = "_f32" if self._is_float else ""
                updates.append(f"{name} = lnn_max{suffix}({name}, {term});")
        inside = [*body.lines, *updates]
        words = set().union(*(_words(line) for line in inside))
        if rows.columns:
            position = [f"const int s = i * {rows.columns} + j;"] if "s" in words else []
            head = f"for (int j = 0; j < {rows.columns}; ++j) {{"
            inside = [*position, *inside]
            if rows.columns >= LONG_ROW:
                lines.append("LNN_UNROLL")
        else:
            offsets = self._constants.offsets(rows)
            head = f"for (int s = {offsets}[i]; s < {offsets}[i + 1]; ++s) {{"
        return [*lines, head, *_indented(inside), "}"]

    def _assignments(
        self, assignments: Sequence[Assignment], known: dict[Expression, str], names: Names
    ) -> list[str]:
        body = Body(self._constants, self._address, self._is_float, None, known, names.unique)
        for assignment in assignments:
            body.count(assignment.expression)
        for assignment in assignments:
            text = body.text(assignment.expression)
            vector = assignment.vector
            place = index_text(assignment.places, None, self._constants)
            cast = "(int16_t)" if vector.dtype == "int16" else ""
            body.lines.append(f"{self._address(vector)}[{place}] = {cast}{text};")
        return body.lines


def _neurons(size: int, body: list[str]) -> list[str]:
    """A loop over neurons; over rows and columns, if its indices divide by a number of columns."""
    widths = set(re.findall(r"\(i [/%] (\d+)\)", "\n".join(body)))
    if len(widths) != 1:
        return [f"for (int i = 0; i < {size}; ++i) {{", *_indented(body), "}"]
    columns = int(widths.pop())
    inside = [line.replace(f"(i / {columns})", "row") for line in body]
    inside = [line.replace(f"(i % {columns})", "column") for line in inside]
    return [
        f"for (int row = 0; row < {size // columns}; ++row) {{",
        f"{INDENT}for (int column = 0; column < {columns}; ++column) {{",
        *_indented(_indented([f"const int i = row * {columns} + column;", *inside])),
        f"{INDENT}}}",
        "}",
    ]


def _by_rows(expressions: list[Expression]) -> dict[Rows, list[Expression]]:
    sums: dict[Rows, list[Expression]] = {}
    for expression in expressions:
        if expression.operation == "reduce" and expression.rows is not None:
            sums.setdefault(expression.rows, []).append(expression)
    return sums


def _comment(texts: Sequence[str]) -> list[str]:
    """A comment of one or several lines."""
    if not texts:
        return []
    wrapped = [part for text in texts for part in textwrap.wrap(text, 92, subsequent_indent="    ")]
    first, *others = [text.replace("*/", "* /") for text in wrapped]
    lines = [f"/* {first}", *(f" * {line}" for line in others)]
    return [*lines[:-1], f"{lines[-1]} */"]


def _words(line: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", line))


def _indented(lines: Sequence[str]) -> list[str]:
    return [INDENT + line for line in lines]
