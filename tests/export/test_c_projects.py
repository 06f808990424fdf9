"""Folders of C source as projects: files of each layout, and builds with their tools."""

import re
import shutil

import numpy as np
import pytest
from c_projects import (
    C99,
    FILES,
    MODELS,
    WARNINGS,
    run,
    sources,
    with_replay,
    write,
)
from export_models import reset_names_and_seeds

import export
from export.c import boards, layouts
from export.c.profile import profile

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
needs_make = pytest.mark.skipif(
    not (COMPILERS and shutil.which("make")), reason="no make and compiler"
)
needs_cmake = pytest.mark.skipif(not shutil.which("cmake"), reason="no cmake")
pytestmark = pytest.mark.skipif(not COMPILERS, reason="neither gcc nor clang")


def needs_board(name):
    return pytest.mark.skipif(bool(boards.get(name).missing()), reason=boards.get(name).missing())


@pytest.fixture(scope="module")
def gru():
    return sources("gru", ["int16x8"])["int16x8"]


@pytest.mark.parametrize("layout", list(layouts.LAYOUTS))
def test_files_of_each_layout(gru, layout, tmp_path):
    texts = with_replay(gru, layout)
    assert set(texts) == FILES[layout] | {"README.md", "model.json"}
    for name, text in texts.items():
        # All placeholders are filled.
        assert "@{" not in text, name
        assert max(map(len, text.splitlines())) < 400, name
    write(tmp_path, texts)
    assert export.read_file(tmp_path).content == gru.content


def test_an_arduino_library_has_the_required_fields(gru):
    """https://arduino.github.io/arduino-cli/latest/library-specification"""
    texts = with_replay(gru, "arduino")
    lines = texts["library.properties"].splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    required = "name version author maintainer sentence paragraph category url architectures"
    assert set(required.split()) <= set(fields) and all(fields.values())
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]*", fields["name"], flags=re.ASCII)
    assert fields["category"] == "Data Processing" and fields["includes"] == "gru.h"


STUBS = {
    "arduino": ("examples/Replay", "Arduino.h", "Replay.ino"),
    "zephyr": ("samples/replay/src", "zephyr/sys/printk.h", "main.c"),
    "espidf": ("examples/replay/main", None, "main.c"),
}
_SERIAL = """
#include <cstdio>
#define HEX 16
struct Port {
  void begin(long) {}
  explicit operator bool() const { return true; }
  bool operator!() const { return false; }
  void print(const char *text) { std::fputs(text, stdout); }
  void print(unsigned long number, int) { std::printf("%lx", number); }
  void println(const char *text) { std::puts(text); }
};
static Port Serial;
"""


@pytest.mark.parametrize("layout", list(STUBS))
def test_the_examples_replay_on_stubs_of_the_vendors_libraries(c_exports, layout, tmp_path):
    """The vendors' tools are not needed: their functions are replaced by stubs."""
    source = export.read_file(c_exports["int16x8"])
    replay = {n: (c_exports["int16x8"] / n).read_text() for n in ("replay.c", "replay.h")}
    write(tmp_path, export.c.project.project_files(source, replay, layout))
    place, header, main = STUBS[layout]
    run("gcc", *C99, "-Isrc", f"-I{place}", "-c", "src/gru.c", f"{place}/replay.c", cwd=tmp_path)
    if layout == "arduino":
        text = _SERIAL + (tmp_path / place / main).read_text()
        write(tmp_path, {f"{place}/main.cpp": f"{text}\nint main() {{ setup(); loop(); }}\n"})
        run(
            "g++",
            *WARNINGS,
            "-Isrc",
            f"{place}/main.cpp",
            "gru.o",
            "replay.o",
            "-o",
            "a",
            cwd=tmp_path,
        )
    else:
        if header:
            write(tmp_path, {f"stubs/{header}": "#include <stdio.h>\n#define printk printf\n"})
        options = (
            *C99,
            "-Istubs",
            "-Dapp_main=app(void); int main(void) { app(); return 0; } void app",
        )
        options = options if layout == "espidf" else (*C99, "-Istubs")
        run("gcc", *options, f"{place}/{main}", "gru.o", "replay.o", "-o", "a", cwd=tmp_path)
    line = run("./a", cwd=tmp_path)
    assert re.fullmatch(r"gru: hash 0x(\w+), expected 0x\1: equal\n", line)


def test_boards_and_profiles_take_every_layout(gru, c_exports, tmp_path):
    replay = {n: (c_exports["int16x8"] / n).read_text() for n in ("replay.c", "replay.h")}
    source = export.read_file(c_exports["int16x8"])
    write(tmp_path, export.c.project.project_files(source, replay, "zephyr"))
    if boards.get("host").compiler is None:
        pytest.skip("no gcc")
    measured = profile(tmp_path, board="host")
    assert measured.model == "gru" and measured.hash_equal
    assert export.read_file(tmp_path / "src/gru.c").prefix == "gru"


