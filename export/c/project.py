"""The folder of a model in C as a project: sources, a replay, build files and README.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from export.c import layouts
from export.c.boards import Board
from export.c.firmware_build import DESCRIPTION, FIRMWARE
from export.c.model import CModel
from export.c.readme import readme
from export.text_templates import fill

_BOARD_FILES = "board"
# Of the firmware that measures models; a project has its own main().
_OTHER_FIRMWARE = ("empty.c", "host.c", "measure.c")


def project_files(
    model: CModel,
    replay: Mapping[str, str],
    layout: str = layouts.DEFAULT,
    *,
    title: str | None = None,
    window_note: str = "",
) -> dict[str, str]:
    """Return the files of a project for a build system.

    Args:
        model: The C source.
        replay: The texts of replay.c and replay.h, by file name; see `replay_files`.
        layout: "cmake", "arduino", "zephyr" or "espidf".
        title: Name of the model in descriptions; by default its prefix.
        window_note: A sentence on the length of sequences, if the model has one.

    Returns:
        Text by path, relative to the folder.

    Raises:
        ValueError: Unknown layout.
    """
    chosen = layouts.get(layout)
    texts = {_path(chosen.sources, name): text for name, text in model.files.items()}
    texts |= {_path(chosen.replay, name): text for name, text in replay.items()}
    placeholders = _placeholders(model, title or model.prefix)
    texts |= {
        name: fill("export.c", f"{chosen.name}/{name}", **placeholders) for name in chosen.templates
    }
    if chosen.has_boards:
        texts |= _board_files()
    texts["README.md"] = readme(model, chosen, placeholders, window_note)
    texts[DESCRIPTION] = model.description(chosen.sources, chosen.replay)
    return texts


def _path(folder: str, name: str) -> str:
    return str(PurePosixPath(folder) / name)


def _placeholders(model: CModel, title: str) -> dict[str, str]:
    boards = layouts.emulated_boards()
    rules = "".join(_board_rule(board, model.prefix) for board in boards)
    arm = [board for board in boards if _is_arm(board)]
    return {
        "prefix": model.prefix,
        "upper": model.prefix.upper(),
        "title": printable(title),
        "recipe": model.recipe,
        "board_targets": " ".join(f"replay-{board.name}" for board in boards),
        "other_boards": ", ".join(f"replay-{b.name}" for b in boards if b.name != "m4"),
        "board_rules": rules,
        "board_names": ", ".join(board.name for board in arm),
        "board_settings": "\n".join(_toolchain(board, not i) for i, board in enumerate(arm)),
    }


def printable(title: str) -> str:
    """Return a title with the characters that comments and quotes of all build systems allow."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " _.-") else "_" for c in title)


def _is_arm(board: Board) -> bool:
    return board.compilers[0] == "arm-none-eabi-gcc"


def _board_rule(board: Board, prefix: str) -> str:
    """The rules of make that build the replay for a board and run it on an emulator."""
    return fill(
        "export.c",
        "board_rule.mk",
        board=board.name,
        description=board.description,
        packages=", ".join(board.packages),
        emulator=" ".join(board.emulator),
        compiler=board.compilers[0],
        flags=" ".join(board.flags),
        linker_flags=" ".join(flag for flag in board.linker_flags if flag != "-nostdlib"),
        sources=" ".join(f"{_BOARD_FILES}/{name}" for name in board.sources),
        prefix=prefix,
    )


def _toolchain(board: Board, is_first: bool) -> str:
    """The settings of CMake for a board."""
    (script,) = (flag[2:] for flag in board.linker_flags if flag.startswith("-T"))
    emulator = " ".join(board.emulator)
    return "\n".join(
        [
            f'{"if" if is_first else "elseif"}(LNN_BOARD STREQUAL "{board.name}")',
            f'  set(CMAKE_C_FLAGS_INIT "{" ".join(board.flags)}")',
            f"  set(LNN_LINKER_SCRIPT {script})",
            f"  set(CMAKE_CROSSCOMPILING_EMULATOR {emulator})",
        ]
    )


def _board_files() -> dict[str, str]:
    """Start-up code, linker scripts and headers for the emulated boards."""
    return {
        f"{_BOARD_FILES}/{path.relative_to(FIRMWARE).as_posix()}": path.read_text("utf-8")
        for path in sorted(FIRMWARE.rglob("*.*"))
        if path.name not in _OTHER_FIRMWARE and path.is_file()
    }
