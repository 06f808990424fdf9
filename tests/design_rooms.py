"""The list of modules in docs/design.md, made from their docstrings.

python tests/design_rooms.py       writes the list into the page
"""

import ast
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/design.md"
PACKAGES = ("lnn_keras", "export", "zoo")
WIDTH, COLUMN = 100, 30
MARKERS = ("<!-- rooms -->", "<!-- end of rooms -->")


def summary(path: Path) -> str:
    """The first sentence of a module's docstring, as one line."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").rstrip(".")


def entry(indent: int, name: str, text: str) -> list[str]:
    """A name and its summary, wrapped beneath itself."""
    head = " " * indent + name
    column = max(COLUMN, len(head) + 2)
    lines = textwrap.wrap(text, WIDTH - column, break_on_hyphens=False)
    return [(" " * column if index else head.ljust(column)) + x for index, x in enumerate(lines)]


def modules(folder: Path, indent: int) -> list[str]:
    """The entries of a folder's modules."""
    paths = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    return [line for path in paths for line in entry(indent, path.name, summary(path))]


def rooms() -> str:
    """The list of all packages."""
    lines = []
    for package in PACKAGES:
        lines += [f"    {package}/", *modules(ROOT / package, 6)]
        for init in sorted((ROOT / package).glob("*/__init__.py")):
            lines += entry(6, f"{init.parent.name}/", summary(init))
            lines += modules(init.parent, 8)
    return "\n".join(lines)


def page_with_rooms() -> str:
    """The text of the page with the present list."""
    start, end = MARKERS
    content = f"{start}\n\n{rooms()}\n\n{end}"
    return re.sub(f"{start}.*{end}", lambda _: content, PAGE.read_text("utf-8"), flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(page_with_rooms(), "utf-8")
    print(f"written to {PAGE}")
