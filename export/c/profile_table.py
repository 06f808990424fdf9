"""The table of a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.c import boards
from export.terminal_table import print_table

if TYPE_CHECKING:
    from rich.console import Console

    from export.c.profile import Profile


def rows(profile: Profile) -> list[tuple[str, str, str]]:
    """Return the known values of a profile: the quantity, its value, and how it was found."""
    name = profile.model
    steps = f"replay of {profile.steps:,} steps" if profile.steps else ""
    sizes = [
        ("flash", profile.flash_bytes, f"{name}_step linked, less an empty firmware"),
        ("flash, stored integers", profile.raw_flash_bytes, f"the same for {name}_step_raw"),
        ("RAM", profile.ram_bytes, "state, variables and the larger stack"),
        ("  state", profile.state_bytes, f"sizeof({name}_state)"),
        ("  variables", profile.static_bytes, "linked, less an empty firmware"),
        ("  stack, bound", profile.stack_bytes, "compiler's call graph of a step"),
        ("  stack, measured", profile.measured_stack_bytes, steps),
    ]
    found = [(label, f"{value:,} B", how) for label, value, how in sizes if value is not None]
    counts = [
        ("instructions per step", profile.instructions, f"mean, {steps}"),
        ("  largest", profile.most_instructions, steps),
    ]
    found += [(label, f"{value:,.0f}", how) for label, value, how in counts if value is not None]
    if profile.hash_equal is not None:
        equal = "equal" if profile.hash_equal else "DIFFERENT"
        found.append(("states and outputs", equal, f"hash of a {steps}"))
    return found + _estimates(profile)


def _estimates(profile: Profile) -> list[tuple[str, str, str]]:
    board = boards.BOARDS.get(profile.board)
    found = []
    if profile.estimated_microseconds is not None:
        cycles = f" at {board.cycles_per_instruction} cycles per instruction" if board else ""
        how = f"{profile.clock:g} MHz{cycles}"
        found.append(("time per step, estimate", f"{profile.estimated_microseconds:,.4g} µs", how))
    if profile.estimated_microjoules is not None:
        how = f"{board.nanojoules_per_cycle} nJ per cycle, within a factor of 2" if board else ""
        found.append(("energy per step, estimate", f"{profile.estimated_microjoules:,.3g} µJ", how))
    return found


def print_profile(profile: Profile, console: Console) -> None:
    """Print the known values of a profile as a table, and its notes."""
    from rich.table import Table

    board = boards.BOARDS.get(profile.board)
    description = f" ({board.description})" if board else ""
    console.print(
        f"{profile.model} on {profile.board}{description}, -{profile.optimize}",
        style="bold",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("", "value", "from")
    table.columns[1].justify = "right"
    for row in rows(profile):
        table.add_row(*row)
    if table.row_count:
        print_table(console, table)
    for note in profile.notes:
        console.print(note, highlight=False, soft_wrap=True, markup=False)
