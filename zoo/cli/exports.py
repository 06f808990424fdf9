"""The commands `lnn export`, `verify` and `compare`. They check arguments before loading Keras."""

from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli import export_arguments as arguments
from zoo.cli.options import AsJson, InputFile, MaxSteps, Source, console, progress
from zoo.cli.start import load_keras

Calibration = Annotated[
    Path | None,
    typer.Option(
        readable=False, help="File of typical sequences, as for predict; for integer recipes."
    ),
]
Reset = Annotated[
    bool,
    typer.Option(
        "--reset",
        help="Start each sequence from the initial states, as a device that is reset; the "
        "default of models that were fitted to recordings (--group).",
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        help="Largest accepted RMS error of the outputs, relative to their standard deviation; "
        "default: the recipe's."
    ),
]
MetricTolerance = Annotated[
    float | None,
    typer.Option(
        help="Largest accepted relative loss of the mean squared error against true outputs; "
        "default: the recipe's."
    ),
]


def export(
    source: Source,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default: build/MODEL-TARGET-RECIPE.")
    ] = None,
    target: Annotated[
        str, typer.Option(help="micro, phone, or c: source that needs no interpreter.")
    ] = "micro",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="float32, int8 (default) or int16x8; for phones also float16 and dynamic; for c "
            "int16x8 (default), int16 or float32."
        ),
    ] = None,
    calibration: Calibration = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Its readout goes on learning on the device.")
    ] = False,
    prefix: Annotated[
        str | None,
        typer.Option(help="For c: begins the names of functions; default: the model's name."),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="For c: cmake (default), arduino, zephyr or espidf."),
    ] = None,
    steps: MaxSteps = 1000,
    reset: Reset = False,
    tolerance: Tolerance = None,
    metric_tolerance: MetricTolerance = None,
) -> None:
    """Convert a model for a device, and verify it against Keras."""
    arguments.require_target(target)
    recipe = recipe or ("float32" if target == "c" and adapt else arguments.DEFAULT_RECIPES[target])
    arguments.require_recipe(target, recipe)
    arguments.require_c_options(target, recipe, prefix, layout, adapt)
    arguments.require_steps(steps)
    arguments.require_tolerances(tolerance, metric_tolerance)
    arguments.require_model(source)
    calibration_data, evaluation = _data(source, calibration)
    arguments.require_calibration(recipe, calibration_data)
    load_keras()
    from export import Adaptation, to_c, to_tflite
    from zoo.hub import store

    model = store.load(source)
    folder = out or Path("build") / f"{Path(source).stem}-{target}-{recipe}"
    with progress("Exporting") as update:
        shared: dict[str, Any] = {
            "recipe": recipe,
            "calibration": calibration_data,
            "evaluation": evaluation,
            "steps": steps,
            "reset": reset or _is_reset(source),
            "tolerance": tolerance,
            "metric_tolerance": metric_tolerance,
            "progress": update,
            "adapt": Adaptation(delay=_delay(source)) if adapt else None,
        }
        if target == "c":
            report = to_c(model, folder, prefix=prefix, layout=layout or "cmake", **shared)
        else:
            report = to_tflite(model, folder, target=target, **shared)
    report.print(console())


def verify(
    file: Annotated[
        Path,
        typer.Argument(
            readable=False, help="A .tflite file that `lnn export` wrote, or its folder of C."
        ),
    ],
    model: Annotated[str, typer.Option(help="Its preset, folder or .keras file.")],
    input: InputFile = None,
    target: Annotated[
        str | None, typer.Option(help="micro, phone or c; default: the one in the file.")
    ] = None,
    steps: MaxSteps = 1000,
    reset: Reset = False,
    tolerance: Tolerance = None,
    metric_tolerance: MetricTolerance = None,
    as_json: AsJson = False,
) -> None:
    """Verify an exported file against its Keras model again."""
    if target is not None:
        arguments.require_target(target)
    arguments.require_steps(steps)
    arguments.require_tolerances(tolerance, metric_tolerance)
    # Whether there is such a file, before the seconds that loading Keras takes.
    arguments.require_exported(file)
    arguments.require_model(model)
    _, evaluation = _data(model, input)
    load_keras()
    from export import read_file
    from export import verify as verify_file
    from zoo.hub import store

    inputs, targets = evaluation if isinstance(evaluation, tuple) else (evaluation, None)
    content = read_file(file)
    try:
        report = verify_file(
            store.load(model),
            content,
            inputs,
            targets,
            target=target,
            steps=steps,
            reset=reset or _is_reset(model),
            tolerance=tolerance,
            metric_tolerance=metric_tolerance,
        )
    except RuntimeError as error:
        # A runtime that dies or hangs on the file.
        raise ValueError(f"{file}: {error}") from error
    if as_json:
        typer.echo(report.json())
    else:
        report.print(console())
    if not report.passed:
        raise typer.Exit(1)


def compare(
    source: Source,
    calibration: Calibration = None,
    steps: MaxSteps = 1000,
    reset: Reset = False,
    format: Annotated[
        str | None,
        typer.Option(help="table, markdown or json; default: by the suffix of --out, else table."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file, not to the screen.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare all recipes of all targets: size, memory, error, time and verdict."""
    form = "json" if as_json else arguments.comparison_format(format, out)
    arguments.require_steps(steps)
    arguments.require_model(source)
    calibration_data, evaluation = _data(source, calibration)
    load_keras()
    from export import compare as compare_recipes
    from lnn_keras.atomic_folder import require_writable, whole_file
    from zoo.hub import store

    if out:
        require_writable(out)
    model = store.load(source)
    with progress("Comparing") as update:
        comparison = compare_recipes(
            model,
            calibration=calibration_data,
            evaluation=evaluation,
            steps=steps,
            reset=reset or _is_reset(source),
            progress=update,
        )
    if form == "table" and out is None:
        comparison.print(console())
        return
    texts = {"json": comparison.json, "markdown": comparison.markdown, "table": comparison.text}
    if out is None:
        typer.echo(texts[form]())
        return
    with whole_file(out) as file:
        file.write_text(texts[form]() + "\n", "utf-8")


def _delay(source: str) -> int:
    """The number of rows until the truth of a prediction is known."""
    from zoo.tables.fitted import columns_of

    columns = columns_of(source)
    return max(1, columns.horizon) if columns else 1


def _is_reset(source: str) -> bool:
    """Whether a model was fitted to recordings, before each of which a device is reset."""
    from zoo.tables.fitted import columns_of

    columns = columns_of(source)
    return columns is not None and columns.group is not None


def _data(source: str, path: Path | None) -> tuple[Any, Any]:
    """Calibration and evaluation data: from the user's file, or the samples of the preset."""
    from zoo.cli import input_files
    from zoo.hub import store

    if path:
        return input_files.read_with_targets(path, source)
    if source.endswith(".keras"):
        return None, None
    return input_files.sample(source, "calibration"), store.evaluation(store.samples(source))
