"""Folders of C source as projects: files of each layout, builds, warnings, undefined behaviour."""

import re
import shutil

import numpy as np
import pytest
from c_projects import (
    C99,
    MODELS,
    RECIPES,
    WARNINGS,
    adversarial_program,
    data,
    run,
    sources,
    with_replay,
    write,
)
from export_models import CELLS, irregular, reset_names_and_seeds, sequential

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
def folders(tmp_path_factory):
    """A folder with integers, and one with floats and elapsed time, as `to_c` writes them."""
    root = tmp_path_factory.mktemp("projects")
    made = {}
    for name, recipe in (("gru", "int16x8"), ("cfc-elapsed", "float32")):
        reset_names_and_seeds()
        model = MODELS[name]()
        made[recipe] = root / recipe
        prefix = None if recipe == "int16x8" else "timed"
        export.to_c(
            model, root / recipe, recipe=recipe, calibration=data(model), steps=40, prefix=prefix
        )
    return made


@pytest.fixture
def folder(folders, tmp_path):
    """A copy of the folder with integers, to build in."""
    return shutil.copytree(folders["int16x8"], tmp_path / "folder")


@pytest.fixture(scope="module")
def gru():
    return sources("gru", ["int16x8"])["int16x8"]


FILES = {
    "cmake": {
        *{"gru.c", "gru.h", "lnn_primitives.h", "replay.c", "replay.h", "replay_main.c"},
        *{"Makefile", "CMakeLists.txt", "arm-none-eabi.cmake"},
        *{f"board/{name}" for name in ("board.h", "cortex_m.c", "riscv.c", "memory.c")},
        *{"board/start.h", "board/semihosting.h", "board/include/stdint.h"},
        *{"board/include/string.h", "board/sections.ld", "board/mps2.ld", "board/mps3.ld"},
        "board/virt.ld",
    },
    "arduino": {
        *{"src/gru.c", "src/gru.h", "src/lnn_primitives.h", "library.properties"},
        *{f"examples/Replay/{name}" for name in ("Replay.ino", "replay.c", "replay.h")},
    },
    "zephyr": {
        *{"src/gru.c", "src/gru.h", "src/lnn_primitives.h"},
        *{"zephyr/module.yml", "CMakeLists.txt", "Kconfig"},
        *{f"samples/replay/{name}" for name in ("CMakeLists.txt", "prj.conf", "sample.yaml")},
        *{f"samples/replay/src/{name}" for name in ("main.c", "replay.c", "replay.h")},
    },
    "espidf": {
        *{"src/gru.c", "src/gru.h", "src/lnn_primitives.h"},
        *{"CMakeLists.txt", "idf_component.yml", "examples/replay/CMakeLists.txt"},
        *{f"examples/replay/main/{n}" for n in ("CMakeLists.txt", "main.c")},
        *{f"examples/replay/main/{n}" for n in ("replay.c", "replay.h")},
    },
}


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
def test_the_examples_replay_on_stubs_of_the_vendors_libraries(folders, layout, tmp_path):
    """The vendors' tools are not needed: their functions are replaced by stubs."""
    source = export.read_file(folders["int16x8"])
    replay = {n: (folders["int16x8"] / n).read_text() for n in ("replay.c", "replay.h")}
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


def test_boards_and_profiles_take_every_layout(gru, folders, tmp_path):
    replay = {n: (folders["int16x8"] / n).read_text() for n in ("replay.c", "replay.h")}
    source = export.read_file(folders["int16x8"])
    write(tmp_path, export.c.project.project_files(source, replay, "zephyr"))
    if boards.get("host").compiler is None:
        pytest.skip("no gcc")
    measured = profile(tmp_path, board="host")
    assert measured.model == "gru" and measured.hash_equal
    assert export.read_file(tmp_path / "src/gru.c").prefix == "gru"


@needs_make
def test_make_replay_compares_all_bits(folder):
    output = run("make", "replay", cwd=folder).splitlines()
    assert re.fullmatch(r"gru: hash 0x(\w+), expected 0x\1: equal", output[-1])
    text = (folder / "gru.c").read_text()
    first = re.search(r"int8_t weights\w*\[\d+\] = \{\s*(-?\d+)", text)
    start, end = first.span(1)
    (folder / "gru.c").write_text(text[:start] + str(-int(first[1])) + text[end:])
    output = run("make", "replay", cwd=folder, fails=True)
    assert re.search(r"^gru: hash 0x\w+, expected 0x\w+: different$", output, re.M)


@needs_make
@pytest.mark.parametrize("board", ["m4", "m0plus", "rv32"])
def test_make_replays_on_emulated_boards(folder, board):
    if missing := boards.get(board).missing():
        pytest.skip(missing)
    output = run("make", f"replay-{board}", cwd=folder)
    assert re.search(r"^gru: hash 0x(\w+), expected 0x\1: equal$", output, re.M)
    assert "warning" not in output


