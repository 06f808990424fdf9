"""Tables as plain text: whole numbers and names at any width."""

import pytest

from zoo.text_table import text_table

HEADINGS = ["preset", "test\nmetric", "LSTM\nGRU"]
ROWS = [["half-cheetah\ncontrol", "MSE", "2,200\n2.33"], ["walker", "", "0.46\n0.48"]]


def test_columns_are_aligned():
    lines = text_table(HEADINGS, ROWS).splitlines()
    assert lines == [
        "                test   LSTM",
        "preset        metric    GRU",
        "───────────────────────────",
        "half-cheetah     MSE  2,200",
        "control                2.33",
        "",
        "walker                 0.46",
        "                       0.48",
    ]
    assert text_table(HEADINGS, ROWS, width=27).splitlines() == lines
    assert text_table(["a"], [["1"], ["20"]], left=()) == " a\n──\n 1\n20"


@pytest.mark.parametrize("width", [1, 10, 26])
def test_rows_become_lists_where_columns_do_not_fit(width):
    assert text_table(HEADINGS, ROWS, width).splitlines() == [
        "half-cheetah control",
        "  test metric  MSE",
        "  LSTM         2,200",
        "  GRU          2.33",
        "walker",
        "  LSTM  0.46",
        "  GRU   0.48",
    ]


def test_rows_without_a_title_are_lists_with_a_line_between():
    rows = [["1", "0.25"], ["2", "0.5"]]
    text = "step    1\noutput  0.25\n\nstep    2\noutput  0.5"
    assert text_table(["step", "output"], rows, width=9, left=()) == text


def test_a_table_without_rows_is_its_headings():
    assert text_table(["step", "output"], []) == "step  output\n────────────"
