"""The text of expressions in C."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from export.c.arithmetic.expressions import Expression, Rows, Vector
from export.c.code.constants import Constants, float_literal
from export.c.code.indices import index_text

MOST_INLINED = 72  # characters of an expression without a name of its own
_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "less": "<",
    "less_equal": "<=",
    "equal": "==",
}
_FUNCTIONS = {
    "max": "lnn_max",
    "min": "lnn_min",
    "abs": "lnn_absolute",
    "divide": "lnn_divide",
    "multiply_high": "lnn_multiply_high",
    "square_root": "lnn_square_root",
    "exp": "lnn_exp",
    "log": "lnn_log",
    "erf": "lnn_erf",
    "sin": "lnn_sin",
    "floor": "lnn_floor",
    "is_nan": "lnn_is_nan",
    "is_finite": "lnn_is_finite",
}
_TRUTHS = ("less", "less_equal", "equal", "and", "or", "not", "is_nan", "is_finite")


class Body:
    """The statements of one loop's body.

    Args:
        constants: The constants of the file.
        address: Returns the C expression of a vector's first element.
        is_float: Whether expressions are floats.
        rows: The elements of an inner loop, or None for the neurons themselves.
        known: The names of expressions that are computed elsewhere.
        unique: Returns a name that the function does not have yet.
    """

    def __init__(
        self,
        constants: Constants,
        address: Callable[[Vector], str],
        is_float: bool,
        rows: Rows | None,
        known: dict[Expression, str],
        unique: Callable[[str], str],
    ):
        self.lines: list[str] = []
        self._constants, self._address = constants, address
        self._is_float, self._rows = is_float, rows
        self._known, self._unique = dict(known), unique
        self._uses: dict[Expression, int] = {}

    def count(self, expression: Expression) -> None:
        """Count the uses of an expression and of its arguments."""
        self._uses[expression] = self._uses.get(expression, 0) + 1
        if self._uses[expression] == 1 and expression not in self._known:
            for argument in expression.arguments:
                self.count(argument)

    def text(self, e: Expression) -> str:
        """The text of an expression, after statements for its parts."""
        if e in self._known:
            return self._known[e]
        text = self._definition(e)
        leaf = e.operation in ("load", "constant", "same")
        if not leaf and (self._uses.get(e, 1) > 1 or len(text) > MOST_INLINED):
            name = self._unique(e.label or e.operation)
            self.lines.append(f"const {self._type} {name} = {_bare(text)};")
            text = name
        elif e.operation == "load" and self._uses.get(e, 1) > 1:
            name = self._unique(e.vector.name if e.vector else "value")
            self.lines.append(f"const {self._type} {name} = {text};")
            text = name
        self._known[e] = text
        return text

    @property
    def _type(self) -> str:
        return "float" if self._is_float else "int32_t"

    def _definition(self, e: Expression) -> str:
        if e.operation == "load":
            assert e.vector is not None and e.index is not None
            index = index_text(e.index, self._rows, self._constants)
            return f"{self._address(e.vector)}[{index}]"
        if e.operation == "constant":
            return self._constant(e)
        arguments = [self.text(argument) for argument in e.arguments]
        if e.operation == "same":
            return arguments[0]
        if e.operation == "shift_left":
            return f"({arguments[0]} * {1 << e.amount})"
        if e.operation == "shift_right":
            return f"lnn_shift_right({_bare(arguments[0])}, {e.amount})"
        if e.operation == "saturate":
            return self._saturated(e, _bare(arguments[0]))
        if e.operation == "table":
            return self._look_up(e, arguments[0])
        if e.operation in ("sigmoid", "tanh"):
            suffix = "_f32" if self._is_float else ""
            table = self._constants.sigmoid(self._is_float)
            return f"lnn_{e.operation}{suffix}({table}, {_bare(arguments[0])})"
        return self._operation(e.operation, arguments)

    def _operation(self, operation: str, arguments: list[str]) -> str:
        text = ""
        if operation == "select":
            condition = f"{arguments[0]} != 0.0f" if self._is_float else f"{arguments[0]} != 0"
            return f"({condition} ? {arguments[1]} : {arguments[2]})"
        if self._is_float and operation == "divide":
            return f"({arguments[0]} / {arguments[1]})"
        if operation in _INFIX:
            text = f"({arguments[0]} {_INFIX[operation]} {arguments[1]})"
        elif operation in ("and", "or", "not"):
            zero = "0.0f" if self._is_float else "0"
            tests = [f"{argument} != {zero}" for argument in arguments]
            sign = {"and": " && ", "or": " || "}.get(operation, "")
            text = f"!({tests[0]})" if operation == "not" else f"({sign.join(tests)})"
        else:
            plain = operation in ("is_nan", "is_finite")
            suffix = "_f32" if self._is_float and not plain else ""
            text = f"{_FUNCTIONS[operation]}{suffix}({', '.join(map(_bare, arguments))})"
        if operation in _TRUTHS:
            yes, no = ("1.0f", "0.0f") if self._is_float else ("1", "0")
            return f"({text} ? {yes} : {no})"
        return text

    def _constant(self, e: Expression) -> str:
        assert e.values is not None
        values = np.atleast_1d(e.values)
        if np.all(values == values[0]):
            return float_literal(values[0]) if self._is_float else _integer(int(values[0]))
        return self._constants.element(values, self._rows, self._is_float)

    def _saturated(self, e: Expression, argument: str) -> str:
        if e.amount == 16:
            return f"lnn_saturate16({argument})"
        limit = 1 << (e.amount - 1)
        return f"lnn_clamp({argument}, {_integer(-limit)}, {limit - 1})"

    def _look_up(self, e: Expression, argument: str) -> str:
        table = e.table
        assert table is not None
        last = ((len(table.values) - 1) << table.shift) - 1
        name = self._constants.named(table.name, table.values)
        place = f"lnn_clamp({argument} - {_integer(table.first)}, 0, {last})"
        return f"lnn_interpolate({name}, {place}, {table.shift})"


def _integer(value: int) -> str:
    if value == -(2**31):
        return "INT32_MIN"
    return f"({value})" if value < 0 else str(value)


def _bare(text: str) -> str:
    """Text without the parentheses around all of it."""
    if not text.startswith("("):
        return text
    depth = 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[1:-1] if position == len(text) - 1 else text
    return text
