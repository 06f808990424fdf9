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
    from dataclasses import replace

    from export import VerificationError, to_c, to_tflite
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
            source = to_c(
                model,
                directory / f"{PRESET}-c",
                recipe="int16x8",
                calibration=samples["calibration"],
                evaluation=(inputs, targets),
                steps=VERIFIED_STEPS,
                progress=status.update,
            )
        except VerificationError as failed:
            failed.report.print(console)
            return False
    # One table with the row of the C source.
    in_c = replace(source.results[-1], name=f"{source.results[-1].name}, {source.recipe}")
    replace(report, results=(*report.results, in_c)).print(console)
    console.print(
        f"C source           {directory / f'{PRESET}-c'}", highlight=False, soft_wrap=True
    )
    return True
