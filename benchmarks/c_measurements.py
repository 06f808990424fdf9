"""Exports of a model to C and their profiles on emulated boards, for the benchmark of C source."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras

import export
from export.c.model import CModel, read_c_model
from export.c.profile import Profile, profile
from export.c_pipeline import to_c
from export.verification.report import Report, RuntimeResult

STEPS = 1000
# Models above the tolerance of their recipe are measured too; the page marks them.
_ANY_ERROR = 0.999


class Measured(NamedTuple):
    """An export, and its profiles by board."""

    report: Report
    profiles: dict[str, Profile]
    source: CModel

    @property
    def result(self) -> RuntimeResult:
        """The result of the compiled source."""
        return self.report.results[1]

    @property
    def error(self) -> float:
        """The error of the outputs, over their standard deviation."""
        return float("nan") if self.result.output_error is None else self.result.output_error


def measured(
    model: keras.Model,
    recipe: str,
    boards: Sequence[str] = ("m4",),
    *,
    steps: int = STEPS,
    **options: Any,
) -> Measured:
    """Export a model to C and profile it on boards.

    Args:
        model: The model.
        recipe: The recipe.
        boards: Names of the boards.
        steps: Number of closed-loop steps.
        **options: Other arguments of `to_c`.

    Raises:
        ValueError: The export refuses the model.
        RuntimeError: A board has no replay, or its hash differs from the export's.
    """
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "c"
        report = to_c(
            model,
            folder,
            recipe=recipe,
            steps=steps,
            tolerance=_ANY_ERROR,
            metric_tolerance=_ANY_ERROR,
            **options,
        )
        profiles = {board: _profile(folder, board) for board in boards}
        return Measured(report, profiles, read_c_model(folder))


def _profile(folder: Path, board: str) -> Profile:
    found = profile(folder, board)
    if not found.hash_equal or found.instructions is None:
        reason = "the hash differs" if found.hash_equal is False else " ".join(found.notes)
        raise RuntimeError(f"Board {board!r} does not give the numbers of this page: {reason}")
    return found


def tried(measure: Callable[[], Measured]) -> Measured | str:
    """The result, or the reason why the export refuses a model, in one line."""
    try:
        return measure()
    except (ValueError, export.VerificationError) as error:
        return " ".join(str(error).split())
