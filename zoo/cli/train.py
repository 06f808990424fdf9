"""The commands `lnn train` and `lnn sweep`."""

from pathlib import Path
from typing import Annotated

import typer

PresetName = Annotated[str, typer.Argument(help="Name of a preset, see `lnn presets`.")]
Runs = Annotated[Path, typer.Option(help="Folder of all runs.")]


def train(
    name: PresetName,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and noise.")] = 0,
    model: Annotated[str, typer.Option(help='"liquid", or a baseline: "lstm", "gru".')] = "liquid",
    runs: Runs = Path("runs"),
    distribute: Annotated[
        str | None, typer.Option(help='Over all devices: "jax" or "tensorflow", the backend.')
    ] = None,
    hosts: Annotated[
        str, typer.Option(help="HOST:PORT,HOST,... of all processes; the first is where they meet.")
    ] = "",
    index: Annotated[int | None, typer.Option(help="Which of them this is, from 0.")] = None,
) -> None:
    """Train a preset from scratch; a run that was stopped goes on where it was."""
    from zoo import registry
    from zoo.experiments import runs as zoo_runs
    from zoo.training.distribution import distributed, process

    preset = registry.get(name)
    addresses = [host for host in hosts.split(",") if host]
    with distributed(distribute, addresses, index):
        first = process()[0] == 0

        def tell(epoch):
            if first:
                _say(
                    f"epoch {epoch.epoch + 1:4d}/{preset.recipe.epochs}  loss {epoch.loss:.4f}  "
                    f"validation {epoch.validation_loss:.4f}  {epoch.seconds:.1f} s"
                )

        result = zoo_runs.run(preset, model, seed, runs, tell)
    if first:
        _say(
            f"{name} {model} seed {seed}: test {preset.metric.name} {result['test']:.4f}, "
            f"validation {result['validation']:.4f}, {result['parameters']:,} parameters, "
            f"{result['seconds']:.0f} s; {zoo_runs.folder_of(runs, preset, model, seed)}"
        )


def sweep(
    name: PresetName,
    seeds: Annotated[str, typer.Option(help='Such as "0-4" or "0,3".')] = "0",
    set: Annotated[
        list[str] | None, typer.Option(help="Sizes to try, such as units=16,32; may be repeated.")
    ] = None,
    runs: Runs = Path("runs/sweeps"),
    chief: Annotated[
        str | None, typer.Option(help="HOST:PORT at which to hand trials out to workers.")
    ] = None,
    worker: Annotated[
        str | None, typer.Option(help="HOST:PORT of a chief to train for; it has the trials.")
    ] = None,
) -> None:
    """Train a preset over seeds and sizes, here or on as many machines as ask for trials."""
    from zoo import registry

    try:
        from zoo.experiments import sweep as sweeps
    except ImportError as error:
        raise RuntimeError("Sweeps need KerasTuner: pip install lnn-keras[sweep]") from error

    preset = registry.get(name)
    if chief and worker:
        raise ValueError("A process is `--chief` or `--worker`, not both.")
    if worker:
        sweeps.work(preset, runs, worker)
        return
    trials = sweeps.grid(preset, _numbers(seeds), dict(map(_field, set or [])))
    _say(f"{len(trials)} trials of {name}")
    if chief:
        results = sweeps.lead(preset, trials, runs, chief)
    else:
        results = sweeps.sweep(preset, trials, runs)
    for label, count, mean, deviation in sweeps.summary(results):
        _say(f"{label}: validation {mean:.4f} ± {deviation:.2g} ({count} seeds)")


def _numbers(text):
    """The numbers of "0-4" or "0,3"."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
        return [n for first, *last in ends for n in range(first, (last or [first])[0] + 1)]
    except ValueError:
        raise ValueError(f"`--seeds` must be such as 0-4 or 0,3; received {text!r}.") from None


def _field(text):
    """A field and its values, of "units=16,32"."""
    field, equals, values = text.partition("=")
    if not (field and equals and values):
        raise ValueError(f"`--set` must be such as units=16,32; received {text!r}.")
    return field, values.split(",")


def _say(text):
    from rich.console import Console

    Console().print(text, highlight=False, soft_wrap=True)
