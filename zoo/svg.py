"""Figures as SVG: small, and the same text every time."""

import io
import re
from typing import Any


def svg_text(figure: Any, name: str) -> str:
    """A figure of matplotlib as the text of an SVG file.

    Args:
        figure: The figure.
        name: A name from which the ids within the file are made.
    """
    import matplotlib

    file = io.BytesIO()
    settings: Any = {"svg.hashsalt": name, "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        figure.savefig(file, format="svg", dpi=90, metadata={"Date": None, "Creator": None})
    text = rounded_paths(file.getvalue().decode())
    # Names of parts are digests of floats, whose last bits may differ between runs.
    parts = list(dict.fromkeys(re.findall(r'id="([a-z][0-9a-f]{10})"', text)))
    for number, part in enumerate(parts):
        text = text.replace(part, f"part{number}")
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def rounded_paths(text: str) -> str:
    """SVG with 4 digits of each coordinate of a path, which are enough and make small files."""
    return re.sub(r' d="[^"]*"', _rounded, text)


def _rounded(path: re.Match[str]) -> str:
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.4g}", path[0])
