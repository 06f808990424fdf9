"""The host's C compiler: builds a model's C source as a library of this process."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-fPIC", "-shared")
_COMPILERS = ("cc", "gcc", "clang")


def compiler() -> str | None:
    """Return the host's C compiler: $CC, cc, gcc or clang; None if there is none."""
    chosen = os.environ.get("CC")
    names = [chosen] if chosen else _COMPILERS
    return next((path for name in names if (path := shutil.which(name))), None)


def build_library(
    files: Mapping[str, str], flags: Sequence[str] = FLAGS, cc: str | None = None
) -> ctypes.CDLL:
    """Compile C files and load them as a library.

    Args:
        files: Texts by file name.
        flags: Options of the compiler.
        cc: The compiler; by default `compiler()`.

    Raises:
        RuntimeError: The compiler is missing, or rejects a file.
    """
    chosen = cc or compiler()
    if chosen is None:
        raise RuntimeError(
            "No C compiler was found: install gcc or clang (on Debian: apt install gcc), or name "
            "one in the environment variable CC."
        )
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        library = Path(folder) / "model.so"
        sources = [name for name in files if name.endswith(".c")]
        command = [chosen, *flags, *sources, "-o", str(library)]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"The C compiler rejects the source: {result.stderr.strip()}")
        # The loaded library stays in memory after its file is gone.
        return ctypes.CDLL(str(library))
