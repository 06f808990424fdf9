"""Profiles of a model in C on a board: flash, RAM, stack, instructions per step."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.c import boards, stack_usage
from export.c.emulation import replay
from export.c.firmware_build import OPTIMIZE, CFolder, FirmwareBuild, TooLargeError, find_model
from export.c.profile_table import print_profile

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Profile:
    """Sizes and instructions of a model in C on a board. Values that are not known are None.

    Attributes:
        model: Prefix of the model.
        board: Name of the board.
        optimize: Optimization of the compiler, "O2" or "Os".
        flash_bytes: Code, constants and helper routines that NAME_reset and NAME_step add to a
            firmware.
        raw_flash_bytes: The same for NAME_step_raw, which takes stored integers.
        state_bytes: Size of the state.
        static_bytes: Variables of the model, other than the state.
        stack_bytes: The compiler's bound of the stack of a step with all functions that it calls.
        measured_stack_bytes: Stack that a replay of the recorded inputs used.
        instructions: Mean number of instructions of a replayed step.
        most_instructions: Largest number of instructions of a replayed step.
        steps: Number of replayed steps.
        hash_equal: Whether the replayed states and outputs are those of the export, bit for bit.
        clock: Clock for the estimates, in MHz.
        estimated_microseconds: Estimate of the time of a step.
        estimated_microjoules: Estimate of the energy of a step.
        notes: Sentences on values that are not known.
    """

    model: str
    board: str
    optimize: str
    flash_bytes: int | None = None
    raw_flash_bytes: int | None = None
    state_bytes: int | None = None
    static_bytes: int | None = None
    stack_bytes: int | None = None
    measured_stack_bytes: int | None = None
    instructions: float | None = None
    most_instructions: int | None = None
    steps: int | None = None
    hash_equal: bool | None = None
    clock: float | None = None
    estimated_microseconds: float | None = None
    estimated_microjoules: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def ram_bytes(self) -> int | None:
        """State, variables and stack; the larger of the stack's bound and measurement."""
        stacks = [x for x in (self.stack_bytes, self.measured_stack_bytes) if x is not None]
        if self.state_bytes is None or self.static_bytes is None or not stacks:
            return None
        return self.state_bytes + self.static_bytes + max(stacks)

    def json(self) -> str:
        """Return the profile as JSON, with `ram_bytes`."""
        return json.dumps({**asdict(self), "ram_bytes": self.ram_bytes}, indent=2)

    def print(self, console: Console) -> None:
        """Print the known values as a table, and the notes."""
        print_profile(self, console)


def profile(
    folder: str | Path,
    board: str | boards.Board = "m4",
    *,
    optimize: str = "O2",
    clock: float | None = None,
    flash: int | None = None,
    ram: int | None = None,
) -> Profile:
    """Build a model in C for a board, replay it on an emulator, and return sizes and instructions.

    Flash is the difference between two linked firmwares. Instructions are those of `replay_run`,
    counted one step at a time. Time and energy are estimates: instructions times the usual cycles
    per instruction, over the clock, and times the usual energy of a cycle.

    Without the compiler or the emulator of the board, the values that need it are None, and a note
    names the packages.

    Args:
        folder: A folder that `export.to_c` wrote.
        board: Name of a board in `export.c.boards.BOARDS`, or a board.
        optimize: "O2" or "Os".
        clock: Clock for the estimates, in MHz; by default a usual one of the board.
        flash: Limit of flash, in bytes.
        ram: Limit of state, variables and stack, in bytes.

    Raises:
        ValueError: An argument is not allowed, or the model is larger than a limit.
        RuntimeError: The model does not compile, or its firmware does not end.

    Example:
        >>> from export.c.profile import profile
        >>> profile("device/", board="m4").instructions  # doctest: +SKIP
        8497.0
    """
    chosen = boards.get(board)
    if optimize not in OPTIMIZE:
        raise ValueError(f"Unknown optimize {optimize!r}; allowed: {', '.join(OPTIMIZE)}.")
    limits = {"flash": flash, "ram": ram}
    for name, value in {**limits, "clock": clock}.items():
        if value is not None:
            _require_positive(name, value)
    clock = _clock(chosen, clock)
    model = find_model(folder)
    values, notes = _measured(model, chosen, optimize)
    measured = Profile(
        model.name,
        chosen.name,
        optimize,
        **values,
        **_estimates(chosen, clock, values.get("instructions")),
        notes=tuple(notes),
    )
    _check_limits(measured, limits)
    return measured


def _clock(board: boards.Board, clock: float | None) -> float | None:
    """The clock for estimates; None where time is not estimated."""
    if clock is None:
        return board.clock
    if board.cycles_per_instruction is None:
        raise ValueError(
            f"`clock` is for estimates of time; there is none for board {board.name!r}. Leave it "
            "out, or take another board."
        )
    return clock


