"""The presets as a table for people: what each reaches, beside stock layers, and its size."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from zoo.hub import store
from zoo.preset import Preset
from zoo.registry import PRESETS

COLUMNS = ("preset", "test metric", "LSTM\nGRU", "to beat", "weights", "bytes")


def table() -> Table:
    """One row for each preset; it fits a terminal of 80 columns."""
    made = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        made.add_column(column, no_wrap=True)
    for preset in PRESETS.values():
        made.add_row(
            f"[bold]{preset.name}[/]\n{preset.domain}", *_measured(preset), end_section=True
        )
    return made


def _measured(preset: Preset) -> list[str]:
    if not preset.weights_sha256:
        return ["not released"]
    recorded = store.metadata(preset.name)
    metrics = recorded["metrics"]
    liquid = metrics["liquid"]
    return [
        f"{preset.metric.name}\n{_short(liquid['test_mean'])}{_spread(liquid)}",
        "\n".join(_short(metrics[kind]["test_mean"]) for kind in preset.baselines),
        "\n".join(f"{bar.value:g}" for bar in preset.bars),
        f"{recorded['parameters']:,}",
        "\n".join(f"{name} {made['bytes']:,}" for name, made in recorded["exports"].items()),
    ]


def _short(value):
    return f"{value:#.3g}".rstrip(".")


def _spread(summary):
    return f"±{summary['test_std']:.1g}" if len(summary["seeds"]) > 1 else ""
