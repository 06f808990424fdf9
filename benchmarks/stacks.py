"""Presets with a stack of liquid blocks in the place of their recurrent layer.

python -m benchmarks.stacks          trains walker2d with a stack, 3 seeds of about 10 minutes each,
                                     and writes benchmarks/stacks.json, which docs/zoo.md shows

Finished runs are read, and stopped ones go on. half-cheetah is a stack as it is released.
"""

import json
import statistics
from dataclasses import replace
from pathlib import Path

from benchmarks.arguments import argument_parser

PRESET, SEEDS = "walker2d", (0, 1, 2)
RECORD = Path(__file__).parent / "stacks.json"


def main() -> None:
    """Train, and record the results."""
    from zoo import registry
    from zoo.experiments import runs

    parser = argument_parser(__doc__)
    parser.add_argument("--runs", type=Path, default=Path("build/stacks"), help="folder of runs")
    folder = parser.parse_args().runs
    preset = registry.get(PRESET)
    preset = replace(preset, config=replace(preset.config, cell="stack"))
    found = []
    for seed in SEEDS:
        path = runs.folder_of(folder, preset, "liquid", seed) / runs.RESULT
        done = json.loads(path.read_text()) if path.exists() else None
        result = done or runs.run(preset, "liquid", seed, folder)
        found.append(result)
        print(f"seed {seed}: {preset.metric.name} {result['test']:.4f}", flush=True)
    errors = [result["test"] for result in found]
    record = {
        "preset": PRESET,
        "parameters": found[0]["parameters"],
        "seeds": list(SEEDS),
        "test_mean": statistics.mean(errors),
        "test_std": statistics.stdev(errors),
    }
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    print(f"written to {RECORD}")


if __name__ == "__main__":
    main()
