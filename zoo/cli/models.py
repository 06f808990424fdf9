"""The commands `lnn demo`, `predict` and `evaluate`."""

from pathlib import Path
from typing import Annotated, Any

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
    from export import as_sequences, to_step
    from lnn_keras.atomic_folder import require_writable, whole_file
    from zoo.cli import input_files
    from zoo.hub import store

    if out:
        # NumPy appends the suffix to other names.
        out = out if out.suffix == ".npz" else Path(f"{out}.npz")
        require_writable(out)
    model = store.load(source)
    data = input_files.read(input, source) if input else store.samples(source)["inputs"]
    step = to_step(model)
    sequences = as_sequences(step, data, str(input or "the bundled sample"))
    ordered = [sequences[name] for name in step.inputs]
    predictions: Any = model.predict(ordered if len(ordered) > 1 else ordered[0], verbose=0)  # pyright: ignore[reportArgumentType] # stub: verbose is a str
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
    from zoo.cli.input_files import content as read_content
    from zoo.hub import store

    preset = registry.get(name)
    load_keras()
    from zoo.experiments import runs

    loaded = store.load(model or name)
    seed = store.metadata(name)["seed"]
    splits = preset.load_splits(seed)
    inputs, targets = splits[require_choice("split", split, splits)]
    values = runs.evaluate(preset, loaded, inputs, targets)
    lines = [
        f"Keras: {split} {metric} {value:.4f} on {len(targets):,} sequences"
        for metric, value in values.items()
    ]
    if tflite:
        measured = runs.evaluate_export(preset, read_content(tflite), loaded, inputs, targets)
        lines += [
            f"{runtime}: {split} {metric} {value:.4f}{_relative(value, values[metric])}"
            for runtime, metrics in measured.items()
            for metric, value in metrics.items()
        ]
    console().print("\n".join(lines), highlight=False)


def _relative(value: float, reference: float) -> str:
    """The relative difference in percent; empty if the reference is 0."""
    return f" ({value / reference - 1:+.2%})" if reference else ""
