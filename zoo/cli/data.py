"""The commands `lnn data get` and `lnn data check`."""

import importlib
from types import ModuleType
from typing import Annotated

import typer

DATASETS = (
    "car_racing",
    "etth1",
    "half_cheetah",
    "metro_traffic",
    "mitdb",
    "ngsim",
    "physionet2012",
    "walker2d",
)

app = typer.Typer(help="Public datasets.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help=f"One of {', '.join(DATASETS)}.")]


@app.command()
def get(name: Name) -> None:
    """Download or record a dataset, or find it in LNN_DATA_DIR, and verify its files."""
    dataset = _module(name).DATASET
    paths = dataset.fetch()
    folder = next(iter(paths.values())).parent
    typer.echo(f"{dataset.title}: {len(paths):,} files, all {dataset.origin}, in {folder}")
    typer.echo(f"licence: {dataset.license}, as published by its source; {dataset.source}")


@app.command()
def check(name: Name) -> None:
    """Read a dataset, and count its rows and its invalid rows."""
    module = _module(name)
    counts = module.summary()
    typer.echo(f"{module.DATASET.title}: files {module.DATASET.origin}")
    width = max(map(len, counts))
    for title, count in counts.items():
        typer.echo(f"  {title:<{width}} {count:>9,}")


def _module(name: str) -> ModuleType:
    from zoo.argument_checks import require_choice

    return importlib.import_module(f"zoo.data.{require_choice('dataset', name, DATASETS)}")
