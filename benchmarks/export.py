"""Every cell as a file: its size, memory, drift over 1,000 closed-loop steps and time per step.

python -m benchmarks.export                    trains, exports, and writes docs/exports.md
python -m benchmarks.export --cells LiquidCell GRU   prints the rows of some cells alone

Each cell, with 32 units between a Normalization and a Dense layer, is trained for a few epochs
on the half-cheetah data, calibrated on its training traces and run along a test trace.
"""

import argparse
import tempfile
from pathlib import Path

import keras

import export
from benchmarks.half_cheetah import EPOCHS, LAYERS, UNITS, calibration, trace, trained
from export.targets import BUILT_IN, MICRO, XNNPACK
from export.verification.report import percent

STEPS = 1000
PAGE = Path(__file__).parent.parent / "docs/exports.md"
RUNTIMES = (XNNPACK, BUILT_IN, MICRO)
TARGETS = {
    "float32": "micro",
    "float16": "phone",
    "dynamic": "phone",
    "int8": "micro",
    "int16x8": "micro",
}


class Table:
    """The table of a recipe in Markdown, and why some of its cells are refused."""

    def __init__(self, recipe: str):
        self.recipe, self._lines, self._refusals = recipe, [], []
        headings = ("cell", "parameters", "bytes", "gzipped", "arena", "operations", *RUNTIMES)
        self._add(headings)
        self._add(["---"] * len(headings))

    def measure(self, name: str, model: keras.Model) -> None:
        """Export a model, and add its row."""
        report = self._report(model)
        if isinstance(report, str):
            refused = [self._refused(report)] * len(RUNTIMES)
            self._add([name, f"{model.count_params():,}", "", "", "", "", *refused])
            return
        results = {result.name: result for result in report.results}
        self._add(
            [
                name,
                f"{report.parameters:,}",
                f"{report.bytes:,}",
                f"{report.gzip_bytes:,}",
                "" if report.arena_bytes is None else f"{report.arena_bytes:,}",
                str(sum(report.operations.values())),
                *(self._measured(results.get(runtime)) for runtime in RUNTIMES),
            ]
        )

    def _report(self, model):
        with tempfile.TemporaryDirectory() as parent:
            try:
                return export.to_tflite(
                    model,
                    Path(parent) / "out",
                    target=TARGETS[self.recipe],
                    recipe=self.recipe,
                    calibration=calibration(),
                    evaluation=trace(),
                    steps=STEPS,
                )
            except export.VerificationError as error:
                return error.report
            except ValueError as error:
                return str(error)

    def _measured(self, result):
        if result is None:
            return self._refused(_micro_refusal(self.recipe))
        if result.note:
            return result.note
        over = " **over**" if result.output_error > export.RECIPES[self.recipe].tolerance else ""
        return (
            f"{percent(result.output_error)}{over}, {result.latency_p50:.0f} "
            f"({result.latency_p99:.0f}) µs"
        )

    def _refused(self, why):
        if why not in self._refusals:
            self._refusals.append(why)
        return f"refused: {self._refusals.index(why) + 1}"

    def _add(self, cells):
        self._lines.append(f"| {' | '.join(cells)} |")
        print(self._lines[-1], flush=True)

    def __str__(self):
        refusals = [f"{number}. {why}" for number, why in enumerate(self._refusals, start=1)]
        return "\n".join([*self._lines, "", *refusals]).rstrip()


def _micro_refusal(recipe):
    """Why no file of a recipe is made for TensorFlow Lite Micro, in its own words."""
    try:
        export.to_tflite(keras.Sequential([keras.Input((None, 1))]), "never", recipe=recipe)
    except ValueError as error:
        return str(error)
    raise AssertionError(f"Target 'micro' takes recipe {recipe!r}.")


def main() -> None:
    """Print the tables; write the page if they are of all cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="*", choices=LAYERS, default=list(LAYERS))
    parser.add_argument("--recipes", nargs="*", choices=TARGETS, default=list(TARGETS))
    arguments = parser.parse_args()
    models = {}
    for name in arguments.cells:
        print(f"training {name}", flush=True)
        models[name] = trained(name)
    tables = {}
    for recipe in arguments.recipes:
        print(f"\n## {recipe}\n")
        tables[recipe] = Table(recipe)
        for name, model in models.items():
            tables[recipe].measure(name, model)
    if list(models) == list(LAYERS) and list(tables) == list(TARGETS):
        PAGE.write_text(_page(tables))
        print(f"\nwritten to {PAGE}")


def _page(tables):
    sections = []
    for name, content in tables.items():
        recipe = export.RECIPES[name]
        sections.append(
            f"## {name}, for `{TARGETS[name]}`\n\n{recipe.description.capitalize()}; "
            f"tolerance {percent(recipe.tolerance)}.\n\n{content}\n"
        )
    return f"""\
# Exports, measured

Made by `python -m benchmarks.export` (keras {keras.__version__}, two CPU cores). Each cell has
{UNITS} units between a Normalization and a Dense layer; the model predicts the next of 17
half-cheetah observations after {EPOCHS} epochs of training. The file then runs along a test trace
for {STEPS:,} closed-loop steps, its own state fed back.

A runtime's column gives the RMS difference of its outputs from those of Keras as a share of
their standard deviation, and the median (99th percentile) time of a step on the host, one
thread, through Python: compare the times within the table, and not with a device. The arena is
what TensorFlow Lite Micro uses with 8-byte pointers; a 32-bit device needs about half.
**over**: beyond the tolerance, so that `to_tflite` refuses to write the file.

{chr(10).join(sections)}"""


if __name__ == "__main__":
    main()
