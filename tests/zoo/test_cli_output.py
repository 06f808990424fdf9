"""The output of the command line: narrow terminals, pipes, notices of backends, raw errors."""

import errno
import io
import os
import subprocess
import sys

import pytest
from command_line import lnn
from rich.console import Console

import zoo
from zoo.cli import options
from zoo.cli.card_text import print_card

NAME = "half-cheetah-micro"
CARD = """# Model

| model | each seed |
| --- | --- |
| `liquid` | **1.997**, 2.023, 1.986, 1.983 |
| a \\| b | |

```
| no table |
```
"""


@pytest.fixture
def terminal(monkeypatch):
    """Function that makes `lnn` print as on a terminal of some width."""

    def narrow(width):
        made = lambda: Console(width=width, force_terminal=True, color_system=None)  # noqa: E731
        monkeypatch.setattr(options, "console", made)

    return narrow


@pytest.mark.parametrize("width", [None, 35, 50, 80])
def test_tables_of_presets_and_predictions_keep_names_and_numbers(width, terminal):
    if width:
        terminal(width)
    output = lnn("presets", COLUMNS="50").stdout
    assert "…" not in output
    for name in zoo.PRESETS:
        recorded = zoo.metadata(name)
        assert name in output and f"{recorded['parameters']:,}" in output
        for recipe, file in recorded["exports"].items():
            assert f"{recipe} {file['bytes']:,}" in output
    table = output.split("half-cheetah: ")[0]
    if width:
        assert max(map(len, table.splitlines()[1:])) <= width


def test_cards_in_a_narrow_terminal():
    def printed(width, is_terminal=True):
        file = io.StringIO()
        console = Console(
            file=file, width=width, force_terminal=is_terminal, color_system=None, highlight=False
        )
        print_card(console, CARD)
        return file.getvalue()

    assert printed(20, is_terminal=False) == CARD
    rule = "─" * len("liquid  1.997, 2.023, 1.986, 1.983")
    rows = ["model   each seed", rule, "liquid  1.997, 2.023, 1.986, 1.983", "a | b"]
    assert "\n".join(rows) in printed(80)
    narrow = printed(20)
    assert "liquid\n  each seed  1.997, 2.023, 1.986, 1.983\na | b\n" in narrow
    assert "| no table |" in narrow


def test_a_card_in_a_pipe_is_its_markdown():
    assert lnn("info", NAME, COLUMNS="20").stdout == zoo.card(NAME).rstrip("\n") + "\n"


def test_imports_of_backends_are_quiet(tmp_path):
    """Whoever imports the package first, what it writes to stderr is lost, but no error is."""
    (tmp_path / "noisy.py").write_text("import os; os.write(2, b'notice\\n'); import inner\n")
    (tmp_path / "inner.py").write_text("import os; os.write(2, b'more\\n')\n")
    (tmp_path / "broken.py").write_text("raise ImportError('no such wheel')\n")
    program = """
import os, sys
from zoo.cli.start import quiet_imports
quiet_imports(["noisy", "broken"])
import noisy
print(noisy.__spec__.name)
os.write(2, b"mine\\n")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)])}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("noisy\n", "mine\n")
    command[-1] = program.replace("import noisy", "import broken")
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.stderr.splitlines()[-1] == "ImportError: no such wheel"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left"), "The operating system reports: No space left."),
        (PermissionError(errno.EACCES, "Permission denied", "x.csv"), "x.csv: Permission denied."),
        (OSError("Cannot write x."), "Cannot write x."),
    ],
)
def test_errors_of_the_system_have_no_number(error, line, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr("zoo.cli.app.app", fail)
    result = lnn("presets")
    assert (result.returncode, result.stderr) == (2, f"lnn: {line}\n")


def test_keras_files_name_what_they_lack(tmp_path):
    (tmp_path / "own.keras").write_bytes(b"PK")
    for command, message in (("info", "no card"), ("evaluate", "lnn evaluate PRESET --model")):
        result = lnn(command, "own.keras", cwd=tmp_path)
        assert result.returncode == 2 and message in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_loaded_package_needs_no_finder():
    before = list(sys.meta_path)
    lnn("--version")
    assert sys.meta_path == before
