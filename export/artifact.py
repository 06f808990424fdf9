"""The result of an export: the bytes of a .tflite file, or the C source of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from export import recipes, targets
from export.c.model import CModel
from export.recipes import Recipe
from export.targets import STEP, Target
from export.tflite_file import cost, flatbuffer, interface, verifier
from export.tflite_file.flatbuffer import Signature

Artifact: TypeAlias = bytes | CModel


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
