"""Replays of a model in C: the hash, instructions and stack, on an emulator or this machine."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from export.c.boards import HOST
from export.c.firmware_build import FirmwareBuild, run_tool

# Instructions of the loop that a firmware counts, so that its counter is checked.
_LOOP = 40_000
_TOO_MANY = 2**32 - 1
_SECONDS = 300


@dataclass(frozen=True)
class Replay:
    """Results of a replay.

    Attributes:
        steps: Number of steps.
        hash: Hash of all states and outputs.
        expected_hash: Hash that the export recorded.
        instructions: Mean number of instructions of a step; None if they were not counted.
        most_instructions: Largest number of instructions of a step; None if not counted.
        stack_bytes: Bytes of stack that the steps wrote to; None if not measured.
        note: Why instructions were not counted; empty if they were.
    """

    steps: int
    hash: int
    expected_hash: int
    instructions: float | None = None
    most_instructions: int | None = None
    stack_bytes: int | None = None
    note: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether the states and outputs are those that the export recorded, bit for bit."""
        return self.hash == self.expected_hash


def replay(build: FirmwareBuild) -> Replay:
    """Build the firmware that replays the recorded inputs, run it and return its results.

    Raises:
        RuntimeError: It does not build, does not end, or its counter is not exact.
    """
    return _on_host(build) if build.board.name == HOST else _on_emulator(build)


def _on_emulator(build: FirmwareBuild) -> Replay:
    ticks, instructions = build.board.counter
    counter = (f"-DCOUNTER_TICKS={ticks}u", f"-DCOUNTER_INSTRUCTIONS={instructions}u")
    objects = _model_objects(build)
    objects += [build.compile_firmware(name) for name in build.board.sources]
    objects.append(build.compile_firmware("measure.c", *counter))
    program = build.link("replay.elf", objects)
    results = _results(run_tool((*build.board.emulator, str(program)), "run it", _SECONDS))
    if results["loop"] != _LOOP:
        raise RuntimeError(
            f"{build.board.emulator[0]} counts {results['loop']:,} instructions in a loop of "
            f"{_LOOP:,}, so it would miscount; use another version, such as QEMU 7.2."
        )
    known = (results["steps"], results["hash"], results["expected"])
    if results["most"] == _TOO_MANY:
        most = 2**24 * instructions // ticks
        note = f"Instructions were not counted: a step takes more than {most:,}."
        return Replay(*known, stack_bytes=results["stack"], note=note)
    mean = (1000 * results["thousands"] + results["rest"]) / results["steps"]
    return Replay(*known, mean, results["most"], results["stack"])


def _on_host(build: FirmwareBuild) -> Replay:
    program = build.link("replay", [*_model_objects(build), build.compile_firmware("host.c")])
    results = _results(run_tool((str(program),), "run", _SECONDS))
    steps = results["steps"]
    counts = [_host_instructions(program, count) for count in (steps // 2, steps)]
    mean = (counts[1] - counts[0]) / (steps - steps // 2) if counts[0] and counts[1] else None
    note = "" if mean else "Instructions were not counted: install valgrind (apt-get install it)."
    return Replay(steps, results["hash"], results["expected"], mean, note=note)


def _host_instructions(program: Path, steps: int) -> int | None:
    """The instructions of the program with some steps; None if no tool here counts them."""
    arguments = (str(program), str(steps))
    if shutil.which("valgrind"):
        counter = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
        found = re.search(r"Collected : (\d+)", run_tool((*counter, *arguments), "run", _SECONDS))
    elif shutil.which("perf"):
        counter = ("perf", "stat", "-x,", "-e", "instructions:u")
        found = re.search(r"^(\d+),", run_tool((*counter, *arguments), "run", _SECONDS), re.M)
    else:
        found = None
    return int(found[1]) if found else None


def _model_objects(build: FirmwareBuild) -> list[Path]:
    return [build.compile_model(f"{build.model.name}.c"), build.compile_model("replay.c")]


def _results(output: str) -> dict[str, int]:
    """The numbers in the line that a firmware prints."""
    line = re.search(r"^lnn (steps=.*)$", output, re.M)
    if line is None:
        last = (output.strip().splitlines() or ["nothing"])[-1]
        raise RuntimeError(f"The firmware printed no results; the last line was: {last}")
    return {name: int(value) for name, value in (pair.split("=") for pair in line[1].split())}
