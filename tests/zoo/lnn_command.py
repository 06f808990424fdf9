"""The command `lnn` with a small preset, for a process of its own."""

import sys
from dataclasses import replace

import sweep_worker

from zoo import registry
from zoo.cli.main import main


def run(*arguments: str) -> None:
    """Run `lnn` with arguments; the presets "small" and "other" have little data."""
    for name in ("small", "other"):
        registry.PRESETS[name] = replace(sweep_worker.preset(), name=name)
    sys.argv = ["lnn", *arguments]
    try:
        main()
    except SystemExit as exit:
        print(f"status {exit.code}", flush=True)
