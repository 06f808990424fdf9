"""The Python blocks of docs/, executed page by page, and the options of its shell commands."""

import importlib
import re
import shlex
import types
from pathlib import Path

import keras
import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text("utf-8") for path in DOCS.rglob("*.md")}
BLOCKS = {
    name: re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S) for name, text in PAGES.items()
}
COMMANDS = [
    pytest.param(line.strip(), id=f"{name}: {line.strip()}")
    for name, text in PAGES.items()
    for line in re.findall(r"^    (lnn [a-z].*)$", text, re.M)
    if not line.endswith("\\")
]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="some pages export")
@pytest.mark.parametrize("page", [name for name, found in BLOCKS.items() if found])
def test_blocks_of_a_page_run_in_their_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    for block in BLOCKS[page]:
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("line", COMMANDS)
def test_options_of_commands_exist(line):
    """Each command and each of its options is one that `lnn` knows."""
    import typer.main

    from zoo.cli.app import app

    command = typer.main.get_command(app)
    words = shlex.split(line, comments=True)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert not getattr(command, "commands", {}), line
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


MODULES = [
    *("lnn_keras", "lnn_keras.adapt", "lnn_keras.inspect", "lnn_keras.plot", "lnn_keras.wirings"),
    *("lnn_keras.solvers", "lnn_keras.initializers", "export", "export.compress", "zoo"),
]


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_is_in_the_reference(module):
    """Each name of `__all__` that is no module is on a page of docs/api."""
    pages = "".join(text for name, text in PAGES.items() if name.startswith("api/"))
    listed = set(re.findall(r"^::: (\S+)$", pages, re.M))
    found = importlib.import_module(module)
    missing = [
        name
        for name in found.__all__
        if not name.startswith("__")
        and not isinstance(getattr(found, name), types.ModuleType)
        and f"{module}.{name}" not in listed
        and f"`{module}.{name}`" not in pages
    ]
    assert not missing