@needs_make
def test_make_replay_compares_all_bits(c_export):
    output = run("make", "replay", cwd=c_export).splitlines()
    assert re.fullmatch(r"gru: hash 0x(\w+), expected 0x\1: equal", output[-1])
    text = (c_export / "gru.c").read_text()
    first = re.search(r"int8_t weights\w*\[\d+\] = \{\s*(-?\d+)", text)
    start, end = first.span(1)
    (c_export / "gru.c").write_text(text[:start] + str(-int(first[1])) + text[end:])
    output = run("make", "replay", cwd=c_export, fails=True)
    assert re.search(r"^gru: hash 0x\w+, expected 0x\w+: different$", output, re.M)


@needs_make
@pytest.mark.parametrize("board", ["m4", "m0plus", "rv32"])
def test_make_replays_on_emulated_boards(c_export, board):
    if missing := boards.get(board).missing():
        pytest.skip(missing)
    output = run("make", f"replay-{board}", cwd=c_export)
    assert re.search(r"^gru: hash 0x(\w+), expected 0x\1: equal$", output, re.M)
    assert "warning" not in output


@needs_make
def test_make_builds_a_library(c_export):
    run("make", cwd=c_export)
    assert (c_export / "build/libgru.a").is_file()
    run("make", "clean", cwd=c_export)
    assert not (c_export / "build").exists()


@needs_cmake
def test_cmake_builds_and_replays_on_the_host(c_export):
    # A second model, whose name is that of a target of CMake itself.
    other = sources("gru", ["float32"], prefix="test")["float32"]
    write(c_export / "other", with_replay(other))
    text = (c_export / "CMakeLists.txt").read_text()
    (c_export / "CMakeLists.txt").write_text(f"{text}\nadd_subdirectory(other)\n")
    run("cmake", "-B", "build", cwd=c_export)
    output = run("cmake", "--build", "build", cwd=c_export)
    assert "warning" not in output and (c_export / "build/liblnn_gru.a").is_file()
    assert "gru: hash" in run("ctest", "--test-dir", "build", "-V", cwd=c_export)


@needs_cmake
@needs_board("m4")
def test_cmake_builds_with_the_toolchain_file(c_export):
    chosen = ("-B", "build", "-DCMAKE_TOOLCHAIN_FILE=arm-none-eabi.cmake")
    output = run("cmake", *chosen, "-DLNN_BOARD=m5", cwd=c_export, fails=True)
    assert "LNN_BOARD is m5; allowed: m0plus, m4" in output
    shutil.rmtree(c_export / "build")
    run("cmake", *chosen, "-DLNN_BOARD=m4", cwd=c_export)
    assert "warning" not in run("cmake", "--build", "build", cwd=c_export)
    assert "100% tests passed" in run("ctest", "--test-dir", "build", cwd=c_export)


MAIN = """
#include <stdio.h>
#include "gru.h"
#include "timed.h"
#include "replay.h"
static gru_state first;
static timed_state second;
int main() {
  const float x[GRU_X_SIZE] = {0.5f, -0.5f, 0.25f};
  float out[GRU_OUTPUT_SIZE], other[TIMED_OUTPUT_SIZE];
  gru_reset(&first);
  timed_reset(&second);
  replay_reset();
  if (gru_step(&first, x, out) != GRU_OK) return 1;
  if (timed_step(&second, x, 0.5f, other) != TIMED_OK) return 1;
  printf("%.6f %.6f %.6f %.6f\\n", out[0], out[1], other[0], other[1]);
  return 0;
}
"""


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_two_models_and_cpp_in_one_program(c_exports, tmp_path):
    """The headers of both and of the replay are included from C++."""
    for source in c_exports.values():
        shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    write(tmp_path, {"main.cpp": MAIN})
    run("gcc", *C99, "-c", "gru.c", "timed.c", "replay.c", cwd=tmp_path)
    run("g++", "-std=c++11", *WARNINGS, "main.cpp", *(f"{n}.o" for n in ("gru", "timed", "replay")),
        "-o", "a", cwd=tmp_path)  # fmt: skip
    values = [float(text) for text in run("./a", cwd=tmp_path).split()]
    x = np.array([[[0.5, -0.5, 0.25]]], "float32")
    expected = []
    for name, inputs in (("gru", x), ("cfc-elapsed", [x, np.array([[0.5]], "float32")])):
        reset_names_and_seeds()
        expected += list(np.ravel(MODELS[name]().predict(inputs, verbose=0)))
    np.testing.assert_allclose(values, expected, atol=0.02)
