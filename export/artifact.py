"""The result of an export: the bytes of a .tflite file, or the C source of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from export import recipes, targets
from export.c.firmware_build import DESCRIPTION
from export.c.model import CModel, read_c_model
from export.recipes import Recipe
from export.targets import STEP, Target
from export.tflite_file import cost, flatbuffer, interface, reader, verifier
from export.tflite_file.flatbuffer import Signature

Artifact: TypeAlias = bytes | CModel


def read_file(path: str | Path) -> Artifact:
    """Read what an export wrote: a .tflite file, or a folder of C source.

    A .tflite file is verified: offsets, indices, shapes, types and quantization are checked, so
    that a damaged file is an error here and not a crash of a runtime. If the folder has a
    report.json of the same export, its sha256 must be that of the file or of the source.

    Args:
        path: A .tflite file; or a folder that `to_c` wrote, or a file in it.

    Returns:
        The bytes of the file, or the `CModel`.

    Raises:
        ValueError: There is no such file, it cannot be read, it is damaged, or it is not the one
            that the report in its folder describes. The message names the file.

    Example:
        >>> import export
        >>> content = export.read_file("build/device/model.tflite")  # doctest: +SKIP
    """
    folder = c_folder(path)
    if folder is None:
        return reader.read_file(path)
    model = read_c_model(folder)
    reader.require_reported(folder, DESCRIPTION, model.content, str(folder))
    return model


def c_folder(path: str | Path) -> Path | None:
    """Return the folder of C source that a path names or is a file of; None for other paths."""
    path = Path(path)
    if path.is_dir():
        return path if (path / DESCRIPTION).is_file() else None
    if path.suffix == ".tflite" or not path.is_file():
        return None
    # The layouts have their files at most four folders deep.
    return next((p for p in list(path.parents)[:5] if (p / DESCRIPTION).is_file()), None)


def require_readable(artifact: Artifact) -> None:
    """Raise a ValueError if a file is damaged."""
    if not isinstance(artifact, CModel):
        verifier.require_readable(artifact)


def signature_names(artifact: Artifact) -> tuple[str, ...]:
    """Return the names of an artifact's signatures."""
    return (STEP,) if isinstance(artifact, CModel) else flatbuffer.signature_names(artifact)


def step_signature(artifact: Artifact) -> Signature:
    """Return the inputs and outputs of an artifact's step."""
    if isinstance(artifact, CModel):
        return artifact.signature
    return flatbuffer.read_signature(artifact)


def recipe_of(artifact: Artifact) -> Recipe:
    """Return the recipe of an artifact."""
    if isinstance(artifact, CModel):
        return recipes.get(artifact.recipe)
    return interface.recipe_of(artifact)


def target_of(artifact: Artifact) -> Target:
    """Return the target of an artifact."""
    if isinstance(artifact, CModel):
        return targets.get("c")
    return interface.target_of(artifact)


def content_of(artifact: Artifact) -> bytes:
    """Return the bytes of a file, or of all source files."""
    return artifact.content if isinstance(artifact, CModel) else artifact


@dataclass(frozen=True)
class Costs:
    """Size and operations of an artifact; the attributes are those of `Report`."""

    bytes: int
    gzip_bytes: int
    multiply_accumulates: int
    operations: dict[str, int]


def costs_of(artifact: Artifact) -> Costs:
    """Return the size and the operations of an artifact; of C the sizes are those of its text."""
    if isinstance(artifact, CModel):
        content = artifact.content
        return Costs(len(content), cost.gzip_bytes(content), artifact.multiply_accumulates, {})
    return Costs(
        len(artifact),
        cost.gzip_bytes(artifact),
        cost.multiply_accumulates(artifact),
        cost.operations(artifact),
    )
