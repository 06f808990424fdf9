"""Optional dependencies: a missing one is an error that names the extra to install."""

import contextlib
from collections.abc import Iterator


class MissingExtraError(ImportError):
    """A package of an optional extra is not installed."""


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Import packages of an extra inside this block.

    Example:
        >>> with extra("zoo"):
        ...     import requests

    Raises:
        MissingExtraError: A package is not installed. The message says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The package {error.name!r} is not installed. "
            f"Install the extra: pip install 'lnn-keras[{name}]'."
        ) from error
