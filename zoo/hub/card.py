"""The card of a preset in Markdown, from its metadata."""

import textwrap
from collections.abc import Sequence
from typing import Any

from zoo.preset import Preset


def render_card(preset: Preset, recorded: dict[str, Any]) -> str:
    """The card: task, data, results of the preset and its baselines, exports, licences.

    Args:
        preset: The preset.
        recorded: Its metadata, as `zoo.hub.release.release` writes it.
    """
    metric, liquid = preset.metric.name, recorded["metrics"]["liquid"]
    data = preset.dataset
    shipped = (
        "The file `samples.npz` contains parts of these data."
        if data.shippable
        else "The preset contains none of these data."
    )
    return f"""\
# {preset.name}

**Task.** {preset.task[0].upper()}{preset.task[1:]}.

{preset.description.strip()}

## Results

{metric} on the test split, {_over(liquid["seeds"])}. All models were trained
with the same recipe, and their weights were selected on the validation split.

{_results(preset, recorded["metrics"])}

{bars(preset, liquid["test_mean"])}

{_bundled(preset, recorded)}

## On devices

{_exports(preset, recorded["exports"])}

## Reproduce

    lnn train {preset.name} --seed {recorded["seed"]}
    lnn train {preset.name} --seed 0 --model {next(iter(preset.baselines))}
    lnn evaluate {preset.name}

## Licence

Weights: {preset.license}. Data: {data.title}, from
<{data.source}>; licence: {data.license}, as published by its source.
{shipped}
"""


def bars(preset: Preset, value: float) -> str:
    """Compare a value of the first metric with published and measured results, as a list."""
    lines = []
    for bar in preset.bars:
        difference = abs(value - bar.value)
        verdict = "beaten" if preset.metric.is_better(value, bar.value) else "**not** beaten"
        lines.append(f"- {bar.value:g}, {bar.source}: {verdict}, by {difference:.3g}.")
    return "\n".join([f"Results to beat in {preset.metric.name}:", "", *lines])


def _bundled(preset: Preset, recorded: dict[str, Any]) -> str:
    """The seed of the bundled weights, and their metrics if they are recorded."""
    lines = [
        f"The bundled weights are from seed {recorded['seed']}, which had the best validation loss."
    ]
    if preset.split_by_seed:
        lines.append(
            "Each seed has its own validation split, so the losses of two seeds are not of the "
            "same data: the best one does not show that its weights are the best."
        )
    if "bundled" in recorded:
        values = [
            f"{metric.name} {recorded['bundled'][metric.name]:.4g}{_unit(metric.unit)}"
            for metric in preset.metrics
        ]
        lines.append(f"On the test split these weights have {', '.join(values)}.")
    return textwrap.fill(" ".join(lines), 100, break_long_words=False, break_on_hyphens=False)


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""


def _over(seeds: list[int]) -> str:
    if len(seeds) == 1:
        return "one seed"
    return f"mean ± standard deviation over {len(seeds)} seeds"


def _spread(summary: dict[str, Any]) -> str:
    return f" ± {summary['test_std']:.2g}" if len(summary["seeds"]) > 1 else ""


def _results(preset: Preset, metrics: dict[str, Any]) -> str:
    # Runs that were made before a metric was added lack it.
    recorded = [set(summary["means"]) for summary in metrics.values()]
    others = [m.name for m in preset.metrics[1:] if all(m.name in names for names in recorded)]
    rows = [
        [
            kind,
            f"{summary['parameters']:,}",
            f"**{summary['test_mean']:.4g}**{_spread(summary)}",
            *(f"{summary['means'][name]:.4g}" for name in others),
            ", ".join(f"{value:.4g}" for value in summary["test"]),
            f"{summary['seconds']:.0f}",
        ]
        for kind, summary in metrics.items()
    ]
    return _table(
        ["model", "parameters", preset.metric.name, *others, "each seed", "s / run"], rows
    )


def _exports(preset: Preset, exports: dict[str, Any]) -> str:
    from export.verification.report import percent

    steps = next(iter(exports.values()))["steps"]
    runtimes = list(next(iter(exports.values()))["runtimes"])
    runtimes = [name for name in runtimes if all(name in e["test"] for e in exports.values())]
    rows = []
    for recipe, export in exports.items():
        arena = export["arena_bytes"]
        measured = [
            f"{percent(export['runtimes'][name]['output_error'])} / "
            f"{export['runtimes'][name]['latency_p50_us']:.0f} µs / {export['test'][name]:.4g}"
            for name in runtimes
        ]
        rows.append([recipe, f"{export['bytes']:,}", f"{arena:,}" if arena else "", *measured])
    return f"""\
Exports for `{preset.target}`, verified over {steps} closed-loop steps on real test data. The
columns of the runtimes contain: RMS error of the outputs relative to their standard deviation /
median time per step on the training host / test {preset.metric.name} of the file. The arena is
measured with 8-byte pointers; a 32-bit device needs 56 to 73 % of it.
Recommended: {preset.export_recipes[0]}.{_shipped(preset)}

{_table(["recipe", "bytes", "arena", *runtimes], rows)}"""


def _shipped(preset: Preset) -> str:
    if not preset.shipped_recipes:
        return ""
    names = " and ".join(f"`{recipe}.tflite`" for recipe in preset.shipped_recipes)
    return f"\nThe folder contains {names}: `zoo.exported({preset.name!r}, recipe)`."


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])
