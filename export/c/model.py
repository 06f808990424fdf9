"""CModel: the C source of a model, with the names and formats of its inputs and outputs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.c.arithmetic.expressions import Program
from export.c.firmware_build import DESCRIPTION
from export.tflite_file.flatbuffer import Signature, Tensor

FORMAT = 1


class FolderError(ValueError):
    """A folder holds no C source of an export, or a damaged one; the message names the file."""


@dataclass(frozen=True)
class CModel:
    """The C source of one step of a model.

    Attributes:
        prefix: Begins the names of its functions and files.
        recipe: Name of its recipe.
        files: Texts of its source files, by file name.
        signature: Its inputs and outputs; states and next states follow the others.
        multiply_accumulates: Multiply-accumulates of the products of a step.
        names: By name of an input, an output or a state, its name in C.
        targets: Names of the inputs that the function NAME_adapt takes, to learn from.
        program: The same step as a program that NumPy runs; None if read from a folder.
        learning: The program of NAME_adapt; None if it is read from a folder or learns nothing.
    """

    prefix: str
    recipe: str
    files: Mapping[str, str]
    signature: Signature
    multiply_accumulates: int
    names: Mapping[str, str]
    targets: tuple[str, ...] = ()
    program: Program | None = None
    learning: Program | None = None

    @property
    def content(self) -> bytes:
        """The source files, one after the other, in the order of their names."""
        return "\n".join(self.files[name] for name in sorted(self.files)).encode()

    def description(self, sources: str = ".", replay: str = ".") -> str:
        """Return the text of model.json, which `read_c_model` reads.

        Args:
            sources: Folder of the source files, relative to that of model.json.
            replay: Folder of replay.c and replay.h.
        """

        def described(tensors):
            return [
                {
                    "name": tensor.name,
                    "shape": list(tensor.shape),
                    "dtype": tensor.dtype,
                    "fraction": _fraction(tensor),
                }
                for tensor in tensors
            ]

        content = {
            "format": FORMAT,
            "prefix": self.prefix,
            "recipe": self.recipe,
            "sources": sources,
            "replay": replay,
            "files": sorted(self.files),
            "multiply_accumulates": self.multiply_accumulates,
            "names": dict(self.names),
            "targets": list(self.targets),
            "inputs": described(self.signature.inputs),
            "outputs": described(self.signature.outputs),
        }
        return json.dumps(content, indent=2) + "\n"


def _fraction(tensor: Tensor) -> int:
    return round(-math.log2(tensor.scale)) if tensor.scale else 0


def read_c_model(folder: str | Path) -> CModel:
    """Read the C source of a model from the folder of an export.

    Args:
        folder: The folder; it has a file model.json.

    Raises:
        FolderError: A file is missing or damaged.
    """
    path = Path(folder) / DESCRIPTION
    try:
        described: Any = json.loads(path.read_text("utf-8"))
        if described["format"] != FORMAT:
            raise FolderError(
                f"{path} has the format {described['format']!r}; this version reads {FORMAT}. "
                "Export the model again."
            )
        names = [str(name) for name in described["files"]]
        sources = Path(described["sources"])
        if any(Path(name).name != name for name in names) or not is_inside(sources):
            raise FolderError(f"{path} names a file outside its folder. Export the model again.")
        return CModel(
            prefix=str(described["prefix"]),
            recipe=str(described["recipe"]),
            files={n: (Path(folder) / sources / n).read_text("utf-8") for n in names},
            signature=Signature(_tensors(described["inputs"]), _tensors(described["outputs"])),
            multiply_accumulates=int(described["multiply_accumulates"]),
            names={str(name): str(in_c) for name, in_c in described["names"].items()},
            targets=tuple(str(name) for name in described["targets"]),
        )
    except FileNotFoundError as error:
        missing = error.filename or path
        raise FolderError(
            f"{missing} is missing: {folder} is not the folder of an export to C."
        ) from None
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        if isinstance(error, FolderError):
            raise
        raise FolderError(
            f"{path} is damaged ({type(error).__name__}: {error}). Export the model again."
        ) from error


def is_inside(path: Path) -> bool:
    """Whether a relative path stays within its folder."""
    return not path.is_absolute() and ".." not in path.parts


def _tensors(described: list[dict[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=str(entry["name"]),
            position=position,
            shape=tuple(int(size) for size in entry["shape"]),
            dtype=str(entry["dtype"]),
            scale=2.0 ** -int(entry["fraction"]) if entry["dtype"] == "int16" else 0.0,
            zero_point=0,
            shape_signature=tuple(int(size) for size in entry["shape"]),
        )
        for position, entry in enumerate(described)
    )