def _require_positive(argument: str, value: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 < value < float("inf")):
        raise ValueError(f"`{argument}` must be a finite number above 0; received {value!r}.")


def _measured(
    model: CFolder, board: boards.Board, optimize: str
) -> tuple[dict[str, Any], list[str]]:
    """The values that the installed tools give, and notes on the others."""
    missing = board.missing()
    notes = [f"Not measured: {missing}."] if missing else []
    with tempfile.TemporaryDirectory() as folder:
        if board.compiler is None:
            host = boards.get(boards.HOST)
            if host.compiler is None or sys.platform != "linux":
                return {}, notes
            # A state consists of numbers of fixed size, so it is as large everywhere.
            build = FirmwareBuild(model, host, optimize, Path(folder))
            return {"state_bytes": build.state_bytes()}, notes
        build = FirmwareBuild(model, board, optimize, Path(folder))
        values: dict[str, Any] = {}
        if board.name != boards.HOST or sys.platform == "linux":
            values |= _sizes(build)
        else:
            notes.append("Sizes for this machine are measured on Linux only.")
        values |= _stack(build, notes)
        if not model.has_replay:
            notes.append(f"Not replayed: {model.path} holds no replay.c.")
        elif board.name == boards.HOST or board.has_emulator:
            values |= _replayed(build, notes)
    return values, notes


def _sizes(build: FirmwareBuild) -> dict[str, Any]:
    name = build.model.name
    flash, static = build.model_sizes(f"{name}_reset", f"{name}_step")
    raw = [build.model_sizes(f"{name}_reset", step)[0] for step in build.model.steps()[1:]]
    return {
        "flash_bytes": flash,
        "raw_flash_bytes": raw[0] if raw else None,
        "state_bytes": build.state_bytes(),
        "static_bytes": static,
    }


def _stack(build: FirmwareBuild, notes: list[str]) -> dict[str, Any]:
    """The compiler's bound of the stack of a step."""
    try:
        objects = [
            build.compile_model(f"{build.model.name}.c", *stack_usage.FLAGS),
            build.compile_firmware("memory.c", *stack_usage.FLAGS),
        ]
    except RuntimeError:
        notes.append("The compiler's bound of the stack needs GCC 10 or newer.")
        return {}
    graphs = [path.with_suffix(".ci") for path in objects]
    usage = stack_usage.stack_usage(graphs, *build.model.steps())
    if usage.bytes is None:
        notes.append("The compiler gives no bound of the stack: a function calls itself.")
    if usage.unknown:
        names = ", ".join(usage.unknown)
        notes.append(f"The compiler's bound of the stack lacks that of its helpers: {names}.")
    return {"stack_bytes": usage.bytes}


def _replayed(build: FirmwareBuild, notes: list[str]) -> dict[str, Any]:
    """The results of a replay of the recorded inputs."""
    try:
        result = replay(build)
    except TooLargeError:
        notes.append("Not replayed: the recorded inputs do not fit the memory of the emulator.")
        return {}
    if result.note:
        notes.append(result.note)
    return {
        "measured_stack_bytes": result.stack_bytes,
        "instructions": result.instructions,
        "most_instructions": result.most_instructions,
        "steps": result.steps,
        "hash_equal": result.is_equal,
    }


def _estimates(
    board: boards.Board, clock: float | None, instructions: float | None
) -> dict[str, Any]:
    """Estimates of the time and energy of a step."""
    microseconds = microjoules = None
    if instructions is not None and board.cycles_per_instruction is not None and clock is not None:
        cycles = instructions * board.cycles_per_instruction
        microseconds = cycles / clock
        if board.nanojoules_per_cycle is not None:
            microjoules = cycles * board.nanojoules_per_cycle / 1000
    return {
        "clock": clock,
        "estimated_microseconds": microseconds,
        "estimated_microjoules": microjoules,
    }


def _check_limits(profile: Profile, limits: dict[str, int | None]) -> None:
    """Raise a ValueError if the model is larger than a limit, or its size is not known."""
    for name, limit in limits.items():
        if limit is None:
            continue
        value = getattr(profile, f"{name}_bytes")
        if value is None:
            raise ValueError(
                f"`{name}` cannot be checked for board {profile.board!r}. {' '.join(profile.notes)}"
            )
        if value > limit:
            raise ValueError(
                f"{profile.model!r} takes {value:,} bytes of {name} on board {profile.board!r} at "
                f"-{profile.optimize}; the limit is {limit:,}. Take another recipe, "
                "optimization for size (Os), or a smaller model."
            )
