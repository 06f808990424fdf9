"""The pages in docs/ that benchmarks write have the text of the templates in the benchmarks."""

import importlib
import re
import string
from pathlib import Path

import pytest

import benchmarks.export
import export
from benchmarks.markdown import percent, replace_section

DOCS = Path(__file__).parent.parent / "docs"
CLAIMS = "lnn bench claims --runs docs/claims --out docs/claims.md"
PAGES = {
    "adaptation": "adaptation.md",
    "c": "microcontrollers.md",
    "compress": "compress.md",
    "export": "exports.md",
    "figures": "plots.md",
    "long_sequences": "long-sequences.md",
    "own_tables": "own-data.md",
    "parallel": "parallel.md",
    "saliency": "saliency.md",
    "speed": "speed.md",
    "defaults": "defaults.md",
    "zoo": "zoo.md",
}


def pattern(template):
    """A pattern that matches a template with any values; all whitespace is equal."""
    literals = [
        (re.escape(re.sub(r"\s+", " ", literal)), field)
        for literal, field, _, _ in string.Formatter().parse(template)
    ]
    return "".join(f"{literal}.+?" if field else literal for literal, field in literals)


@pytest.mark.parametrize("benchmark", PAGES)
def test_page_has_the_text_of_its_template(benchmark):
    template = importlib.import_module(f"benchmarks.{benchmark}").PAGE_TEMPLATE
    page = re.sub(r"\s+", " ", (DOCS / PAGES[benchmark]).read_text())
    assert re.fullmatch(pattern(template), page)


def test_a_table_replaces_that_of_its_device_only():
    page = replace_section("before\n", "A", "one")
    page = replace_section(page, "B", "two\n\n### below\n\n| 2 |")
    page = replace_section(page, "A", "three")
    assert page == "## A\n\nthree\n\n## B\n\ntwo\n\n### below\n\n| 2 |"


def test_exports_page_describes_the_recipes():
    page = (DOCS / "exports.md").read_text()
    for name in benchmarks.export.TARGETS:
        recipe = export.RECIPES[name]
        line = f"{recipe.description.capitalize()}; tolerance {percent(recipe.tolerance)}."
        assert f"## {name}, for `" in page
        assert line in page


def test_zoo_page_has_the_recorded_results():
    from benchmarks.zoo import comparison_sections, results_table

    page = (DOCS / "zoo.md").read_text()
    assert results_table() in page
    assert comparison_sections() in page


def test_claims_page_and_figure_follow_from_the_saved_runs():
    from zoo.claims import figure, page, results, training
    from zoo.svg import svg_text

    findings = results.measure(results.Choice(), training.FULL, DOCS / "claims", lambda _: None)
    text = page.markdown(findings, CLAIMS, "claims.svg")
    assert (DOCS / "claims.md").read_text() == text
    assert "<svg" in svg_text(figure.robustness(findings), "claims")
