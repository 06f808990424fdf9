"""The command line, called within the process of the tests."""

import contextlib
import io
import os
import subprocess
import sys

import pytest

from zoo.cli import main


def lnn(*arguments, cwd=None, **environment):
    """Run the command in this process, which has loaded TensorFlow already."""
    out, err = io.StringIO(), io.StringIO()
    arguments = ["lnn", *map(str, arguments)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        for name, value in {"COLUMNS": "100", **environment}.items():
            patch.setenv(name, value)
        patch.chdir(cwd or os.curdir)
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as stopped,
        ):
            main.main()
    return subprocess.CompletedProcess(
        arguments, stopped.value.code or 0, out.getvalue(), err.getvalue()
    )
