"""The commands `lnn demo`, `predict` and `evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import InputFile, PresetName, Source, console
from zoo.cli.start import load_keras


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the export.")] = Path("build"),
) -> None:
    """Predict, export and verify a bundled model; needs no network."""
    load_keras()
    from zoo.cli.demo import run_demo

    if not run_demo(out, console()):
        raise typer.Exit(1)


def predict(
    source: Source,
    input: InputFile = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the predictions to this .npz file.")
    ] = None,
) -> None:
    """Run a model on sequences from a file, or on the bundled sample of the preset."""
    import numpy as np

    load_keras()
    from lnn_keras.atomic_folder import require_writable, whole_file
    from zoo.cli import input_files
    from zoo.cli.predictions import predictions_of
    from zoo.hub import store

    if out:
        # NumPy appends the suffix to other names.
        out = out if out.suffix == ".npz" else Path(f"{out}.npz")
        require_writable(out)
    model = store.load(source)
    data = input_files.read(input, source) if input else input_files.sample(source, "inputs")
    predictions = predictions_of(model, data, source, input)
    if out:
        with whole_file(out) as file:
            np.savez_compressed(file, prediction=predictions)
    where = f", written to {out}" if out else ""
    last = np.ravel(predictions[-1])[-predictions.shape[-1] :]
    values = ", ".join(f"{value:.4g}" for value in last)
    console().print(
        f"predictions {predictions.shape}{where}; the last one: {values}", highlight=False
    )


def evaluate(
    name: PresetName,
    split: Annotated[str, typer.Option(help='"train", "validation" or "test".')] = "test",
    tflite: Annotated[Path | None, typer.Option(help="Also evaluate this exported file.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Evaluate this .keras file or folder instead.")
    ] = None,
) -> None:
    """Compute the metrics of a preset on a split of its dataset."""
    from zoo import registry
    from zoo.argument_checks import require_choice
    from zoo.hub import store
    from zoo.readers import files
    from zoo.training.prediction import require_finite_metrics

    preset = registry.get(name)
    if tflite:
        # Whether there is such a file, before the seconds that loading Keras takes.
        files.content(tflite)
    load_keras()
    from zoo.experiments import runs

    loaded = store.load(model or name)
    seed = store.metadata(name)["seed"]
    splits = preset.load_splits(seed)
    inputs, targets = splits[require_choice("split", split, splits)]
    values = runs.evaluate(preset, loaded, inputs, targets)
    require_finite_metrics(values, model or name)
    lines = [
        f"Keras: {split} {metric} {value:.4f} on {len(targets):,} sequences"
        for metric, value in values.items()
    ]
    if tflite:
        from export import read_file

        content = read_file(tflite)
        try:
            measured = runs.evaluate_export(preset, content, loaded, inputs, targets)
        except RuntimeError as error:
            # A runtime that dies or hangs on the file.
            raise ValueError(f"{tflite}: {error}") from error
        for runtime, metrics in measured.items():
            require_finite_metrics(metrics, f"{tflite} in {runtime}")
        lines += [
            f"{runtime}: {split} {metric} {value:.4f}{_relative(value, values[metric])}"
            for runtime, metrics in measured.items()
            for metric, value in metrics.items()
        ]
    console().print("\n".join(lines), highlight=False)


def _relative(value: float, reference: float) -> str:
    """The relative difference in percent; empty if the reference is 0."""
    return f" ({value / reference - 1:+.2%})" if reference else ""
