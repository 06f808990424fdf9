"""The demo: a bundled model from prediction to a verified file for microcontrollers."""

from pathlib import Path

import numpy as np

from export import VerificationError, to_tflite
from zoo.hub import store

PRESET = "half-cheetah-micro"
STEPS = 500


def run_demo(directory: Path, console) -> bool:
    """Load, predict, export and verify; print a report; return whether all was well.

    Args:
        directory: The export goes to the folder of the preset's name in it.
        console: A `rich.console.Console`.
    """
    with console.status(f"Loading {PRESET}") as status:
        model = store.load(PRESET)
        samples = store.samples(PRESET)
        console.print(f"loaded      {PRESET}, {model.count_params():,} parameters")
        status.update("Predicting a real trace")
        inputs, targets = samples["inputs"], samples["targets"]
        predicted = model.predict(inputs[np.newaxis], verbose=0)[0]
        error = np.mean((predicted - targets) ** 2)
        stay = np.mean((inputs - targets) ** 2)
        console.print(
            f"predicted   {len(inputs)} observations of a real test trace: "
            f"MSE {error:.3f} (repeating the last observation: {stay:.1f})"
        )
        try:
            report = to_tflite(
                model,
                directory / PRESET,
                target="micro",
                recipe="int8",
                calibration=samples["calibration"],
                evaluation=(inputs, targets),
                steps=STEPS,
                progress=status.update,
            )
        except VerificationError as failed:
            report = failed.report
    report.print(console)
    return report.passed
