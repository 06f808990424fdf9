"""Counts words that mark wordy prose, per 1,000 lines of Python and Markdown.

    python tests/words.py              counts over the whole tree; exits with 1 above a limit
    python tests/words.py FILE ...     also lists the lines

The limits are the rates of the model codebases that CONTRIBUTING.md names.
"""

import re
import sys
from pathlib import Path

LIMITS = {"alone": 0.06, "beside": 0.0, "what": 1.2}  # per 1,000 lines


def tree() -> list[Path]:
    """All Python and Markdown files that are not in a hidden or build folder."""
    root = Path(__file__).parent.parent
    paths = [path for pattern in ("*.py", "*.md") for path in root.rglob(pattern)]
    skipped = ("build", "dist", "runs")
    return sorted(
        path
        for path in paths
        if path != Path(__file__)
        and not any(p.startswith(".") or p in skipped for p in path.relative_to(root).parts)
    )


def main(arguments: list[str]) -> int:
    """Print the rates; return 1 if one is above its limit."""
    lines = [
        (path, number, line)
        for path in (arguments or tree())
        for number, line in enumerate(Path(path).read_text("utf-8").splitlines(), 1)
    ]
    failed = False
    for word, limit in LIMITS.items():
        pattern = re.compile(rf"\b{word}\b", re.IGNORECASE)
        found = [entry for entry in lines if pattern.search(entry[2])]
        rate = 1000 * len(found) / max(1, len(lines))
        failed |= rate > limit
        print(f"{word}: {len(found)} lines, {rate:.2f} per 1,000 (limit {limit})")
        if arguments:
            for path, number, line in found:
                print(f"  {path}:{number}: {line.strip()}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
