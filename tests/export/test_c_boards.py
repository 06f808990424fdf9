"""Profiles with wrong arguments, missing tools and faulty C; boards and stack of call graphs."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from c_folders import FOLDER, edited, needs_host, require_tools

from export.c import boards, emulation, stack_usage
from export.c.firmware_build import FIRMWARE, FirmwareBuild, find_model
from export.c.profile import Profile, profile

ROOT = Path(__file__).parents[2]


def without(monkeypatch, *tools):
    which = shutil.which
    monkeypatch.setattr(
        boards.shutil, "which", lambda name: None if name.startswith(tools) else which(name)
    )


@needs_host
def test_without_a_cross_compiler_the_profile_names_the_packages(monkeypatch):
    without(monkeypatch, "arm-none-eabi", "qemu")
    found = profile(FOLDER, "m4")
    assert found.notes == (
        "Not measured: arm-none-eabi-gcc and qemu-system-arm are not installed; on Debian or "
        "Ubuntu: apt-get install gcc-arm-none-eabi qemu-system-arm.",
    )
    assert found.state_bytes == 8  # as large on every processor
    assert (found.flash_bytes, found.instructions, found.ram_bytes) == (None, None, None)
    with pytest.raises(ValueError, match=r"`flash` cannot be checked.*apt-get install gcc-arm"):
        profile(FOLDER, "m4", flash=4096)


def test_without_an_emulator_sizes_are_known(monkeypatch):
    require_tools("m4")
    without(monkeypatch, "qemu")
    found = profile(FOLDER, "m4", flash=1000)
    assert found.flash_bytes > 0 and found.ram_bytes > 0
    assert (found.hash_equal, found.instructions) == (None, None)
    assert "qemu-system-arm is not installed" in found.notes[0]


def test_without_any_compiler_nothing_is_known(monkeypatch):
    without(monkeypatch, "")
    found = profile(FOLDER, "host")
    assert found == Profile("tiny", "host", "O2", notes=found.notes)
    assert found.notes == (
        "Not measured: gcc is not installed; on Debian or Ubuntu: apt-get install gcc valgrind.",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"board": "m3"}, "Unknown board 'm3'; allowed: host, m0plus, m4, m4-plain, m55, m7, rv"),
        ({"optimize": "O3"}, "Unknown optimize 'O3'; allowed: O2, Os."),
        ({"clock": 0}, "`clock` must be a finite number above 0; received 0."),
        ({"clock": float("nan")}, "`clock` must be a finite number above 0; received nan."),
        ({"flash": -1}, "`flash` must be a finite number above 0; received -1."),
        ({"ram": True}, "`ram` must be a finite number above 0; received True."),
        ({"board": "host", "clock": 80}, "`clock` is for estimates of time; there is none for b"),
        ({"folder": "no"}, "There is no folder no; `export.to_c` writes one."),
        ({"folder": FOLDER.parent}, "must hold one model, NAME.c and NAME.h with the function"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        profile(**{"folder": FOLDER, **arguments})


def test_two_models_in_a_folder_are_refused(tmp_path):
    folder = edited(tmp_path)
    for suffix in (".c", ".h"):
        text = (folder / f"tiny{suffix}").read_text().replace("tiny", "other")
        (folder / f"other{suffix}").write_text(text)
    with pytest.raises(ValueError, match="it holds other, tiny"):
        find_model(folder)


def test_a_model_larger_than_a_limit_is_refused():
    require_tools("m4")
    with pytest.raises(ValueError, match=r"'tiny' takes 4\d\d bytes of flash on board 'm4' at -O2"):
        profile(FOLDER, "m4", flash=300)
    with pytest.raises(ValueError, match=r"takes \d\d bytes of ram .* the limit is 20"):
        profile(FOLDER, "m4", ram=20)


def test_errors_of_the_compiler_are_one_line(tmp_path):
    require_tools("m4")
    folder = edited(tmp_path, ("tiny.c", "int16_t row[6];", "int16_t row[6]"))
    with pytest.raises(RuntimeError, match=r"arm-none-eabi-gcc cannot compile tiny\.c: .*error"):
        profile(folder, "m4")


def test_recorded_inputs_that_do_not_fit_the_emulated_board_are_a_note(tmp_path):
    require_tools("m4")
    folder = edited(
        tmp_path,
        ("replay.c", "static tiny_state state;", "static tiny_state state, many[1000000];"),
        ("replay.c", "  tiny_reset(&state);", "  tiny_reset(&many[state.rnn_state_0[0]]);"),
    )
    found = profile(folder, "m4")
    assert found.notes == (
        "Not replayed: the recorded inputs do not fit the memory of the emulator.",
    )
    assert found.flash_bytes > 0 and found.hash_equal is None


def test_errors_of_the_linker_name_the_cause(tmp_path):
    require_tools("m4")
    folder = edited(
        tmp_path,
        ("tiny.c", "static const", "float sinf(float angle);\nstatic const"),
        ("tiny.c", "in[i] * 4096.0f", "sinf(in[i])"),
    )
    with pytest.raises(RuntimeError, match=r"cannot link with: .*undefined reference to `sinf'"):
        profile(folder, "m4")


def test_a_firmware_that_crashes_is_an_error(tmp_path):
    for board in ("m4", "rv32"):
        require_tools(board)
        folder = edited(
            tmp_path / board, ("replay.c", "  tiny_reset(&state);", "  __builtin_trap();")
        )
        with pytest.raises(RuntimeError, match=r"qemu-system-\w+ cannot run it: fault"):
            profile(folder, board)


def test_a_counter_with_another_factor_is_an_error(tmp_path):
    """As of an emulator that counts differently."""
    require_tools("m4")
    board = replace(boards.get("m4"), counter=(3, 1))
    with pytest.raises(RuntimeError, match="instructions in a loop of 40,000, so it would misc"):
        emulation.replay(FirmwareBuild(find_model(FOLDER), board, "O2", tmp_path))


GRAPH = """graph: { title: "a.c"
node: { title: "step" label: "step\\na.c:1:5\\n32 bytes (static)" }
node: { title: "a.c:row" label: "row\\na.c:9:5\\n48 bytes (dynamic,bounded)" }
node: { title: "small" label: "small\\na.c:5:5\\n8 bytes (static)" }
node: { title: "free" label: "free\\na.c:5:5\\n16 bytes (dynamic)" }
node: { title: "memcpy" label: "__builtin_memcpy\\n<built-in>" shape : ellipse }
edge: { sourcename: "step" targetname: "a.c:row" label: "a.c:3:3" }
edge: { sourcename: "step" targetname: "small" }
edge: { sourcename: "a.c:row" targetname: "memcpy" }
edge: { sourcename: "open" targetname: "free" }
}
"""


def test_stack_is_that_of_the_deepest_calls(tmp_path):
    path = tmp_path / "a.ci"
    path.write_text(GRAPH)
    assert stack_usage.stack_usage([path], "step") == stack_usage.StackUsage(80, ("memcpy",))
    assert stack_usage.stack_usage([path], "free").bytes is None
    with pytest.raises(ValueError, match="No call graph holds the function 'none'"):
        stack_usage.stack_usage([path], "none")
    again = tmp_path / "b.ci"
    again.write_text('edge: { sourcename: "small" targetname: "step" }')
    assert stack_usage.stack_usage([path, again], "step").bytes is None  # recursion


def test_firmware_files_exist():
    for board in boards.BOARDS.values():
        scripts = [flag[2:] for flag in board.linker_flags if flag.startswith("-T")]
        for name in (*board.sources, *scripts, "measure.c", "empty.c"):
            assert (FIRMWARE / name).is_file()


@pytest.mark.parametrize("file", [".ci/run", ".github/workflows/ci.yml"])
def test_all_checks_install_the_packages_of_the_boards(file):
    if not (ROOT / file).is_file():
        pytest.skip("a distribution has no such file")
    words = (ROOT / file).read_text().split()
    for board in boards.BOARDS.values():
        assert set(board.packages) <= set(words)
