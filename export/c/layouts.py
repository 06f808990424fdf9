"""Layouts of a folder with C source: the build systems whose projects it can be.

This module does not import Keras, so that the command line checks names without loading it.
"""

from __future__ import annotations

from dataclasses import dataclass

from export.c import boards

DEFAULT = "cmake"


@dataclass(frozen=True)
class Layout:
    """The places of the files in a folder of C source.

    Attributes:
        name: The name that users pass.
        description: Description in one line.
        sources: Folder of the model's C files and headers, relative to the whole; "." is the whole.
        replay: Folder of replay.c and replay.h.
        templates: Paths of the other files, which are those of their templates in the folder
            templates/NAME.
        has_boards: Whether it holds start-up code, so that emulated boards run the replay.
    """

    name: str
    description: str
    sources: str
    replay: str
    templates: tuple[str, ...]
    has_boards: bool = False


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            name="cmake",
            description="CMake and make, with a toolchain file for Arm Cortex-M",
            sources=".",
            replay=".",
            templates=("CMakeLists.txt", "Makefile", "arm-none-eabi.cmake", "replay_main.c"),
            has_boards=True,
        ),
        Layout(
            name="arduino",
            description="a library for the Arduino IDE, arduino-cli and PlatformIO",
            sources="src",
            replay="examples/Replay",
            templates=("library.properties", "examples/Replay/Replay.ino"),
        ),
        Layout(
            name="zephyr",
            description="a Zephyr module",
            sources="src",
            replay="samples/replay/src",
            templates=(
                "CMakeLists.txt",
                "Kconfig",
                "zephyr/module.yml",
                "samples/replay/CMakeLists.txt",
                "samples/replay/prj.conf",
                "samples/replay/sample.yaml",
                "samples/replay/src/main.c",
            ),
        ),
        Layout(
            name="espidf",
            description="an ESP-IDF component",
            sources="src",
            replay="examples/replay/main",
            templates=(
                "CMakeLists.txt",
                "idf_component.yml",
                "examples/replay/CMakeLists.txt",
                "examples/replay/main/CMakeLists.txt",
                "examples/replay/main/main.c",
            ),
        ),
    )
}


def get(layout: str) -> Layout:
    """Return the layout with that name.

    Raises:
        ValueError: No layout has that name.

    Example:
        >>> get("arduino").sources
        'src'
    """
    if layout not in LAYOUTS:
        raise ValueError(f"Unknown layout {layout!r}; allowed: {', '.join(LAYOUTS)}.")
    return LAYOUTS[layout]


def emulated_boards() -> tuple[boards.Board, ...]:
    """The boards that run a replay under an emulator."""
    return tuple(board for board in boards.BOARDS.values() if board.emulator)
