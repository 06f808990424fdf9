"""Profiles of a small C folder written by hand, on emulated boards and on this machine."""

import json
import shutil
from dataclasses import replace

import pytest
from c_folders import FOLDER, edited, loop, needs_host, require_tools
from rich.console import Console

from export.c import boards
from export.c import profile as profiles
from export.c.profile import Profile, profile

DEVICES = [name for name in boards.BOARDS if name != boards.HOST]
WEIGHTS = [
    *([90, -41, 20, 13, -70, 5], [-33, 77, 9, -58, 31, 44]),
    *([61, 52, -101, 17, 3, -29], [-12, 68, 35, 80, -46, 22]),
]


@pytest.fixture(scope="module")
def on_board():
    """Profiles of the folder by board, made once."""
    made = {}

    def get(board):
        require_tools(board)
        if board not in made:
            made[board] = profile(FOLDER, board)
        return made[board]

    return get


def test_the_recorded_hash_is_that_of_the_equation():
    """Computed here in Python, so that the C of the folder is compared with something else."""
    states, fnv = [0] * 4, 2166136261
    for step in range(1000):
        uniform = [((step * 2 + i) * 1664525 & 0xFFFFFFFF) >> 16 for i in range(2)]
        row = [value - 32768 for value in uniform] + states
        for i, weights in enumerate(WEIGHTS):
            target = int(sum(w * x for w, x in zip(weights, row, strict=True)) / 128)
            target = max(-32768, min(32767, target))
            states[i] = row[2 + i] + int((target - row[2 + i]) / 4)
        for value in states + states[:2]:
            fnv = (fnv ^ (value & 0xFFFF)) * 16777619 & 0xFFFFFFFF
    assert f"replay_expected_hash = {fnv}u;" in (FOLDER / "replay.c").read_text()


@pytest.mark.parametrize("board", DEVICES)
def test_all_boards_give_the_same_bits(board, on_board):
    found = on_board(board)
    assert found.hash_equal is True
    assert found.steps == 1000
    assert found.instructions == found.most_instructions  # no branch depends on a value
    assert found.state_bytes == 8
    assert found.static_bytes == 0
    assert 0 < found.raw_flash_bytes < found.flash_bytes
    assert found.ram_bytes == 8 + max(found.stack_bytes, found.measured_stack_bytes)
    assert 16 <= found.measured_stack_bytes <= 128
    assert 16 <= found.stack_bytes <= 128


def test_plain_c_takes_more_instructions_than_dsp_instructions(on_board):
    assert on_board("m4-plain").instructions > 1.2 * on_board("m4").instructions
    assert on_board("m0plus").instructions > on_board("m4").instructions


def test_boards_without_float_link_helper_routines(on_board):
    """A difference of linked sizes counts them; the call graph names them."""
    slow, fast = on_board("m0plus"), on_board("m4")
    assert slow.flash_bytes > fast.flash_bytes + 1000
    assert "__aeabi_fmul" in " ".join(slow.notes)
    assert fast.notes == ()


@pytest.mark.parametrize(
    "board",
    [b if b == "m4" else pytest.param(b, marks=pytest.mark.slow) for b in DEVICES],
)
def test_instructions_are_exact(board, tmp_path):
    """A loop of 20,000 instructions more is 20,000 instructions more."""
    require_tools(board)
    short = profile(loop(tmp_path / "short", 100, steps=30), board)
    long = profile(loop(tmp_path / "long", 10_100, steps=30), board)
    assert long.instructions - short.instructions == 20_000
    assert long.most_instructions == long.instructions
    assert 200 <= short.instructions <= 210
    assert short.steps == 30


def test_a_step_that_the_counter_cannot_hold_is_not_counted(tmp_path):
    """SysTick has 24 bits; the result must not wrap around."""
    require_tools("m4")
    found = profile(loop(tmp_path, 2_700_000, steps=2), "m4")
    assert (found.instructions, found.most_instructions) == (None, None)
    assert found.notes == ("Instructions were not counted: a step takes more than 5,242,880.",)
    assert found.hash_equal is False  # of other steps than the recorded ones


