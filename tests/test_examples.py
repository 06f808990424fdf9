"""The notebooks of examples/ have the content of the scripts. .ci/run runs the scripts."""

from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_the_notebook_has_the_cells_of_the_script(script):
    jupytext = pytest.importorskip("jupytext")
    cells, expected = (
        [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]
        for path in (script.with_suffix(".ipynb"), script)
    )
    assert cells == expected


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_a_script_fits_on_two_screens(script):
    assert len(script.read_text("utf-8").splitlines()) <= 80
