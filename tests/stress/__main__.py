"""Run all kinds of stress and write docs/reliability.md.

Each kind that runs in full writes its row of the page.

    python -m tests.stress                           every kind
    python -m tests.stress "preset mutations"        one kind
    python -m tests.stress --fraction 0.01           a hundredth of the trials
"""

import argparse
import time
from pathlib import Path

from benchmarks.markdown import render_page, table_header, table_row
from tests.stress.kinds import Kind, Result, all_kinds

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
TITLES = table_header("kind", "tried", "failed", "seconds", "right")
PAGE_TEMPLATE = """
# Reliability

`python -m tests.stress` tries hostile inputs, kills and crowds with fixed seeds, and writes this
page. A trial fails if it does not behave as the last column says. The fast tests run a part of each
kind.

{table}
"""


def main() -> None:
    """Run the kinds that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.stress",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = {kind.name: kind for kind in all_kinds()}
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(kinds))
    parser.add_argument("--fraction", type=float, default=1.0, help="part of the trials to run")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    unknown = [name for name in arguments.kinds if name not in kinds]
    if unknown:
        parser.error(f"unknown kind {unknown[0]!r}; known are: {', '.join(kinds)}")
    chosen = [kinds[name] for name in arguments.kinds] or list(kinds.values())
    rows = {}
    for kind in chosen:
        rows[kind.name] = _run(kind, arguments.fraction, arguments.seed)
        if arguments.fraction == 1:
            write_page({**recorded_rows(), kind.name: rows[kind.name]})
    print("\n".join([*TITLES, *rows.values()]))


def recorded_rows() -> dict[str, str]:
    """The rows of the page by kind."""
    lines = PAGE.read_text("utf-8").splitlines() if PAGE.exists() else []
    rows = [line for line in lines if line.startswith("| ") and line not in TITLES]
    return {row.split(" | ")[0].removeprefix("| "): row for row in rows}


def write_page(rows: dict[str, str]) -> None:
    """Write the page with the rows of kinds that still exist, in their order."""
    names = [kind.name for kind in all_kinds()]
    table = "\n".join([*TITLES, *(rows[name] for name in names if name in rows)])
    PAGE.write_text(render_page(PAGE_TEMPLATE, table=table), "utf-8")


def _run(kind: Kind, fraction: float, seed: int) -> str:
    start = time.perf_counter()
    result: Result = kind.run(max(1, round(kind.count * fraction)), seed)
    seconds = f"{time.perf_counter() - start:.0f}"
    for failure in result.failures[:20]:
        print(f"{kind.name}: {failure}", flush=True)
    return table_row(
        kind.name, f"{result.tried:,}", f"{len(result.failures):,}", seconds, kind.right
    )


if __name__ == "__main__":
    main()