def test_the_largest_step_is_found(tmp_path):
    require_tools("m4")
    folder = loop(tmp_path, 100, longer=600, steps=10)
    found = profile(folder, "m4")
    assert found.most_instructions - found.instructions == pytest.approx(900, abs=5)


def test_measured_stack_is_that_of_the_deepest_call(tmp_path):
    require_tools("m4")
    array = "volatile int32_t used[100]; used[0] = step; used[99] = used[0];"
    folder = edited(
        tmp_path,
        ("replay.c", "void replay_run(int step) {\n", f"void replay_run(int step) {{\n  {array}\n"),
    )
    more, less = profile(folder, "m4"), profile(FOLDER, "m4")
    assert 396 <= more.measured_stack_bytes - less.measured_stack_bytes <= 416
    assert more.stack_bytes == less.stack_bytes  # the model is the same


def test_a_changed_model_has_another_hash(tmp_path):
    require_tools("rv32")
    found = profile(edited(tmp_path, ("tiny.c", "{90, -41", "{91, -41")), "rv32")
    assert found.hash_equal is False
    console = Console(width=120)
    with console.capture() as capture:
        found.print(console)
    assert "DIFFERENT" in capture.get()


def test_variables_and_constants_of_the_model_are_counted(tmp_path, on_board):
    folder = edited(
        tmp_path,
        (
            "tiny.c",
            "void tiny_step_raw(",
            "static int16_t kept[100];\nstatic int16_t start[50] = {1};\n"
            "const int16_t *tiny_more(int i);\n"
            "const int16_t *tiny_more(int i) { return kept + start[i]; }\n"
            "void tiny_step_raw(",
        ),
        ("tiny.c", "  int16_t row[6];", "  int16_t row[6];\n  kept[in[0] & 63] = start[7]++;"),
    )
    found, plain = profile(folder, "m4"), on_board("m4")
    assert 300 <= found.static_bytes <= 308
    assert found.flash_bytes - plain.flash_bytes >= 100  # the initial values lie in flash
    unused = edited(
        tmp_path / "x", ("tiny.c", '#include "tiny.h"', '#include "tiny.h"\nint unused[999] = {1};')
    )
    assert profile(unused, "m4").static_bytes == 0


@needs_host
def test_this_machine_gives_the_same_bits():
    found = profile(FOLDER, "host")
    assert found.hash_equal is True
    assert found.state_bytes == 8
    assert 0 < found.raw_flash_bytes < found.flash_bytes < 2000
    assert (found.clock, found.estimated_microseconds) == (None, None)
    if shutil.which("valgrind"):
        assert 100 < found.instructions < 1000
    else:
        assert found.instructions or "install valgrind" in " ".join(found.notes)


@needs_host
def test_instructions_on_this_machine_are_those_of_the_steps(tmp_path):
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    body = "void known_loop(int count) { for (volatile int i = 0; i < count; ++i) {} }\n"
    means = []
    for count in (100, 1100):
        folder = loop(tmp_path / str(count), count)
        with (folder / "replay.c").open("a") as file:
            file.write(body)
        means.append(profile(folder, "host").instructions)
    assert (means[1] - means[0]) % 1000 == 0
    assert means[1] - means[0] >= 3000


def test_estimates_follow_the_clock(on_board):
    usual = on_board("m4")
    half = profile(FOLDER, "m4", clock=usual.clock / 2)
    assert half.estimated_microseconds == pytest.approx(2 * usual.estimated_microseconds)
    assert half.estimated_microjoules == usual.estimated_microjoules
    values = profiles._estimates(boards.get("m4"), 100.0, 1000)
    assert values["estimated_microseconds"] == pytest.approx(13.0)
    assert values["estimated_microjoules"] == pytest.approx(0.39)


def test_tables_and_json_name_estimates(on_board):
    found = on_board("m4")
    console = Console(width=120)
    with console.capture() as capture:
        found.print(console)
    text = capture.get()
    for piece in ("tiny on m4", "time per step, estimate", "energy per step, estimate", "equal"):
        assert piece in text
    values = json.loads(found.json())
    assert values["ram_bytes"] == found.ram_bytes
    assert Profile(**{k: v for k, v in values.items() if k not in ("ram_bytes", "notes")}) == (
        replace(found, notes=())
    )
