"""The commands `lnn presets`, `info`, `release` and `publish`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import AsJson, PresetName, RunsFolder, Source, console, say, show_table


def presets(as_json: AsJson = False) -> None:
    """List the presets with their metrics and baselines."""
    from zoo.cli.preset_table import HEADINGS, TITLE, preset_facts, preset_rows
    from zoo.registry import PRESETS

    if as_json:
        typer.echo(json.dumps([preset_facts(preset) for preset in PRESETS.values()]))
        return
    typer.echo(f"{TITLE}\n")
    show_table(HEADINGS, preset_rows(), left=range(len(HEADINGS)))
    typer.echo()
    for preset in PRESETS.values():
        say(f"{preset.name}: {preset.task}")


def info(name: Source, as_json: AsJson = False) -> None:
    """Show the card of a preset or of a fitted model; as JSON, its metadata."""
    from zoo.cli.card_text import print_card
    from zoo.hub import store

    if as_json:
        typer.echo(json.dumps(store.metadata(name)))
        return
    print_card(console(), store.card(name))


def release(
    name: PresetName,
    runs: RunsFolder = Path("runs"),
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default: the bundled one.")
    ] = None,
    card: Annotated[
        bool, typer.Option("--card", help="Only write the card again, from the metadata.")
    ] = False,
) -> None:
    """Make the folder of a preset, with its card, from saved runs and its earlier results."""
    from zoo import registry
    from zoo.cli.start import load_keras

    preset = registry.get(name)
    load_keras()
    from zoo.hub.release import release, rewrite_card

    folder, digest = rewrite_card(preset, out) if card else release(preset, runs, out)
    say(f"{folder}\nmetadata sha256 {digest}")


def publish(
    folder: Annotated[Path, typer.Argument(help="Folder to write, for a static web server.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Publish only this preset; may be repeated.")
    ] = None,
) -> None:
    """Write all presets and their exports in the layout that LNN_ZOO_URL requires."""
    from zoo.cli.start import load_keras

    load_keras()
    from zoo.hub.publish import publish

    with console().status("Publishing") as status:
        written = publish(folder, tuple(only or ()), status.update)
    console().print(f"{written}: serve it, and set LNN_ZOO_URL to its address", soft_wrap=True)
