"""Results: the values of all measurements, the paired tests, and the verdicts."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.argument_checks import require_choice
from zoo.claims import mackey_glass
from zoo.claims.claims import CLAIMS, Claim
from zoo.claims.measurements import Values, is_measured, kept, measured
from zoo.claims.models import LAYERS, LIQUID, STOCK
from zoo.claims.paired_test import Comparison, Table, comparisons
from zoo.claims.tasks import TASKS
from zoo.claims.training import Bench, Extent
from zoo.claims.verdicts import overall, verdict

# A measurement without a claim: the forecast of a chaotic series, by the protocol of NeuroBench.
YARDSTICK = "mackey-glass"
# Values by task, layer and measurement, one for each seed.
Measured = Mapping[str, Mapping[str, Mapping[str, Sequence[Values]]]]


@dataclass(frozen=True)
class Choice:
    """The claims, tasks and layers that are measured; by default all.

    Attributes:
        claims: Keys of `CLAIMS`.
        tasks: Keys of `TASKS`.
        layers: Keys of `models.LAYERS`, with at least one liquid and one stock layer.
        yardstick: Whether to forecast the Mackey-Glass series too.
    """

    claims: tuple[str, ...] = tuple(CLAIMS)
    tasks: tuple[str, ...] = tuple(TASKS)
    layers: tuple[str, ...] = (*LIQUID, *STOCK)
    yardstick: bool = True

    @property
    def liquid(self) -> tuple[str, ...]:
        """The liquid layers."""
        return tuple(name for name in LIQUID if name in self.layers)

    @property
    def stock(self) -> tuple[str, ...]:
        """The stock layers."""
        return tuple(name for name in STOCK if name in self.layers)


@dataclass(frozen=True)
class Result:
    """The result of a claim.

    Attributes:
        claim: The claim.
        tables: Values of each measure by task and layer, arrays (seeds, pairs).
        comparisons: The paired tests of each liquid layer.
    """

    claim: Claim
    tables: Mapping[str, Table]
    comparisons: Mapping[str, list[Comparison]]

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict about each liquid layer."""
        return {
            layer: verdict([comparison.outcome for comparison in found])
            for layer, found in self.comparisons.items()
        }

    @property
    def verdict(self) -> str:
        """The verdict about the claim."""
        return overall(list(self.verdicts.values()))


@dataclass(frozen=True)
class Findings:
    """All that was measured.

    Attributes:
        choice: Claims, tasks and layers.
        extent: How much was measured.
        values: The values of all measurements.
        results: The result of each claim.
        yardstick: Forecasts of the Mackey-Glass series by layer; empty if it was not chosen.
    """

    choice: Choice
    extent: Extent
    values: Measured
    results: Sequence[Result]
    yardstick: Mapping[str, Values]


def choose(claims: Sequence[str], tasks: Sequence[str], layers: Sequence[str]) -> Choice:
    """The choice that names stand for; without names, all.

    Raises:
        ValueError: Unknown name. The message has the nearest one.
    """
    for name in claims:
        require_choice("claim", name, (*CLAIMS, YARDSTICK))
    for name in tasks:
        require_choice("task", name, TASKS)
    for name in layers:
        require_choice("cell", name, LAYERS)
    liquid = [name for name in LIQUID if name in layers] or LIQUID
    stock = [name for name in STOCK if name in layers] or STOCK
    return Choice(
        tuple(name for name in CLAIMS if name in claims or not claims),
        tuple(name for name in TASKS if name in tasks or not tasks),
        (*liquid, *stock),
        YARDSTICK in claims or not claims,
    )


def measure(choice: Choice, extent: Extent, runs: Path, report: Callable[[str], None]) -> Findings:
    """Train and measure all that is not in `runs` yet, and test the claims.

    Args:
        choice: Claims, tasks and layers.
        extent: How much is measured.
        runs: Folder of all runs. An interrupted measurement resumes from it.
        report: Called with a sentence on what is done.

    Raises:
        DataError: The data of a task are missing.
        ValueError: A file in `runs` is damaged, or was made with other settings.
    """
    names = dict.fromkeys(name for claim in choice.claims for name in CLAIMS[claim].measurements)
    benches = [Bench(TASKS[task], extent, runs, report) for task in choice.tasks if names]
    # Seed by seed, so that times of all layers are taken close to each other.
    parts = list(itertools.product(range(extent.seeds), choice.layers, names))
    for bench in benches:
        # Before the first training.
        if not all(is_measured(bench, layer, seed, name) for seed, layer, name in parts):
            bench.task.dataset.fetch()
    values: dict[str, dict[str, dict[str, list[Values]]]] = {}
    for bench in benches:
        by_layer = values.setdefault(bench.task.name, {layer: {} for layer in choice.layers})
        for seed, layer, name in parts:
            report(f"{bench.task.name}, {layer}, seed {seed}: {name}")
            found = measured(bench, layer, seed, name)
            by_layer[layer].setdefault(name, []).append(found)
    results = [tested(CLAIMS[name], values, choice) for name in choice.claims]
    return Findings(choice, extent, values, results, _yardstick(choice, extent, runs, report))


def _yardstick(
    choice: Choice, extent: Extent, runs: Path, report: Callable[[str], None]
) -> dict[str, Values]:
    if not choice.yardstick:
        return {}
    found = {}
    for layer in mackey_glass.CELLS:
        report(f"{YARDSTICK}, {layer}")
        path = runs / extent.name / YARDSTICK / f"{layer}.json"
        identity = {"series": extent.series}
        measure = functools.partial(mackey_glass.measure, layer, extent.series)
        found[layer] = kept(path, YARDSTICK, identity, measure)
    return found


def tested(claim: Claim, values: Measured, choice: Choice) -> Result:
    """The tests of a claim on measured values."""
    tables = {measure.key: _table(measure.key, values) for measure in claim.measures}
    found = {layer: comparisons(claim, tables, layer, choice.stock) for layer in choice.liquid}
    return Result(claim, tables, found)


def _table(key: str, values: Measured) -> dict[str, dict[str, np.ndarray]]:
    """Arrays (seeds, pairs) by task and layer; without tasks that lack the quantity."""
    measurement, _, quantity = key.partition(".")
    return {
        task: {
            layer: np.array([np.ravel(found[quantity]) for found in by_name[measurement]])
            for layer, by_name in layers.items()
        }
        for task, layers in values.items()
        if all(quantity in found for by_name in layers.values() for found in by_name[measurement])
    }
