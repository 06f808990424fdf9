"""Arithmetic of C code: NumPy computes the compiler's bits, and nothing leaves 32 bits."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.c.arithmetic import floats, integers
from export.c.arithmetic.expressions import Table, Vector
from export.c.arithmetic.fixed_point import FixedPoint
from export.c.arithmetic.integer_sums import quantized_rows
from export.c.arithmetic.interpreter import Interpreter
from export.c.arithmetic.rescaling import fraction_of, limit_bits, to_fraction
from export.c.code.constants import array_text
from export.c.host import build_library, compiler
from export.text_templates import fill

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
TABLE = Table("table", np.round(1000 * np.sin(np.arange(20) / 3)).astype("int64"), -50, 4)

# By name: the C expression of a and b.
INTEGER = {
    "multiply_high": "lnn_multiply_high(a, b)",
    "divide": "lnn_divide(a, b == 0 ? 1 : b)",
    "sigmoid": "lnn_sigmoid(tanh_table, a)",
    "tanh": "lnn_tanh(tanh_table, a)",
    "square_root": "lnn_square_root(a)",
    "shift_right": "lnn_shift_right(a, 7)",
    "saturate": "lnn_saturate16(a)",
    "look_up": "lnn_interpolate(table, lnn_clamp(a - -50, 0, 303), 4)",
}
FLOAT = {
    "sigmoid": "lnn_sigmoid_f32(sigmoid_table, a)",
    "tanh": "lnn_tanh_f32(sigmoid_table, a)",
    "exp": "lnn_exp_f32(a)",
    "log": "lnn_log_f32(a)",
    "square_root": "lnn_square_root_f32(a)",
    "erf": "lnn_erf_f32(a)",
    "sin": "lnn_sin_f32(a)",
    "floor": "lnn_floor_f32(a)",
    "is_nan": "(float)lnn_is_nan(a)",
    "is_finite": "(float)lnn_is_finite(a)",
}
# Largest absolute error of float functions on [-8, 8], in units of their results' size.
FLOAT_ERRORS = {"sigmoid": 3e-7, "tanh": 7e-7, "exp": 3e-7, "erf": 1e-6, "sin": 4e-7, "floor": 0.0}


@pytest.fixture(scope="module")
def library():
    """All primitives as functions on arrays."""
    lines = ['#include "lnn_primitives.h"']
    lines.append(array_text("tanh_table", integers.tanh_values().astype("int16")))
    lines.append(array_text("table", TABLE.values.astype("int16")))
    lines.append(array_text("sigmoid_table", floats.sigmoid_values()))
    for kind, functions in (("int32_t", INTEGER), ("float", FLOAT)):
        for name, text in functions.items():
            lines.append(
                f"void {kind}_{name}(const {kind} *x, const {kind} *y, {kind} *out, int n) {{\n"
                f"  for (int i = 0; i < n; ++i) {{ const {kind} a = x[i], b = y[i]; (void)b; "
                f"out[i] = {text}; }}\n}}"
            )
    files = {"lnn_primitives.h": fill("export.c", "lnn_primitives.h"), "all.c": "\n".join(lines)}
    return build_library(files)


def run(library, name, dtype, x, y):
    out = np.zeros(len(x), dtype)
    arrays = [np.ascontiguousarray(array, dtype) for array in (x, y)]
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*arrays, out)]
    getattr(library, name)(*pointers, len(x))
    return out


def integer_arguments(largest):
    random = np.random.default_rng(0)
    drawn = random.integers(-largest, largest, 5000)
    small = random.integers(-100_000, 100_000, 5000)
    return np.concatenate([drawn, small, [0, 1, -1, largest, -largest, 393215, 393216, -393217]])


@needs_compiler
@pytest.mark.parametrize("name", INTEGER)
def test_integers_equal_those_of_the_compiler(library, name):
    x = integer_arguments(2**30 if name in ("divide", "shift_right") else 2**31 - 1)
    if name == "look_up":
        x = x // 2
    y = np.roll(x, 1) % 99_991 - 50_000
    functions = {
        **integers.INTEGER,
        "shift_right": lambda a: integers.shift_right(a, 7),
        "saturate": lambda a: integers.saturate(a, 16),
        "look_up": lambda a: integers.look_up(a, TABLE),
        "divide": lambda a, b: integers.divide(a, np.where(b == 0, 1, b)),
    }
    arguments = (x, y) if name in ("multiply_high", "divide") else (x,)
    expected = functions[name](*arguments)
    np.testing.assert_array_equal(run(library, f"int32_t_{name}", "int32", x, y), expected)


@needs_compiler
@pytest.mark.parametrize("name", FLOAT)
def test_floats_equal_those_of_the_compiler(library, name):
    special = [0.0, -0.0, 1e-38, 1e-45, 88.0, -88.0, 1e30, np.inf, -np.inf, np.nan, 16.0, -16.0]
    drawn = np.random.default_rng(0).standard_normal(5000) * 10
    x = np.concatenate([drawn, special]).astype("float32")
    with np.errstate(all="ignore"):
        expected = np.asarray(floats.FLOAT[name](x), "float32")
    received = run(library, f"float_{name}", "float32", x, x)
    np.testing.assert_array_equal(received.view("uint32"), expected.view("uint32"))


@pytest.mark.parametrize("name", FLOAT_ERRORS)
def test_float_functions_are_accurate(name):
    import math

    x = np.linspace(-8, 8, 4001, dtype="float32")
    true = {
        "sigmoid": lambda v: 1 / (1 + math.exp(-v)),
        "tanh": math.tanh,
        "exp": math.exp,
        "erf": math.erf,
        "sin": math.sin,
        "floor": math.floor,
    }[name]
    expected = np.array([true(float(value)) for value in x])
    error = np.abs(floats.FLOAT[name](x) - expected) / np.maximum(np.abs(expected), 1)
    assert error.max() <= FLOAT_ERRORS[name]


def test_log_and_square_root_are_accurate():
    x = np.geomspace(1e-30, 1e30, 4001).astype("float32")
    logarithm = np.log(x.astype("float64"))
    assert np.abs(floats.log(x) - logarithm).max() < 2e-7 * np.abs(logarithm).max()
    np.testing.assert_allclose(floats.square_root(x), np.sqrt(x), rtol=3e-7)


def test_integer_tanh_and_sigmoid_are_accurate():
    x = np.arange(-(20 << 15), 20 << 15, 37)
    sigmoid = 1 / (1 + np.exp(-x / 2**15))
    assert np.abs(integers.sigmoid(x) / 2**15 - sigmoid).max() < 5e-5
    tanh = np.tanh(x / 2**16)
    assert np.abs(integers.tanh(x) / 2**15 - tanh).max() < 6e-5


@given(st.floats(1e-9, 1e9), st.integers(8, 30))
def test_fraction_of_is_the_largest_that_fits(largest, bits):
    fraction = fraction_of(largest, bits)
    assert largest * 2.0**fraction < 2.0**bits
    assert largest * 2.0 ** (fraction + 1) >= 2.0**bits


@given(
    st.integers(-8, 20),
    st.integers(-10, 22),
    st.integers(1, 30),
)
def test_changing_the_fraction_stays_in_32_bits(fraction, wanted, bits):
    vector = Vector("x", 3, "int32", fraction, -(1 << bits), (1 << bits) - 1)
    changed = to_fraction(FixedPoint(8).load(vector, np.arange(3)), wanted)
    assert changed.fraction == wanted
    assert changed.bits <= 31
    assert limit_bits(changed, 15).bits <= 16


# Operations, with the range of each argument that they accept.
OPERATIONS = ["add", "sub", "mul", "div", "max", "min", "sigmoid", "tanh", "exp", "sqrt"]


def above(numbers, expression, largest, least):
    """|x| + least"""
    absolute = numbers.elementwise("abs", [expression], None, (0, largest), [(-largest, largest)])
    ranges = [(0, largest), (least, least)]
    bounds = (least, largest + least)
    return numbers.elementwise("add", [absolute, np.full(1, least)], None, bounds, ranges)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=8), st.integers(0, 1000))
def test_chains_of_operations_stay_in_32_bits_and_near_the_truth(names, seed):
    """Random expressions: every intermediate integer is within its bounds, for all inputs."""
    from export.c.graph.nodes import FUNCTIONS

    random = np.random.default_rng(seed)
    count = 64
    numbers = FixedPoint(16)
    vectors = [Vector(f"x{i}", count, "int16", 12, -32768, 32767) for i in range(2)]
    stored = [random.integers(-32768, 32768, count) for _ in vectors]
    stored[0][:4] = [-32768, 32767, 0, 1]
    real = [values / 2.0**12 for values in stored]
    index = np.arange(count)
    expression, true = numbers.load(vectors[0], index), real[0]
    for name in names:
        other, other_true = numbers.load(vectors[1], index), real[1]
        if name == "sqrt":
            # Small arguments would lose their bits: the slope of a root is infinite at 0.
            expression = above(numbers, expression, np.abs(true).max(), 0.25)
            true = np.abs(true) + 0.25
        if name == "div":
            other = above(numbers, other, 8.0, 0.5)
            other_true = np.abs(other_true) + 0.5
        single = name in ("sigmoid", "tanh", "exp", "sqrt")
        arguments = [expression] if single else [expression, other]
        truths = [true] if single else [true, other_true]
        if name == "exp":
            arguments[0] = numbers.elementwise(
                "min", [expression, np.full(count, 2.0)], None, (true.min(), 2.0), [(-1, 1)] * 2
            )
            truths[0] = np.minimum(true, 2.0)
        result = FUNCTIONS[name](*truths)
        ranges = [(float(t.min()), float(t.max())) for t in truths]
        expression = numbers.elementwise(
            name, arguments, None, (float(result.min()), float(result.max())), ranges
        )
        true = result
    interpreter = Interpreter.__new__(Interpreter)
    interpreter._is_float, interpreter._operations, interpreter._dtype = (
        False,
        integers.INTEGER,
        "int64",
    )
    known = {}
    memory = dict(zip(vectors, stored, strict=True))
    received = interpreter._value(expression, memory, known)
    for part, values in known.items():
        assert np.min(values) >= part.low and np.max(values) <= part.high
        assert np.min(values) >= -(2**31) and np.max(values) < 2**31
    error = np.abs(received / 2.0**expression.fraction - true)
    assert error.max() <= 0.02 * max(np.abs(true).max(), 1.0)


@given(st.integers(1, 700), st.sampled_from([8, 16]), st.integers(0, 100))
def test_sums_of_rows_fit_in_32_bits(columns, bits, seed):
    weights = np.random.default_rng(seed).standard_normal((3, columns))
    weights[2] = 0
    integers_, scales = quantized_rows(weights, bits, 32768)
    assert np.abs(integers_).max() < 1 << (bits - 1)
    assert (np.abs(integers_).sum(axis=1) * 32768).max() < 2**31
    # Rounding changes a weight by half a step at most.
    assert np.all(np.abs(weights - integers_ * scales[:, None]) <= scales[:, None] * 0.5 + 1e-12)
