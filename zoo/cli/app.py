"""The commands of `lnn`. Modules that import Keras are imported inside the commands."""

import os
from typing import Annotated

import typer

from zoo.cli import (
    adapt,
    bench,
    data,
    demo,
    explain,
    exports,
    fit,
    predict,
    presets,
    profile,
    train,
)

# Suppresses the notices of TensorFlow that a setting can suppress.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

app = typer.Typer(
    help="Liquid neural networks: pretrained models, training, and export to devices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(presets.presets)
app.command()(presets.info)
app.command()(demo.demo)
app.command()(fit.fit)
app.command()(predict.predict)
app.command()(predict.evaluate)
app.command()(explain.explain)
app.command()(exports.export)
app.command()(exports.verify)
app.command()(exports.compare)
app.command()(profile.profile)
app.command()(adapt.adapt)
app.command()(train.train)
app.command()(train.sweep)
app.command()(presets.release)
app.command()(presets.publish)
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lnn-keras {_version()}")
        raise typer.Exit()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lnn-keras")
    except PackageNotFoundError:  # A checkout that is not installed.
        import lnn_keras

        return lnn_keras.__version__


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass
