"""C folders for tests: a small model written by hand, and changed copies of it."""

import shutil
import sys
from pathlib import Path

import pytest

from export.c import boards

FOLDER = Path(__file__).parent / "c_folder"
needs_host = pytest.mark.skipif(
    boards.get("host").compiler is None or sys.platform != "linux", reason="no gcc on Linux"
)


def require_tools(board):
    if missing := boards.get(board).missing():
        pytest.skip(missing)


def edited(tmp_path, *edits):
    """A copy of the folder in which pieces of text are replaced: (file, old, new)."""
    folder = tmp_path / "edited"
    if not folder.exists():
        shutil.copytree(FOLDER, folder)
    for name, old, new in edits:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    return folder


def loop(tmp_path, count, longer=None, steps=1000):
    """A folder whose step is a loop of 2 `count` instructions; that of step 7 can be longer."""
    chosen = "some" if longer is None else f"step == 7 ? {longer} : some"
    return edited(
        tmp_path,
        ("replay.h", "REPLAY_STEPS = 1000", f"REPLAY_STEPS = {steps}"),
        (
            "replay.c",
            "void replay_run(int step) {\n  int16_t out[2];\n  step_of(step, out);\n}",
            # A variable, because some constants take two instructions.
            f"void known_loop(int count);\nstatic volatile int some = {count};\n"
            f"void replay_run(int step) {{ (void)step; known_loop({chosen}); }}",
        ),
    )
