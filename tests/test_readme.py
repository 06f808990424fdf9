"""README's blocks, executed as printed, each in a namespace of its own."""

import re
import shlex
from pathlib import Path

import keras
import pytest

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
# The two commands that install the package are stages of .ci/run.
INSTALLS = re.findall(r"^    (python -m venv .* && .*)$", README, re.M)


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def test_the_two_commands_come_first():
    """They install the extras that exist, then run the demo and the tests."""
    assert [command.split(" && ")[-1] for command in INSTALLS] == [
        ".venv/bin/lnn demo",
        ".venv/bin/pytest",
    ]
    assert README.index(INSTALLS[1]) < README.index("## ")


def test_every_block_is_executed():
    """Each block is Python or shell, and so is executed by one of the tests below."""
    fenced = re.findall(r"^```(\w*)\n", README, re.M)[::2]
    assert set(fenced) == {"python", "sh"}


PYTHON = [
    pytest.param(block, id=f"python-{number}", marks=[pytest.mark.slow] * ("fit(" in block))
    for number, block in enumerate(blocks("python"))
]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="README exports")
@pytest.mark.parametrize("block", PYTHON)
def test_python(block, tmp_path, monkeypatch):
    """An example runs from a clean namespace; those that train run with `-m slow`."""
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="README exports")
def test_cheap_shell_commands(tmp_path, monkeypatch, capsys):
    """Commands that need only the files that ship with the package."""
    run_commands(["presets", "info", "predict", "explain"], tmp_path, monkeypatch)
    assert "half-cheetah-micro" in capsys.readouterr().out


@pytest.mark.slow
def test_all_shell_commands(tmp_path, monkeypatch, capsys, real_data):
    """All of them in their order, since later ones read files that earlier ones write."""
    assert "verification passed" in run_commands(None, tmp_path, monkeypatch, capsys)


def run_commands(names, folder, monkeypatch, capsys=None) -> str:
    """Run README's `lnn` commands of these names, or all of them; return their output."""
    from zoo.cli.main import main

    monkeypatch.chdir(folder)
    ran = 0
    for line in "".join(blocks("sh")).splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "lnn"
        if names is None or arguments[0] in names:
            monkeypatch.setattr("sys.argv", [program, *arguments])
            with pytest.raises(SystemExit) as stopped:
                main()
            assert not stopped.value.code, line
            ran += 1
    assert ran >= len(names or [])
    return capsys.readouterr().out if capsys else ""
