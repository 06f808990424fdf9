"""The commands `lnn train` and `lnn sweep`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli.options import PresetName, RunsFolder, say, training_bar
from zoo.cli.start import load_keras

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.training.checkpoint import Epoch


def train(
    name: PresetName,
    seed: Annotated[int, typer.Option(help="Seed of weights, data order and noise.")] = 0,
    model: Annotated[str, typer.Option(help='"liquid", or a baseline: "lstm", "gru".')] = "liquid",
    runs: RunsFolder = Path("runs"),
    distribute: Annotated[
        str | None,
        typer.Option(help='Train on all devices; the backend: "jax" or "tensorflow".'),
    ] = None,
    hosts: Annotated[
        str, typer.Option(help="HOST:PORT,HOST,... of all processes; the first one coordinates.")
    ] = "",
    index: Annotated[int | None, typer.Option(help="Index of this process, from 0.")] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for the processes on other hosts.", min=1)
    ] = 60.0,
) -> None:
    """Train a preset from scratch; an interrupted run resumes from its checkpoint."""
    from zoo import registry

    preset = registry.get(name)
    addresses = [host for host in hosts.split(",") if host]
    load_keras(start=len(addresses) < 2)
    from zoo.experiments import runs as zoo_runs
    from zoo.training.distribution import distributed, process

    task = f"{name} {model} seed {seed}"
    with distributed(distribute, addresses, index, task, timeout):
        is_first = process()[0] == 0

        with training_bar(by_epoch=True) as show:
            result = zoo_runs.run(
                preset, model, seed, runs, _shown(show, preset.recipe.epochs) if is_first else None
            )
    if is_first:
        say(
            f"{name} {model} seed {seed}: test {preset.metric.name} {result['test']:.4f}, "
            f"validation {result['validation']:.4f}, {result['parameters']:,} parameters, "
            f"{result['seconds']:.0f} s; {zoo_runs.folder_of(runs, preset, model, seed)}"
        )


def _shown(show: "Callable[..., None]", epochs: int) -> "Callable[[Epoch], None]":
    """A function that shows each epoch, and before the first one where the training resumed."""
    is_first = True

    def show_epoch(epoch: "Epoch") -> None:
        nonlocal is_first
        if is_first and epoch.epoch:
            say(f"resuming from epoch {epoch.epoch}")
        is_first = False
        show("training", epoch.epoch + 1, epochs, epoch.validation_loss)

    return show_epoch


def sweep(
    name: PresetName,
    seeds: Annotated[str, typer.Option(help='Seeds, for example "0-4" or "0,3".')] = "0",
    set: Annotated[
        list[str] | None,
        typer.Option(help="Values of a config field, for example units=16,32; may be repeated."),
    ] = None,
    runs: RunsFolder = Path("runs/sweeps"),
    chief: Annotated[
        str | None, typer.Option(help="HOST:PORT on which to distribute trials to workers.")
    ] = None,
    worker: Annotated[
        str | None, typer.Option(help="HOST:PORT of a chief that distributes trials.")
    ] = None,
) -> None:
    """Train a preset over seeds and config values, on this machine or on several workers."""
    from zoo import registry

    preset = registry.get(name)
    if chief and worker:
        raise ValueError("A process is `--chief` or `--worker`, not both.")
    load_keras()
    from zoo.experiments import sweep as sweeps

    if worker:
        from zoo.experiments import distributed_sweep

        distributed_sweep.work(preset, runs, worker)
        return
    trials = sweeps.grid(preset, _seeds(seeds), dict(map(_field, set or [])))
    say(f"{len(trials)} trial{'s' * (len(trials) != 1)} of {name}")
    if chief:
        from zoo.experiments import distributed_sweep

        results = distributed_sweep.lead(preset, trials, runs, chief)
    else:
        results = sweeps.sweep(preset, trials, runs)
    for label, count, mean, deviation in sweeps.summary(results):
        say(f"{label}: validation {mean:.4f} ± {deviation:.2g} ({count} seeds)")


def _seeds(text: str) -> list[int]:
    """The seeds of "0-4" or "0,3"."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
        return [n for first, *last in ends for n in range(first, (last or [first])[0] + 1)]
    except ValueError:
        raise ValueError(f"`--seeds` must have the form 0-4 or 0,3; received {text!r}.") from None


def _field(text: str) -> tuple[str, list[str]]:
    """The field and the values of "units=16,32"."""
    field, equals, values = text.partition("=")
    if not (field and equals and values):
        raise ValueError(f"`--set` must have the form units=16,32; received {text!r}.")
    return field, values.split(",")