@needs_make
def test_make_builds_a_library(folder):
    run("make", cwd=folder)
    assert (folder / "build/libgru.a").is_file()
    run("make", "clean", cwd=folder)
    assert not (folder / "build").exists()


@needs_cmake
def test_cmake_builds_and_replays_on_the_host(folder):
    # A second model, whose name is that of a target of CMake itself.
    other = sources("gru", ["float32"], prefix="test")["float32"]
    write(folder / "other", with_replay(other))
    text = (folder / "CMakeLists.txt").read_text()
    (folder / "CMakeLists.txt").write_text(f"{text}\nadd_subdirectory(other)\n")
    run("cmake", "-B", "build", cwd=folder)
    output = run("cmake", "--build", "build", cwd=folder)
    assert "warning" not in output and (folder / "build/liblnn_gru.a").is_file()
    assert "gru: hash" in run("ctest", "--test-dir", "build", "-V", cwd=folder)


@needs_cmake
@needs_board("m4")
def test_cmake_builds_with_the_toolchain_file(folder):
    chosen = ("-B", "build", "-DCMAKE_TOOLCHAIN_FILE=arm-none-eabi.cmake")
    output = run("cmake", *chosen, "-DLNN_BOARD=m5", cwd=folder, fails=True)
    assert "LNN_BOARD is m5; allowed: m0plus, m4" in output
    shutil.rmtree(folder / "build")
    run("cmake", *chosen, "-DLNN_BOARD=m4", cwd=folder)
    assert "warning" not in run("cmake", "--build", "build", cwd=folder)
    assert "100% tests passed" in run("ctest", "--test-dir", "build", cwd=folder)


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
def test_two_models_and_cpp_in_one_program(folders, tmp_path):
    """The headers of both and of the replay are included from C++."""
    for source in folders.values():
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


@pytest.mark.parametrize("recipe", ["int16x8", "float32"])
def test_the_example_in_the_readme_compiles(folders, recipe, tmp_path):
    text = (folders[recipe] / "README.md").read_text()
    (example,) = (code for code in re.findall(r"```c\n(.*?)```", text, re.S) if "next_step" in code)
    shutil.copytree(folders[recipe], tmp_path, dirs_exist_ok=True)
    write(tmp_path, {"example.c": example})
    run("gcc", *C99, "-c", "example.c", cwd=tmp_path)
    raw = f"void {export.read_file(tmp_path).prefix}_step_raw("
    assert (raw in text) is (recipe == "int16x8")
    assert ("by value" in text) is (recipe == "float32")
    for piece in ("lnn profile", "make replay-m4", "_NOT_FINITE", "C++"):
        assert piece in text


M4 = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-idirafter", "board/include")


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", list(MODELS))
def test_no_compiler_warns(name, recipe, tmp_path):
    (source,) = sources(name, [recipe], prefix="m").values()
    write(tmp_path, with_replay(source))
    files = (f"{source.prefix}.c", "replay.c")
    for compiler in COMPILERS:
        run(compiler, *C99, "-c", *files, "replay_main.c", cwd=tmp_path)
    if shutil.which("nm"):
        # No function of a library, but those that compilers call for copies.
        needed = {line.split()[-1] for line in run("nm", "-u", "m.o", cwd=tmp_path).splitlines()}
        assert needed <= {"memcpy", "memset"}
    # With DSP instructions.
    if shutil.which(M4[0]):
        run(*M4, *C99, "-c", *files, cwd=tmp_path)


SANITIZE = ("-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")


@pytest.mark.skipif("gcc" not in COMPILERS, reason="no gcc")
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", ["liquid-elapsed", "gru"])
def test_adversarial_inputs_are_defined_behaviour(name, recipe, tmp_path):
    """100,000 steps of random numbers, ends of the range, constants, NaN and infinity."""
    (source,) = sources(name, [recipe], prefix="m").values()
    for on_integers in (True, False) if recipe != "float32" else (False,):
        write(tmp_path, {**source.files, "main.c": adversarial_program(source, on_integers)})
        run("gcc", "-std=c99", "-O1", *SANITIZE, "m.c", "main.c", "-o", "a", cwd=tmp_path)
        refused = int(run("./a", cwd=tmp_path).split()[-1])
        assert (refused > 1000) is not on_integers


def test_a_window_is_in_the_readme(gru):
    texts = with_replay(gru)
    assert "windows of" not in texts["README.md"]
    replay = {"replay.c": "", "replay.h": ""}
    note = "The model reads windows of 24 time steps."
    texts = export.c.project.project_files(gru, replay, window_note=note)
    assert note in texts["README.md"]


