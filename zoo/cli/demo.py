"""The command `lnn demo`: predict with a bundled model, export it for microcontrollers, verify."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from zoo.cli.options import console
from zoo.cli.start import load_keras

if TYPE_CHECKING:
    from rich.console import Console

PRESET = "half-cheetah-micro"
VERIFIED_STEPS = 500


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the export.")] = Path("build"),
) -> None:
    """Predict, export and verify a bundled model; needs no network."""
    load_keras()
    if not run_demo(out, console()):
        raise typer.Exit(1)


def run_demo(directory: Path, console: "Console") -> bool:
    """Load, predict, export and verify a model, and print the report.

    Args:
        directory: The export is written to a subfolder with the name of the preset.
        console: The console to print on.

    Returns:
        Whether the verification passed.
    """
    from export import VerificationError, to_tflite
    from zoo.hub import store
    from zoo.training.prediction import predict

    with console.status(f"Loading {PRESET}") as status:
        model = store.load(PRESET)
        samples = store.samples(PRESET)
        console.print(f"loaded      {PRESET}, {model.count_params():,} parameters")
        status.update("Predicting a real trace")
        inputs, targets = samples["inputs"], samples["targets"]
        predicted = predict(model, inputs[np.newaxis])[0]
        error = np.mean((predicted - targets) ** 2)
        persistence = np.mean((inputs - targets) ** 2)
        console.print(
            f"predicted   {len(inputs)} observations of a real test trace: "
            f"MSE {error:.3f} (repeating the last observation: {persistence:.1f})"
        )
        try:
            report = to_tflite(
                model,
                directory / PRESET,
                target="micro",
                recipe="int8",
                calibration=samples["calibration"],
                evaluation=(inputs, targets),
                steps=VERIFIED_STEPS,
                progress=status.update,
            )
        except VerificationError as failed:
            report = failed.report
    report.print(console)
    return report.passed
