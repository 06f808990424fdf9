"""Firmware around a model in C: compiled and linked for a board, and its sizes."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.c.boards import HOST, Board

DESCRIPTION = "model.json"
FIRMWARE = Path(__file__).parent / "firmware"
OPTIMIZE = ("O2", "Os")
# Unused functions are left out of a firmware, as in usual projects.
_SECTIONS = ("-ffunction-sections", "-fdata-sections", "-fno-asynchronous-unwind-tables")
MODEL_FLAGS = ("-std=c99", "-ffp-contract=off", "-fno-common", *_SECTIONS)
_FIRMWARE_FLAGS = ("-std=gnu99", "-O2", "-fno-builtin", *_SECTIONS)
_COMPILE_SECONDS = 300
# The last line of a linker only says that it failed.
_CAUSE = re.compile(r"^(?!collect2).*(error|undefined reference|overflowed)")


class TooLargeError(RuntimeError):
    """A firmware that does not fit the memories of the emulated board."""


@dataclass(frozen=True)
class CFolder:
    """A folder with a model in C.

    Attributes:
        path: The folder of its source files.
        name: The prefix of the model: NAME.c and NAME.h hold NAME_step.
        replay: The folder of replay.c and replay.h.
    """

    path: Path
    name: str
    replay: Path

    @property
    def has_replay(self) -> bool:
        """Whether there are inputs to replay."""
        return (self.replay / "replay.c").is_file()

    def steps(self) -> list[str]:
        """The functions of a step: of real values, and where there is one, of stored integers."""
        names = (f"{self.name}_step", f"{self.name}_step_raw")
        return [name for name in names if self.declares(name)]

    def declares(self, function: str) -> bool:
        """Whether the header of the model declares a function."""
        return re.search(rf"\b{function}\(", _text(self.path / f"{self.name}.h")) is not None


def find_model(folder: str | Path) -> CFolder:
    """Return the model in a folder.

    Raises:
        ValueError: There is no such folder, or it does not hold exactly one model.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ValueError(f"There is no folder {path}; `export.to_c` writes one.")
    sources, replay = _subfolders(path)
    models = [
        CFolder(sources.absolute(), source.stem, replay.absolute())
        for source in sorted(sources.glob("*.c"))
        if source.stem != "replay"
    ]
    models = [model for model in models if f"{model.name}_step" in model.steps()]
    names = [model.name for model in models]
    if len(names) != 1:
        found = f"it holds {', '.join(names)}" if names else "it holds none"
        raise ValueError(
            f"{path} must hold one model, NAME.c and NAME.h with the function NAME_step; {found}. "
            "`export.to_c` writes such a folder."
        )
    return models[0]


def _subfolders(folder: Path) -> tuple[Path, Path]:
    """The folders of the sources and of the replay; they depend on the layout of the export."""
    try:
        described: Any = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        return folder / described["sources"], folder / described["replay"]
    except (OSError, ValueError, LookupError, TypeError):
        return folder, folder


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


class FirmwareBuild:
    """Compiles a model and firmware for a board into a folder.

    Args:
        model: The model.
        board: The board; its compiler is installed.
        optimize: "O2" or "Os", for the model.
        directory: The folder for objects.
    """

    def __init__(self, model: CFolder, board: Board, optimize: str, directory: Path):
        assert board.compiler is not None
        self.model, self.board, self.directory = model, board, directory
        self._compiler = board.compiler
        self._model_flags = (*MODEL_FLAGS, f"-{optimize}", *board.flags)

    def compile_model(self, name: str, *flags: str) -> Path:
        """Compile a file of the model's folder; return the object."""
        folder = self.model.replay if name == "replay.c" else self.model.path
        return self._compile(folder / name, (*self._model_flags, *flags))

    def compile_firmware(self, name: str, *flags: str) -> Path:
        """Compile a file of the firmware; return the object."""
        return self._compile(FIRMWARE / name, (*_FIRMWARE_FLAGS, *self.board.flags, *flags))

    def link(self, name: str, objects: list[Path], *flags: str) -> Path:
        """Link objects and the compiler's helper routines; return the program."""
        program = self.directory / name
        arguments = (
            *(*self.board.flags, *self.board.linker_flags, f"-L{FIRMWARE}", "-Wl,--gc-sections"),
            *(*flags, *map(str, objects), "-lgcc", "-o", str(program)),
        )
        try:
            run_tool((self._compiler, *arguments), f"link {name}")
        except RuntimeError as error:
            if "overflowed" in str(error):
                raise TooLargeError(str(error)) from error
            raise
        return program

    def sizes(self, program: Path) -> tuple[int, int]:
        """Return the bytes of flash (code, constants, initial values) and of static data."""
        tool = self._compiler.removesuffix("gcc") + "size" if self.board.name != HOST else "size"
        output = run_tool((tool, str(program)), f"measure {program.name}")
        text, data, bss = map(int, output.splitlines()[1].split()[:3])
        return text + data, data + bss

    def model_sizes(self, *entries: str) -> tuple[int, int]:
        """Return the bytes of flash and static data that functions of the model add.

        They are the difference between two firmwares, so that helper routines of the compiler and
        memory functions count where the model needs them.

        Args:
            *entries: The functions that the firmware calls.
        """
        firmware = [self.compile_firmware(name) for name in (*self.board.sources, "empty.c")]
        flags = ("-nostdlib", "-static", "-Wl,-e,main") if self.board.name == HOST else ()
        without = self.sizes(self.link("without", firmware, *flags))
        roots = [f"-Wl,-u,{entry}" for entry in entries]
        model = self.compile_model(f"{self.model.name}.c")
        with_model = self.sizes(self.link("with", [*firmware, model], *flags, *roots))
        return with_model[0] - without[0], with_model[1] - without[1]

    def state_bytes(self) -> int:
        """Return the size of the model's state."""
        name = self.model.name
        source = self.directory / "state_size.c"
        text = f'#include "{name}.h"\nchar lnn_state_size[sizeof({name}_state)];\n'
        source.write_text(text, "utf-8")
        return self.sizes(self._compile(source, self._model_flags))[1]

    def _compile(self, source: Path, flags: tuple[str, ...]) -> Path:
        target = self.directory / f"{source.stem}.o"
        # Compilers for bare metal come without headers; those of the firmware come last.
        folders = (self.model.path, self.model.replay, FIRMWARE)
        headers = tuple(option for folder in folders for option in ("-I", str(folder)))
        if self.board.name != HOST:
            headers += ("-idirafter", str(FIRMWARE / "include"))
        command = (self._compiler, *flags, *headers, "-c", str(source), "-o", str(target))
        run_tool(command, f"compile {source.name}")
        return target


def run_tool(command: tuple[str, ...], action: str, seconds: float = _COMPILE_SECONDS) -> str:
    """Run a tool and return its output, errors included.

    Raises:
        RuntimeError: It failed or took too long; the message holds the first error.
    """
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{command[0]} did not {action} within {seconds:.0f} s.") from error
    if result.returncode:
        lines = result.stdout.splitlines() or [f"it ended with status {result.returncode}"]
        first = next((line for line in lines if _CAUSE.search(line)), lines[-1])
        raise RuntimeError(f"{command[0]} cannot {action}: {first.strip()}")
    return result.stdout
