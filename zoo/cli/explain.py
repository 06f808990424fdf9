"""The command `lnn explain`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.options import InputFile, MaxRows, Sort, Source, note, progress, say
from zoo.cli.start import load_keras, quiet_imports

if TYPE_CHECKING:
    from zoo.explain.sequences import Sequences
    from zoo.explain.subject import Subject

PAGE = "index.html"


def explain(
    source: Source,
    input: InputFile = None,
    out: Annotated[Path, typer.Option(help="Folder for the page, index.html.")] = Path(
        "explanation"
    ),
    step: Annotated[
        int | None, typer.Option(help="The step to explain, from 1; by default the last one.")
    ] = None,
    sequence: Annotated[
        int | None, typer.Option(help="The sequence of the file to explain, from 1.")
    ] = None,
    output: Annotated[
        int | None, typer.Option(help="The output to explain, from 1, of several numbers.")
    ] = None,
    neurons: Annotated[
        bool, typer.Option("--neurons", help="Also show the neurons of the recurrent layer.")
    ] = False,
    sort: Sort = False,
    max_rows: MaxRows = 2_000_000,
) -> None:
    """Write a page about one prediction: which values mattered, and the effects of changes."""
    from zoo.extras import extra

    _require_folder(out)
    quiet_imports(("tensorflow",))
    _start_converter()
    with extra("zoo"):
        import matplotlib.figure  # noqa: F401
    with progress("reading"), extra("export"):
        from zoo.explain import reading

        load_keras()
        given = _sequences(source, input, sort, max_rows)
        subject = reading.subject_of(source, given, sequence, step, output)
    for remark in subject.notes:
        note(remark)
    with progress("explaining"):
        from zoo.explain import playground
        from zoo.explain.page import findings, page

        found = findings(subject, neurons)
        facts = _facts(source, subject, input, out, step, sequence, output, neurons, sort)
        text = page(subject, found, facts, playground.section(subject))
    _write(out, text)
    from zoo.explain import words

    say(f"{words.said(subject)} {words.truth(subject)}".strip())
    say(f"written to {out / PAGE}")


def _start_converter() -> None:
    """Load TensorFlow in the process of the converter while this one loads it too."""
    from zoo.extras import extra

    with extra("export"):
        from export.converter_process import converter

    converter.start()


def _sequences(source: str, path: Path | None, sort: bool, max_rows: int) -> "Sequences":
    """The inputs of a file, or the sample of the model."""
    from zoo import registry
    from zoo.cli import input_files
    from zoo.explain import sequences
    from zoo.tables.fitted import SAMPLE_TABLE, columns_of

    columns = columns_of(source)
    if path is None and columns is not None:
        from zoo.hub import store

        path = store.find(source) / SAMPLE_TABLE
    if path is None:
        return sequences.bundled(source)
    if columns is not None and input_files.is_table(path):
        return sequences.rows_of_table(path, columns, sort, max_rows)
    inputs = input_files.read(path, source, max_rows)
    preset = registry.PRESETS.get(source)
    targets = None
    if preset is not None and input_files.is_table(path):
        targets = input_files.true_outputs(path, preset, max_rows)
    return sequences.Sequences(inputs, targets, path.name)


def _facts(
    source: str,
    subject: "Subject",
    input: Path | None,
    out: Path,
    step: int | None,
    sequence: int | None,
    output: int | None,
    neurons: bool,
    sort: bool,
) -> dict[str, str]:
    """Where the page comes from."""
    import keras

    import export
    import lnn_keras
    from zoo import registry
    from zoo.explain import words

    command = ["lnn", "explain", source, "--out", str(out)]
    chosen = {"input": input, "step": step, "sequence": sequence, "output": output}
    for name, value in chosen.items():
        command += [f"--{name}", str(value)] if value is not None else []
    command += ["--neurons"] if neurons else []
    command += ["--sort"] if sort else []
    preset = registry.PRESETS.get(source)
    return {
        "Model": f"{subject.name}" + (f": {preset.task}" if preset else ""),
        "SHA-256 of the model": export.model_sha256(subject.model),
        "Input": f"{subject.origin}, {words.count(subject.length, subject.labels.step)}",
        "Metrics on test data": _metrics(source),
        "Limits": _limits(preset.description) if preset else "",
        "Versions": f"lnn-keras {lnn_keras.__version__}, keras {keras.__version__}",
        "Command": shlex.join(command),
    }


def _metrics(source: str) -> str:
    """The metrics of a preset or a fitted model on test data, in words."""
    from zoo.explain import words
    from zoo.hub import store

    if Path(source).suffix == ".keras":
        return ""
    recorded = store.metadata(source).get("metrics", {}).get("liquid", {})
    means = recorded.get("means", recorded)
    known = {name: value for name, value in means.items() if isinstance(value, float)}
    return ", ".join(f"{name} {words.number(value)}" for name, value in known.items())


def _limits(description: str) -> str:
    """The paragraph of a card about the limits of a preset."""
    paragraphs = [" ".join(part.split()) for part in description.split("\n\n")]
    start = "**Limits.** "
    found = [part.removeprefix(start) for part in paragraphs if part.startswith(start)]
    return found[0].replace("`", "") if found else ""


def _require_folder(out: Path) -> None:
    """Check that a page can be written, before the seconds that the rest takes."""
    from lnn_keras.atomic_folder import require_writable
    from zoo.readers.files import shown

    if out.exists() and not out.is_dir():
        raise ValueError(
            f"`--out` must be a folder, into which {PAGE} is written; {shown(out)} is a file."
        )
    out.mkdir(parents=True, exist_ok=True)
    require_writable(out / PAGE)


def _write(out: Path, text: str) -> None:
    from lnn_keras.atomic_folder import whole_file

    with whole_file(out / PAGE) as file:
        file.write_text(text, "utf-8")
