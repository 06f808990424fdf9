"""C source under compilers and sanitizers: warnings, functions that it needs, defined behaviour."""

import shutil

import pytest
from c_projects import C99, MODELS, RECIPES, adversarial_program, run, sources, with_replay, write

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
pytestmark = pytest.mark.skipif(not COMPILERS, reason="neither gcc nor clang")


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
@pytest.mark.parametrize(
    ("recipe", "on_integers"),
    [(recipe, False) for recipe in RECIPES] + [("int16x8", True), ("int16", True)],
)
@pytest.mark.parametrize("name", [pytest.param("liquid-elapsed", marks=pytest.mark.slow), "gru"])
def test_adversarial_inputs_are_defined_behaviour(name, recipe, on_integers, tmp_path):
    """100,000 steps of random numbers, ends of the range, constants, NaN and infinity."""
    (source,) = sources(name, [recipe], prefix="m").values()
    write(tmp_path, {**source.files, "main.c": adversarial_program(source, on_integers)})
    run("gcc", "-std=c99", "-O1", *SANITIZE, "m.c", "main.c", "-o", "a", cwd=tmp_path)
    refused = int(run("./a", cwd=tmp_path).split()[-1])
    assert (refused > 1000) is not on_integers


@pytest.mark.skipif("gcc" not in COMPILERS, reason="no gcc")
def test_compilers_with_short_integers_are_refused(c_export):
    output = run("gcc", "-std=c99", "-Dint=short", "-c", "gru.c", cwd=c_export, fails=True)
    assert "lnn_int_has_32_bits" in output
