"""`section`: the playground as a piece of HTML without external resources."""

from html import escape
from importlib import resources
from typing import Any

from export.text_templates import fill
from zoo.explain.playground import runtime_files
from zoo.explain.playground.answer_format import answer_format
from zoo.explain.playground.embedding import float32, packed, packed_float32, script_json
from zoo.explain.playground.page_data import (
    MOST_NUMBERS_OVER_TIME,
    elapsed_column,
    first_signal,
    json_data,
    picture_format,
    shown_number,
    step_in_words,
)
from zoo.explain.playground.sources import Source, file_source, precomputed_source
from zoo.explain.subject import Subject

PACKAGE = "zoo.explain.playground"
# In this order, each uses earlier ones.
SCRIPTS = (
    "unpack",
    "random_numbers",
    "changes",
    "step_runner",
    "answers",
    "chart",
    "picture",
    "class_table",
    "views",
    "precomputed_answers",
    "controls",
    "playground",
)


def section(subject: Subject) -> str:
    """Return the playground of a model and a sequence.

    The page runs the model's float32 .tflite file of one step on each change of the signal. If the
    model has no such file, the page holds answers that Keras computes beforehand; if these are
    too many, the section is a sentence that says so.

    Args:
        subject: The model and the sequence.

    Returns:
        A piece of HTML with its own style, data and scripts, about 2 MB with the interpreter.
    """
    try:
        source = _source(subject)
    except (ValueError, RuntimeError) as error:
        return (
            '<section class="playground" id="playground" data-state="missing">'
            f"<h2>Try it: change the signal</h2><p>There is no playground. {escape(str(error))}"
            "</p></section>"
        )
    return fill(
        PACKAGE,
        "playground.html",
        style=page_file("playground.css"),
        introduction=escape(_introduction(source, subject)),
        data=script_json(_data(subject, source)),
        runtime=_runtime(source),
        scripts="\n".join(page_file(f"{name}.js") for name in SCRIPTS),
    )


def page_file(name: str) -> str:
    """The text of one of the page's scripts and style sheets."""
    return (resources.files(PACKAGE) / "page" / name).read_text("utf-8")


def _source(subject: Subject) -> Source:
    if subject.step is None:
        return precomputed_source(subject, "it has no form of one time step.")
    try:
        return file_source(subject, subject.step)
    except (ValueError, RuntimeError) as error:
        return precomputed_source(subject, str(error).splitlines()[0])


def _introduction(source: Source, subject: Subject) -> str:
    cut = ""
    if source.window.length < subject.length:
        step = subject.labels.step
        cut = (
            f" It holds {source.window.length} of the {subject.length:,} {step}s; the model has "
            "read those before them."
        )
    return (
        "Move a slider, and see the answer to the changed signal and to the original one. "
        f"Everything is computed in this page.{cut}"
    )


def _data(subject: Subject, source: Source) -> dict[str, Any]:
    outputs = source.keras.shape[-1]
    row = min(source.explained // source.data["rows"], len(source.keras) - 1)
    data = json_data(source.rows, source.features, elapsed_column(subject), source.sliders)
    return {
        **data,
        **source.data,
        "keras": float32(source.keras),
        "explained": source.explained,
        # People count steps from 1.
        "first": source.window.start + 1,
        "step": subject.labels.step,
        "across": step_in_words(subject),
        "curve": len(source.keras) == 1 and outputs > MOST_NUMBERS_OVER_TIME,
        "signal": first_signal(source.features, source.rows),
        "shown": shown_number(subject, source.keras[row]),
        "source": source.sentence,
        "picture": picture_format(source.rows),
        "format": answer_format(subject.answer, outputs),
    }


def _runtime(source: Source) -> str:
    """The interpreter and the file that it runs, as script elements."""
    if source.file is None:
        return ""
    contents = {
        "file": packed_float32(source.file),
        "loader": packed(runtime_files.loader()),
        "program": packed(runtime_files.program()),
    }
    return "\n".join(
        f'<script type="application/gzip" data-part="{name}">{content}</script>'
        for name, content in contents.items()
    )
