"""The picture in README: two plots of the report that `lnn demo` writes.

    lnn demo && python -m benchmarks.report_picture build/half-cheetah-micro/report.html

writes docs/report.svg. It shows the first output over time and the errors of the runtimes, in the
colours of the reader's scheme, as the report does.
"""

import re
import sys
from pathlib import Path

PICTURE = Path(__file__).parent.parent / "docs/report.svg"
FIGURE = re.compile(
    r'<figure><figcaption>(.*?)</figcaption>\s*<svg viewBox="0 0 (\d+) (\d+)".*?>(.*?)</svg>', re.S
)
ERRORS = "RMS error"  # how the caption of the errors begins
GAP, MARGIN, CAPTION = 24, 8, 24


def standalone(page: str) -> str:
    """The first plot of a report, and that of the errors, as one SVG document."""
    style = re.search(r"<style>(.*?)</style>", page, re.S).group(1)
    first, *others = FIGURE.findall(page)
    errors = next(figure for figure in others if figure[0].startswith(ERRORS))
    width, height = int(first[1]), int(first[2])
    plots = "".join(
        f'<g transform="translate({MARGIN + index * (width + GAP)} {MARGIN + CAPTION})">'
        f'<text y="-10">{caption}</text>{content}</g>\n'
        for index, (caption, _, _, content) in enumerate((first, errors))
    )
    size = f"{2 * width + GAP + 2 * MARGIN} {height + CAPTION + 2 * MARGIN}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}">\n<style>{style}</style>\n'
        '<rect width="100%" height="100%" style="fill: var(--paper); stroke: none"/>\n'
        f"{plots}</svg>\n"
    )


def main() -> None:
    """Write the picture of the report that the command line names."""
    PICTURE.write_text(standalone(Path(sys.argv[1]).read_text("utf-8")))
    print(f"written to {PICTURE}")


if __name__ == "__main__":
    main()
