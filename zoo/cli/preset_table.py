"""The table of presets with their metrics, baselines, results to beat and sizes."""

from typing import Any

from zoo.hub import store
from zoo.preset import Preset
from zoo.registry import PRESETS

TITLE = "presets with their metrics and baselines"
HEADINGS = ("preset", "test metric", "LSTM\nGRU", "to beat", "weights", "bytes")


def preset_rows() -> list[list[str]]:
    """The cells of each preset; with these headings, 80 columns hold the table."""
    return [[f"{preset.name}\n{preset.domain}", *_results(preset)] for preset in PRESETS.values()]


def preset_facts(preset: Preset) -> dict[str, Any]:
    """The facts of a preset as JSON; those of its results if it is released."""
    facts: dict[str, Any] = {"name": preset.name, "domain": preset.domain, "task": preset.task}
    if not preset.metadata_sha256:
        return facts
    recorded = store.metadata(preset.name)
    return {
        **facts,
        "metric": preset.metric.name,
        "test": {kind: values["test_mean"] for kind, values in recorded["metrics"].items()},
        "to_beat": [bar.value for bar in preset.bars],
        "parameters": recorded["parameters"],
        "bytes": {recipe: file["bytes"] for recipe, file in recorded["exports"].items()},
    }


def _results(preset: Preset) -> list[str]:
    if not preset.metadata_sha256:
        return ["not released", "", "", "", ""]
    recorded = store.metadata(preset.name)
    metrics = recorded["metrics"]
    liquid = metrics["liquid"]
    return [
        f"{preset.metric.name}\n{_rounded(liquid['test_mean'])}{_spread(liquid)}",
        "\n".join(_rounded(metrics[kind]["test_mean"]) for kind in preset.baselines),
        "\n".join(f"{bar.value:g}" for bar in preset.bars),
        f"{recorded['parameters']:,}",
        "\n".join(f"{recipe} {file['bytes']:,}" for recipe, file in recorded["exports"].items()),
    ]


def _rounded(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")


def _spread(summary: dict) -> str:
    return f"±{summary['test_std']:.1g}" if len(summary["seeds"]) > 1 else ""
