"""The card of a preset in Markdown, from what was recorded of it."""

from typing import Any

from export.verification.report import percent
from zoo.preset import Preset


def card(preset: Preset, recorded: dict[str, Any]) -> str:
    """The card: task, data, results beside baselines and published numbers, exports, licence.

    Args:
        preset: The preset.
        recorded: Its metadata, as `release` makes it.
    """
    metric, liquid = preset.metric.name, recorded["metrics"]["liquid"]
    data = preset.dataset
    shipped = (
        "The folder's `samples.npz` holds slices of these data."
        if data.shippable
        else "None of these data ship with the preset."
    )
    return f"""\
# {preset.name}

**Task.** {preset.task[0].upper()}{preset.task[1:]}.

{preset.description.strip()}

## Results

{metric} on the test split, {_over(liquid["seeds"])}.
The weights of each run were chosen on validation alone; all models were trained with the same
recipe.

{_results(preset, recorded["metrics"])}

{bars(preset, liquid["test_mean"])}

The bundled weights are those of seed {recorded["seed"]}, which validated best.

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
    """For each number to beat, whether a value of the first metric does, and by how much."""
    lines = []
    for bar in preset.bars:
        by = abs(value - bar.value)
        verdict = "beaten" if preset.metric.is_better(value, bar.value) else "**not** beaten"
        lines.append(f"- {bar.value:g}, {bar.source}: {verdict}, by {by:.3g}.")
    return "\n".join([f"To beat in {preset.metric.name}:", "", *lines])


def _over(seeds):
    if len(seeds) == 1:
        return "of one seed"
    return f"mean ± standard deviation over {len(seeds)} seeds"


def _spread(summary):
    return f" ± {summary['test_std']:.2g}" if len(summary["seeds"]) > 1 else ""


def _results(preset, metrics):
    others = [metric.name for metric in preset.metrics[1:]]
    lines = [
        _row("model", "parameters", preset.metric.name, *others, "each seed", "s / run"),
        _row(*["---"] * (5 + len(others))),
    ]
    for kind, summary in metrics.items():
        lines.append(
            _row(
                kind,
                f"{summary['parameters']:,}",
                f"**{summary['test_mean']:.4g}**{_spread(summary)}",
                *(f"{summary['means'][name]:.4g}" for name in others),
                ", ".join(f"{value:.4g}" for value in summary["test"]),
                f"{summary['seconds']:.0f}",
            )
        )
    return "\n".join(lines)


def _exports(preset, exports):
    steps = next(iter(exports.values()))["steps"]
    names = list(next(iter(exports.values()))["runtimes"])
    names = [name for name in names if all(name in e["test"] for e in exports.values())]
    lines = [
        _row("recipe", "bytes", "arena", *names),
        _row(*["---"] * (3 + len(names))),
    ]
    for recipe, export in exports.items():
        arena = export["arena_bytes"]
        measured = [
            f"{percent(export['runtimes'][name]['output_error'])} / "
            f"{export['runtimes'][name]['latency_p50_us']:.0f} µs / {export['test'][name]:.4g}"
            for name in names
        ]
        lines.append(_row(recipe, f"{export['bytes']:,}", f"{arena:,}" if arena else "", *measured))
    return f"""\
Exports for `{preset.target}`, run for {steps} closed-loop steps on real test data: RMS error of the
outputs as a share of their standard deviation / median time per step on the training host /
test {preset.metric.name} of the file. An arena is measured with 8-byte pointers; a 32-bit device
needs about half. Recommended: {preset.export_recipes[0]}.{_shipped(preset)}

{chr(10).join(lines)}"""


def _shipped(preset):
    if not preset.shipped_recipes:
        return ""
    names = " and ".join(f"`{recipe}.tflite`" for recipe in preset.shipped_recipes)
    return f"\nThe folder holds {names}: `zoo.exported({preset.name!r}, recipe)`."


def _row(*cells):
    return f"| {' | '.join(cells)} |"
