"""docs/design.md describes the modules that exist."""

from tests.design_rooms import PAGE, page_with_rooms


def test_rooms_are_those_of_the_tree():
    """Run `python tests/design_rooms.py` after moving, adding or redescribing a module."""
    assert PAGE.read_text("utf-8") == page_with_rooms()


def test_lines_are_wrapped():
    assert max(map(len, PAGE.read_text("utf-8").splitlines())) <= 100
