"""`section`: the playground as a piece of HTML without external resources."""

from dataclasses import replace
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from export import Step
from export.text_templates import fill
from zoo.explain.playground import runtime_files
from zoo.explain.playground.embedding import float32, packed, script_json
from zoo.explain.playground.linear_answers import as_matrix
from zoo.explain.playground.page_data import (
    MOST_NUMBERS_OVER_TIME,
    elapsed_column,
    features_of,
    json_data,
    rows_of,
)
from zoo.explain.playground.sliders import sliders
from zoo.explain.playground.step_file import step_file
from zoo.explain.playground.window import states_before, window_around
from zoo.explain.subject import Subject

PACKAGE = "zoo.explain.playground"
SCRIPTS = (
    "unpack",
    "random_numbers",
    "changes",
    "step_runner",
    "answers",
    "chart",
    "picture",
    "controls",
    "playground",
)


def page_file(name: str) -> str:
    """The text of one of the page's scripts and style sheets."""
    return (resources.files(PACKAGE) / "page" / name).read_text("utf-8")


def section(subject: Subject) -> str:
    rows = rows_of(subject)
    step = subject.step
    file = step_file(step, step.outputs[0])
    window = window_around(subject.step_index, rows, step)
    states = states_before(window.start, file.content, step, rows)
    for state, wired in zip(step.states, file.wiring["states"], strict=True):
        wired["initial"] = float32(states[state.name])
    keras = np.asarray(subject.model.predict([subject.inputs[n] for n in step.inputs], verbose=0))[0]
    cut = {n: v[window.start : window.stop] for n, v in rows.items()}
    features = features_of(subject, cut)
    matrix, offset = as_matrix(subject.answer.to_real, file.wiring["outputs"])
    every = step.outputs[0] in step.sequences
    if every:
        keras = keras[window.start : window.stop]
    data = json_data(cut, features, elapsed_column(subject), sliders(sampling="x"))
    data |= {
        "keras": float32(keras),
        "precomputed": None,
        "wiring": file.wiring,
        "rows": step.rows,
        "explained": subject.step_index - window.start,
        "first": window.start,
        "across": not every and file.wiring["outputs"] > MOST_NUMBERS_OVER_TIME,
        "signal": 0,
        "shown": 0,
        "source": "The answers come from the float32 file.",
        "picture": {"input": 0, "width": 32, "height": 32, "low": 0, "high": 1} if "lane" in subject.name else None,
        "format": {
            "kind": subject.answer.kind,
            "names": list(subject.answer.names),
            "units": list(subject.answer.units),
            "matrix": float32(matrix),
            "offset": float32(offset),
            "outputs": file.wiring["outputs"],
        },
    }
    runtime = "".join(
        f'<script type="application/gzip" data-part="{name}">{packed(content)}</script>'
        for name, content in (("file", file.content), ("program", runtime_files.program()))
    )
    return fill(
        PACKAGE,
        "playground.html",
        style=page_file("playground.css"),
        introduction="intro",
        data=script_json(data),
        runtime=runtime + f"<script>{runtime_files.loader()}</script>",
        scripts="\n".join(page_file(f"{n}.js") for n in SCRIPTS),
    )
