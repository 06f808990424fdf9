"""The picture in README: the plot of errors over time in the report that `lnn demo` writes.

    lnn demo && python -m benchmarks.report_picture build/half-cheetah-micro/report.html

writes docs/report.svg.
"""

import re
import sys
from pathlib import Path

PICTURE = Path(__file__).parent.parent / "docs/report.svg"
# A report takes its colours from the reader's theme; a picture needs them fixed.
COLOURS = {"var(--ink)": "#1a1a1a", "var(--soft)": "#bbbbbb"}
LEGEND_HEIGHT = 24


def standalone(page: str) -> str:
    """The first plot of a report as an SVG document of its own, with its legend drawn in."""
    legend, svg = re.search(r"<p>(<span.*?)</p>\s*(<svg.*?</svg>)", page, re.S).groups()
    names = re.findall(r'<span style="color:(#\w+)">&#9632;</span> (.*?)&ensp;', legend)
    width, height = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups())
    content = re.sub(r"^<svg[^>]*>|</svg>$", "", svg)
    for variable, colour in COLOURS.items():
        content = content.replace(variable, colour)
    entries = "".join(
        f'<rect x="{64 + 160 * index}" y="6" width="12" height="12" fill="{colour}"/>'
        f'<text x="{82 + 160 * index}" y="16">{name}</text>'
        for index, (colour, name) in enumerate(names)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + LEGEND_HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#1a1a1a">\n'
        '<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'{entries}\n<g transform="translate(0 {LEGEND_HEIGHT})">{content}</g>\n</svg>\n'
    )


def main() -> None:
    """Write the picture of the report that the command line names."""
    PICTURE.write_text(standalone(Path(sys.argv[1]).read_text("utf-8")))
    print(f"written to {PICTURE}")


if __name__ == "__main__":
    main()
