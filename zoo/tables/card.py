"""The card of a fitted model in Markdown: its table, its results, and how to use it."""

from typing import TYPE_CHECKING

from zoo.readers.text import printable
from zoo.tables import scores

if TYPE_CHECKING:
    from zoo.tables.fitted import Fitted


def render_card(fitted: "Fitted") -> str:
    """The card of a fitted model."""
    columns, recorded = fitted.columns, fitted.recorded
    targets = ", ".join(f"`{_cell(name)}`" for name in columns.targets)
    task = f"Classify {targets}" if columns.classes else f"Predict {targets}"
    if columns.horizon:
        task += f" {columns.horizon} row{'s' * (columns.horizon > 1)} ahead"
    rows, groups = recorded["rows"], recorded["groups"]
    split = f"by {columns.group}" if sum(groups.values()) > len(rows) * 2 else "by time"
    config = recorded["config"]
    verdict = scores.verdict(metrics_of(fitted), fitted.metrics, next(iter(fitted.metrics)))
    return f"""\
# {targets}

**Task.** {task}.

**Model.** A {config["cell"]} cell with {config["units"]} units between a dense layer and a readout,
trained on windows of {recorded["window"]} rows for {recorded["epochs"]} epochs with seed
{recorded["seed"]}. Normalization is a part of the model.

**Data.** {sum(rows.values()):,} rows, split {split}: {rows["train"]:,} for training,
{rows["validation"]:,} for the selection of the weights, {rows["test"]:,} for testing.
{_notes(fitted)}
## Results

On the test part, which no model has seen:

{results(fitted)}

{chr(10).join(f"- {line}" for line in verdict)}

`plot.png` shows the predictions of the model.

## Columns

{_columns(fitted)}

{_inputs(fitted)}

## Use

    lnn predict FOLDER --input new.csv --out predictions.csv
    lnn evaluate FOLDER --input new.csv
    lnn export FOLDER --target micro --recipe int8 --out device/

`sample.csv` holds rows of the test part in the form that the commands read.
"""


def results(fitted: "Fitted") -> str:
    """The metrics of all models as a table in Markdown."""
    names = [metric.name for metric in metrics_of(fitted)]
    header = [f"{m.name} ({m.unit})" if m.unit else m.name for m in metrics_of(fitted)]
    rows = [["model", *header], ["---"] * (1 + len(names))]
    rows += [[m, *(f"{v[name]:.4g}" for name in names)] for m, v in fitted.metrics.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def metrics_of(fitted: "Fitted") -> tuple[scores.Metric, ...]:
    """The metrics of a fitted model; the first one ranks the models."""
    import numpy as np

    return scores.metrics(fitted.columns, np.array(fitted.recorded["target_deviation"]))


def _notes(fitted: "Fitted") -> str:
    if not fitted.notes:
        return ""
    return "\n" + "\n".join(f"- {_cell(note)}" for note in fitted.notes) + "\n"


def _columns(fitted: "Fitted") -> str:
    columns = fitted.columns
    roles = [
        *((name, "predicted") for name in columns.targets),
        *((name, "number") for name in columns.numbers),
        *((name, f"category: {', '.join(texts)}") for name, texts in columns.categories.items()),
        *([(columns.time, "time")] if columns.time else []),
        *([(columns.group, "recording")] if columns.group else []),
    ]
    rows = [["column", "meaning", "unit"], ["---"] * 3]
    rows += [[_cell(n), _cell(role), _cell(columns.units.get(n, ""))] for n, role in roles]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _inputs(fitted: "Fitted") -> str:
    """The inputs of the model and of an exported file."""
    columns = fitted.columns
    lines = [
        "Inputs of the model and of exported files, per row:",
        "",
        f"- `row`: {', '.join(_cell(name) for name in columns.features)}; a category is 1 for its "
        "text, otherwise 0.",
    ]
    if columns.has_gaps:
        lines.append(
            f"- `observed`: for each of the {len(columns.numbers)} numbers 1, or 0 if it is "
            "missing; a missing number may have any finite value."
        )
    if columns.longest is not None:
        unit = (
            "seconds" if columns.time_unit == "s" else f"the unit of `{_cell(str(columns.time))}`"
        )
        lines.append(
            f"- `elapsed`: the time since the row before in {unit}, at most {columns.longest:g}; "
            f"{columns.interval:g} for the first row."
        )
    outputs = ", ".join(_cell(name) for name in columns.outputs)
    kind = "probabilities of" if columns.classes else "predictions of"
    return "\n".join([*lines, "", f"Outputs: {kind} {outputs}."])


def _cell(text: str) -> str:
    return printable(str(text)).replace("|", "\\|")
