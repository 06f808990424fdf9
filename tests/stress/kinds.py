"""The kinds of stress that `python -m tests.stress` runs: each module names its own in `KINDS`."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field

from tests import stress


@dataclass
class Result:
    """How many trials ran, and a line for each one that failed."""

    tried: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, failure: str | None) -> None:
        """Count a trial; `failure` says in a line why it failed, or is None."""
        self.tried += 1
        if failure:
            self.failures.append(failure)


@dataclass(frozen=True)
class Kind:
    """A kind of stress.

    Attributes:
        name: The row of docs/reliability.md.
        count: Number of trials of the full run.
        run: Function (count, seed) -> result.
        right: The behaviour that counts as right, for the page.
    """

    name: str
    count: int
    run: Callable[[int, int], Result]
    right: str


def all_kinds() -> list[Kind]:
    """The kinds of all modules of this package, in the order of the modules' names."""
    names = sorted(module.name for module in pkgutil.iter_modules(stress.__path__))
    modules = [
        importlib.import_module(f"tests.stress.{name}") for name in names if name != "__main__"
    ]
    return [kind for module in modules for kind in getattr(module, "KINDS", ())]
