"""Start Keras without the notices of its backend."""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType


def load_keras(start: bool = True) -> None:
    """Import Keras and start its backend with stderr closed.

    Args:
        start: Whether to start the backend. JAX must connect to other hosts before it starts.

    TensorFlow writes notices to the file descriptor of stderr that no setting suppresses. Warnings
    that it logs later, about functions that are compiled again, are for those who write models.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _closed_stderr():
        import keras

        if start:
            keras.ops.zeros(())


def quiet_imports(names: Sequence[str] = ("keras",)) -> None:
    """Close stderr while one of these packages is imported, wherever that happens first.

    Downloads import Keras too, through `lnn_keras`, and most commands need none.
    """
    absent = [name for name in names if name not in sys.modules]
    if absent:
        sys.meta_path.insert(0, _QuietFinder(absent))


class _QuietFinder(importlib.abc.MetaPathFinder):
    """Finds packages as Python does, and has them imported with stderr closed."""

    def __init__(self, names: Sequence[str]):
        self._names = list(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The specification of a package with a loader that is quiet; None for all others."""
        if fullname not in self._names:
            return None
        # The other finders find it.
        self._names.remove(fullname)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _closed_stderr():
            self._loader.exec_module(module)


@contextlib.contextmanager
def _closed_stderr() -> Iterator[None]:
    """What C++ code writes to stderr within this block is lost."""
    saved = os.dup(2)
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