@pytest.mark.parametrize("recipe", ["int16x8", "float32"])
def test_a_folder_is_verified_and_stepped(folders, recipe):
    name = {"int16x8": "gru", "float32": "cfc-elapsed"}[recipe]
    reset_names_and_seeds()
    model = MODELS[name]()
    source = export.read_file(folders[recipe])
    assert isinstance(source, export.CModel)
    report = export.verify(model, source, data(model), steps=30)
    assert report.passed and report.target == "c" and report.recipe == recipe
    (stepper,) = export.steppers(source, model)
    rows = [array[0, 0] for array in data(model).values()]
    inputs = {name: array[:1, :1] for name, array in data(model).items()}
    keras_output = model.predict(inputs if len(inputs) > 1 else inputs["x"], verbose=0)[0, 0]
    np.testing.assert_allclose(stepper(*rows), keras_output, atol=0.02)


def test_a_changed_source_is_not_the_one_of_the_report(folder):
    (folder / "gru.c").write_text((folder / "gru.c").read_text() + "\n")
    with pytest.raises(ValueError, match=r"is not the file that .*report.json describes: its sha2"):
        export.read_file(folder)
    header = (folder / "gru.h").read_text()
    (folder / "gru.h").unlink()
    with pytest.raises(ValueError, match=r"^\S+gru.h is missing"):
        export.read_file(folder)
    (folder / "gru.h").write_text(header)
    whole = (folder / "model.json").read_text()
    changes = [("{", "{{"), ('"format": 1', '"format": 2'), ('"sources": "."', '"sources": ".."')]
    for old, new in [*changes, ('"fraction": 14', '"fraction": -99999'), ('"inputs"', '"in"')]:
        assert old in whole
        (folder / "model.json").write_text(whole.replace(old, new))
        with pytest.raises(ValueError, match=r"^\S+model.json .*Export the model again") as raised:
            export.read_file(folder)
        assert len(str(raised.value).splitlines()) == 1


def test_a_folder_is_replaced_only_if_all_files_are_of_an_export(folder):
    reset_names_and_seeds()
    arguments = {"recipe": "float32", "layout": "arduino", "steps": 20}
    model = sequential("gru", name="gru")
    (folder / "board/mine.c").touch()
    with pytest.raises(FileExistsError, match=r"holds other files \(board\)"):
        export.to_c(model, folder, **arguments)
    (folder / "board/mine.c").unlink()
    export.to_c(model, folder, **arguments)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == FILES["arduino"] | {"README.md", "model.json", "report.json", "report.html"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "make"}, "Unknown layout 'make'; allowed: cmake, arduino, zephyr, espidf."),
        ({"prefix": "1st"}, "`prefix` must be a C identifier that is no keyword, such as"),
        ({"prefix": "a-b"}, "`prefix` must be a C identifier that is no keyword, such as"),
        ({"prefix": "union"}, "`prefix` must be a C identifier that is no keyword, such as"),
        ({"prefix": ""}, "`prefix` must be a C identifier that is no keyword, such as"),
        ({"prefix": "replay"}, "`prefix` must not be 'replay', the name of another header or sou"),
        ({"prefix": "String"}, "`prefix` must not be 'String', the name of another header or sou"),
        ({"prefix": "lnn_primitives"}, "`prefix` must not be 'lnn_primitives', the name of anoth"),
    ],
)
def test_bad_names_are_refused_before_anything_runs(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=r"^" + re.escape(message)) as raised:
        export.to_c(None, tmp_path / "out", **arguments)
    assert len(str(raised.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_model_named_like_a_header_gets_another_prefix():
    reset_names_and_seeds()
    model = sequential("stateless", name="replay")
    step = export.to_step(model)
    source = export.c.compile.c_model(step, export.RECIPES["float32"])
    assert source.prefix == "replay_model"
    model = irregular(CELLS["cfc"]())
    model.name = "String"
    source = export.c.compile.c_model(export.to_step(model), export.RECIPES["float32"])
    assert source.prefix == "string_model"


@pytest.mark.skipif("gcc" not in COMPILERS, reason="no gcc")
def test_compilers_with_short_integers_are_refused(folder):
    output = run("gcc", "-std=c99", "-Dint=short", "-c", "gru.c", cwd=folder, fails=True)
    assert "lnn_int_has_32_bits" in output


def test_a_failed_export_names_the_finer_recipe(tmp_path):
    reset_names_and_seeds()
    model = MODELS["gru"]()
    with pytest.raises(export.VerificationError) as failed:
        export.to_c(model, tmp_path / "out", calibration=data(model), steps=40, tolerance=0.001)
    remedy = next(text for text in failed.value.report.remedies if "recipe" in text)
    assert remedy.startswith("Use recipe 'int16': its outputs' error is 0.0")
    assert [path.name for path in tmp_path.iterdir()] == ["out.failed"]
