"""Files of the state of an adaptive model: versioned, and bound to the model by a digest."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lnn_keras.atomic_folder import whole_file

VERSION = 1


def write_state(path: str | Path, states: Sequence[np.ndarray], digest: str) -> None:
    """Write states to a file (.npz), completely or not at all.

    Args:
        path: The file; one written before is replaced.
        states: The states.
        digest: Digest of the model that they belong to.
    """
    named = {f"state_{i}": value for i, value in enumerate(states)}
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, version=np.array(VERSION), digest=np.array(digest), **named)  # pyright: ignore[reportArgumentType] # stub: allow_pickle


def read_state(path: str | Path, initial: Sequence[np.ndarray], digest: str) -> list[np.ndarray]:
    """Read the states of a model.

    Args:
        path: The file.
        initial: The initial states of the model, for their shapes.
        digest: Digest of the model.

    Raises:
        ValueError: The file is damaged, has another version, or is the state of another model.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        version, found = int(values.pop("version")), str(values.pop("digest"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path} is not the state of an adaptive model, or is damaged.") from error
    if version != VERSION:
        raise ValueError(f"{path} has version {version}; this version reads {VERSION}.")
    if found != digest:
        raise ValueError(
            f"{path} is the state of another model or method: its digest is {found[:12]}, and this "
            f"model's is {digest[:12]}."
        )
    states = [values.get(f"state_{i}") for i in range(len(initial))]
    if any(
        value is None or value.shape != start.shape or value.dtype != start.dtype
        for value, start in zip(states, initial, strict=True)
    ):
        raise ValueError(f"{path} has states of other shapes than the model; it is damaged.")
    return [value for value in states if value is not None]
