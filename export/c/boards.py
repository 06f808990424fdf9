"""Boards: the compiler, the emulator and rough figures of each kind of processor.

Modules for profiles do not import `lnn_keras`, which loads Keras for seconds.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

HOST = "host"
# Of QEMU: a simulated time of 2^shift ns per instruction, which the counters of the boards read.
_SHIFT = 7


@dataclass(frozen=True)
class Board:
    """A processor, the tools that build and run code for it, and figures for estimates.

    Attributes:
        name: The name that users pass.
        description: Description in one line.
        compilers: Compilers in order of preference.
        flags: Flags of the compiler that choose the processor.
        sources: Files of `export/c/firmware` with the start-up code.
        linker_flags: Flags for linking.
        emulator: Command that runs a firmware, whose path follows; empty on this machine.
        counter: Ticks of the counter, and the instructions in which it makes them.
        packages: Debian packages with the compiler and the emulator.
        clock: Usual clock of such a processor, in MHz; None where time is not estimated.
        cycles_per_instruction: Usual mean of code of this kind, for estimates of time.
        nanojoules_per_cycle: Usual energy of a low-power microcontroller of this kind, within a
            factor of two; None where no figure is at hand.
    """

    name: str
    description: str
    compilers: tuple[str, ...]
    flags: tuple[str, ...]
    sources: tuple[str, ...]
    linker_flags: tuple[str, ...]
    packages: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    counter: tuple[int, int] = (1, 1)
    clock: float | None = None
    cycles_per_instruction: float | None = None
    nanojoules_per_cycle: float | None = None

    @property
    def compiler(self) -> str | None:
        """The first compiler that is installed; None if none is."""
        return next((name for name in self.compilers if shutil.which(name)), None)

    @property
    def has_emulator(self) -> bool:
        """Whether the emulator is installed."""
        return bool(self.emulator) and shutil.which(self.emulator[0]) is not None

    def missing(self) -> str:
        """Return a sentence that names the missing tools and their packages; empty if none."""
        missing = [] if self.compiler else [self.compilers[0]]
        if self.emulator and not self.has_emulator:
            missing.append(self.emulator[0])
        if not missing:
            return ""
        verb = "is" if len(missing) == 1 else "are"
        return (
            f"{' and '.join(missing)} {verb} not installed; on Debian or Ubuntu: "
            f"apt-get install {' '.join(self.packages)}"
        )


def _qemu(system: str, machine: str, shift: int) -> tuple[str, ...]:
    options = (
        f"-M {machine} -display none -monitor none -serial none "
        f"-semihosting-config enable=on,target=native -icount shift={shift} -kernel"
    )
    return (f"qemu-system-{system}", *options.split())


def _arm(
    name: str,
    description: str,
    flags: str,
    machine: str,
    script: str = "mps2.ld",
    megahertz: int = 25,
    *,
    figures: tuple[float, float, float | None],
) -> Board:
    """A Cortex-M board; SysTick counts at the clock of the emulated processor, in MHz.

    The figures for estimates are the clock, cycles per instruction and nanojoules per cycle.
    """
    return Board(
        name=name,
        description=description,
        compilers=("arm-none-eabi-gcc",),
        flags=("-mthumb", *flags.split()),
        sources=("cortex_m.c", "memory.c"),
        linker_flags=("-nostdlib", f"-T{script}"),
        packages=("gcc-arm-none-eabi", "qemu-system-arm"),
        emulator=_qemu("arm", machine, _SHIFT),
        # A tick has 1000 / megahertz ns, an instruction 2^shift ns.
        counter=(2**_SHIFT * megahertz, 1000),
        clock=figures[0],
        cycles_per_instruction=figures[1],
        nanojoules_per_cycle=figures[2],
    )


_M4 = "-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16"
_M4_FIGURES = (80.0, 1.3, 0.3)

BOARDS = {
    board.name: board
    for board in (
        _arm(
            "m0plus",
            "Arm Cortex-M0+: no floating point, no DSP instructions",
            "-mcpu=cortex-m0plus",
            "mps2-an385",
            figures=(32.0, 1.5, 0.3),
        ),
        _arm(
            "m4",
            "Arm Cortex-M4F: DSP instructions, float32 unit",
            _M4,
            "mps2-an386",
            figures=_M4_FIGURES,
        ),
        _arm(
            "m4-plain",
            "Arm Cortex-M4F, without the use of DSP instructions",
            f"{_M4} -DLNN_PLAIN_C",
            "mps2-an386",
            figures=_M4_FIGURES,
        ),
        _arm(
            "m7",
            "Arm Cortex-M7: DSP instructions, float32 unit, two instructions a cycle",
            "-mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-sp-d16",
            "mps2-an500",
            figures=(400.0, 0.8, 0.8),
        ),
        _arm(
            "m55",
            "Arm Cortex-M55: DSP and vector instructions, float32 unit",
            "-mcpu=cortex-m55 -mfloat-abi=hard",
            "mps3-an547",
            script="mps3.ld",
            megahertz=32,
            figures=(160.0, 1.1, None),
        ),
        Board(
            name="rv32",
            description="RISC-V RV32IMAC: no floating point, no DSP instructions",
            compilers=("riscv64-unknown-elf-gcc",),
            flags=("-march=rv32imac", "-mabi=ilp32"),
            sources=("riscv.c", "memory.c"),
            linker_flags=("-nostdlib", "-Tvirt.ld"),
            packages=("gcc-riscv64-unknown-elf", "qemu-system-misc"),
            # The register minstret counts instructions at a shift of 0.
            emulator=_qemu("riscv32", "virt -bios none", shift=0),
            clock=160.0,
            cycles_per_instruction=1.3,
            nanojoules_per_cycle=0.5,
        ),
        Board(
            name=HOST,
            description="this machine",
            compilers=("gcc", "cc", "clang"),
            flags=("-fno-pie",),
            sources=("memory.c",),
            linker_flags=("-no-pie",),
            packages=("gcc", "valgrind"),
        ),
    )
}


def get(board: str | Board) -> Board:
    """Return the board with that name, or the board itself.

    Raises:
        ValueError: No board has that name.

    Example:
        >>> get("m4").packages
        ('gcc-arm-none-eabi', 'qemu-system-arm')
    """
    if isinstance(board, Board):
        return board
    if board not in BOARDS:
        raise ValueError(f"Unknown board {board!r}; allowed: {', '.join(sorted(BOARDS))}.")
    return BOARDS[board]
