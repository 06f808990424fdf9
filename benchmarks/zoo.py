"""The presets against the numbers to beat, from the runs that their metadata keep.

python -m benchmarks.zoo          writes docs/zoo.md
"""

import statistics
import subprocess
import sys
from pathlib import Path

from zoo import registry
from zoo.hub import store
from zoo.hub.card import bars

LOAD = """
import time
import keras
start = time.perf_counter()
import zoo
zoo.load({name!r})
print(time.perf_counter() - start)
"""
PAGE = Path(__file__).parent.parent / "docs/zoo.md"


def table() -> str:
    """A row for each preset: its metric over seeds, stock layers beside it, the bars."""
    rows = [
        "| preset | metric | liquid | LSTM | GRU | to beat | parameters | recommended file |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, preset in registry.PRESETS.items():
        recorded = store.metadata(name)
        metrics = recorded["metrics"]
        recipe = preset.export_recipes[0]
        size = recorded["exports"][recipe]["bytes"]
        cells = [
            f"[{name}](../zoo/{preset.domain}/{name}/card.md)",
            preset.metric.name,
            *(_summary(metrics[kind]) for kind in ("liquid", "lstm", "gru")),
            ", ".join(f"{bar.value:g}" for bar in preset.bars),
            f"{recorded['parameters']:,}",
            f"{recipe} for {preset.target}, {size:,} bytes",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def verdicts() -> str:
    """For each preset, which bars its mean beats, and by how much."""
    return "\n\n".join(
        f"## {name}\n\n{bars(preset, store.metadata(name)['metrics']['liquid']['test_mean'])}"
        for name, preset in registry.PRESETS.items()
    )


def loading(runs: int = 3) -> str:
    """Seconds to load each preset in a process that has imported keras, median of some runs."""
    lines = []
    for name in registry.PRESETS:
        command = [sys.executable, "-c", LOAD.format(name=name)]
        seconds = [
            float(subprocess.check_output(command, stderr=subprocess.DEVNULL)) for _ in range(runs)
        ]
        lines.append(f"- {name}: {statistics.median(seconds):.2f} s")
    return "\n".join(lines)


def _summary(metric):
    seeds = len(metric["seeds"])
    spread = f" ± {metric['test_std']:.2g}" if seeds > 1 else ""
    return f"{metric['test_mean']:.4g}{spread} ({seeds} seed{'s' if seeds > 1 else ''})"


def main() -> None:
    """Write the page."""
    PAGE.write_text(f"""\
# The zoo, measured

Made by `python -m benchmarks.zoo` from the results that each preset's folder keeps. Metrics are on
the test split (etth1-96 and icu-mortality saw it on the way, as their cards say), mean ± standard
deviation over seeds; the weights of each run were chosen on validation alone; LSTM and GRU have
about as many parameters and the same recipe. A bar is met or missed by the mean. The cards say how
each task is made and where its numbers stand.

{table()}

{verdicts()}

## Loading

`zoo.load(NAME)` with what it imports, beyond `import keras`, median of 3 processes; beside other
work on two cores.

{loading()}
""")
    print(f"written to {PAGE}")


if __name__ == "__main__":
    main()
