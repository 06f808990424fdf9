"""C source of small models for tests, and programs around it."""

import subprocess
from pathlib import Path

import numpy as np
from export_models import CELLS, convolutional, irregular, reset_names_and_seeds, sequential, sines

import lnn_keras
from export import recipes
from export.c.code.replay import Replay, replay_files
from export.c.compile import c_model
from export.c.project import project_files
from export.calibration import closed_loop_samples
from export.data import as_sequences
from export.forms.step import to_step

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
C99 = ("-std=c99", "-O2", "-ffp-contract=off", *WARNINGS)
RECIPES = ("int16x8", "int16", "float32")


def recurrent(cell):
    return sequential(lnn_keras.LiquidRNN(CELLS[cell](), return_sequences=True), name="cell")


MODELS = {
    "gru": lambda: sequential("gru", name="gru"),
    "lstm": lambda: sequential("lstm", name="lstm"),
    "ltc": lambda: sequential("ltc", name="ltc"),
    "cfc-elapsed": lambda: irregular(CELLS["cfc"]()),
    "liquid-elapsed": lambda: irregular(CELLS["liquid-six-unfolds"]()),
    "mixed-memory": lambda: recurrent("mixed-memory"),
    "lef-gaussian": lambda: recurrent("lef-gaussian"),
    "node-rk4": lambda: recurrent("node-rk4"),
    "convolution": lambda: convolutional("simple"),
}


def data(model, length=40):
    """Sines for each input by name; elapsed times around 1."""
    found = {}
    for tensor in model.inputs:
        if tensor.name == "elapsed":
            found["elapsed"] = 0.5 + np.random.default_rng(0).random((3, length)).astype("float32")
        else:
            found[tensor.name] = sines(3, length, tensor.shape[-1], noise=0.1)
    return found


def sources(name, names=RECIPES, prefix=None):
    """The C source of an entry of `MODELS` by recipe."""
    reset_names_and_seeds()
    model = MODELS[name]()
    found = {}
    for recipe in map(recipes.get, names):
        step = to_step(model, fold_scaling=recipe.is_integer)
        arrays = data(model)
        samples = closed_loop_samples(step, as_sequences(step, arrays)) if recipe.is_integer else []
        found[recipe.name] = c_model(step, recipe, samples, prefix)
    return found


def with_replay(source, layout="cmake"):
    """A project whose recorded inputs are zeros, and whose hash is not known."""
    rows = {t.name: np.zeros((2, int(np.prod(t.shape)))) for t in source.signature.data_inputs}
    return project_files(source, replay_files(source, Replay(rows, 0)), layout)


def write(folder, texts):
    for name, text in texts.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def run(*command, cwd, fails=False):
    """Run a command and return its output, errors included."""
    result = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert (result.returncode != 0) is fails, result.stdout[-3000:]
    return result.stdout


STEPS_PER_KIND = 20_000
# Five kinds of inputs on stored integers, or on real values with NaN and infinity among them.
_PROGRAM = """
#include <math.h>
#include <stdio.h>
#include "{prefix}.h"
static uint32_t seed = 1u;
static uint32_t next(void) {{
  seed ^= seed << 13; seed ^= seed >> 17; seed ^= seed << 5;
  return seed;
}}
static int16_t stored(int kind) {{
  switch (kind) {{
    case 0: return (int16_t)next();
    case 1: return (next() & 1u) ? 32767 : -32768;
    case 2: return 32767;
    case 3: return -32768;
    default: return (int16_t)((next() & 7u) ? (int16_t)next() >> 8 : -32768);
  }}
}}
static float real(int kind) {{
  const float many[] = {{0.0f, 1.0f, -1.0f, 1e30f, -1e30f, 1e-40f, 3.4e38f, -3.4e38f}};
  switch (kind) {{
    case 0: return (float)(int16_t)next() / 1000.0f;
    case 1: return many[next() & 7u];
    case 2: return 3.4e38f;
    case 3: return -3.4e38f;
    default: return (next() & 7u) ? (float)(int16_t)next() : (next() & 1u) ? NAN : -INFINITY;
  }}
}}
int main(void) {{
  static {prefix}_state state;
  {arrays}
  long refused = 0;
  {prefix}_reset(&state);
  for (int kind = 0; kind < 5; ++kind)
    for (long step = 0; step < {steps}; ++step) {{
      {fill}
      {call}
    }}
  printf("refused %ld\\n", refused);
  return 0;
}}
"""


def adversarial_program(source, on_integers):
    """A C program that runs 100,000 adversarial steps."""
    signature = source.signature
    kind, maker = ("int16_t", "stored") if on_integers else ("float", "real")
    sizes = [int(np.prod(t.shape)) for t in (*signature.data_inputs, *signature.data_outputs)]
    count = len(signature.data_inputs)
    arrays = " ".join(f"{kind} a{i}[{size}];" for i, size in enumerate(sizes))
    fill = " ".join(
        f"for (int j = 0; j < {size}; ++j) a{i}[j] = {maker}(kind);"
        for i, size in enumerate(sizes[:count])
    )
    passed = [
        f"a{i}[0]" if i < count and size == 1 and count > 1 else f"a{i}"
        for i, size in enumerate(sizes)
    ]
    call = f"{source.prefix}_step{'_raw' if on_integers else ''}(&state, {', '.join(passed)});"
    if not on_integers:
        call = f"refused += {call[:-1]} == {source.prefix.upper()}_NOT_FINITE;"
    return _PROGRAM.format(
        prefix=source.prefix, arrays=arrays, fill=fill, call=call, steps=STEPS_PER_KIND
    )


# The files of a project whose prefix is gru, by layout.
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
