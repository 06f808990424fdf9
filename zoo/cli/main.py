"""The command line `lnn`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli import data, train

# TensorFlow's start-up notices are not part of any answer.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

app = typer.Typer(
    help="Liquid neural networks: pretrained models, training, and export to devices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.command()(train.train)
app.command()(train.sweep)


@app.callback()
def _start() -> None:
    """Load TensorFlow, whose first notices no setting stops, with stderr closed to it."""
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import keras

        keras.ops.zeros(())
    finally:
        os.dup2(saved, 2)
        os.close(saved)


Source = Annotated[
    str, typer.Argument(help="Name of a preset, its folder or address, or a .keras file.")
]
PresetName = Annotated[str, typer.Argument(help="Name of a preset, see `lnn presets`.")]
InputFile = Annotated[
    Path | None, typer.Option("--input", help="An .npz, .npy or .csv file of inputs.")
]
Steps = Annotated[int, typer.Option(help="Most closed-loop steps to verify.")]


@app.command()
def presets() -> None:
    """List the pretrained models."""
    from zoo.cli.preset_table import table
    from zoo.registry import PRESETS

    console = _console()
    console.print(table())
    for preset in PRESETS.values():
        console.print(f"{preset.name}: {preset.task}", highlight=False)


@app.command()
def info(name: PresetName) -> None:
    """Show the card of a preset."""
    from rich.markdown import Markdown

    from zoo.hub import store

    _console().print(Markdown(store.card(name)))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to export to.")] = Path("build"),
) -> None:
    """Predict, export and verify a bundled model; needs no network."""
    from zoo.cli.demo import run_demo

    if not run_demo(out, _console()):
        raise typer.Exit(1)


@app.command()
def release(
    name: PresetName,
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder to write; the bundled one.")] = None,
) -> None:
    """Make a preset's folder, with its card, from saved runs and what it records already."""
    from zoo import registry
    from zoo.hub.release import release as make_release

    folder, digest = make_release(registry.get(name), runs, out)
    _console().print(f"{folder}\nweights sha256 {digest}", highlight=False, soft_wrap=True)


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="Folder to write, for a static web server.")],
    only: Annotated[list[str] | None, typer.Option(help="Publish this preset alone.")] = None,
) -> None:
    """Write all presets and their exports as LNN_ZOO_URL expects them."""
    from zoo.hub.publish import publish as write

    console = _console()
    with console.status("Publishing") as status:
        written = write(folder, tuple(only or ()), status.update)
    console.print(f"{written}: serve it, and set LNN_ZOO_URL to its address", soft_wrap=True)


@app.command()
def evaluate(
    name: PresetName,
    split: Annotated[str, typer.Option(help='"train", "validation" or "test".')] = "test",
    tflite: Annotated[
        Path | None, typer.Option(help="Evaluate this exported file instead.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Evaluate this .keras file or folder.")] = None,
) -> None:
    """Compute a preset's metric on a split of its real data."""
    from lnn_keras.argument_checks import require_choice
    from zoo import registry
    from zoo.cli.input_files import content as read_content
    from zoo.experiments import runs
    from zoo.hub import store

    preset = registry.get(name)
    loaded = store.load(model or name)
    seed = store.metadata(name)["seed"]
    inputs, targets = (splits := preset.load_splits(seed))[require_choice("split", split, splits)]
    values = runs.evaluate(preset, loaded, inputs, targets)
    lines = [
        f"Keras: {split} {metric} {value:.4f} on {len(targets):,} sequences"
        for metric, value in values.items()
    ]
    if tflite:
        measured = runs.evaluate_file(preset, read_content(tflite), loaded, inputs, targets)
        lines += [
            f"{runtime}: {split} {metric} {found:.4f}{_against(found, values[metric])}"
            for runtime, metrics in measured.items()
            for metric, found in metrics.items()
        ]
    _console().print("\n".join(lines), highlight=False)


