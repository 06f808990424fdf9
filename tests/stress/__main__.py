"""Run all kinds of stress and write docs/reliability.md.

python -m tests.stress                           every kind, and the page
python -m tests.stress "preset mutations"        one kind, and its row
python -m tests.stress --fraction 0.01           a hundredth of the trials, without the page
"""

import argparse
import time
from pathlib import Path

from benchmarks.markdown import render_page, table_header, table_row
from tests.stress.kinds import Kind, Result, all_kinds

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
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
    rows = [_run(kind, arguments.fraction, arguments.seed) for kind in chosen]
    table = "\n".join([*table_header("kind", "tried", "failed", "seconds", "right"), *rows])
    if not arguments.kinds and arguments.fraction == 1:
        PAGE.write_text(render_page(PAGE_TEMPLATE, table=table))
    print(table)


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