@app.command()
def predict(
    source: Source,
    input: InputFile = None,
    out: Annotated[Path | None, typer.Option(help="Write predictions to this .npz file.")] = None,
) -> None:
    """Run a model on sequences from a file, or on the preset's bundled sample."""
    import numpy as np

    from export import as_sequences, to_step
    from zoo.cli import input_files
    from zoo.hub import store

    model = store.load(source)
    data = input_files.read(input, source) if input else store.samples(source)["inputs"]
    step = to_step(model)
    sequences = as_sequences(step, data, str(input or "the bundled sample"))
    ordered = [sequences[name] for name in step.inputs]
    predicted = model.predict(ordered if len(ordered) > 1 else ordered[0], verbose=0)
    if out:
        np.savez_compressed(out, prediction=predicted)
    where = f", written to {out}" if out else ""
    last = ", ".join(f"{value:.4g}" for value in np.ravel(predicted[-1])[-predicted.shape[-1] :])
    _console().print(f"predictions {predicted.shape}{where}; the last one: {last}", highlight=False)


@app.command()
def export(
    source: Source,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; build/MODEL-TARGET-RECIPE by default.")
    ] = None,
    target: Annotated[str, typer.Option(help="Device: micro or phone.")] = "micro",
    recipe: Annotated[
        str, typer.Option(help="float32, int8, int16x8; for phones float16 and dynamic as well.")
    ] = "int8",
    calibration: Annotated[
        Path | None,
        typer.Option(help="A file of typical sequences, as for predict; int8, int16x8 need it."),
    ] = None,
    steps: Steps = 1000,
) -> None:
    """Convert a model for a device and verify it against Keras."""
    from export import to_tflite
    from zoo.hub import store

    console = _console()
    model = store.load(source)
    typical, evaluation = _export_data(source, calibration)
    with console.status("Exporting") as status:
        report = to_tflite(
            model,
            out or Path("build") / f"{Path(source).stem}-{target}-{recipe}",
            target=target,
            recipe=recipe,
            calibration=typical,
            evaluation=evaluation,
            steps=steps,
            progress=status.update,
        )
    report.print(console)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A .tflite file made by `lnn export`.")],
    model: Annotated[str, typer.Option(help="The preset, folder or .keras file it was made of.")],
    input: InputFile = None,
    target: Annotated[
        str | None, typer.Option(help="Device: micro or phone; by default what the file tells.")
    ] = None,
    steps: Steps = 1000,
) -> None:
    """Run an exported file against its model again."""
    from export import verify as verify_file
    from zoo.cli import input_files
    from zoo.hub import store

    loaded = store.load(model)
    content = input_files.content(file)
    _, evaluation = _export_data(model, input)
    shown, true_outputs = evaluation if isinstance(evaluation, tuple) else (evaluation, None)
    report = verify_file(loaded, content, shown, true_outputs, target=target, steps=steps)
    report.print(_console())
    if not report.passed:
        raise typer.Exit(1)


def main() -> None:
    """Run `lnn`; what the user can mend becomes one line and exit status 2."""
    try:
        app()
    # DataError, CorruptPresetError and VerificationError are RuntimeErrors.
    except (ValueError, OSError, RuntimeError) as error:
        if hasattr(error, "report"):
            error.report.print(_console())
            raise SystemExit(1) from error
        first, *details = str(error).strip().splitlines() or [type(error).__name__]
        typer.echo(f"lnn: {first}", err=True)
        for line in details:
            typer.echo(line, err=True)
        raise SystemExit(2) from error


def _against(value, reference):
    """How far a value is off, in percent; of nothing there is no percentage."""
    return f" ({value / reference - 1:+.2%})" if reference else ""


def _console():
    from rich.console import Console

    return Console()


def _export_data(source, path) -> tuple[Any, Any]:
    """Calibration and evaluation data: the user's file, or else the preset's own samples."""
    from zoo.cli import input_files
    from zoo.hub import store

    if path:
        return input_files.read(path, source), None
    if source.endswith(".keras"):
        return None, None
    samples = store.samples(source)
    return samples["calibration"], store.evaluation(samples)
